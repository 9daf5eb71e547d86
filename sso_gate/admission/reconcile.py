"""Proves that the books of seats agree: the pool, the members who hold a seat, the entries of every grant and release,
and the audit record.

A difference is a bug: it raises an alarm and is repaired only when somebody asks for it.
"""

import logging
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection, Select, func, select

from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Actor, Event, SeatCount
from sso_gate.identity import new_id
from sso_gate.members.member import MemberState
from sso_gate.seats import ledger
from sso_gate.storage.runtime import Runtime
from sso_gate.storage.tables import member, organization, seat_entry, seat_pool

PAGE = 200
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Drift:
    """An organization whose numbers disagree: what the pool says, who holds a seat, what the entries add up to, and how
    many hold a seat of whose grant the audit record does not tell, though it is kept for that long.
    """

    organization: str
    slug: str
    used: int
    holders: int
    entered: int
    untold: int
    repaired: bool = False

    @property
    def agrees(self) -> bool:
        """Whether there is no difference."""
        return self.used == self.holders == self.entered and self.untold == 0


async def reconcile(runtime: Runtime, *, repair: bool = False, slug: str = "") -> list[Drift]:
    """Return every difference, after writing each to the audit record; `repair` makes `used` the number of holders.

    Looks without a lock, at one committed state of an organization; where that disagrees, again under the lock.
    """
    found, after = [], ""
    while page := await runtime.database.read(partial(_books, after=after, slug=slug)):
        after = page[-1].organization
        for books in page:
            if not books.agrees:
                drift = await runtime.database.write(partial(_confirm, runtime=runtime, books=books, repair=repair))
                found += [drift] if drift else []
    for drift in found:
        _log.error("seats drifted: %s", drift)
    return found


def _books(tx: Connection, *, after: str = "", slug: str = "", only: str = "") -> list[Drift]:
    query = _numbers().where(seat_pool.c.organization > after).order_by(seat_pool.c.organization).limit(PAGE)
    if slug:
        query = query.where(organization.c.slug == slug)
    if only:
        query = query.where(organization.c.id == only)
    return [
        Drift(row.organization, row.slug, row.used, row.holders, int(row.entered), row.untold)
        for row in tx.execute(query)
    ]


def _numbers() -> Select[tuple[str, str, int, int, int, int]]:
    mine = member.c.organization == seat_pool.c.organization
    held = mine & (member.c.state == MemberState.HELD)
    holders = select(func.count()).select_from(member).where(held)
    entered = select(func.coalesce(func.sum(seat_entry.c.delta), 0)).where(
        seat_entry.c.organization == seat_pool.c.organization
    )
    told = (
        select(func.count())
        .select_from(seat_entry)
        .join(member, (member.c.id == seat_entry.c.member) & (member.c.generation == seat_entry.c.version))
        .where(held, seat_entry.c.delta == 1, seat_entry.c.organization == seat_pool.c.organization, ledger.is_told())
    )
    return select(
        seat_pool.c.organization,
        organization.c.slug,
        seat_pool.c.used,
        holders.correlate(seat_pool).scalar_subquery().label("holders"),
        entered.correlate(seat_pool).scalar_subquery().label("entered"),
        (holders.correlate(seat_pool).scalar_subquery() - told.correlate(seat_pool).scalar_subquery()).label("untold"),
    ).join(organization, organization.c.id == seat_pool.c.organization)


def _confirm(tx: Connection, *, runtime: Runtime, books: Drift, repair: bool) -> Drift | None:
    now, which = runtime.clock.now(), books.organization
    pool = ledger.lock(tx, which, now=now)
    [drift] = _books(tx, only=which)
    if drift.agrees:
        return None
    event_id, repaired = new_id("evt", runtime.clock), repair and drift.holders <= pool.purchased
    if repaired:
        pool = ledger.repair(tx, which, event=event_id, now=now)
    numbers = {"used": drift.used, "holders": drift.holders, "entered": drift.entered, "untold": drift.untold}
    event = Event(
        id=event_id,
        organization=which,
        at=now,
        action=Action.SEAT_DRIFT,
        actor=Actor("system"),
        seat=SeatCount(pool.purchased, pool.used),
        changes={**numbers, "repaired": repaired},
    )
    audit.record(tx, [event])
    return Drift(which, drift.slug, **numbers, repaired=repaired)
