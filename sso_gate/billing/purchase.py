"""Buying seats: review an exact price, order it, and the seats are there when the transaction commits.

The reviewed amount is the invoiced amount or nothing happens: `billing_core` guarantees that; here its order shares one
transaction with the seat pool, the seats kept for whoever waits, the audit record and the outbox.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

import billing_core
from billing_core import MAX_SEATS_PER_ORDER, BillingError, KeyReused, Ordered, Preview, Quote, Stale
from sso_gate.audit import store as audit
from sso_gate.audit.event import Actor, Via
from sso_gate.billing.allocation import adopt_allocation, begin_due_terms, publish, seat_limit_event
from sso_gate.billing.details import BillingDetails, details_of
from sso_gate.billing.mailing import promise_invoice
from sso_gate.members.member import Member
from sso_gate.members.roles import Area, Permission
from sso_gate.organizations.organization import Organization
from sso_gate.seats import helped, ledger, waitlist
from sso_gate.seats.forecast import Forecast, forecast
from sso_gate.seats.helped import Helped
from sso_gate.seats.history import DayInUse, daily, in_use_by_day
from sso_gate.seats.ledger import Pool
from sso_gate.storage import outbox
from sso_gate.storage.runtime import Runtime

__all__ = ["MAX_SEATS_PER_ORDER", "BillingError", "KeyReused", "Ordered", "Preview", "Quote", "SeatsOverview", "Stale"]

HISTORY = timedelta(days=182)
SEATS_INCREASED = "seats.increased"
Outcome = Ordered | Stale | KeyReused


def may_buy(organization: Organization, member: Member) -> bool:
    """Return whether the member may add seats: an owner, unless the contract names fewer roles."""
    allowed = organization.purchase_roles
    return member.may(Area.BILLING) is Permission.MANAGE and (not allowed or member.role in allowed)


@dataclass(frozen=True, slots=True)
class SeatsOverview:
    """The seats as one committed state; `reserved` are kept for waiting or invited people."""

    purchased: int
    in_use: int
    reserved: int
    available: int
    waiting: int
    as_of: datetime


async def seats_overview(runtime: Runtime, organization_id: str) -> SeatsOverview:
    """Return how many seats the organization has and where they are."""
    now = runtime.clock.now()

    def work(tx: Connection) -> SeatsOverview:
        pool = ledger.read(tx, organization_id, now=now)
        waiting = waitlist.count(tx, organization_id, now=now)
        return SeatsOverview(pool.purchased, pool.used, pool.reserved, pool.available, waiting, now)

    return await runtime.database.read(work)


@dataclass(frozen=True, slots=True)
class SeatsOutlook:
    """The seats in use by day over half a year, and when they run out at this pace; no forecast before 14
    days of it.
    """

    history: tuple[DayInUse, ...]
    forecast: Forecast | None


async def seats_outlook(runtime: Runtime, organization_id: str) -> SeatsOutlook:
    """Return the history of seats and the forecast that pages, API and command line share."""
    now = runtime.clock.now()

    def work(tx: Connection) -> SeatsOutlook:
        pool = ledger.read(tx, organization_id, now=now)
        days = daily(tx, organization_id, since=now - HISTORY, now=now)
        expected = forecast(days, in_use=pool.used, free=pool.available)
        return SeatsOutlook(tuple(in_use_by_day(days, in_use=pool.used)), expected)

    return await runtime.database.read(work)


async def preview(runtime: Runtime, *, organization: Organization, add: int, on: date | None = None) -> Preview:
    """Return what so many seats would cost now, or on a day; nothing is stored. `BillingError` where there
    is no price.
    """
    when = on or runtime.clock.now()

    def work(tx: Connection) -> Preview:
        stored = billing_core.contract_of(tx, organization.id)
        if stored is None:
            raise billing_core.ContractInvalid("no contract")
        return billing_core.what_if(stored.contract, stored.seats, add, when, stored.next_unit_price)

    return await runtime.database.read(work)


@dataclass(frozen=True, slots=True)
class InvoiceTerms:
    """What holds for the next invoice: whether it needs a PO number, whom it names, and where it goes."""

    po_required: bool
    details: BillingDetails | None


async def invoice_terms(runtime: Runtime, organization: Organization) -> InvoiceTerms:
    """Return what holds for the organization's next invoice; nothing is asked for without a contract."""

    def work(tx: Connection) -> InvoiceTerms:
        stored = billing_core.contract_of(tx, organization.id)
        return InvoiceTerms(bool(stored and stored.contract.po_required), details_of(tx, organization.id))

    return await runtime.database.read(work)


@dataclass(frozen=True, slots=True)
class WithMore:
    """When so many more seats are taken too, as far as that can be told; `last_until` is none beyond a year, and the
    range in which it falls four times out of five where there is none.
    """

    add: int
    last_until: date | None
    earliest: date | None
    latest: date | None


