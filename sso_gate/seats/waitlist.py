"""People who were refused for want of a seat: recorded once each, in the order in which they will be helped."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, insert, select, update

from sso_gate.clock import Clock, from_micros, to_micros
from sso_gate.members.member import MemberState
from sso_gate.seats import ledger
from sso_gate.seats.ledger import Pool
from sso_gate.storage import outbox
from sso_gate.storage.tables import hold, member, waiting

SEAT_HELD = "seat.held"


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


def held_for(tx: Connection, organization: str, *, now: datetime) -> set[str]:
    """Return the members for whom a seat is kept at this instant."""
    living = (hold.c.organization == organization) & (hold.c.until_at > to_micros(now))
    return set(tx.execute(select(hold.c.member).where(living)).scalars())


def note_refusal(tx: Connection, organization: str, member_id: str, *, now: datetime) -> None:
    """Remember that this member, who holds no seat, was refused for want of one: once, and how often."""
    again = update(waiting).where(waiting.c.member == member_id)
    changed = tx.execute(again.values(tries=waiting.c.tries + 1, last_refused_at=to_micros(now))).rowcount
    if not changed:
        row = {"member": member_id, "organization": organization, "tries": 1, "message": "", "answer": ""}
        tx.execute(insert(waiting).values(**row, first_refused_at=to_micros(now), last_refused_at=to_micros(now)))
        released = (member.c.id == member_id) & (member.c.state == MemberState.RELEASED)
        tx.execute(update(member).where(released).values(state=MemberState.WAITING))


def ask(tx: Connection, member_id: str, message: str, *, now: datetime) -> bool:
    """Note that the person asks for a seat, replacing an earlier message; False when they do not wait."""
    values = {"message": message, "declined_at": None, "answer": ""}
    row = tx.execute(select(waiting.c.asked_at).where(waiting.c.member == member_id)).one_or_none()
    if row is None:
        return False
    first = {"asked_at": to_micros(now)} if row.asked_at is None else {"reminded_at": to_micros(now)}
    tx.execute(update(waiting).where(waiting.c.member == member_id).values(**values, **first))
    return True


def decline(tx: Connection, member_id: str, answer: str, *, now: datetime) -> bool:
    """Note that the owners said no; False when the person does not wait."""
    values = {"declined_at": to_micros(now), "answer": answer, "asked_at": None}
    return tx.execute(update(waiting).where(waiting.c.member == member_id).values(values)).rowcount == 1


def offer(tx: Connection, organization: str, *, clock: Clock, until: datetime) -> Pool:
    """Keep the free seats for whoever waits, in order, and return the pool; the lock is taken already.

    Holds that have run out go to the next. Nobody whom the owners declined is offered one. The waiting are told by the
    outbox.
    """
    now = clock.now()
    ledger.drop_holds(tx, organization, ended_by=now)
    free = ledger.read(tx, organization, now=now).available
    waiting_now = in_order(tx, organization, now=now) if free else []
    lucky = [row.member for row in waiting_now if row.held_until is None and row.declined is None][:free]
    for who in lucky:
        outbox.add(tx, organization, SEAT_HELD, clock=clock, subject=who)
    return ledger.keep_for(tx, organization, lucky, now=now, until=until)


def has_work(tx: Connection, organization: str, *, now: datetime) -> bool:
    """Return whether `offer` would change anything: a hold has run out, or a seat is free while somebody waits."""
    over = select(hold.c.member).where(hold.c.organization == organization, hold.c.until_at <= to_micros(now)).limit(1)
    if tx.execute(over).first():
        return True
    pool = ledger.read(tx, organization, now=now)
    return pool.available > 0 and any(
        row.held_until is None and row.declined is None for row in in_order(tx, organization, now=now)
    )


def count(tx: Connection, organization: str, *, now: datetime) -> int:
    """Return how many people wait for a seat and have none kept for them."""
    kept = select(hold.c.member).where(hold.c.organization == organization, hold.c.until_at > to_micros(now))
    query = select(func.count()).select_from(waiting).join(member, member.c.id == waiting.c.member)
    waits = (waiting.c.organization == organization) & (member.c.state == MemberState.WAITING)
    return tx.execute(query.where(waits, waiting.c.member.not_in(kept))).scalar_one()


def in_order(tx: Connection, organization: str, *, now: datetime, limit: int = 200) -> list[WaitingRow]:
    """Return who waits: those who asked, by when they asked, then the others, by when they were first refused."""
    living = (hold.c.member == waiting.c.member) & (hold.c.until_at > to_micros(now))
    query = (
        select(waiting, member.c.email, member.c.name, member.c.locale, hold.c.until_at)
        .join(member, member.c.id == waiting.c.member)
        .outerjoin(hold, living)
        .where(waiting.c.organization == organization, member.c.state == MemberState.WAITING)
        .order_by(waiting.c.asked_at.is_(None), waiting.c.asked_at, waiting.c.first_refused_at, waiting.c.member)
        .limit(limit)
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
