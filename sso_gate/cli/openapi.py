"""`sso-gate openapi`."""

import click

from sso_gate.api.description import openapi
from sso_gate.cli.session import show_json


@click.command("openapi")
def openapi_command() -> None:
    """Print the description of the JSON API (OpenAPI 3.1)."""
    show_json(openapi())
