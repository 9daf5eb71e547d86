"""The ledger of seats in SQL: the pool row, who holds a seat, and which seats are kept for whom.

Every change locks the pool row first and reads members afterwards (a form that reads first refused a holder in his
second tab when one seat was left), and raises the version by one.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Label,
    Update,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)

from sso_gate.clock import to_micros
from sso_gate.errors import Conflict, NoSeatFree, NotFound
from sso_gate.members import store as members
from sso_gate.members.member import Member, MemberState
from sso_gate.seats import thresholds
from sso_gate.storage.prepared import OneOf, Prepared, inserting
from sso_gate.storage.tables import audit_chain, audit_event, hold, member, seat_entry, seat_pool, waiting


@dataclass(frozen=True, slots=True)
class Pool:
    """An organization's seats: bought, held by members, and reserved by holds; `version` grows with every change.

    `lapsed` holds have run out and reserve nothing any more, but nobody has passed them on yet.
    """

    purchased: int
    used: int
    reserved: int
    version: int
    lapsed: int = 0

    @property
    def available(self) -> int:
        """Seats that anybody may take now."""
        return max(0, self.purchased - self.used - self.reserved)


def open_pool(tx: Connection, organization: str, purchased: int) -> None:
    """Make the pool of a new organization."""
    tx.execute(insert(seat_pool).values(organization=organization, purchased=purchased, used=0, version=1))


def read(tx: Connection, organization: str, *, now: datetime) -> Pool:
    """Return the pool as it is committed, without a lock; `NotFound` for an organization without one."""
    rows = _READ.rows(tx, organization=organization, now=to_micros(now))
    if not rows:
        raise NotFound("organization without seats")
    return pool_of(rows[0])


def every(tx: Connection, *, now: datetime) -> dict[str, Pool]:
    """Return the pools of all organizations by their ids, as they are committed."""
    rows = tx.execute(select(seat_pool, *holds_of(seat_pool.c.organization)), {"now": to_micros(now)})
    return {row.organization: pool_of(row) for row in rows}


def lock(tx: Connection, organization: str, *, now: datetime) -> Pool:
    """Return the pool and keep everybody else from changing it until this transaction ends."""
    if not is_alone(tx):
        take_lock(tx, organization)
    return read(tx, organization, now=now)


def take_lock(tx: Connection, organization: str) -> None:
    """Keep everybody else from changing the pool until this transaction ends. What was read before may be wrong now."""
    # Locked first, read afterwards: in PostgreSQL the statement that waited for the lock would count yesterday's holds.
    _LOCK.later(tx, organization=organization)


def is_alone(tx: Connection) -> bool:
    """Return whether nobody else can have changed anything since this transaction began: SQLite has one writer."""
    return tx.dialect.name == "sqlite"


def holds_of(organization: ColumnElement[str] | BindParameter[str]) -> tuple[Label[int], Label[int]]:
    """Return the columns `reserved` and `lapsed` of a pool: the holds of an organization at the parameter `now`."""
    counted = select(func.count()).where(hold.c.organization == organization)
    living = counted.where(hold.c.until_at > bindparam("now"))
    return living.scalar_subquery().label("reserved"), (
        counted.where(hold.c.until_at <= bindparam("now")).scalar_subquery().label("lapsed")
    )


def pool_of(row: Any) -> Pool:
    """Return the pool that a row with its columns and `holds_of` says."""
    return Pool(row.purchased, row.used, row.reserved, row.version, row.lapsed)


def _change(tx: Connection, organization: str, change: Prepared, *, now: datetime, **values: int) -> Pool:
    [row] = change.rows(tx, organization=organization, now=to_micros(now), **values)
    return pool_of(row)


def grant(
    tx: Connection,
    organization: str,
    events: Mapping[str, str],
    *,
    now: datetime,
    known: Collection[str] | None = None,
    newcomers: Sequence[Member] = (),
    locked: Pool | None = None,
) -> Pool:
    """Give a seat to each of these members, who hold none, and return the pool; the lock is taken already.

    `events` names for each member's id the audit event that the caller writes in this transaction; `known` are those
    who may be waiting or have a seat kept for them, all unless it is said; `newcomers` are those of whom there is no
    row yet, and who come in just now: theirs is inserted with the seat. Used grows by the rows that really changed.
    `locked` is the pool as it was read under the lock, which says what it is afterwards where no hold is dropped.
    Raises `Conflict` when one of them held a seat or was blocked: then nothing of this transaction may stay.
    """
    waiters = list(events if known is None else known)
    if waiters:
        _DROP_HOLDS.later(tx, members=waiters)
        _STOP_WAITING.later(tx, members=waiters)
    if locked:
        _TAKE.later(tx, organization=organization, more=len(events))
        pool = replace(locked, used=locked.used + len(events), version=locked.version + 1)
    else:
        pool = _change(tx, organization, _USE, now=now, more=len(events))
    thresholds.note(
        tx, organization, purchased=pool.purchased, used=pool.used, taken=len(events), version=pool.version, now=now
    )
    values = {"organization": organization, "version": pool.version, "now": to_micros(now)}
    there = list(events.keys() - {one.id for one in newcomers})
    if there and _HOLD_SEATS.run(tx, members=there, **values) != len(there):
        raise Conflict("a seat was given to somebody who cannot take one")
    seated = [replace(one, state=MemberState.HELD, generation=pool.version, last_login=now) for one in newcomers]
    members.add(tx, seated, source="login", at=now)  # one row each, or none of the transaction
    _enter(tx, organization, events, delta=1, version=pool.version, now=now)
    return pool


def free(
    tx: Connection, organization: str, member_id: str, *, leaving: MemberState, event: str, now: datetime
) -> Pool | None:
    """Take the member's seat back and return the pool, or None when the member held none; the lock is taken already."""
    holder = (member.c.id == member_id) & (member.c.organization == organization) & (member.c.state == MemberState.HELD)
    if tx.execute(update(member).where(holder).values(state=leaving, seat_since_at=None)).rowcount == 0:
        return None
    pool = _change(tx, organization, _USE, now=now, more=-1)
    _enter(tx, organization, {member_id: event}, delta=-1, version=pool.version, now=now)
    return pool


