"""Proves that the books of seats agree: the pool, the members who hold a seat, and the entries of every grant and
release.

A difference is a bug: it raises an alarm and is repaired only when somebody asks for it.
"""

import logging
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Actor, Event, SeatCount
from sso_gate.identity import new_id
from sso_gate.organizations import store as organizations
from sso_gate.organizations.organization import Organization
from sso_gate.seats import ledger
from sso_gate.storage.runtime import Runtime

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Drift:
    """An organization whose numbers disagree: what the pool says, who holds a seat, what the entries add up to."""

    organization: str
    slug: str
    used: int
    holders: int
    entered: int
    repaired: bool


async def reconcile(runtime: Runtime, *, repair: bool = False, slug: str = "") -> list[Drift]:
    """Return every difference, after writing each to the audit record; `repair` makes `used` the number of holders."""
    everybody = await runtime.database.read(organizations.every)
    found = []
    for organization in everybody:
        if slug and organization.slug != slug:
            continue
        drift = await runtime.database.write(
            partial(_reconcile, runtime=runtime, organization=organization, repair=repair)
        )
        if drift:
            _log.error("seats drifted: %s", drift)
            found.append(drift)
    return found


def _reconcile(tx: Connection, *, runtime: Runtime, organization: Organization, repair: bool) -> Drift | None:
    now, which = runtime.clock.now(), organization.id
    pool = ledger.lock(tx, which, now=now)
    holders, entered = ledger.holders(tx, which), ledger.entered(tx, which)
    if pool.used == holders == entered:
        return None
    if repair:
        ledger.repair(tx, which, holders, now=now)
    drift = Drift(which, organization.slug, pool.used, holders, entered, repair)
    changes = {"used": pool.used, "holders": holders, "entered": entered, "repaired": repair}
    event = Event(
        id=new_id("evt", runtime.clock),
        organization=which,
        at=now,
        action=Action.SEAT_DRIFT,
        actor=Actor("system"),
        seat=SeatCount(pool.purchased, pool.used),
        changes=changes,
    )
    audit.record(tx, [event])
    return drift
