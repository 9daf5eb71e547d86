"""Carries the decision out in SQL: who comes in, with which seat, and the audit record, in one transaction.

`settle` answers a batch of one organization's logins. People who hold a seat, people who are refused whatever the
seats, and waiting people for whom there is none are answered without a lock (S1); whoever might take a seat, as far as
one can tell without having asked whose address it is, is decided again under the lock of the pool row, in order of
arrival (S2). Until the lock is taken nothing is written, so that no two transactions wait for each other; what nothing
else of the batch depends on is written at the end, all at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection

from sso_gate.admission.decision import Admit, AdmitIfSeat, AdmitToSettings, Refuse, Tie, Verdict, decide
from sso_gate.admission.facts import Addresses, Gathered, look
from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Actor, Client, Event, SeatCount, Via, new_reference
from sso_gate.clock import Clock
from sso_gate.errors import Reason
from sso_gate.identity import Identity, new_id, normal_email
from sso_gate.members import store as members
from sso_gate.members.member import Member, MemberState
from sso_gate.members.roles import OWNERS, Role
from sso_gate.seats import ledger, waitlist
from sso_gate.seats.counter import Hint
from sso_gate.seats.ledger import Pool
from sso_gate.sessions.session import Kind

_LOGIN_NOTED_EVERY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Login:
    """A proved identity at the door. `attempt` names this try; `mapped_role` is what its groups bring, if anything;
    `session` is the mark of the session that there will be.
    """

    identity: Identity
    attempt: str
    client: Client = field(default_factory=Client)
    mapped_role: Role | None = None
    session: str = ""


class Allowed(NamedTuple):
    """The member may come in: with a seat of this generation, or to the settings alone."""

    member: Member
    slug: str
    kind: Kind
    generation: int


class Denied(NamedTuple):
    """Nobody was let in, for this reason; `member` is known where the organization knows the person."""

    reason: Reason
    reference: str
    member: Member | None = None


Answer = Allowed | Denied


@dataclass(slots=True)
class _Batch:
    """What one transaction has found and is about to write."""

    tx: Connection
    organization: str
    logins: Sequence[Login]
    clock: Clock
    hold: timedelta
    now: datetime
    pool: Pool = field(init=False)
    answers: dict[int, Answer] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    came: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)
    refused_again: list[str] = field(default_factory=list)
    roles: dict[str, Role] = field(default_factory=dict)

    def look(self, places: Sequence[int], *, addresses: Addresses = "of all") -> dict[int, Gathered]:
        """Return the facts about the logins at these places, having read the pool: as SQL says now."""
        who = [self.logins[at].identity for at in places]
        if ledger.is_alone(self.tx):
            addresses = "of strangers"
        found = look(self.tx, self.organization, who, now=self.now, addresses=addresses)
        self.pool = found.pool
        return {at: _as_they_come(known, self.logins[at]) for at, known in zip(places, found.people, strict=True)}


def _as_they_come(known: Gathered, login: Login) -> Gathered:
    """Return the facts with the role that this login brings: who has left a group decides nothing by it any more."""
    role = known.facts.role if known.member is None else role_of(known.member, login.mapped_role)
    return known if role is known.facts.role else known._replace(facts=known.facts._replace(role=role))


def role_of(member: Member, from_login: Role | None) -> Role:
    """Return the role that name and groups give together, `from_login` those of the login; a primary owner stays."""
    if member.role is Role.PRIMARY_OWNER:
        return Role.PRIMARY_OWNER
    mapped = members.higher(member.group_role, from_login or Role.USER)
    return members.higher(member.listed_role, mapped)


@dataclass(frozen=True, slots=True)
class Settled:
    """One answer for each login, in order, and the pool as it is committed, changed or not."""

    answers: list[Answer]
    pool: Pool
    changed: bool


def settle(
    tx: Connection, organization: str, logins: Sequence[Login], *, hint: Hint, clock: Clock, hold: timedelta
) -> Settled:
    """Return the answers, written with their audit events in this transaction.

    `hold` is how long a seat is kept for somebody who waits, should one have to be passed on.

    Raises:
        sqlalchemy.exc.IntegrityError: a proof in the batch was used before; nothing of the batch may stay.
    """
    batch = _Batch(tx, organization, logins, clock, hold, clock.now())
    undecided = _without_lock(batch)
    version = batch.pool.version
    if undecided and hint != "free":
        undecided = _refuse_waiting(batch, undecided)
    if undecided:
        _under_lock(batch, undecided)
    _write(batch)
    return Settled([batch.answers[at] for at in range(len(logins))], batch.pool, batch.pool.version != version)


def _without_lock(batch: _Batch) -> dict[int, Gathered]:
    """Answer whoever needs no seat, and return the others."""
    undecided = {}
    for at, known in batch.look(range(len(batch.logins)), addresses="under the lock").items():
        verdict = decide(known.facts)
        # Binding a first identity is for the lock too: two identities with one email must not both be first.
        # And an address may look like somebody else's only because its person has come in between two of these reads.
        binds = known.facts.tie is Tie.AWAITED and not isinstance(verdict, Refuse)
        if isinstance(verdict, AdmitIfSeat) or binds or known.facts.tie is Tie.TAKEN:
            undecided[at] = known
        else:
            batch.answers[at] = _answer(batch, at, known, verdict)
    return undecided


def _refuse_waiting(batch: _Batch, undecided: dict[int, Gathered]) -> dict[int, Gathered]:
    """Refuse those who wait already, while SQL says that no seat is free and none is kept for them; return the others.

    A full pool now is a true answer whoever changes it next, so it needs no lock, and a storm of people who come again
    costs a read and a row of audit each.
    """
    if batch.pool.available:
        return undecided
    still = {}
    for at, known in undecided.items():
        if known.member and _only_waits(known):
            batch.refused_again.append(known.member.id)
            batch.answers[at] = _no_seat(batch, at, known.member)
        else:
            still[at] = known
    return still


def _only_waits(known: Gathered) -> bool:
    facts = known.facts
    waits = facts.tie is Tie.BOUND and facts.state is MemberState.WAITING
    return waits and facts.role not in OWNERS and not known.kept


def _under_lock(batch: _Batch, gathered: dict[int, Gathered]) -> None:
    undecided = list(gathered)
    if not ledger.is_alone(batch.tx):
        ledger.take_lock(batch.tx, batch.organization)
        gathered = batch.look(undecided)
        batch.now = batch.clock.now()  # the lock may have been waited for
    if batch.pool.lapsed:
        waitlist.offer(batch.tx, batch.organization, clock=batch.clock, until=batch.now + batch.hold)
        batch.now = batch.clock.now()  # who finds their seat passed on has come after that: they are in the line again
        gathered = batch.look(undecided)
    while later := _one_round(batch, gathered):
        gathered = batch.look(later)


def _one_round(batch: _Batch, gathered: dict[int, Gathered]) -> list[int]:
    """Decide in order of arrival and return whom a later round has to decide.

    Those are the second tab of one person, or a second identity with the same email: they must see what the first did.
    """
    takers, refused, later, met = [], [], [], set[str]()
    left = batch.pool.available
    for at, known in gathered.items():
        verdict, person = decide(known.facts), _person(batch.logins[at].identity, known)
        if person & met:
            later.append(at)
        elif not isinstance(verdict, AdmitIfSeat):
            batch.answers[at] = _answer(batch, at, known, verdict)
            met |= person if known.facts.tie is Tie.AWAITED else set()
        elif known.kept or left > 0:
            left -= 0 if known.kept else 1
            takers.append((at, known))
            met |= person
        else:
            refused.append((at, known, verdict))
            met |= person if known.facts.tie is not Tie.BOUND else set()
    _grant(batch, takers)
    _refuse(batch, refused)
    return later


def _person(proved: Identity, known: Gathered) -> set[str]:
    """Return the names under which two logins of a batch may turn out to be one person."""
    if known.member:
        return {known.member.id}
    return {f"{proved.connection} {proved.subject}", normal_email(proved.email or proved.subject)}


def _grant(batch: _Batch, takers: list[tuple[int, Gathered]]) -> None:
    if not takers:
        return
    strangers = _strangers(batch, takers, MemberState.RELEASED)
    people = [known.member or strangers[at] for at, known in takers]
    ids = {person.id: new_id("evt", batch.clock) for person in people}
    known_before = [known.member.id for _, known in takers if known.member]
    newcomers = list(strangers.values())
    was = None if any(known.kept for _, known in takers) else batch.pool
    batch.pool = ledger.grant(
        batch.tx, batch.organization, ids, now=batch.now, known=known_before, newcomers=newcomers, locked=was
    )
    batch.came.update(known_before)
    _bind(batch, takers, people)
    for person, (at, known) in zip(people, takers, strict=True):
        member, role = _role_in_force(batch, at, person)
        batch.events.append(_event(batch, at, member, None, {"seat": "granted", **role}, event_id=ids[person.id]))
        batch.answers[at] = Allowed(member, known.slug, "seat", batch.pool.version)


def _refuse(batch: _Batch, refused: list[tuple[int, Gathered, AdmitIfSeat]]) -> None:
    turned_away = [(at, known) for at, known, _ in refused]
    strangers = _strangers(batch, turned_away, MemberState.WAITING)
    people = [known.member or strangers[at] for at, known in turned_away]
    members.add(batch.tx, list(strangers.values()), source="login", at=batch.now)
    _bind(batch, turned_away, people)
    for person, (at, known, verdict) in zip(people, refused, strict=True):
        if verdict.settings_without_seat:
            batch.answers[at] = _to_settings(batch, at, person, known.slug)
        else:
            (batch.refused_again if person.id in batch.refused else batch.refused).append(person.id)
            batch.answers[at] = _no_seat(batch, at, person)


def _strangers(batch: _Batch, people: list[tuple[int, Gathered]], state: MemberState) -> dict[int, Member]:
    """Return who is to be a member from now on, by their places."""
    return {at: _stranger(batch, batch.logins[at].identity, state) for at, known in people if known.member is None}


def _bind(batch: _Batch, people: list[tuple[int, Gathered]], as_members: list[Member]) -> None:
    """Bind the identities that are not bound yet."""
    ties = [
        (person.id, batch.logins[at].identity)
        for person, (at, known) in zip(as_members, people, strict=True)
        if known.facts.tie is not Tie.BOUND
    ]
    members.bind(batch.tx, ties, at=batch.now)


def _stranger(batch: _Batch, proved: Identity, state: MemberState) -> Member:
    return Member(
        id=new_id("mem", batch.clock),
        organization=batch.organization,
        email=proved.email or "",
        name=proved.name or "",
        listed_role=Role.USER,
        role=Role.USER,
        grants=frozenset(),
        state=state,
        generation=0,
        locale="",
    )


def _answer(batch: _Batch, at: int, known: Gathered, verdict: Verdict) -> Answer:
    """Note and return an answer that needs no seat to be taken."""
    match verdict:
        case Refuse(reason):
            event = _event(batch, at, known.member, reason, {})
            batch.events.append(event)
            return Denied(reason, event.reference, known.member)
        case Admit():
            return _returning(batch, at, _bound(batch, at, known), known.slug)
        case AdmitToSettings():
            return _to_settings(batch, at, _bound(batch, at, known), known.slug)
        case AdmitIfSeat():
            raise AssertionError("a seat is taken under the lock alone")


def _bound(batch: _Batch, at: int, known: Gathered) -> Member:
    """Return the member after binding an identity that was awaited, which happens under the lock alone."""
    assert known.member is not None  # noqa: S101 - only a member has a seat or a role
    if known.facts.tie is Tie.AWAITED:
        members.bind(batch.tx, [(known.member.id, batch.logins[at].identity)], at=batch.now)
    return known.member


def _returning(batch: _Batch, at: int, member: Member, slug: str) -> Allowed:
    if member.last_login is None or batch.now - member.last_login > _LOGIN_NOTED_EVERY:
        batch.came.add(member.id)
    member, role = _role_in_force(batch, at, member)
    batch.events.append(_event(batch, at, member, None, role))
    return Allowed(member, slug, "seat", member.generation)


def _to_settings(batch: _Batch, at: int, member: Member, slug: str) -> Allowed:
    member, role = _role_in_force(batch, at, member)
    batch.events.append(_event(batch, at, member, None, {"session": "settings", **role}))
    return Allowed(member, slug, "settings", batch.pool.version)


def _no_seat(batch: _Batch, at: int, member: Member) -> Denied:
    event = _event(batch, at, member, Reason.SEAT_UNAVAILABLE, {})
    batch.events.append(event)
    return Denied(Reason.SEAT_UNAVAILABLE, event.reference, member)


def _role_in_force(batch: _Batch, at: int, member: Member) -> tuple[Member, dict[str, object]]:
    """Note the role that the login brings; return the member with it, and the change for the audit."""
    role = role_of(member, batch.logins[at].mapped_role)
    if role is member.role:
        return member, {}
    batch.roles[member.id] = role
    return replace(member, role=role), {"role": [member.role, role]}


def _write(batch: _Batch) -> None:
    """Write what was noted, rows in one order in every process."""
    audit.record(batch.tx, batch.events)
    if batch.refused or batch.refused_again:
        waitlist.note_first(batch.tx, batch.organization, batch.refused, now=batch.now)
        waitlist.note_again(batch.tx, batch.refused_again, now=batch.now)
    for member_id in sorted(batch.roles):
        members.set_role(batch.tx, member_id, batch.roles[member_id])
    members.note_login(batch.tx, sorted(batch.came), at=batch.now)


def _event(
    batch: _Batch,
    at: int,
    member: Member | None,
    reason: Reason | None,
    changes: dict[str, object],
    *,
    event_id: str = "",
) -> Event:
    login, proved = batch.logins[at], batch.logins[at].identity
    session = "" if reason else login.session
    return Event(
        id=event_id or new_id("evt", batch.clock),
        organization=batch.organization,
        at=batch.now,
        action=Action.LOGIN,
        actor=Actor("user", member.id if member else "", proved.email or "", proved.subject, session),
        reason=reason,
        reference=new_reference(),
        via=Via.of(proved),
        client=login.client,
        seat=SeatCount(batch.pool.purchased, batch.pool.used),
        changes=changes,
        login_id=proved.login_id,
        attempt=login.attempt,
    )
