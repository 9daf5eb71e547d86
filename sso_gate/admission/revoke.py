"""Takes a seat back, or passes it on: the member's sessions end before the reply, the seat is usable at once.

In SQL first (member, pool, audit, outbox in one transaction), then in Redis; a process that dies between leaves the
outbox row, and any process finishes it.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Self

from sqlalchemy import Connection

from sso_gate.admission.invites import invited_member
from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Actor, Event, SeatCount
from sso_gate.clock import Clock
from sso_gate.errors import Conflict, InvalidInput, NotFound, Unavailable
from sso_gate.identity import new_id
from sso_gate.members import store as members
from sso_gate.members.member import Member, MemberState
from sso_gate.members.roles import Role
from sso_gate.seats import ledger, waitlist
from sso_gate.seats.counter import SeatCounter
from sso_gate.seats.ledger import Pool
from sso_gate.sessions.store import SessionStore
from sso_gate.storage import outbox
from sso_gate.storage.database import Database
from sso_gate.storage.runtime import Runtime

PURGE = "session.purge"


@dataclass(frozen=True, slots=True)
class Released:
    """A member without the seat that they held. Their sessions below `generation` end; `pool` is as committed."""

    member: Member
    generation: int
    pool: Pool


@dataclass(frozen=True, slots=True)
class Revoker:
    """What giving back needs."""

    database: Database
    sessions: SessionStore
    counter: SeatCounter
    clock: Clock
    hold: timedelta

    @classmethod
    def of(cls, runtime: Runtime) -> Self:
        """Return what gives seats back in this installation."""
        sessions, counter = SessionStore.of(runtime), SeatCounter(runtime.redis)
        return cls(runtime.database, sessions, counter, runtime.clock, runtime.settings.seat_hold)

    async def release(self, organization: str, email: str, *, by: Actor) -> Released:
        """Take the seat of the member with this address back and end their sessions.

        Raises:
            NotFound: no such member. InvalidInput: the primary owner, who always holds a seat. Conflict: they hold
            none.
        """
        released = await self.database.write(
            lambda tx: self._release(tx, organization, email, MemberState.RELEASED, by)
        )
        await self._afterwards(organization, released)
        return released

    async def block(self, organization: str, email: str, *, by: Actor) -> Released:
        """Deactivate the member: as `release`, and no login lets them in again."""
        released = await self.database.write(lambda tx: self._release(tx, organization, email, MemberState.BLOCKED, by))
        await self._afterwards(organization, released)
        return released

    async def reassign(self, organization: str, giver: str, taker: str, *, by: Actor) -> Released:
        """Give the seat of `giver` to `taker`, both named by address, in one transaction."""
        released = await self.database.write(lambda tx: self._reassign(tx, organization, giver, taker, by))
        await self._afterwards(organization, released)
        return released

    async def purge(self, organization: str, member: str, *, below: int) -> None:
        """End the member's sessions of older generations: what the outbox asks for."""
        await self.sessions.purge(organization, member, below=below)

    async def _afterwards(self, organization: str, released: Released) -> None:
        # The outbox row is committed: any process finishes it; sessions die with their lease besides.
        with contextlib.suppress(Unavailable):
            await self.purge(organization, released.member.id, below=released.generation)
            await self.counter.publish(organization, released.pool)

    def _release(self, tx: Connection, organization: str, email: str, leaving: MemberState, by: Actor) -> Released:
        released = self._take_back(tx, organization, email, leaving, by)
        return replace(released, pool=self._offer(tx, organization))

    def _offer(self, tx: Connection, organization: str) -> Pool:
        """Keep what was freed for whoever waits."""
        return waitlist.offer(tx, organization, clock=self.clock, until=self.clock.now() + self.hold)

    def _take_back(self, tx: Connection, organization: str, email: str, leaving: MemberState, by: Actor) -> Released:
        ledger.lock(tx, organization, now=self.clock.now())
        member, now, event = _existing(tx, organization, email), self.clock.now(), new_id("evt", self.clock)
        if member.role is Role.PRIMARY_OWNER:
            raise InvalidInput("email", "the primary owner always holds a seat; transfer primary ownership first")
        pool = ledger.free(tx, organization, member.id, leaving=leaving, event=event, now=now)
        if pool is None:
            if leaving is MemberState.RELEASED:
                raise Conflict(f"{member.email} holds no seat")
            pool = self._leave_line(tx, member, leaving)
        outbox.add(tx, organization, PURGE, subject=member.id, generation=pool.version, clock=self.clock)
        audit.record(tx, [self._event(event, Action.SEAT_RELEASE, member, pool, by, {"state": leaving})])
        return Released(member, pool.version, pool)

    def _leave_line(self, tx: Connection, member: Member, leaving: MemberState) -> Pool:
        """Take somebody without a seat off the waiting list, and the seat that was kept for them away."""
        members.set_state(tx, member.id, leaving)
        waitlist.forget(tx, member.id)
        ledger.drop_hold(tx, member.id)
        return ledger.begin_generation(tx, member.organization, now=self.clock.now())

    def _reassign(self, tx: Connection, organization: str, giver: str, taker: str, by: Actor) -> Released:
        released = self._take_back(tx, organization, giver, MemberState.RELEASED, by)
        receiver = members.find(tx, organization, taker) or invited_member(tx, organization, taker, clock=self.clock)
        if receiver.id == released.member.id or receiver.state in (MemberState.HELD, MemberState.BLOCKED):
            raise Conflict(f"{receiver.email} cannot take this seat")
        event = new_id("evt", self.clock)
        pool = ledger.grant(tx, organization, {receiver.id: event}, now=self.clock.now())
        changes = {"seat": "granted", "from": released.member.id}
        audit.record(tx, [self._event(event, Action.SEAT_GRANT, receiver, pool, by, changes)])
        return replace(
            released, pool=self._offer(tx, organization)
        )  # a seat that was kept for the receiver is free now

    def _event(
        self, event: str, action: Action, member: Member, pool: Pool, by: Actor, changes: Mapping[str, object]
    ) -> Event:
        return Event(
            id=event,
            organization=member.organization,
            at=self.clock.now(),
            action=action,
            actor=by,
            target=member.id,
            target_name=member.email,
            seat=SeatCount(pool.purchased, pool.used),
            changes=dict(changes),
        )


def _existing(tx: Connection, organization: str, email: str) -> Member:
    member = members.find(tx, organization, email)
    if member is None:
        raise NotFound(f"no member {email}")
    return member
