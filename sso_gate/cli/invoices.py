"""`sso-gate invoices` and `sso-gate renew`."""

from collections.abc import Awaitable
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import click

from sso_gate.billing import documents
from sso_gate.billing.renewal import RenewedContract, due_for_renewal, preview_renewal, renew
from sso_gate.cli.seats import billing_refusals
from sso_gate.cli.session import (
    NOT_FOUND,
    Caller,
    agreed,
    dry_run_option,
    json_option,
    org_option,
    run,
    run_for,
    say,
    show_json,
    show_table,
    stop,
    writing,
    yes_option,
)
from sso_gate.errors import NotFound
from sso_gate.organizations import store as organizations
from sso_gate.storage.runtime import Runtime

PAGE = 200


class _OnContract(Protocol):
    """What is done with one contract: renewed, or previewed."""

    def __call__(self, runtime: Runtime, organization_id: str, *, now: datetime) -> Awaitable[RenewedContract]: ...


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
        ("Number", "Issued", "Due", "Status", "What", "Gross"),
        [
            (one.number, one.issued_on, one.due_on, one.status(now), one.lines[0].text, _money(one.gross))
            for one in rows
        ],
    )


def _money(amount: documents.Money) -> str:
    return documents.money_text(amount, "en")


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
@json_option
def explain(*, number: str, slug: str, as_json: bool) -> None:
    """Print how each amount came about, from the stored document alone."""
    text = documents.explain(_one(slug, number)[0])
    if as_json:
        show_json({"number": number, "explanation": text.splitlines()})
    else:
        click.echo(text)


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
    with writing(target):
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
    """Invoice the next term of every contract whose term is over. A second run does nothing.

    Shows the terms and asks, where there is a terminal to ask at. Every contract at an instant that has not come takes
    --yes: what is invoiced stays invoiced.
    """
    instant = _instant(as_of) if as_of else None

    async def each(runtime: Runtime, use: _OnContract) -> list[RenewedContract]:
        now = instant or runtime.clock.now()
        if now > runtime.clock.now() and not (slug or yes or dry_run):
            raise click.UsageError("--as-of is in the future, and no --org is named: say --yes for every contract")
        chosen = [await _named(runtime, slug)] if slug else await due_for_renewal(runtime, now=now)
        return [one for customer in chosen if (one := await use(runtime, customer, now=now)).renewed]

    with billing_refusals():
        due = run(lambda runtime: each(runtime, preview_renewal))
        for line in _terms(due):
            say(f"{line['org']}: term from {line['term']}, {line['seats']} seats, {line['due']}")
        if dry_run or not due:
            say("nothing was renewed" if due else "nothing is due")
            renewed = []
        else:
            agreed("Issue these invoices", yes=yes, dry_run=False)
            renewed = run(lambda runtime: each(runtime, renew))
    lines = _terms(due if dry_run else renewed)
    if as_json:
        show_json([{**line, "invoice": None} for line in lines] if dry_run else lines)
    for line in _terms(renewed):
        say(f"{line['org']}: invoice {line['invoice']}")


async def _named(runtime: Runtime, slug: str) -> str:
    organization = await runtime.database.read(lambda tx: organizations.by_slug(tx, slug))
    if organization is None:
        raise NotFound(f"no organization {slug}")
    return organization.id


def _terms(found: list[RenewedContract]) -> list[dict[str, object]]:
    return [
        {
            "org": one.organization.slug,
            "term": str(term.term.starts_on),
            "seats": term.seats,
            "due": _money(term.invoice.gross),
            "invoice": term.invoice.number,
        }
        for one in found
        for term in one.renewed
    ]


def _instant(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.UsageError("--as-of: expected a timestamp such as 2027-01-01T00:00:00Z") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
