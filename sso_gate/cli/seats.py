"""`sso-gate seats` and `sso-gate reconcile`."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial

import click
from sqlalchemy import Connection

from sso_gate.admission.reconcile import Drift, reconcile
from sso_gate.billing import purchase
from sso_gate.billing.documents import explain, money_text
from sso_gate.cli.session import (
    CONFLICT,
    ERROR,
    NOT_FOUND,
    OPERATOR,
    USAGE,
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
from sso_gate.clock import iso
from sso_gate.members import store as members
from sso_gate.members.member import MemberState
from sso_gate.seats import waitlist
from sso_gate.seats.forecast import Forecast
from sso_gate.storage import outbox
from sso_gate.storage.runtime import Runtime


@contextmanager
def billing_refusals() -> Iterator[None]:
    """End the command where the contract's rules refuse: 2 for a number that is none, otherwise 5."""
    try:
        yield
    except purchase.BillingError as error:
        stop(USAGE if error.code == "QUANTITY_INVALID" else CONFLICT, f"{error.code}: {error}")


@click.group("seats")
def seats_group() -> None:
    """Seats: how many there are, what more would cost, and buying them."""


@seats_group.command("show")
@org_option
@json_option
def show(*, slug: str, as_json: bool) -> None:
    """Print how many seats there are and where they are."""

    async def work(caller: Caller) -> purchase.SeatsOverview:
        return await purchase.seats_overview(caller.runtime, caller.organization.id)

    found = run_for(slug, work)
    numbers = {
        "purchased": found.purchased,
        "in_use": found.in_use,
        "reserved": found.reserved,
        "available": found.available,
        "waiting": found.waiting,
    }
    if as_json:
        show_json({**numbers, "as_of": iso(found.as_of)})
    else:
        show_table(("Seats", "Number"), list(numbers.items()))


@seats_group.command("explain")
@org_option
@json_option
def explain_numbers(*, slug: str, as_json: bool) -> None:
    """Print the people behind each number: who holds a seat, for whom one is kept, who waits."""

    async def work(caller: Caller) -> dict[str, list[str]]:
        organization, now = caller.organization.id, caller.runtime.clock.now()

        def read(tx: Connection) -> dict[str, list[str]]:
            rows = waitlist.in_order(tx, organization, now=now)
            return {
                "in_use": members.emails_in_state(tx, organization, MemberState.HELD),
                "reserved": [row.email for row in rows if row.held_until],
                "waiting": [row.email for row in rows if not row.held_until and not row.declined],
            }

        return await caller.runtime.database.read(read)

    found = run_for(slug, work)
    if as_json:
        show_json(found)
    else:
        show_table(("State", "Email"), [(state, email) for state, emails in found.items() for email in emails])


@seats_group.command("forecast")
@org_option
@json_option
def show_forecast(*, slug: str, as_json: bool) -> None:
    """Print when the seats run out at the current pace, with the range that holds four times out of five."""

    async def work(caller: Caller) -> purchase.SeatsOutlook:
        return await purchase.seats_outlook(caller.runtime, caller.organization.id)

    found = run_for(slug, work).forecast
    if as_json:
        show_json(_forecast_json(found))
    elif found is None:
        say("not enough history for a forecast yet")
    elif found.runs_out is None:
        say("no run-out expected in the next 12 months")
    else:
        show_table(("Runs out", "Earliest", "Latest"), [(found.runs_out, found.earliest, found.latest or "-")])


def _forecast_json(found: Forecast | None) -> dict[str, object]:
    if found is None:
        return {"enough_history": False, "runs_out": None, "earliest": None, "latest": None}
    dates = {"runs_out": found.runs_out, "earliest": found.earliest, "latest": found.latest}
    texts = {name: day.isoformat() if day else None for name, day in dates.items()}
    return {"enough_history": True, **texts, "days": found.days, "change": found.change}


@seats_group.command("quote")
@org_option
@click.option("--add", type=int, required=True, help="Seats to add.")
@json_option
def quote(*, slug: str, add: int, as_json: bool) -> None:
    """Print the exact price of more seats, held for a while. Buys nothing."""

    async def work(caller: Caller) -> purchase.Quote:
        return await purchase.review(caller.runtime, organization=caller.organization, add=add)

    with billing_refusals():
        found = run_for(slug, work)
    show_json(found.to_json()) if as_json else _show_quote(found)


