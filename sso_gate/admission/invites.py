"""Invites: a seat that is kept for an address before its person has ever come, and becomes theirs at the first login.

An invited person is a member without an identity, as one who is listed in the organization's file, and a hold in their
name: whatever counts holds counts invites. One that nobody takes up in time goes to whoever is next.
"""

import contextlib
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import Connection

from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Actor, Event, SeatCount, new_event
from sso_gate.clock import Clock, iso
from sso_gate.errors import Conflict, InvalidInput, NotFound, Unavailable
from sso_gate.identity import email_domain, is_email, new_id
from sso_gate.members import store as members
from sso_gate.members.member import Member, MemberState
from sso_gate.members.roles import Role
from sso_gate.organizations import store as organizations
from sso_gate.seats import ledger, waitlist
from sso_gate.seats.counter import SeatCounter
from sso_gate.seats.ledger import Pool
from sso_gate.seats.waitlist import Invite
from sso_gate.storage import outbox
from sso_gate.storage.runtime import Runtime

INVITED_FOR = timedelta(days=14)
SEAT_INVITED = "seat.invited"


async def invite(runtime: Runtime, organization: str, email: str, *, by: Actor) -> Pool:
    """Keep a free seat for this address for 14 days, tell its person, and return the pool; again: for 14 days from now.

    Raises:
        InvalidInput: the address is in none of the organization's domains.
        Conflict: no seat is free, or the person holds one, waits for one or is deactivated.
    """
    now, clock = runtime.clock.now(), runtime.clock

    def work(tx: Connection) -> Pool:
        ledger.take_lock(tx, organization)
        person = members.find(tx, organization, email) or invited_member(tx, organization, email, clock=clock)
        if person.state is not MemberState.RELEASED:
            raise Conflict(f"{person.email} cannot be invited")
        until = now + INVITED_FOR
        pool = waitlist.keep_for(tx, organization, person.id, now=now, until=until)
        audit.record(tx, [_event(clock, Action.SEAT_INVITE, by, person, pool, {"until": iso(until)})])
        outbox.add(tx, organization, SEAT_INVITED, clock=clock, subject=person.id)
        return waitlist.offer(tx, organization, clock=clock, until=now + runtime.settings.seat_hold)

    return await _and_publish(runtime, organization, work)


async def withdraw(runtime: Runtime, organization: str, email: str, *, by: Actor) -> Pool:
    """Take the invite of this address back, pass its seat on to whoever waits, and return the pool.

    The person stays a member without a seat. Raises `NotFound` when no seat is kept for them by an invite.
    """
    now, clock = runtime.clock.now(), runtime.clock

    def work(tx: Connection) -> Pool:
        ledger.take_lock(tx, organization)
        person = members.find(tx, organization, email)
        if person is None or person.state is not MemberState.RELEASED or not ledger.drop_hold(tx, person.id):
            raise NotFound(f"no invite of {email}")
        pool = ledger.read(tx, organization, now=now)
        audit.record(tx, [_event(clock, Action.SEAT_INVITE_WITHDRAW, by, person, pool, {})])
        return waitlist.offer(tx, organization, clock=clock, until=now + runtime.settings.seat_hold)

    return await _and_publish(runtime, organization, work)


async def invites(runtime: Runtime, organization: str) -> list[Invite]:
    """Return the invites that have not run out, the one that ends first first."""
    now = runtime.clock.now()
    return await runtime.database.read(lambda tx: waitlist.invited(tx, organization, now=now))


def invited_member(tx: Connection, organization: str, email: str, *, clock: Clock) -> Member:
    """Return a new member with this address and no identity; the first login that brings the address is theirs.

    Raises:
        InvalidInput: it is no address, or in none of the organization's domains.
    """
    owner = organizations.get(tx, organization)
    if owner is None or not is_email(email) or email_domain(email) not in owner.domains:
        raise InvalidInput("email", "expected an address in one of the organization's domains")
    person = Member(
        id=new_id("mem", clock),
        organization=organization,
        email=email.strip(),
        name="",
        listed_role=Role.USER,
        role=Role.USER,
        grants=frozenset(),
        state=MemberState.RELEASED,
        generation=0,
        locale="",
    )
    members.add(tx, [person], source="invite", at=clock.now())
    return person


async def _and_publish(runtime: Runtime, organization: str, work: Callable[[Connection], Pool]) -> Pool:
    pool = await runtime.database.write(work)
    with contextlib.suppress(Unavailable):  # the commit stands without it
        await SeatCounter(runtime.redis).publish(organization, pool)
    return pool


def _event(clock: Clock, action: Action, by: Actor, person: Member, pool: Pool, changes: dict[str, object]) -> Event:
    seats = SeatCount(pool.purchased, pool.used)
    return new_event(
        clock, person.organization, action, by,
        target=person.id, target_name=person.email, seat=seats, changes=changes,
    )  # fmt: skip