async def outlook_with(runtime: Runtime, organization_id: str, add: int) -> WithMore | None:
    """Return how long `add` more seats would last, those who wait seated first; None before there is a forecast."""
    now = runtime.clock.now()

    def work(tx: Connection) -> WithMore | None:
        pool = ledger.read(tx, organization_id, now=now)
        waiting = waitlist.count(tx, organization_id, now=now)
        days = daily(tx, organization_id, since=now - HISTORY, now=now)
        expected = forecast(days, in_use=pool.used, free=pool.available + add, known=waiting)
        return WithMore(add, expected.runs_out, expected.earliest, expected.latest) if expected else None

    return await runtime.database.read(work)


async def review(runtime: Runtime, *, organization: Organization, add: int) -> Quote:
    """Return a quote for so many more seats, held for SSO_GATE_QUOTE_TTL. `BillingError` where there is no price."""
    now, ttl = runtime.clock.now(), int(runtime.settings.quote_ttl.total_seconds())

    def work(tx: Connection) -> tuple[Quote, Pool | None]:
        _, pool = begin_due_terms(tx, runtime, organization, now=now)  # the price is that of the term that holds now
        return billing_core.quote_seats(tx, customer=organization.id, add=add, now=now, ttl_seconds=ttl), pool

    made, pool = await runtime.database.write(work)
    if pool:
        await publish(runtime, organization.id, pool)
    return made


async def forget_quotes(runtime: Runtime) -> int:
    """Return how many quotes were deleted that nobody ordered and that ran out a month ago."""
    return await runtime.database.write(lambda tx: billing_core.forget_quotes(tx, now=runtime.clock.now()))


async def quoted(runtime: Runtime, *, organization: Organization, quote_id: str) -> Quote | None:
    """Return the organization's quote with this id, or None."""
    return await runtime.database.read(lambda tx: billing_core.quote(tx, quote_id, customer=organization.id))


async def order(
    runtime: Runtime,
    *,
    organization: Organization,
    by: Actor,
    quote_id: str,
    idempotency_key: str,
    digest: str | None = None,
    po_number: str | None = None,
    via: Via | None = None,
) -> Outcome:
    """Order exactly what was quoted, or nothing; the same key and body give the stored answer again.

    When this returns `Ordered` the seats can be used: the counter knows, and waiting pages continue by themselves.
    """
    now, ttl = runtime.clock.now(), int(runtime.settings.quote_ttl.total_seconds())

    def work(tx: Connection) -> tuple[Outcome, Pool | None]:
        _, pool = begin_due_terms(tx, runtime, organization, now=now)
        outcome = billing_core.order_seats(
            tx,
            customer=organization.id,
            quote_id=quote_id,
            digest=digest,
            idempotency_key=idempotency_key,
            ordered_by=by.name or by.id,
            po_number=po_number,
            now=now,
            ttl_seconds=ttl,
        )
        if not isinstance(outcome, Ordered) or outcome.replayed:
            return outcome, pool
        return outcome, _seats_bought(tx, runtime, organization, outcome, by, via or Via())

    outcome, pool = await runtime.database.write(work)
    if pool:
        await publish(runtime, organization.id, pool)
    return outcome


def _seats_bought(
    tx: Connection, runtime: Runtime, organization: Organization, bought: Ordered, by: Actor, via: Via
) -> Pool:
    # Added to what is there, which may be more than the contract says: what was bought can be used at once.
    there = ledger.lock(tx, organization.id, now=runtime.clock.now())
    more = bought.order.seats_after - bought.order.seats_before
    before = helped.waited(tx, organization.id)
    pool = adopt_allocation(tx, organization, there.purchased + more, runtime=runtime)
    helped.note(tx, organization.id, bought.order.id, [who for who, kept in before.items() if not kept])
    changes = {
        "seats": [bought.order.seats_before, bought.order.seats_after],
        "invoice": bought.invoice.number,
        "order": bought.order.id,
    }
    event = seat_limit_event(runtime.clock, organization.id, pool, by, changes)
    audit.record(tx, [event._replace(via=via)])
    payload = {"order": bought.order.id, "invoice": bought.invoice.number, "seats": bought.order.seats_after}
    outbox.add(tx, organization.id, SEATS_INCREASED, clock=runtime.clock, payload=payload)
    promise_invoice(tx, organization, bought.invoice, clock=runtime.clock)
    return pool


async def helped_by(runtime: Runtime, organization_id: str, order_id: str) -> list[Helped]:
    """Return where everybody stands now who waited for a seat when the order was placed."""
    now = runtime.clock.now()
    return await runtime.database.read(lambda tx: helped.of_order(tx, organization_id, order_id, now=now))


async def placed(runtime: Runtime, *, organization: Organization, order_id: str) -> Ordered | None:
    """Return the organization's order with this id and its invoice, or None."""
    return await runtime.database.read(
        lambda tx: billing_core.order_of(tx, customer=organization.id, order_id=order_id)
    )
