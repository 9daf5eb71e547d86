"""People who were refused for want of a seat: recorded once each, in the order in which they will be helped."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Connection,
    Select,
    bindparam,
    case,
    delete,
    exists,
    func,
    literal,
    select,
    union,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Actor, Event, SeatCount, new_event
from sso_gate.clock import Clock, from_micros, iso, to_micros
from sso_gate.members.member import MemberState
from sso_gate.organizations import store as organizations
from sso_gate.seats import ledger
from sso_gate.seats.ledger import Pool
from sso_gate.storage import outbox
from sso_gate.storage.prepared import OneOf, Prepared
from sso_gate.storage.tables import hold, member, organization, seat_pool, waiting

SEAT_HELD = "seat.held"
_WAITS = member.c.state == MemberState.WAITING
_HOPES = _WAITS & waiting.c.declined_at.is_(None)
# Who asked comes first, by when they asked; then the others, by when they were first refused; at last who let one go.
_ORDER = (
    waiting.c.lapsed_at.is_not(None),
    waiting.c.asked_at.is_(None),
    waiting.c.asked_at,
    waiting.c.first_refused_at,
    waiting.c.member,
)


def _later(one: ColumnElement[int], other: ColumnElement[int]) -> ColumnElement[int]:
    return case((one > other, one), else_=other)


# A seat is offered once: it must not be kept for ever for somebody who has gone. Trying or asking again is a new wish.
# Whichever of the two happens is written down as the later one: the clock may have been set back in between.
_WISHED_AT = _later(waiting.c.last_refused_at, func.coalesce(waiting.c.reminded_at, waiting.c.asked_at, 0))
_LET_GO = waiting.c.lapsed_at.is_not(None) & (waiting.c.lapsed_at >= _WISHED_AT)
_AFTER_LAPSE = func.coalesce(waiting.c.lapsed_at, 0) + 1
_WILLING = waiting.c.declined_at.is_(None) & ~_LET_GO
_HELPED = exists().where(hold.c.member == waiting.c.member)


@dataclass(frozen=True, slots=True)
class WaitingRow:
    """One waiting person as the list shows them; `held_until` while a seat is kept for them."""

    member: str
    email: str
    name: str
    locale: str
    first_refused: datetime
    tries: int
    asked: datetime | None
    declined: datetime | None
    message: str
    held_until: datetime | None


@dataclass(frozen=True, slots=True)
class Invite:
    """A seat that is kept for somebody who does not wait for one: they were invited, and have not come yet."""

    email: str
    name: str
    since: datetime
    until: datetime


def note_first(tx: Connection, organization: str, members: Sequence[str], *, now: datetime) -> None:
    """Remember that these members, who hold no seat, were refused for want of one; the lock is taken already.

    They stand in the line in the order given, a microsecond apart. Who waits already is counted once more. A released
    member waits from now on.
    """
    instants = {who: to_micros(now) + place for place, who in enumerate(members)}
    _REFUSED[tx.dialect.name].run_many(
        tx, [{"member": who, "organization": organization, "at": instants[who]} for who in sorted(instants)]
    )
    if members:
        _WAIT.later(tx, members=sorted(members))


def note_again(tx: Connection, members: Collection[str], *, now: datetime) -> None:
    """Count one more refusal of each of these waiting members. Needs no lock: who got a seat meanwhile has no row."""
    _REFUSED_AGAIN.run_many(tx, [{"who": who, "at": to_micros(now)} for who in sorted(members)])


def forget(tx: Connection, member_id: str) -> None:
    """Take a member off the list: they may not have a seat any more."""
    tx.execute(delete(waiting).where(waiting.c.member == member_id))


def has_let_go(tx: Connection, member_id: str) -> bool:
    """Return whether a seat that was kept for this member went to the next, and they have shown no wish since."""
    return tx.execute(select(waiting.c.member).where(waiting.c.member == member_id, _LET_GO)).first() is not None


def ask(tx: Connection, member_id: str, message: str, *, now: datetime) -> bool:
    """Note that the person asks for a seat, replacing an earlier message; False when they do not wait."""
    values = {"message": message, "declined_at": None, "answer": ""}
    row = tx.execute(select(waiting.c.asked_at).where(waiting.c.member == member_id)).one_or_none()
    if row is None:
        return False
    first = {"asked_at": to_micros(now), "reminded_at": None} if row.asked_at is None else {}
    tx.execute(update(waiting).where(waiting.c.member == member_id).values(**values, **first))
    return True


def remind(tx: Connection, member_id: str, *, now: datetime) -> None:
    """Note that the person reminds the owners of what they asked for."""
    tx.execute(update(waiting).where(waiting.c.member == member_id).values(reminded_at=to_micros(now)))


def decline(tx: Connection, member_id: str, answer: str, *, now: datetime) -> bool:
    """Note that the owners said no; False when the person does not wait."""
    values = {"declined_at": to_micros(now), "answer": answer, "asked_at": None}
    return tx.execute(update(waiting).where(waiting.c.member == member_id).values(values)).rowcount == 1


def keep_for(tx: Connection, organization: str, member_id: str, *, now: datetime, until: datetime) -> Pool:
    """Keep a free seat for this member until then, and return the pool; the lock is taken already.

    Holds that have run out go first: to a login that has waited for the lock they may not have run out yet, and the
    seat must not be theirs and this member's. Raises `NoSeatFree`.
    """
    _let_lapse(tx, organization, now=now)
    return ledger.keep_for(tx, organization, [member_id], now=now, until=until)


def offer(tx: Connection, organization: str, *, clock: Clock, until: datetime) -> Pool:
    """Pass on holds that have run out, keep free seats for whoever waits, and return the pool; the lock is taken.

    In order, where the organization wants that; nobody whom the owners declined is offered one. The waiting are told by
    the outbox.
    """
    now = clock.now()
    _let_lapse(tx, organization, now=now)
    free = ledger.read(tx, organization, now=now).available
    lucky = _next(tx, organization, free) if free and organizations.holds_for_waiting(tx, organization) else {}
    for who in lucky:
        outbox.add(tx, organization, SEAT_HELD, clock=clock, subject=who)
    pool = ledger.keep_for(tx, organization, list(lucky), now=now, until=until)
    audit.record(tx, [_kept(organization, who, lucky[who], pool, clock=clock, until=until) for who in lucky])
    return pool


def _kept(organization: str, member_id: str, email: str, pool: Pool, *, clock: Clock, until: datetime) -> Event:
    """Return the event of a seat that is kept for the next in line: nobody decided it but their place."""
    seat, changes = SeatCount(pool.purchased, pool.used), {"until": iso(until)}
    by = Actor("system")
    return new_event(
        clock, organization, Action.SEAT_HOLD, by, target=member_id, target_name=email, seat=seat, changes=changes
    )


def _let_lapse(tx: Connection, organization: str, *, now: datetime) -> None:
    whose = ledger.drop_lapsed(tx, organization, now=now)
    if whose:
        lapsed = _later(literal(to_micros(now)), _WISHED_AT)
        tx.execute(update(waiting).where(waiting.c.member.in_(whose)).values(lapsed_at=lapsed))


def _next(tx: Connection, organization: str, seats: int) -> dict[str, str]:
    """Return who is first in line and has no hold yet, as many as there are seats: their addresses by their ids."""
    query = select(waiting.c.member, member.c.email).join(member, member.c.id == waiting.c.member)
    mine = query.where(waiting.c.organization == organization, _WAITS, _WILLING, ~_HELPED)
    return {row.member: row.email for row in tx.execute(mine.order_by(*_ORDER).limit(seats))}


def to_be_offered(tx: Connection, *, now: datetime, limit: int = 1000) -> list[str]:
    """Return the organizations in which `offer` would change anything: a hold has run out, or a seat is free while
    somebody waits for whom it may be kept.
    """
    lapsed = select(hold.c.organization).where(hold.c.until_at <= to_micros(now))
    holds = select(func.count()).where(hold.c.organization == seat_pool.c.organization).scalar_subquery()
    waits = (
        exists()
        .where(waiting.c.organization == seat_pool.c.organization, _WILLING, ~_HELPED)
        .where(member.c.id == waiting.c.member, _WAITS)
    )
    free = (
        select(seat_pool.c.organization)
        .join(organization, organization.c.id == seat_pool.c.organization)
        .where(organization.c.hold_for_waiting, seat_pool.c.used + holds < seat_pool.c.purchased, waits)
    )
    return list(tx.execute(union(lapsed, free).limit(limit)).scalars())


def count(tx: Connection, organization: str, *, now: datetime) -> int:
    """Return how many people wait for a seat without one kept for them and were not declined."""
    return tx.execute(_count(now).where(waiting.c.organization == organization)).scalar_one()


def counts(tx: Connection, *, now: datetime) -> dict[str, int]:
    """Return the same number of every organization in which there are any."""
    query = _count(now).add_columns(waiting.c.organization).group_by(waiting.c.organization)
    return {organization: number for number, organization in tx.execute(query)}


def _count(now: datetime) -> Select[int]:
    kept = exists().where(hold.c.member == waiting.c.member, hold.c.until_at > to_micros(now))
    query = select(func.count()).select_from(waiting).join(member, member.c.id == waiting.c.member)
    return query.where(_HOPES, ~kept)


def newest_wish(tx: Connection, organization: str, *, now: datetime) -> datetime | None:
    """Return when somebody was refused or asked last, of those who wait without a seat kept for them and were not
    declined; None where there are none.
    """
    kept = select(hold.c.member).where(hold.c.organization == organization, hold.c.until_at > to_micros(now))
    query = select(func.max(waiting.c.first_refused_at), func.max(waiting.c.asked_at)).select_from(waiting)
    hopes = (waiting.c.organization == organization) & _HOPES
    joined = query.join(member, member.c.id == waiting.c.member)
    refused, asked = tx.execute(joined.where(hopes, waiting.c.member.not_in(kept))).one()
    return None if refused is None else from_micros(max(refused, asked or 0))


def invited(tx: Connection, organization: str, *, now: datetime, limit: int = 200) -> list[Invite]:
    """Return the invites that have not run out, the one that ends first first."""
    living = (hold.c.organization == organization) & (hold.c.until_at > to_micros(now)) & ~_WAITS
    query = select(member.c.email, member.c.name, hold.c.created_at, hold.c.until_at)
    rows = query.join(hold, hold.c.member == member.c.id).where(living).order_by(hold.c.until_at, member.c.email_key)
    return [
        Invite(row.email, row.name, from_micros(row.created_at), from_micros(row.until_at))
        for row in tx.execute(rows.limit(limit))
    ]


def in_order(tx: Connection, organization: str, *, now: datetime, limit: int = 200, skip: int = 0) -> list[WaitingRow]:
    """Return who waits, in the order in which they will be helped: at most `limit` behind the first `skip`."""
    living = (hold.c.member == waiting.c.member) & (hold.c.until_at > to_micros(now))
    query = (
        select(waiting, member.c.email, member.c.name, member.c.locale, hold.c.until_at)
        .join(member, member.c.id == waiting.c.member)
        .outerjoin(hold, living)
        .where(waiting.c.organization == organization, _WAITS)
        .order_by(*_ORDER)
        .limit(limit)
        .offset(skip)
    )
    return [
        WaitingRow(
            member=row.member,
            email=row.email,
            name=row.name,
            locale=row.locale,
            first_refused=from_micros(row.first_refused_at),
            tries=row.tries,
            asked=_instant(row.asked_at),
            declined=_instant(row.declined_at),
            message=row.message,
            held_until=_instant(row.until_at),
        )
        for row in tx.execute(query)
    ]


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def _upsert(dialect: Any) -> Prepared:
    row = {"member": bindparam("member"), "organization": bindparam("organization"), "message": "", "answer": ""}
    at: BindParameter[int] = bindparam("at")
    made = dialect.insert(waiting).values(**row, tries=1, first_refused_at=at, last_refused_at=at)
    again = {"tries": waiting.c.tries + 1, "last_refused_at": _later(made.excluded.last_refused_at, _AFTER_LAPSE)}
    return Prepared(made.on_conflict_do_update(index_elements=[waiting.c.member], set_=again))


_REFUSED = {"sqlite": _upsert(sqlite), "postgresql": _upsert(postgresql)}
_REFUSED_AGAIN = Prepared(
    update(waiting)
    .where(waiting.c.member == bindparam("who"))
    .values(tries=waiting.c.tries + 1, last_refused_at=_later(bindparam("at", type_=BigInteger), _AFTER_LAPSE))
)
_WAIT = Prepared(
    update(member)
    .where(OneOf(member.c.id, "members"), member.c.state == MemberState.RELEASED)
    .values(state=MemberState.WAITING)
)
