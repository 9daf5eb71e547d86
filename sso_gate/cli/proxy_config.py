"""`sso-gate proxy-config`: the recipe for a reverse proxy, filled in with this installation's addresses.

The templates beside this file are the ones that the suite runs against the real proxies.
"""

from pathlib import Path
from typing import Any

import click
import jinja2

from sso_gate.cli.session import settings_or_exit
from sso_gate.forward_auth.routes import IDENTITY_HEADERS

_RECIPES = Path(__file__).parent / "proxy_recipes"
_TEMPLATES = {"nginx": "nginx.conf.j2", "traefik": "traefik.yaml.j2", "caddy": "Caddyfile.j2", "envoy": "envoy.yaml.j2"}


def recipe(template: str, **values: Any) -> str:
    """Return a recipe with its values; one that it asks for and does not get is an error."""
    environment = jinja2.Environment(  # noqa: S701 - configuration files, not pages
        loader=jinja2.FileSystemLoader(_RECIPES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(identity_headers=IDENTITY_HEADERS, **values)


@click.command("proxy-config")
@click.argument("proxy", type=click.Choice(list(_TEMPLATES)))
@click.option("--app-host", default="app.example.com", show_default=True, help="The application's host name.")
@click.option("--app-upstream", default="127.0.0.1:3000", show_default=True, help="Where the application listens.")
@click.option("--gate-upstream", help="Where the gate listens; default: SSO_GATE_BIND.")
def proxy_config_command(*, proxy: str, app_host: str, app_upstream: str, gate_upstream: str | None) -> None:
    """Print the recipe that puts the gate in front of an application."""
    bind = settings_or_exit().bind
    values: dict[str, Any] = {
        "app_host": app_host,
        "app_name": app_host.partition(".")[0],
        "app_upstream": app_upstream,
        "gate_upstream": gate_upstream or f"{bind.host}:{bind.port}",
    }
    listening: dict[str, dict[str, Any]] = {
        "nginx": {"listen": "443 ssl"},
        "traefik": {"entry_point": "websecure", "tls": True},
        "caddy": {"site": app_host},
        "envoy": {"listen_address": "0.0.0.0", "listen_port": 8000},  # noqa: S104 - a proxy faces the world
    }
    click.echo(recipe(_TEMPLATES[proxy], **values, **listening[proxy]), nl=False)