def begin_generation(tx: Connection, organization: str, *, now: datetime) -> Pool:
    """Raise the version alone, so that sessions made before can be ended; the lock is taken already."""
    return _change(tx, organization, _TOUCH, now=now)


def set_purchased(tx: Connection, organization: str, seats: int, *, now: datetime) -> Pool:
    """Record the allocation that the contract says, never below the seats in use (a CHECK says so); return the pool."""
    lock(tx, organization, now=now)
    return _change(tx, organization, _BUY, now=now, purchased=seats)


def keep_for(tx: Connection, organization: str, members: Sequence[str], *, now: datetime, until: datetime) -> Pool:
    """Reserve one free seat for each of these members until then, and return the pool; the lock is taken already.

    Raises:
        NoSeatFree: fewer seats are free than members were named.
    """
    tx.execute(delete(hold).where(hold.c.member.in_(list(members))))
    if members and read(tx, organization, now=now).available < len(members):
        raise NoSeatFree("fewer seats are free than people to hold them for")
    rows = [
        {"member": who, "organization": organization, "until_at": to_micros(until), "created_at": to_micros(now)}
        for who in members
    ]
    if rows:
        tx.execute(insert(hold), rows)
    return _change(tx, organization, _TOUCH, now=now)


def drop_hold(tx: Connection, member_id: str) -> bool:
    """Delete the hold of this member, if any; the lock is taken already, and the caller raises the version."""
    return tx.execute(delete(hold).where(hold.c.member == member_id)).rowcount == 1


def drop_lapsed(tx: Connection, organization: str, *, now: datetime) -> list[str]:
    """Delete the holds that have run out and return whose they were; the lock is taken already."""
    over = (hold.c.organization == organization) & (hold.c.until_at <= to_micros(now))
    return list(tx.execute(delete(hold).where(over).returning(hold.c.member)).scalars())


def kept(tx: Connection, members: Collection[str], *, now: datetime) -> set[str]:
    """Return those of these members for whom a seat is kept at this instant."""
    return {row.member for row in _KEPT.rows(tx, members=list(members), now=to_micros(now))}


