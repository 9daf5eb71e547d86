"""`sso-gate invoices` and `sso-gate renew`."""

from datetime import UTC, datetime
from pathlib import Path

import click

from sso_gate.billing import documents
from sso_gate.billing.renewal import RenewedContract, renew, renew_due
from sso_gate.cli.seats import billing_refusals
from sso_gate.cli.session import (
    NOT_FOUND,
    Caller,
    dry_run_option,
    json_option,
    org_option,
    run,
    run_for,
    say,
    show_json,
    show_table,
    stop,
    yes_option,
)
from sso_gate.organizations import store as organizations
from sso_gate.storage.runtime import Runtime

PAGE = 200


@click.group("invoices")
def invoices_group() -> None:
    """Invoices and credit notes."""


@invoices_group.command("list")
@org_option
@json_option
def list_invoices(*, slug: str, as_json: bool) -> None:
    """Print every document, newest first."""

    async def work(caller: Caller) -> tuple[list[documents.Invoice], datetime]:
        found: list[documents.Invoice] = []
        while True:
            after = found[-1].number if found else None
            page = await documents.invoices(caller.runtime, caller.organization, after, PAGE)
            found += page
            if len(page) < PAGE:
                return found, caller.runtime.clock.now()

    rows, now = run_for(slug, work)
    if as_json:
        show_json([one.to_json(now) for one in rows])
        return
    show_table(
        ("Number", "Issued", "Due", "Status", "What", "Gross (minor units)", "Currency"),
        [
            (
                one.number,
                one.issued_on,
                one.due_on,
                one.status(now),
                one.lines[0].text,
                one.gross.amount,
                one.gross.currency,
            )
            for one in rows
        ],
    )


def _one(slug: str, number: str) -> tuple[documents.Invoice, datetime]:
    async def work(caller: Caller) -> tuple[documents.Invoice | None, datetime]:
        found = await documents.invoice(caller.runtime, caller.organization, number)
        return found, caller.runtime.clock.now()

    found, now = run_for(slug, work)
    if found is None:
        stop(NOT_FOUND, f"no invoice {number}")
    return found, now


@invoices_group.command("show")
@click.argument("number")
@org_option
@json_option
def show(*, number: str, slug: str, as_json: bool) -> None:
    """Print one document."""
    found, now = _one(slug, number)
    if as_json:
        show_json(found.to_json(now))
    else:
        click.echo(documents.explain(found))


@invoices_group.command("explain")
@click.argument("number")
@org_option
def explain(*, number: str, slug: str) -> None:
    """Print how each amount came about, from the stored document alone."""
    click.echo(documents.explain(_one(slug, number)[0]))


@invoices_group.command("download")
@click.argument("number")
@org_option
@click.option("--format", "kind", type=click.Choice(["pdf", "html", "xml", "csv"]), default="pdf")
@click.option("--output", type=click.Path(path_type=Path), help="Where to; default NUMBER.FORMAT, - for stdout.")
def download(*, number: str, slug: str, kind: str, output: Path | None) -> None:
    """Write one document to a file."""
    found, _ = _one(slug, number)
    body = _written(found, kind)
    if str(output) == "-":
        click.echo(body, nl=False)
        return
    target = output or Path(f"{number}.{kind}")
    target.write_bytes(body)
    say(f"written to {target}")


def _written(found: documents.Invoice, kind: str) -> bytes:
    match kind:
        case "pdf":
            return documents.invoice_pdf(found)
        case "xml":
            return documents.invoice_xml(found)
        case "csv":
            return documents.lines_csv([found]).encode()
        case _:
            return documents.invoice_html(found).encode()


@click.command("renew")
@click.option("--org", "slug", default="", metavar="SLUG", help="One organization alone.")
@click.option("--as-of", "as_of", metavar="TIMESTAMP", help="Renew as of this instant (RFC 3339).")
@yes_option
@dry_run_option
@json_option
def renew_command(*, slug: str, as_of: str | None, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Invoice the next term of every contract whose term is over. A second run does nothing."""
    del yes
    instant = _instant(as_of) if as_of else None

    async def work(runtime: Runtime) -> list[RenewedContract]:
        if not slug and instant is None:
            return await renew_due(runtime)
        every = await runtime.database.read(organizations.every)
        chosen = [one for one in every if slug in ("", one.slug)]
        if slug and not chosen:
            stop(NOT_FOUND, f"no organization {slug}")
        return [await renew(runtime, one.id, now=instant or runtime.clock.now()) for one in chosen]

    if dry_run:
        say("nothing was renewed")
        return
    with billing_refusals():
        found = [one for one in run(work) if one.renewed]
    lines = [
        {
            "org": one.organization.slug,
            "term": str(term.term.starts_on),
            "seats": term.seats,
            "invoice": term.invoice.number,
        }
        for one in found
        for term in one.renewed
    ]
    if as_json:
        show_json(lines)
    for line in lines:
        say(f"{line['org']}: term from {line['term']}, {line['seats']} seats, invoice {line['invoice']}")
    if not lines:
        say("nothing is due")


def _instant(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.UsageError("--as-of: expected a timestamp such as 2027-01-01T00:00:00Z") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
