"""Carries the decision out in SQL: who comes in, with which seat, and the audit record, in one transaction.

`settle` answers a batch of one organization's logins. People who hold a seat, people who are refused whatever the
seats, and known people for whom there is none are answered without a lock (S1); whoever might take a seat is decided
again under the lock of the pool row, in order of arrival (S2).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection

from sso_gate.admission.decision import Admit, AdmitIfSeat, AdmitToSettings, Refuse, Tie, Verdict, decide
from sso_gate.admission.facts import Gathered, gather
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
    """A proved identity at the door. `attempt` names this try; `mapped_role` is what its groups bring, if anything."""

    identity: Identity
    attempt: str
    client: Client = Client()
    mapped_role: Role | None = None


@dataclass(frozen=True, slots=True)
class Allowed:
    """The member may come in: with a seat of this generation, or to the settings alone."""

    member: Member
    slug: str
    kind: Kind
    generation: int


@dataclass(frozen=True, slots=True)
class Denied:
    """Nobody was let in, for this reason; `member` is known where the organization knows the person."""

    reason: Reason
    reference: str
    member: Member | None = None


Answer = Allowed | Denied


@dataclass(slots=True)
class _Batch:
    """What one transaction is about to write."""

    tx: Connection
    organization: str
    clock: Clock
    now: datetime
    events: list[Event] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    pool: Pool | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """One answer for each login, in order, and the pool where it was changed."""

    answers: list[Answer]
    pool: Pool | None


def settle(tx: Connection, organization: str, logins: Sequence[Login], *, hint: Hint, clock: Clock) -> Settled:
    """Return the answers, written with their audit events in this transaction.

    Raises:
        sqlalchemy.exc.IntegrityError: a proof in the batch was used before; nothing of the batch may stay.
    """
    batch = _Batch(tx, organization, clock, clock.now())
    answers: dict[int, Answer] = {}
    undecided = _without_lock(batch, logins, answers, hint)
    if undecided:
        _under_lock(batch, logins, undecided, answers)
    audit.record(tx, batch.events)
    members.note_login(tx, batch.seen, at=batch.now)
    return Settled([answers[at] for at in range(len(logins))], batch.pool)


def _without_lock(batch: _Batch, logins: Sequence[Login], answers: dict[int, Answer], hint: Hint) -> list[int]:
    undecided = []
    gathered = gather(batch.tx, batch.organization, [login.identity for login in logins], now=batch.now)
    for at, (login, known) in enumerate(zip(logins, gathered, strict=True)):
        verdict = decide(known.facts)
        # Binding a first identity is for the lock too: two identities with one email must not both be first.
        if isinstance(verdict, AdmitIfSeat) or (known.facts.tie is Tie.AWAITED and not isinstance(verdict, Refuse)):
            undecided.append(at)
        else:
            answers[at] = _answer(batch, login, known, verdict)
    if undecided and hint == "full":
        return _refuse_known(batch, logins, gathered, undecided, answers)
    return undecided


def _refuse_known(
    batch: _Batch, logins: Sequence[Login], gathered: list[Gathered], undecided: list[int], answers: dict[int, Answer]
) -> list[int]:
    # The counter says full: ask SQL without a lock. A full pool now is a true answer for whoever has no seat kept for
    # them.
    pool = ledger.read(batch.tx, batch.organization, now=batch.now)
    kept = waitlist.held_for(batch.tx, batch.organization, now=batch.now)
    still = []
    for at in undecided:
        known = gathered[at]
        waits = known.facts.tie is Tie.BOUND and known.facts.state is MemberState.WAITING
        owner = known.facts.role in OWNERS
        if pool.available or known.member is None or not waits or owner or known.member.id in kept:
            still.append(at)
        else:
            answers[at] = _no_seat(batch, logins[at], known.member, pool)
    return still


def _under_lock(batch: _Batch, logins: Sequence[Login], undecided: list[int], answers: dict[int, Answer]) -> None:
    batch.pool = ledger.lock(batch.tx, batch.organization, now=batch.now)
    while undecided:
        # Two tabs of one person, or two identities with one email, are decided one after the other: the second must see
        # what the first did.
        round_, undecided = _first_of_each_person(logins, undecided)
        gathered = gather(batch.tx, batch.organization, [logins[at].identity for at in round_], now=batch.now)
        _one_round(batch, [logins[at] for at in round_], gathered, round_, answers)


def _first_of_each_person(logins: Sequence[Login], undecided: list[int]) -> tuple[list[int], list[int]]:
    first: list[int] = []
    later: list[int] = []
    seen: set[tuple[str, str]] = set()
    for at in undecided:
        proved = logins[at].identity
        keys = {(proved.connection, proved.subject), ("", normal_email(proved.email or proved.subject))}
        (later if keys & seen else first).append(at)
        seen |= keys
    return first, later


def _one_round(
    batch: _Batch, logins: list[Login], gathered: list[Gathered], places: list[int], answers: dict[int, Answer]
) -> None:
    assert batch.pool is not None  # noqa: S101 - taken with the lock; tells the type checker
    kept = waitlist.held_for(batch.tx, batch.organization, now=batch.now)
    pool, takers, refused = batch.pool, [], []
    left = pool.available
    for login, known, at in zip(logins, gathered, places, strict=True):
        verdict = decide(known.facts)
        if not isinstance(verdict, AdmitIfSeat):
            answers[at] = _answer(batch, login, known, verdict)
        elif known.member is not None and known.member.id in kept:
            takers.append((login, known, at))
        elif left > 0:
            left -= 1
            takers.append((login, known, at))
        else:
            refused.append((login, known, at, verdict))
    _grant(batch, takers, answers)
    _refuse(batch, refused, answers)


def _grant(batch: _Batch, takers: list[tuple[Login, Gathered, int]], answers: dict[int, Answer]) -> None:
    if not takers:
        return
    people = _know(batch, [(login, known) for login, known, _ in takers], MemberState.RELEASED)
    pool = batch.pool = ledger.grant(batch.tx, batch.organization, [person.id for person in people], now=batch.now)
    for person, (login, known, at) in zip(people, takers, strict=True):
        role = _role_in_force(batch, login, person)
        batch.seen.append(person.id)
        batch.events.append(_event(batch, login, person, None, pool, {"seat": "granted", **role}))
        answers[at] = Allowed(person, known.slug, "seat", pool.version)


def _refuse(batch: _Batch, refused: list[tuple[Login, Gathered, int, AdmitIfSeat]], answers: dict[int, Answer]) -> None:
    if not refused:
        return
    assert batch.pool is not None  # noqa: S101 - taken with the lock; tells the type checker
    people = _know(batch, [(login, known) for login, known, _, _ in refused], MemberState.WAITING)
    for person, (login, known, at, verdict) in zip(people, refused, strict=True):
        if verdict.settings_without_seat:
            answers[at] = _to_settings(batch, login, person, known.slug)
        else:
            answers[at] = _no_seat(batch, login, person, batch.pool)


def _know(batch: _Batch, people: list[tuple[Login, Gathered]], state: MemberState) -> list[Member]:
    """Make members of strangers and bind the identities that are not bound yet; return everybody's member."""
    strangers = {login.attempt: _stranger(batch, login, state) for login, known in people if known.member is None}
    members.add(batch.tx, list(strangers.values()), source="login", at=batch.now)
    known_people = [known.member or strangers[login.attempt] for login, known in people]
    ties = [
        (member.id, login.identity)
        for member, (login, known) in zip(known_people, people, strict=True)
        if known.facts.tie is not Tie.BOUND
    ]
    members.bind(batch.tx, ties, at=batch.now)
    return known_people


