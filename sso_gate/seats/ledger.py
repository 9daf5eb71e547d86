"""The ledger of seats in SQL: the pool row, who holds a seat, and which seats are kept for whom.

Every change locks the pool row first and reads members afterwards (a form that reads first refused a holder in his
second tab when one seat was left), and raises the version by one.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select, update

from sso_gate.clock import to_micros
from sso_gate.errors import Conflict, NotFound
from sso_gate.members.member import MemberState
from sso_gate.storage.tables import hold, member, seat_entry, seat_pool, waiting


@dataclass(frozen=True, slots=True)
class Pool:
    """An organization's seats: bought, held by members, and reserved by holds; `version` grows with every change."""

    purchased: int
    used: int
    reserved: int
    version: int

    @property
    def available(self) -> int:
        """Seats that anybody may take now."""
        return max(0, self.purchased - self.used - self.reserved)


def open_pool(tx: Connection, organization: str, purchased: int) -> None:
    """Make the pool of a new organization."""
    tx.execute(insert(seat_pool).values(organization=organization, purchased=purchased, used=0, version=1))


def read(tx: Connection, organization: str, *, now: datetime) -> Pool:
    """Return the pool as it is committed, without a lock; `NotFound` for an organization without one."""
    return _pool(tx, organization, now, locked=False)


def lock(tx: Connection, organization: str, *, now: datetime) -> Pool:
    """Return the pool and keep everybody else from changing it until this transaction ends."""
    return _pool(tx, organization, now, locked=True)


def _pool(tx: Connection, organization: str, now: datetime, *, locked: bool) -> Pool:
    columns = seat_pool.c
    query = select(columns.purchased, columns.used, columns.version).where(columns.organization == organization)
    row = tx.execute(query.with_for_update() if locked else query).one_or_none()
    if row is None:
        raise NotFound("organization without seats")
    return Pool(row.purchased, row.used, _reserved(tx, organization, now), row.version)


def _reserved(tx: Connection, organization: str, now: datetime) -> int:
    columns = hold.c
    query = select(func.count()).where(columns.organization == organization, columns.until_at > to_micros(now))
    return tx.execute(query).scalar_one()


def grant(tx: Connection, organization: str, members: Collection[str], *, now: datetime) -> Pool:
    """Give a seat to each of these members, who hold none, and return the pool; the lock is taken already.

    Used grows by the rows that really changed. Raises `Conflict` when one of them held a seat or was blocked: then
    nothing of this transaction may stay.
    """
    version = _next_version(tx, organization)
    takers = member.c.id.in_(list(members)) & member.c.state.in_([MemberState.RELEASED, MemberState.WAITING])
    values = {"state": MemberState.HELD, "generation": version, "seat_since_at": to_micros(now)}
    changed = tx.execute(update(member).where(takers, member.c.organization == organization).values(values)).rowcount
    if changed != len(members):
        raise Conflict("a seat was given to somebody who cannot take one")
    tx.execute(delete(hold).where(hold.c.member.in_(list(members))))
    tx.execute(delete(waiting).where(waiting.c.member.in_(list(members))))
    _change(tx, organization, used=changed)
    _enter(tx, organization, list(members), delta=1, version=version, now=now)
    return read(tx, organization, now=now)


def free(tx: Connection, organization: str, member_id: str, *, leaving: MemberState, now: datetime) -> Pool | None:
    """Take the member's seat back and return the pool, or None when the member held none; the lock is taken already."""
    holder = (member.c.id == member_id) & (member.c.organization == organization) & (member.c.state == MemberState.HELD)
    if tx.execute(update(member).where(holder).values(state=leaving, seat_since_at=None)).rowcount == 0:
        return None
    version = _next_version(tx, organization)
    _change(tx, organization, used=-1)
    _enter(tx, organization, [member_id], delta=-1, version=version, now=now)
    return read(tx, organization, now=now)


def begin_generation(tx: Connection, organization: str, *, now: datetime) -> Pool:
    """Raise the version alone, so that sessions made before can be ended; the lock is taken already."""
    _next_version(tx, organization)
    return read(tx, organization, now=now)


