"""The one door: an identity that was proved goes in, a session or a refusal comes out.

The order of steps is the protocol of `docs/architecture.md`: a pending session (A) and what the counter says (B), the
decision joins its organization's batch (C), SQL decides and records in one transaction (S1, S2), the counter is told
(D), the session becomes active if the pending one still exists (E). The cookie comes last, in the caller's response
(F). A crash after any step leaves nothing that time or the next login does not mend.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from sso_gate.admission.combiner import Combiner
from sso_gate.admission.settle import Allowed, Denied, Login
from sso_gate.clock import Clock
from sso_gate.errors import Unavailable
from sso_gate.members.member import Member
from sso_gate.seats.counter import SeatCounter
from sso_gate.sessions.session import Session, SessionToken
from sso_gate.sessions.store import PENDING_SECONDS, SessionStore, pending_key
from sso_gate.storage.runtime import Runtime

EMERGENCY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Admission:
    """The proof that somebody was let in: made by `Door.admit` alone."""

    token: SessionToken
    session: Session


@dataclass(frozen=True, slots=True)
class Door:
    """What deciding needs; one for each process, because logins that arrive together are decided together."""

    sessions: SessionStore
    counter: SeatCounter
    combiner: Combiner
    clock: Clock

    @classmethod
    def of(cls, runtime: Runtime) -> Self:
        """Return a new door: made once for each process."""
        counter, clock = SeatCounter(runtime.redis), runtime.clock
        combiner = Combiner(runtime.database, counter, clock, runtime.settings.seat_hold)
        return cls(SessionStore.of(runtime), counter, combiner, clock)

    async def admit(self, login: Login, *, logout: str = "", names: Sequence[str] = ()) -> Admission | Denied:
        """Return the open session of the person, or why there is none; either way it is on the audit record.

        `logout` is what the protocol needs to end the session at the identity provider, `names` are those by which the
        provider can end it here. Raises `Unavailable` when Redis or SQL cannot answer: nobody is let in then, and
        nothing is taken that the person's next try would not find.
        """
        token = SessionToken.new(login.identity.organization)
        asked_at = self.clock.now()  # the lease begins before the decision: SQL may say otherwise from then on
        hint = await self.counter.ask(token.organization, room=pending_key(token), seconds=PENDING_SECONDS)
        answer = await self.combiner.settle(replace(login, session=token.mark), hint)
        if isinstance(answer, Denied):
            return answer  # the room that was made opens nothing and runs out by itself
        return await self._open(token, self._session(login, answer, token, logout, asked_at), names)

    async def _open(self, token: SessionToken, session: Session, names: Sequence[str] = ()) -> Admission:
        if not await self.sessions.activate(token, session, names=names):
            raise Unavailable("the session ended before it began")
        return Admission(token, session)

    async def admit_on_host(self, parent: Session, host: str) -> Admission:
        """Return a session of the same person, for the same seat, that is valid on one application's host alone."""
        token = SessionToken.new(parent.organization)
        await self.sessions.write_pending(token)
        return await self._open(token, replace(parent, host=host))

    async def admit_to_settings(self, member: Member, *, slug: str, generation: int) -> Admission:
        """Return a session of an owner who came with an emergency code: the settings alone, for an hour."""
        token, now = SessionToken.new(member.organization), self.clock.now()
        await self.sessions.write_pending(token)
        session = Session(
            organization=member.organization,
            slug=slug,
            member=member.id,
            kind="settings",
            connection="",
            subject="",
            session_index="",
            generation=generation,
            email=member.email,
            name=member.name,
            role=member.role,
            groups=(),
            created_at=now,
            checked_at=now,
            ends_at=now + min(self.sessions.longest, EMERGENCY),
            family=token.digest,
        )
        return await self._open(token, session)

    def _session(self, login: Login, answer: Allowed, token: SessionToken, logout: str, asked_at: datetime) -> Session:
        member, proved = answer.member, login.identity
        return Session(
            organization=member.organization,
            slug=answer.slug,
            member=member.id,
            kind=answer.kind,
            connection=proved.connection,
            subject=proved.subject,
            session_index=proved.session_index or "",
            generation=answer.generation,
            email=member.email,
            name=member.name or proved.name or "",
            role=member.role,
            groups=proved.groups,
            created_at=asked_at,
            checked_at=asked_at,
            ends_at=min(asked_at + self.sessions.longest, proved.session_ends_at or asked_at + self.sessions.longest),
            family=token.digest,
            logout=logout,
        )
