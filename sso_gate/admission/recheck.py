"""Asks again while a session lives: Redis alone while the lease runs, one SQL read when it has run out.

The same `decide` on fresh facts, so that nothing opens here which would not open at the door.
"""

import contextlib
import hashlib
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Self

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from sso_gate.admission.decision import Admit, AdmitIfSeat, EmailStanding, Facts, Refuse, Tie, decide
from sso_gate.admission.facts import contract_phase
from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Actor, Event, Via, new_reference
from sso_gate.clock import Clock
from sso_gate.errors import Reason
from sso_gate.identity import new_id
from sso_gate.members import store as members
from sso_gate.members.member import Member, MemberState
from sso_gate.members.roles import OWNERS
from sso_gate.organizations import store as organizations
from sso_gate.sessions.session import Session, SessionToken
from sso_gate.sessions.store import SessionStore
from sso_gate.storage.database import Database
from sso_gate.storage.runtime import Runtime
from sso_gate.storage.tables import connection

LEASE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Alive:
    """The session opens what its kind opens."""

    session: Session


@dataclass(frozen=True, slots=True)
class Ended:
    """The person is known, and refused now; `reference` names the event on the audit record."""

    session: Session
    reason: Reason
    reference: str = ""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who is looking at the gate's own pages, read from SQL just now."""

    member: Member
    session: Session
    token: SessionToken


@dataclass(frozen=True, slots=True)
class Recheck:
    """Answers whether a session still opens something."""

    sessions: SessionStore
    database: Database
    clock: Clock

    @classmethod
    def of(cls, runtime: Runtime) -> Self:
        """Return the re-check of this installation."""
        return cls(SessionStore.of(runtime), runtime.database, runtime.clock)

    async def session(self, token: SessionToken) -> Alive | Ended | None:
        """Return what the session is worth now; None when there is none. `Unavailable` when nobody can say."""
        now = self.clock.now()
        session = await self.sessions.find(token, now=now)
        if session is None:
            return await self._why_it_ended(token)
        if abs(now - session.checked_at) < LEASE:  # a clock that was set back renews no lease
            return Alive(session)
        found = await self.database.read(lambda tx: _look(tx, session, self.clock))
        if isinstance(found, Reason):
            return await self._end(token, session, found)
        fresh = session.confirmed(now, email=found.email, name=found.name or session.name, role=found.role)
        await self.sessions.confirm(token, fresh)
        return Alive(fresh)

    async def _why_it_ended(self, token: SessionToken) -> Ended | None:
        """Return the refusal of somebody whose seat was taken back; None for whoever may simply sign in again."""
        session = await self.sessions.purged(token)
        if session is None:
            return None
        ended = await self.database.read(lambda tx: _taken_back(tx, session, _proof(token), self.clock))
        if ended is None or ended.reference:  # a program may ask many times a second: only the first is written down
            return ended
        return await self._end(token, ended.session, ended.reason)

    async def _end(self, token: SessionToken, session: Session, reason: Reason) -> Ended:
        """End the session and record that it was refused: once, however many of its requests find out together."""
        event = Event(
            id=new_id("evt", self.clock),
            organization=session.organization,
            at=self.clock.now(),
            action=Action.GATE,
            actor=Actor("user", session.member, session.email, session=session.mark),
            reason=reason,
            reference=new_reference(),
            via=Via(session.connection),
            login_id=_proof(token),
        )
        with contextlib.suppress(IntegrityError):  # another request was quicker: its event is the one on record
            await self.database.write(lambda tx: audit.record(tx, [event]))
        reference = await self.database.read(lambda tx: _reference(tx, _proof(token)))
        await self.sessions.end(token)
        return Ended(session, reason, reference)

    async def signed_in(self, cookie: str | None) -> SignedIn | None:
        """Return the person behind a session cookie on the gate's own host, fresh from SQL, or None."""
        token = SessionToken.parse(cookie) if cookie else None
        session = await self.sessions.find(token, now=self.clock.now()) if token else None
        if token is None or session is None or session.host:
            return None
        found = await self.database.read(lambda tx: _look(tx, session, self.clock))
        if isinstance(found, Reason):
            await self.sessions.end(token)
            return None
        return SignedIn(found, session, token)


def _proof(token: SessionToken) -> str:
    """The one-time name under which the end of a session is on record."""
    return hashlib.sha256(f"gate {token.digest}".encode()).hexdigest()


def _taken_back(tx: Connection, session: Session, proof: str, clock: Clock) -> Ended | None:
    """Return why the session of somebody without a seat is refused, with the event that says so if there is one."""
    person = members.get(tx, session.organization, session.member)
    if person and person.state is MemberState.HELD:
        return None  # a seat is theirs again, and a sign-in away
    found, known = _look(tx, session, clock), replace(session, email=person.email if person else "")
    return Ended(known, found, _reference(tx, proof)) if isinstance(found, Reason) else None


def _reference(tx: Connection, proof: str) -> str:
    recorded = audit.login_attempts(tx, [proof])
    return recorded[proof].reference if recorded else ""


def _look(tx: Connection, session: Session, clock: Clock) -> Member | Reason:
    """Return the member as SQL knows them, or the reason why the session is worth nothing now."""
    member = members.get(tx, session.organization, session.member)
    if member is None:
        return Reason.SEAT_RELEASED
    organization = organizations.get(tx, session.organization)
    facts = Facts(
        organization_enabled=organization is not None and organization.enabled,
        connection_enabled=_is_enabled(tx, session),
        contract=contract_phase(organization, now=clock.now()),
        email=EmailStanding.TRUSTED,
        tie=Tie.BOUND,
        state=member.state,
        role=member.role,
    )
    verdict = decide(facts)
    if isinstance(verdict, Refuse):
        return verdict.reason
    if session.kind == "settings":
        return member if member.role in OWNERS else Reason.SEAT_UNAVAILABLE
    if not isinstance(verdict, Admit) or member.generation != session.generation:
        return Reason.SEAT_RELEASED if isinstance(verdict, Admit | AdmitIfSeat) else Reason.CONTRACT_ENDED
    return member


def _is_enabled(tx: Connection, session: Session) -> bool:
    if not session.connection:
        return True  # an emergency code came by no connection
    query = select(connection.c.enabled).where(connection.c.id == session.connection)
    return bool(tx.execute(query).scalar_one_or_none())
