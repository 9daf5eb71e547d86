"""`sso-gate apply`."""

from pathlib import Path

import click

from sso_gate.apply.apply import Applied, apply
from sso_gate.apply.file import read_file
from sso_gate.apply.places import FileInvalid
from sso_gate.billing.contract import Invoice
from sso_gate.cli.session import ERROR, dry_run_option, json_option, run, say, show_json, stop, yes_option
from sso_gate.storage.runtime import Runtime
from sso_gate.web.format import money_with_code
from sso_gate.web.language import ENGLISH


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
    _tell(applied, dry_run=dry_run)
    if as_json:
        show_json(
            {
                "organization": applied.organization or None,
                "changes": list(applied.changes),
                "invoice": _invoice_json(applied.invoice) if applied.invoice else None,
                "dry_run": dry_run,
            }
        )


def _tell(applied: Applied, *, dry_run: bool) -> None:
    for change in applied.changes:
        say(f"would do: {change}" if dry_run else change)
    if applied.invoice:
        bill = applied.invoice
        amount = money_with_code(ENGLISH, bill.gross).replace("\N{NO-BREAK SPACE}", " ")
        say(f"invoice {bill.number} {'would be ' if dry_run else ''}issued: {amount}, due on {bill.due_on}")
    if not applied.changes:
        say("nothing to change")


def _invoice_json(invoice: Invoice) -> dict[str, object]:
    return {"number": invoice.number, "gross": invoice.gross.to_json(), "due_on": invoice.due_on.isoformat()}
