"""What the contract says of seats, written into the pool in the transaction in which money has decided it."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial

from sqlalchemy import Connection

import billing_core
from billing_core import Renewed
from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Actor, Event, SeatCount
from sso_gate.billing.contract import sync_admission
from sso_gate.billing.mailing import promise_invoice
from sso_gate.clock import Clock
from sso_gate.errors import Unavailable
from sso_gate.identity import new_id
from sso_gate.organizations.organization import Organization
from sso_gate.seats import ledger, waitlist
from sso_gate.seats.counter import SeatCounter
from sso_gate.seats.ledger import Pool
from sso_gate.storage.runtime import Runtime


def adopt_allocation(tx: Connection, organization: Organization, seats: int, *, runtime: Runtime) -> Pool:
    """Write the allocation into the pool, keep free seats for whoever waits, and return the pool.

    Never fewer than are held and kept: who came after a boundary, before a late renewal, keeps their seat.
    """
    now = runtime.clock.now()
    pool = ledger.lock(tx, organization.id, now=now)
    ledger.set_purchased(tx, organization.id, max(seats, pool.used + pool.reserved), now=now)
    return waitlist.offer(tx, organization.id, clock=runtime.clock, until=now + runtime.settings.seat_hold)


def begin_due_terms(
    tx: Connection, runtime: Runtime, organization: Organization, *, now: datetime
) -> tuple[list[Renewed], Pool | None]:
    """Return the terms that began since the contract was looked at last, and the pool that follows them.

    Empty and None when no term is over, or the contract does not renew. Raises `ContractUnknown`.
    """
    stored = billing_core.contract_of(tx, organization.id)
    if stored and not (stored.renews and stored.term.ends_at <= now):
        return [], None
    in_use = partial(ledger.in_use_at, tx, organization.id)
    renewed = billing_core.renew(tx, customer=organization.id, now=now, in_use_at=in_use)
    return renewed, _follow(tx, runtime, organization, renewed) if renewed else None


def _follow(tx: Connection, runtime: Runtime, organization: Organization, renewed: list[Renewed]) -> Pool:
    pool = adopt_allocation(tx, organization, billing_core.allocation(tx, organization.id), runtime=runtime)
    stored = billing_core.contract_of(tx, organization.id)
    if stored:
        sync_admission(tx, organization, stored, now=runtime.clock.now())
    for one in renewed:
        promise_invoice(tx, organization, one.invoice, clock=runtime.clock)
    last = renewed[-1]
    changes = {"seats": [last.seats_before, last.seats], "invoice": last.invoice.number}
    audit.record(tx, [seat_limit_event(runtime.clock, organization.id, pool, Actor("system"), changes)])
    return pool


def seat_limit_event(clock: Clock, organization: str, pool: Pool, by: Actor, changes: Mapping[str, object]) -> Event:
    """Return the event that tells of a new allocation."""
    return Event(
        id=new_id("evt", clock),
        organization=organization,
        at=clock.now(),
        action=Action.SEAT_LIMIT_CHANGE,
        actor=by,
        seat=SeatCount(pool.purchased, pool.used),
        changes=dict(changes),
    )


async def publish(runtime: Runtime, organization_id: str, pool: Pool) -> None:
    """Tell the counter. The commit stands without it: decisions read SQL, and the counter follows by version."""
    try:
        await SeatCounter(runtime.redis).publish(organization_id, pool)
    except Unavailable:
        return