def set_purchased(tx: Connection, organization: str, seats: int, *, now: datetime) -> Pool:
    """Record the allocation that the contract says, never below the seats in use (a CHECK holds that), and return the
    pool.
    """
    lock(tx, organization, now=now)
    tx.execute(update(seat_pool).where(seat_pool.c.organization == organization).values(purchased=seats))
    _next_version(tx, organization)
    return read(tx, organization, now=now)


def keep_for(tx: Connection, organization: str, members: Sequence[str], *, now: datetime, until: datetime) -> Pool:
    """Reserve one free seat for each of these members until then, and return the pool; the lock is taken already.

    Raises:
        Conflict: fewer seats are free than members were named.
    """
    if members and read(tx, organization, now=now).available < len(members):
        raise Conflict("fewer seats are free than people to hold them for")
    tx.execute(delete(hold).where(hold.c.member.in_(list(members))))
    rows = [
        {"member": who, "organization": organization, "until_at": to_micros(until), "created_at": to_micros(now)}
        for who in members
    ]
    if rows:
        tx.execute(insert(hold), rows)
        _next_version(tx, organization)
    return read(tx, organization, now=now)


def drop_holds(tx: Connection, organization: str, *, ended_by: datetime) -> list[str]:
    """Delete the holds that have run out, return whose they were; the lock is taken already."""
    over = (hold.c.organization == organization) & (hold.c.until_at <= to_micros(ended_by))
    gone = list(tx.execute(select(hold.c.member).where(over).order_by(hold.c.member)).scalars())
    if gone:
        tx.execute(delete(hold).where(hold.c.member.in_(gone)))
        _next_version(tx, organization)
    return gone


def holders(tx: Connection, organization: str) -> int:
    """Return how many members hold a seat, counted row by row: what `used` must equal."""
    held = (member.c.organization == organization) & (member.c.state == MemberState.HELD)
    return tx.execute(select(func.count()).where(held)).scalar_one()


def entered(tx: Connection, organization: str) -> int:
    """Return what the entries of all grants and releases add up to."""
    total = select(func.coalesce(func.sum(seat_entry.c.delta), 0)).where(seat_entry.c.organization == organization)
    return int(tx.execute(total).scalar_one())


def repair(tx: Connection, organization: str, used: int, *, now: datetime) -> Pool:
    """Set `used` to the counted holders: for `reconcile` alone; the lock is taken already."""
    tx.execute(update(seat_pool).where(seat_pool.c.organization == organization).values(used=used))
    return begin_generation(tx, organization, now=now)


def in_use_at(tx: Connection, organization: str, instant: datetime) -> int:
    """Return the seats that were held or kept for somebody at an instant, however late one asks."""
    entries = select(func.coalesce(func.sum(seat_entry.c.delta), 0))
    held = tx.execute(
        entries.where(seat_entry.c.organization == organization, seat_entry.c.at < to_micros(instant))
    ).scalar_one()
    kept = (hold.c.created_at < to_micros(instant)) & (hold.c.until_at > to_micros(instant))
    reserved = select(func.count()).where(hold.c.organization == organization, kept)
    return int(held) + tx.execute(reserved).scalar_one()


def _enter(
    tx: Connection, organization: str, members: Sequence[str], *, delta: int, version: int, now: datetime
) -> None:
    entry = {"organization": organization, "delta": delta, "version": version, "at": to_micros(now)}
    tx.execute(insert(seat_entry), [{**entry, "member": who} for who in members])


def _next_version(tx: Connection, organization: str) -> int:
    raised = update(seat_pool).where(seat_pool.c.organization == organization).values(version=seat_pool.c.version + 1)
    version: int = tx.execute(raised.returning(seat_pool.c.version)).scalar_one()
    return version


def _change(tx: Connection, organization: str, *, used: int) -> None:
    changed = update(seat_pool).where(seat_pool.c.organization == organization).values(used=seat_pool.c.used + used)
    tx.execute(changed)
