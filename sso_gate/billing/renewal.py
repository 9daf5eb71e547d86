"""Renewal: at the end of a term the contract is invoiced anew with the seats in use, and only there may the allocation
shrink.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy import Connection

import billing_core
from billing_core import Renewed
from sso_gate.audit import store as audit
from sso_gate.audit.event import Actor
from sso_gate.billing.contract import sync_admission
from sso_gate.billing.purchase import adopt_allocation, publish, seat_limit_event
from sso_gate.organizations import store as organizations
from sso_gate.organizations.organization import Organization
from sso_gate.seats import ledger
from sso_gate.seats.ledger import Pool
from sso_gate.storage.runtime import Runtime


@dataclass(frozen=True, slots=True)
class RenewedContract:
    """The terms that were invoiced for an organization just now, oldest first."""

    organization: Organization
    renewed: tuple[Renewed, ...]


async def renew_due(runtime: Runtime) -> list[RenewedContract]:
    """Renew every contract whose term is over; a second run finds nothing."""
    now = runtime.clock.now()
    due = await runtime.database.read(lambda tx: billing_core.due_for_renewal(tx, now=now))
    return [await renew(runtime, customer, now=now) for customer in due]


async def renew(runtime: Runtime, organization_id: str, *, now: datetime) -> RenewedContract:
    """Bring one contract to the term that holds `now`, with the seats in use as of each boundary, however late."""

    def work(tx: Connection) -> tuple[RenewedContract, Pool | None]:
        organization = organizations.get(tx, organization_id)
        if organization is None:
            raise LookupError(organization_id)
        in_use = partial(ledger.in_use_at, tx, organization_id)
        renewed = billing_core.renew(tx, customer=organization_id, now=now, in_use_at=in_use)
        pool = _adopt(tx, runtime, organization, renewed) if renewed else None
        return RenewedContract(organization, tuple(renewed)), pool

    result, pool = await runtime.database.write(work)
    if pool:
        await publish(runtime, organization_id, pool)
    return result


def _adopt(tx: Connection, runtime: Runtime, organization: Organization, renewed: list[Renewed]) -> Pool:
    now = runtime.clock.now()
    # A late job may find people who came after the boundary: nobody who holds a seat loses it.
    held = ledger.lock(tx, organization.id, now=now)
    seats = max(billing_core.allocation(tx, organization.id), held.used + held.reserved)
    pool = adopt_allocation(tx, organization, seats, runtime=runtime)
    stored = billing_core.contract_of(tx, organization.id)
    if stored:
        sync_admission(tx, organization, stored, now=now)
    last = renewed[-1]
    changes = {"seats": [last.seats_before, last.seats], "invoice": last.invoice.number}
    audit.record(tx, [seat_limit_event(runtime.clock, organization.id, pool, Actor("system"), changes)])
    return pool
