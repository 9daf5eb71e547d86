"""`sso-gate`: the commands, each loaded when it is asked for: what all of them need together takes seconds to load."""

from importlib import import_module

import click

# Name of a command: where it is, and the sentence for the list of commands (tests hold it to the command's own).
COMMANDS = {
    "apply": ("apply:apply_command", "Make an organization what FILE.toml says."),
    "audit": ("audit:audit_group", "The audit log: every login, admitted or refused, with its reason."),
    "breakglass": ("breakglass:breakglass_group", "Emergency codes for owners, for when single sign-on is down."),
    "check": ("serve:check_command", "Say whether the settings are valid and the servers that they name answer."),
    "connections": ("connections:connections_group", "Connections to identity providers."),
    "demo": (
        "serve:demo_command",
        "Start everything on this machine, with a provider and an application to try it with.",
    ),
    "invoices": ("invoices:invoices_group", "Invoices and credit notes."),
    "keys": (
        "keys:keys_group",
        "The gate's own keys, which identity providers know: changing them without a break.",
    ),
    "members": ("members:members_group", "Members: who they are, and whose seat goes where."),
    "migrate": ("serve:migrate_command", "Bring the database to the version of this release."),
    "openapi": ("openapi:openapi_command", "Print the description of the JSON API (OpenAPI 3.1)."),
    "proxy-config": (
        "proxy_config:proxy_config_command",
        "Print the recipe that puts the gate in front of an application.",
    ),
    "reconcile": ("seats:reconcile_command", "Prove that the books of seats agree."),
    "renew": ("invoices:renew_command", "Invoice the next term of every contract whose term is over."),
    "seats": ("seats:seats_group", "Seats: how many there are, what more would cost, and buying them."),
    "serve": ("serve:serve_command", "Serve the gate, and do the worker's duties."),
    "token": ("tokens:token_group", "API and SCIM tokens."),
    "waiting": ("members:waiting_group", "People who were refused for want of a seat."),
    "worker": ("serve:worker_command", "Do the worker's duties alone."),
}


class _Commands(click.Group):
    """A group whose members are loaded by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the library's signature
        """Return every name."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - likewise
        """Return the command of this name, or None."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(f"sso_gate.cli.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - likewise
        """Write the list of commands without loading any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, sentence) for name, (_, sentence) in sorted(COMMANDS.items())])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="sso-gate")
def main() -> None:
    """The SSO login gate for applications whose seats cost money."""
