"""What a waiting page may say now: read from SQL, the same for the page, its polling script and the test of both."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Connection, select

from sso_gate.clock import from_micros, to_micros
from sso_gate.members import store as members
from sso_gate.members.member import MemberState
from sso_gate.seats import ledger, waitlist
from sso_gate.storage.tables import hold, waiting
from sso_gate.waiting.ticket import Ticket

StateName = Literal["blocked", "asked", "held", "declined", "expired"]

REMIND_AFTER = timedelta(hours=24)
ASK_AGAIN_AFTER = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class WaitingState:
    """Where a waiting person stands. `held` means: continue, a seat is kept for you, or you have one already."""

    state: StateName
    message: str = ""
    answer: str = ""
    asked_at: datetime | None = None
    reminded_at: datetime | None = None
    held_until: datetime | None = None
    can_ask: bool = False
    can_remind: bool = False


def waiting_state(tx: Connection, ticket: Ticket, *, now: datetime) -> WaitingState:
    """Return the state of the person whom the ticket is about."""
    member = members.get(tx, ticket.organization, ticket.member)
    if member is None or member.state is MemberState.BLOCKED:
        return WaitingState("expired")
    if member.state is MemberState.HELD:
        return WaitingState("held")
    row = tx.execute(select(waiting).where(waiting.c.member == member.id)).one_or_none()
    living = (hold.c.member == member.id) & (hold.c.until_at > to_micros(now))
    held_until = tx.execute(select(hold.c.until_at).where(living)).scalar_one_or_none()
    if held_until is not None:
        return WaitingState("held", held_until=from_micros(held_until))
    waits = row is not None and not waitlist.has_let_go(tx, member.id)
    if (
        row is not None and waits and row.declined_at is not None
    ):  # whoever was told no does not slip in by a page left open
        again = now - from_micros(row.declined_at) >= ASK_AGAIN_AFTER
        return WaitingState("declined", message=row.message, answer=row.answer, can_ask=again)
    pool = ledger.read(tx, ticket.organization, now=now)
    if pool.available > pool.lapsed:  # a hold that has run out goes to whoever is next, which need not be this person
        return WaitingState("held")
    if row is None or not waits:
        return WaitingState("expired")
    if row.asked_at is None:
        return WaitingState("blocked", can_ask=True)
    asked = from_micros(row.asked_at)
    reminded = None if row.reminded_at is None else from_micros(row.reminded_at)
    may_remind = reminded is None and now - asked >= REMIND_AFTER
    return WaitingState(
        "asked", message=row.message, asked_at=asked, reminded_at=reminded, can_ask=True, can_remind=may_remind
    )
