"""The doors to a seat for a provisioning client: activate, deactivate, delete, each inside the client's transaction.

The pool row is locked first and members are read afterwards, as at every other door; giving back is bound to the
change that is observed under the lock, so a second deactivation frees nothing. Sessions end before the reply, and by
the outbox should this process die first.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Self, TypeVar

from sqlalchemy import Connection, delete

from sso_gate.admission.decision import AdmitIfSeat, EmailStanding, Facts, Refuse, Tie, decide
from sso_gate.admission.facts import contract_phase
from sso_gate.admission.revoke import PURGE
from sso_gate.clock import Clock
from sso_gate.errors import NotFound, Reason, Unavailable
from sso_gate.members import store as members
from sso_gate.members.member import Member, MemberState
from sso_gate.members.roles import OWNERS, Role
from sso_gate.organizations import store as organizations
from sso_gate.organizations.organization import Organization
from sso_gate.seats import ledger, waitlist
from sso_gate.seats.counter import SeatCounter
from sso_gate.seats.ledger import Pool
from sso_gate.sessions.store import SessionStore
from sso_gate.storage import outbox
from sso_gate.storage.runtime import Runtime
from sso_gate.storage.tables import breakglass_code, hold, identity, member, order_helped, waiting

Seated = Literal["held", "waiting"]
T = TypeVar("T")


@dataclass(slots=True)
class Provision:
    """One transaction of a provisioning client, with the organization's pool locked.

    `looked` is the pool as it is now, None until a change has asked for it, and `version` what it was then; `ended`
    names members, with the generation below which their sessions end.
    """

    tx: Connection
    organization_id: str
    clock: Clock
    hold: timedelta
    now: datetime
    ended: dict[str, int] = field(default_factory=dict)
    looked: Pool | None = None
    version: int = 0

    @property
    def pool(self) -> Pool:
        """The pool as it is now, read where it was not: most changes give nobody a seat and need not know."""
        return self.looked or self._look()

    def _look(self) -> Pool:
        self.looked = ledger.read(self.tx, self.organization_id, now=self.now)
        self.version = self.looked.version
        return self._offer() if self.looked.lapsed else self.looked

    def _organization(self) -> Organization:
        """Return the organization as it is under the lock."""
        found = organizations.get(self.tx, self.organization_id)
        if found is None:
            raise NotFound("organization")
        return found

    @property
    def news(self) -> Pool | None:
        """The pool, where the counter knows less than it says now."""
        return self.looked if self.looked and self.looked.version != self.version else None

    def undone(self) -> None:
        """Forget what the transaction has taken back: no session ends, and the counter hears nothing."""
        self.ended, self.looked = {}, None

    @classmethod
    def begin(cls, tx: Connection, organization_id: str, *, clock: Clock, hold: timedelta) -> Self:
        """Lock the pool and return the transaction."""
        if not ledger.is_alone(tx):
            ledger.take_lock(tx, organization_id)
        return cls(tx, organization_id, clock, hold, clock.now())

    def activate(self, person: Member, *, event: str) -> Seated | Reason:
        """Give the member a seat and return `held`; `waiting` where people are kept without one; or else why not.

        `event` is the id of the audit event that the caller writes in this transaction.
        """
        if person.state is MemberState.HELD:
            return "held"
        organization = self._organization()
        refused = self._refused(person, organization)
        if refused:
            return refused
        if self.pool.available or ledger.kept(self.tx, [person.id], now=self.now):
            self._unblock(person)
            self.looked = ledger.grant(self.tx, organization.id, {person.id: event}, now=self.now)
            return "held"
        if organization.scim_when_full == "refuse":
            return Reason.SEAT_UNAVAILABLE
        self._unblock(person)
        waitlist.note_first(self.tx, organization.id, [person.id], now=self.now)
        return "waiting"

    def _refused(self, person: Member, organization: Organization) -> Reason | None:
        facts = Facts(
            organization_enabled=organization.enabled,
            connection_enabled=True,  # a token is not a connection, and was asked for before
            contract=contract_phase(organization, now=self.now),
            email=EmailStanding.TRUSTED,
            tie=Tie.BOUND,
            state=MemberState.RELEASED,
            role=person.role,
        )
        match decide(facts):
            case AdmitIfSeat():
                return None
            case Refuse(reason):
                return reason
            case _:
                return Reason.CONTRACT_ENDED  # an owner may open the settings then, which takes no provisioning

    def _unblock(self, person: Member) -> None:
        if person.state is MemberState.BLOCKED:
            members.set_state(self.tx, person.id, MemberState.RELEASED)

    def deactivate(self, person: Member, *, event: str) -> None:
        """Take the member's seat, hold and place in the line away, end their sessions, and let no login in again."""
        organization = self.organization_id
        self._look()  # its version before, by which the counter hears of what comes now
        pool = ledger.free(self.tx, organization, person.id, leaving=MemberState.BLOCKED, event=event, now=self.now)
        if pool is None:
            members.set_state(self.tx, person.id, MemberState.BLOCKED)
            waitlist.forget(self.tx, person.id)
            ledger.drop_hold(self.tx, person.id)
            pool = ledger.begin_generation(self.tx, organization, now=self.now)
        self.ended[person.id] = pool.version
        outbox.add(self.tx, organization, PURGE, subject=person.id, generation=pool.version, clock=self.clock)
        self._offer()

    def delete(self, person: Member, *, event: str) -> None:
        """Remove the member for good after taking everything from them; their address is free again.

        What a feature of its own keeps about them it removes before this.
        """
        self.deactivate(person, event=event)
        for table in (identity, hold, waiting, order_helped, breakglass_code):
            self.tx.execute(delete(table).where(table.c.member == person.id))
        self.tx.execute(delete(member).where(member.c.id == person.id))

    def _offer(self) -> Pool:
        until = self.now + self.hold
        self.looked = waitlist.offer(self.tx, self.organization_id, clock=self.clock, until=until)
        return self.looked

    def is_last_owner(self, person: Member) -> bool:
        """Return whether the organization would be left without its primary owner, or without any owner."""
        if person.role is Role.PRIMARY_OWNER:
            return True
        others = [one for one in members.owners(self.tx, self.organization_id) if one.id != person.id]
        return person.role in OWNERS and not others


async def provision(runtime: Runtime, organization: str, work: Callable[[Provision], T]) -> T:
    """Return what `work` returned, committed, with the sessions ended that had to end and the counter told."""
    began: list[Provision] = []

    def run(tx: Connection) -> T:
        began[:] = [Provision.begin(tx, organization, clock=runtime.clock, hold=runtime.settings.seat_hold)]
        return work(began[0])

    result = await runtime.database.write(run)
    # The outbox rows are committed: any process finishes them; sessions die with their lease besides.
    with contextlib.suppress(Unavailable):
        for person, generation in began[0].ended.items():
            await SessionStore.of(runtime).purge(organization, person, below=generation)
        if news := began[0].news:
            await SeatCounter(runtime.redis).publish(organization, news)
    return result
