"""`sso-gate apply`."""

from pathlib import Path

import click

from sso_gate.apply.apply import Applied, apply
from sso_gate.apply.file import FileInvalid, read_file
from sso_gate.cli.session import ERROR, dry_run_option, json_option, run, say, show_json, stop, yes_option
from sso_gate.storage.runtime import Runtime


@click.command("apply")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@dry_run_option
@yes_option
@json_option
def apply_command(*, file: Path, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Make an organization what FILE.toml says. Applying again changes nothing that is already so."""
    del yes  # nothing is asked: the first application issues the invoice that the file describes
    try:
        wanted, text = read_file(file)
    except FileInvalid as invalid:
        stop(ERROR, *invalid.problems)

    async def work(runtime: Runtime) -> Applied:
        return await apply(runtime, wanted, folder=file.parent, text=text, name=file.name, dry_run=dry_run)

    applied = run(work)
    for change in applied.changes:
        say(f"would do: {change}" if dry_run else change)
    if applied.invoice:
        say(f"invoice {applied.invoice} {'would be ' if dry_run else ''}issued")
    if not applied.changes:
        say("nothing to change")
    if as_json:
        show_json(
            {
                "organization": applied.organization,
                "changes": list(applied.changes),
                "invoice": applied.invoice or None,
                "dry_run": dry_run,
            }
        )
