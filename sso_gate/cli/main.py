"""`sso-gate`: the commands, and those that concern the installation as a whole."""

import click

from sso_gate.cli.apply import apply_command
from sso_gate.cli.audit import audit_group
from sso_gate.cli.breakglass import breakglass_group
from sso_gate.cli.connections import connections_group
from sso_gate.cli.invoices import invoices_group, renew_command
from sso_gate.cli.members import members_group, waiting_group
from sso_gate.cli.seats import reconcile_command, seats_group
from sso_gate.cli.serve import check_command, demo_command, migrate_command, serve_command, worker_command
from sso_gate.cli.tokens import token_group


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="sso-gate")
def main() -> None:
    """The SSO login gate for applications whose seats cost money."""


for command in (
    demo_command,
    serve_command,
    worker_command,
    migrate_command,
    check_command,
    apply_command,
    seats_group,
    members_group,
    waiting_group,
    invoices_group,
    renew_command,
    audit_group,
    reconcile_command,
    token_group,
    breakglass_group,
    connections_group,
):
    main.add_command(command)