def repair(tx: Connection, organization: str, *, event: str, now: datetime) -> Pool:
    """Make pool and entries say what the members say, as this audit event tells: for `reconcile`, under the lock."""
    untold = (seat_entry.c.organization == organization) & (seat_entry.c.delta == 1) & ~is_told()
    tx.execute(update(seat_entry).where(untold).values(event=event))
    entered = func.coalesce(func.sum(seat_entry.c.delta), 0)
    query = select(member.c.id, member.c.state, member.c.generation, entered.label("entered"))
    members = query.outerjoin(seat_entry, seat_entry.c.member == member.c.id).group_by(member.c.id)
    used = 0
    for row in tx.execute(members.where(member.c.organization == organization)).all():
        holds = int(row.state == MemberState.HELD)
        used += holds
        delta = 1 if holds > row.entered else -1
        for _ in range(abs(holds - row.entered)):
            _enter(tx, organization, {row.id: event}, delta=delta, version=row.generation, now=now)
    return _change(tx, organization, _CORRECT, now=now, used=used)


def is_told() -> ColumnElement[bool]:
    """Return whether the audit record tells of an entry, or told of it until its events of that time expired."""
    mine = audit_chain.c.organization == seat_entry.c.organization
    has_expired = exists().where(mine, seat_entry.c.at < audit_chain.c.expired_before_at)
    return exists().where(audit_event.c.id == seat_entry.c.event) | has_expired


def in_use_at(tx: Connection, organization: str, instant: datetime) -> int:
    """Return the seats that were held or kept for somebody at an instant, however late one asks."""
    entries = select(func.coalesce(func.sum(seat_entry.c.delta), 0))
    held = tx.execute(
        entries.where(seat_entry.c.organization == organization, seat_entry.c.at < to_micros(instant))
    ).scalar_one()
    kept_then = (hold.c.created_at < to_micros(instant)) & (hold.c.until_at > to_micros(instant))
    reserved = select(func.count()).where(hold.c.organization == organization, kept_then)
    return int(held) + tx.execute(reserved).scalar_one()


def _enter(
    tx: Connection, organization: str, events: Mapping[str, str], *, delta: int, version: int, now: datetime
) -> None:
    entry = {"organization": organization, "delta": delta, "version": version, "at": to_micros(now)}
    _ENTER.run_many(tx, [{**entry, "member": who, "event": event} for who, event in events.items()])


_MINE = seat_pool.c.organization == bindparam("organization")
_POOL = (seat_pool.c.purchased, seat_pool.c.used, seat_pool.c.version, *holds_of(bindparam("organization")))
# One statement, so one instant: a seat that goes from a hold to its member must not be counted twice.
_READ = Prepared(select(*_POOL).where(_MINE))
_LOCK = Prepared(select(seat_pool.c.version).where(_MINE).with_for_update())


def _changed(**columns: Any) -> Update:
    """Return the only kind of statement that changes a pool: it raises the version."""
    return update(seat_pool).where(_MINE).values(version=seat_pool.c.version + 1, **columns)


def _changing(**columns: Any) -> Prepared:
    """Return the statement that makes this change and returns what is there then."""
    return Prepared(_changed(**columns).returning(*_POOL))


_TOUCH = _changing()
_USED_MORE = {"used": seat_pool.c.used + bindparam("more")}
_USE = _changing(**_USED_MORE)
_TAKE = Prepared(_changed(**_USED_MORE))
_BUY = _changing(purchased=bindparam("purchased"))
_CORRECT = _changing(used=bindparam("used"))
_CAN_TAKE = (member.c.state == MemberState.RELEASED) | (member.c.state == MemberState.WAITING)
_HOLD_SEATS = Prepared(
    update(member)
    .where(OneOf(member.c.id, "members"), member.c.organization == bindparam("organization"), _CAN_TAKE)
    .values(state=MemberState.HELD, generation=bindparam("version"), seat_since_at=bindparam("now"))
)
_DROP_HOLDS = Prepared(delete(hold).where(OneOf(hold.c.member, "members")))
_STOP_WAITING = Prepared(delete(waiting).where(OneOf(waiting.c.member, "members")))
_KEPT = Prepared(select(hold.c.member).where(OneOf(hold.c.member, "members"), hold.c.until_at > bindparam("now")))
_ENTER = inserting(seat_entry, leave_out={"id"})
