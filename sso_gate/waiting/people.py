"""What a waiting person may do (ask), and what owners may do about it (hold a seat, decline)."""

import contextlib
from collections.abc import Callable

from sqlalchemy import Connection

from sso_gate.audit import store as audit
from sso_gate.audit.event import NOWHERE, Action, Actor, Client, Event, new_event
from sso_gate.clock import Clock
from sso_gate.errors import Conflict, NotFound, Unavailable
from sso_gate.members import store as members
from sso_gate.members.member import Member, MemberState
from sso_gate.seats import ledger, waitlist
from sso_gate.seats.counter import SeatCounter
from sso_gate.seats.ledger import Pool
from sso_gate.seats.waitlist import WaitingRow
from sso_gate.storage import outbox
from sso_gate.storage.runtime import Runtime
from sso_gate.waiting.state import waiting_state
from sso_gate.waiting.ticket import Ticket

MESSAGE_LENGTH = 280
SEAT_ASKED = "seat.asked"
SEAT_DECLINED = "seat.declined"


async def ask(runtime: Runtime, ticket: Ticket, message: str, *, client: Client = NOWHERE) -> None:
    """Ask the owners for a seat; asking again replaces the message. `client` is where the person asks from.

    Raises:
        Conflict: the person cannot ask now: a seat is theirs already, or the owners declined a few days ago.
    """
    now = runtime.clock.now()

    def work(tx: Connection) -> None:
        found = waiting_state(tx, ticket, now=now)
        if not found.can_ask:
            raise Conflict("cannot ask now")
        waitlist.ask(tx, ticket.member, message, now=now)
        actor = Actor("user", ticket.member, ticket.email, client=client)
        audit.record(tx, [new_event(runtime.clock, ticket.organization, Action.SEAT_ASK, actor)])
        if found.asked_at is None:  # another wording of the same wish is no news for the owners
            outbox.add(tx, ticket.organization, SEAT_ASKED, clock=runtime.clock, subject=ticket.member)

    await runtime.database.write(work)


async def remind(runtime: Runtime, ticket: Ticket, *, client: Client = NOWHERE) -> None:
    """Tell the owners once more, with the message that they have; once, a day after asking.

    Raises:
        Conflict: it is too early, it was done before, or there is nothing to remind of.
    """
    now = runtime.clock.now()

    def work(tx: Connection) -> None:
        if not waiting_state(tx, ticket, now=now).can_remind:
            raise Conflict("cannot remind now")
        waitlist.remind(tx, ticket.member, now=now)
        actor, changes = Actor("user", ticket.member, ticket.email, client=client), {"reminder": True}
        audit.record(tx, [new_event(runtime.clock, ticket.organization, Action.SEAT_ASK, actor, changes=changes)])
        outbox.add(tx, ticket.organization, SEAT_ASKED, clock=runtime.clock, subject=ticket.member)

    await runtime.database.write(work)


async def waiting_people(runtime: Runtime, organization: str, *, limit: int = 200, skip: int = 0) -> list[WaitingRow]:
    """Return who waits, in the order in which they will be helped: at most `limit` behind the first `skip`."""
    now = runtime.clock.now()
    return await runtime.database.read(lambda tx: waitlist.in_order(tx, organization, now=now, limit=limit, skip=skip))


async def hold_seat(runtime: Runtime, organization: str, email: str, *, by: Actor) -> Pool:
    """Keep a free seat for this waiting person; what other holds that have run out leave goes to the next.

    Raises:
        NotFound: nobody with this address is known. Conflict: no seat is free, or the person holds one.
    """
    now = runtime.clock.now()

    def work(tx: Connection) -> Pool:
        ledger.lock(tx, organization, now=now)
        member = _member(tx, organization, email)
        if member.state is not MemberState.WAITING:
            raise Conflict(f"{member.email} does not wait for a seat")
        until = now + runtime.settings.seat_hold
        waitlist.keep_for(tx, organization, member.id, now=now, until=until)
        audit.record(tx, [_event(runtime.clock, member, Action.SEAT_HOLD, by)])
        outbox.add(tx, organization, waitlist.SEAT_HELD, clock=runtime.clock, subject=member.id)
        return waitlist.offer(tx, organization, clock=runtime.clock, until=until)

    return await _and_publish(runtime, organization, work)


async def decline(runtime: Runtime, organization: str, email: str, answer: str, *, by: Actor) -> None:
    """Tell a waiting person no; they may ask again after a week, and a seat that was kept for them goes to the next.

    Raises:
        NotFound: they do not wait.
    """
    now = runtime.clock.now()

    def work(tx: Connection) -> Pool:
        ledger.lock(tx, organization, now=now)
        member = _member(tx, organization, email)
        if not waitlist.decline(tx, member.id, answer, now=now):
            raise NotFound(f"{email} does not wait")
        ledger.drop_hold(tx, member.id)
        audit.record(tx, [_event(runtime.clock, member, Action.SEAT_DECLINE, by)])
        outbox.add(tx, organization, SEAT_DECLINED, clock=runtime.clock, subject=member.id)
        return waitlist.offer(tx, organization, clock=runtime.clock, until=now + runtime.settings.seat_hold)

    await _and_publish(runtime, organization, work)


async def _and_publish(runtime: Runtime, organization: str, work: Callable[[Connection], Pool]) -> Pool:
    pool = await runtime.database.write(work)
    with contextlib.suppress(Unavailable):  # the commit stands without it
        await SeatCounter(runtime.redis).publish(organization, pool)
    return pool


def _member(tx: Connection, organization: str, email: str) -> Member:
    member = members.find(tx, organization, email)
    if member is None:
        raise NotFound(f"no member {email}")
    return member


def _event(clock: Clock, whose: Member, action: Action, by: Actor) -> Event:
    return new_event(clock, whose.organization, action, by, target=whose.id, target_name=whose.email)