@seats_group.command("add")
@org_option
@click.option("--add", type=int, help="Seats to add; makes a quote, shows it and asks.")
@click.option("--quote", "quote_id", metavar="QUO", help="A quote that was made before.")
@click.option("--po-number", help="Purchase order number, where the contract wants one.")
@click.option("--idempotency-key", help="The same key orders once, however often it is tried.")
@yes_option
@dry_run_option
@json_option
def add_seats(
    *,
    slug: str,
    add: int | None,
    quote_id: str | None,
    po_number: str | None,
    idempotency_key: str | None,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Buy seats at exactly the price of a quote."""
    if (add is None) == (quote_id is None):
        raise click.UsageError("give one of --add and --quote")

    async def prepare(caller: Caller) -> purchase.Quote | None:
        if quote_id is not None:
            return await purchase.quoted(caller.runtime, organization=caller.organization, quote_id=quote_id)
        return await purchase.review(caller.runtime, organization=caller.organization, add=add or 0)

    with billing_refusals():
        reviewed = run_for(slug, prepare)
    if reviewed is None:
        stop(NOT_FOUND, f"no quote {quote_id}")
    _show_quote(reviewed, err=True)
    if dry_run:
        if as_json:
            show_json(reviewed.to_json())
        return
    if not yes:
        click.confirm("Update", abort=True, err=True)

    async def buy(caller: Caller) -> purchase.Outcome:
        return await purchase.order(
            caller.runtime,
            organization=caller.organization,
            by=OPERATOR,
            quote_id=reviewed.id,
            digest=reviewed.digest,
            idempotency_key=idempotency_key or secrets.token_urlsafe(16),
            po_number=po_number,
        )

    with billing_refusals():
        outcome = run_for(slug, buy)
    _show_outcome(outcome, as_json=as_json)


def _show_quote(found: purchase.Quote, *, err: bool = False) -> None:
    line = found.line
    lines = [
        f"quote      {found.id}",
        f"seats      {found.seats_before} + {found.add} = {found.seats_after}",
        f"price      {line.text or f'{line.seats} seats × {line.months} months at {line.unit_price} {line.currency}'}",
        f"net        {money_text(found.net, 'en')}",
        f"tax        {money_text(found.tax, 'en')}",
        f"due today  {money_text(found.gross, 'en')}",
        f"held until {iso(found.expires_at)}",
    ]
    for text in lines:
        click.echo(text, err=err)


def _show_outcome(outcome: purchase.Outcome, *, as_json: bool) -> None:
    match outcome:
        case purchase.Ordered():
            added = outcome.order.seats_after - outcome.order.seats_before
            say(f"{added} {'seat' if added == 1 else 'seats'} added, invoice {outcome.invoice.number}")
            if as_json:
                show_json(outcome.invoice.to_json(outcome.order.ordered_at))
            else:
                click.echo(explain(outcome.invoice))
        case purchase.Stale():
            stop(CONFLICT, f"nothing was ordered: {outcome.why}; a fresh quote is {outcome.fresh_quote.id}")
        case purchase.KeyReused():
            stop(CONFLICT, "this idempotency key was used for another order")


@click.command("reconcile")
@click.option("--repair", is_flag=True, help="Make the pool say what the members say.")
@click.option("--org", "slug", default="", metavar="SLUG", help="One organization alone.")
@yes_option
@dry_run_option
@json_option
def reconcile_command(*, repair: bool, slug: str, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Prove that the books of seats agree and that no promise is late; ends with 1 where that is not so at the end."""
    del yes  # a repair is on the audit record, and takes no seat from anybody

    async def work(runtime: Runtime) -> tuple[list[Drift], int]:
        found = await reconcile(runtime, repair=repair and not dry_run, slug=slug)
        return found, await runtime.database.read(partial(outbox.overdue, now=runtime.clock.now()))

    found, late = run(work)
    if as_json:
        show_json([_numbers(one) for one in found])
    for one in found:
        say(
            f"{one.slug}: used {one.used}, holders {one.holders}, entered {one.entered}, not on record {one.untold}: "
            + ("repaired" if one.repaired else "left as it is")
        )
    wrong = ["the books do not agree"] if any(not one.repaired for one in found) else []
    if late:
        wrong.append(f"promises of more than 15 minutes ago that are not kept: {late}; does a worker run?")
    if wrong:
        stop(ERROR, *wrong)
    say("the books agree")


def _numbers(drift: Drift) -> dict[str, object]:
    told = {name: value for name, value in asdict(drift).items() if name not in ("organization", "slug")}
    return {"org": drift.slug, **told}