def _stranger(batch: _Batch, login: Login, state: MemberState) -> Member:
    proved = login.identity
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


def _answer(batch: _Batch, login: Login, known: Gathered, verdict: Verdict) -> Answer:
    """Write and return an answer that needs no seat to be taken."""
    match verdict:
        case Refuse(reason):
            event = _event(batch, login, known.member, reason, None, {})
            batch.events.append(event)
            return Denied(reason, event.reference, known.member)
        case Admit():
            return _returning(batch, login, _bound(batch, login, known), known.slug)
        case AdmitToSettings():
            return _to_settings(batch, login, _bound(batch, login, known), known.slug)
        case AdmitIfSeat():
            raise AssertionError("a seat is taken under the lock alone")


def _bound(batch: _Batch, login: Login, known: Gathered) -> Member:
    """Return the member after binding an identity that was awaited."""
    assert known.member is not None  # noqa: S101 - only a member has a seat or a role
    if known.facts.tie is Tie.AWAITED:
        members.bind(batch.tx, [(known.member.id, login.identity)], at=batch.now)
    return known.member


def _returning(batch: _Batch, login: Login, member: Member, slug: str) -> Allowed:
    if member.last_login is None or batch.now - member.last_login > _LOGIN_NOTED_EVERY:
        batch.seen.append(member.id)
    batch.events.append(_event(batch, login, member, None, None, _role_in_force(batch, login, member)))
    return Allowed(member, slug, "seat", member.generation)


def _to_settings(batch: _Batch, login: Login, member: Member, slug: str) -> Allowed:
    pool = batch.pool or ledger.read(batch.tx, batch.organization, now=batch.now)
    batch.events.append(_event(batch, login, member, None, pool, {"session": "settings"}))
    return Allowed(member, slug, "settings", pool.version)


def _no_seat(batch: _Batch, login: Login, member: Member, pool: Pool) -> Denied:
    waitlist.note_refusal(batch.tx, batch.organization, member.id, now=batch.now)
    event = _event(batch, login, member, Reason.SEAT_UNAVAILABLE, pool, {})
    batch.events.append(event)
    return Denied(Reason.SEAT_UNAVAILABLE, event.reference, member)


def _role_in_force(batch: _Batch, login: Login, member: Member) -> dict[str, object]:
    """Set the role that name and groups give together, and return the change for the audit; a primary owner stays."""
    if member.role is Role.PRIMARY_OWNER:
        return {}
    role = members.higher(member.listed_role, login.mapped_role or Role.USER)
    if role is member.role:
        return {}
    members.set_role(batch.tx, member.id, role)
    return {"role": [member.role, role]}


def _event(
    batch: _Batch,
    login: Login,
    member: Member | None,
    reason: Reason | None,
    pool: Pool | None,
    changes: dict[str, object],
) -> Event:
    proved = login.identity
    return Event(
        id=new_id("evt", batch.clock),
        organization=batch.organization,
        at=batch.now,
        action=Action.LOGIN,
        actor=Actor("user", member.id if member else "", proved.email or ""),
        reason=reason,
        reference=new_reference(),
        via=Via(proved.connection, proved.protocol),
        client=login.client,
        seat=SeatCount(pool.purchased, pool.used) if pool else None,
        changes=changes,
        login_id=proved.login_id,
        attempt=login.attempt,
    )
