"""Reads what the decision depends on, for a whole batch of one organization's logins at once."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import BindParameter, Connection, Label, bindparam, exists, func, literal_column, select

from sso_gate.admission.decision import AdmitIfSeat, ContractPhase, EmailStanding, Facts, Tie, decide
from sso_gate.clock import from_micros, to_micros
from sso_gate.errors import NotFound
from sso_gate.identity import Identity, email_domain, normal_email
from sso_gate.members import store as members
from sso_gate.members.member import Member
from sso_gate.organizations.organization import Organization
from sso_gate.seats import ledger
from sso_gate.seats.ledger import Pool
from sso_gate.storage.prepared import OneOf, Prepared
from sso_gate.storage.tables import (
    connection,
    hold,
    identity,
    member,
    organization,
    organization_domain,
    scim_user,
    seat_pool,
)


class Gathered(NamedTuple):
    """The facts about one identity, the member it means, if any, whether a seat is kept for that member, and the
    organization's short name.
    """

    facts: Facts
    member: Member | None
    kept: bool
    slug: str


@dataclass(frozen=True, slots=True)
class Look:
    """Everybody at the door, in the order given, and the seats, as one transaction sees them."""

    people: list[Gathered]
    pool: Pool


Addresses = Literal[
    "of strangers",  # asked for when it is known who is not bound: another way to the database
    "of all",  # asked for in the same way, whether trusted or not: `_tie` counts those that are
    "under the lock",  # not asked for where all strangers would be let in were a seat free: the lock is next, and asks
]
_ByEmail = Callable[[], dict[str, members.Candidate]]


@dataclass(frozen=True, slots=True)
class _House:
    enabled: bool
    connections: frozenset[str]
    slug: str
    domains: frozenset[str]
    contract: ContractPhase
    takes_newcomers: bool

    def facts(self, proved: Identity, tie: Tie, member: Member | None) -> Facts:
        return Facts(
            organization_enabled=self.enabled,
            connection_enabled=proved.connection in self.connections,
            contract=self.contract,
            email=self.standing(proved),
            tie=tie,
            state=member.state if member else None,
            role=member.role if member else None,
            takes_newcomers=self.takes_newcomers,
        )

    def standing(self, proved: Identity) -> EmailStanding:
        """Return what the identity's email is worth to the organization."""
        if not proved.email:
            return EmailStanding.MISSING
        if email_domain(proved.email) not in self.domains:
            return EmailStanding.FOREIGN
        return EmailStanding.TRUSTED if proved.email_verified else EmailStanding.UNVERIFIED

    def trusts(self, proved: Identity) -> bool:
        return self.standing(proved) is EmailStanding.TRUSTED

    def takes(self, stranger: Identity) -> bool:
        """Return whether somebody whom the organization does not know would be let in if a seat was free."""
        return isinstance(decide(self.facts(stranger, Tie.NONE, None)), AdmitIfSeat)


@dataclass(frozen=True, slots=True)
class _Meant:
    """Members whom people that are not bound could be: by their address, and by the name that a client gave them."""

    by_email: dict[str, members.Candidate]
    by_subject: dict[str, members.Candidate]

    @property
    def everybody(self) -> list[Member]:
        return [one.member for one in (*self.by_email.values(), *self.by_subject.values())]


_NOBODY = _Meant({}, {})


def gather(tx: Connection, organization: str, identities: Sequence[Identity], *, now: datetime) -> list[Gathered]:
    """Return the facts about each identity, in the order given."""
    return look(tx, organization, identities, now=now).people


def look(
    tx: Connection,
    organization: str,
    identities: Sequence[Identity],
    *,
    now: datetime,
    addresses: Addresses = "of strangers",
) -> Look:
    """Return the facts about each identity and the organization's seats. `addresses` says whose are asked for when.

    Raises:
        NotFound: there is no such organization, or it has no seats.
    """
    who = {
        "organization": organization,
        "connections": list({proved.connection for proved in identities}),
        "subjects": list({proved.subject for proved in identities}),
    }
    asked = _LOOK.asking(tx, **who)
    by_email = _asking_by_email(tx, organization, identities) if addresses == "of all" else None
    rows = asked()
    if rows and rows[0].holds:
        rows = _LOOK_AT_HOLDS.rows(tx, **who, now=to_micros(now))
    if not rows or rows[0].purchased is None:
        raise NotFound("organization without seats")
    pool, house = ledger.pool_of(rows[0]), _house(rows, now=now)
    bound = {(row.via, row.via_subject): members.to_member(row) for row in rows if row.id is not None}
    strangers = [proved for proved in identities if (proved.connection, proved.subject) not in bound]
    meant = _NOBODY
    if strangers and not (addresses == "under the lock" and all(map(house.takes, strangers))):
        by_email = by_email or _asking_by_email(tx, organization, filter(house.trusts, strangers))
        meant = _meant(tx, organization, strangers, by_email(), provisioned=rows[0].provisioned)
    kept = {row.id for row in rows if row.kept}
    if pool.reserved and meant.everybody:
        kept |= ledger.kept(tx, [one.id for one in meant.everybody], now=now)
    people = []
    for proved in identities:
        tie, member = _tie(proved, house, bound, meant)
        is_kept = member is not None and member.id in kept
        people.append(Gathered(house.facts(proved, tie, member), member, is_kept, house.slug))
    return Look(people, pool)


def _asking_by_email(tx: Connection, organization: str, people: Iterable[Identity]) -> _ByEmail:
    emails = {one.email for one in people if one.email}
    return members.asking_by_email(tx, organization, emails) if emails else dict


def _meant(
    tx: Connection,
    organization: str,
    strangers: Collection[Identity],
    by_email: dict[str, members.Candidate],
    *,
    provisioned: bool,
) -> _Meant:
    if not provisioned:
        return _Meant(by_email, {})
    return _Meant(by_email, members.by_external_id(tx, organization, {one.subject for one in strangers}))


def _house(rows: Sequence[Any], *, now: datetime) -> _House:
    row = rows[0]
    return _House(
        enabled=bool(row.enabled),
        connections=frozenset([row.via for row in rows if row.via_enabled]),
        slug=row.slug,
        domains=frozenset((row.domains or "").split()),
        contract=_phase(_instant(row.admits_until_at), _instant(row.access_until_at), now=now),
        takes_newcomers=row.provisioning == "jit",
    )


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def _tie(
    proved: Identity,
    house: _House,
    bound: dict[tuple[str, str], Member],
    meant: _Meant,
) -> tuple[Tie, Member | None]:
    member = bound.get((proved.connection, proved.subject))
    if member is not None:
        # A key is bound inside one organization; one that was bound elsewhere must never open this one.
        return (Tie.BOUND, member) if member.organization == proved.organization else (Tie.TAKEN, None)
    candidate = None
    if proved.email and house.trusts(proved):
        candidate = meant.by_email.get(normal_email(proved.email))
    provisioned = meant.by_subject.get(proved.subject)
    if provisioned is not None and not provisioned.bound:
        if candidate is not None and candidate.member.id != provisioned.member.id:
            return Tie.TAKEN, None  # the subject means one member and the email another
        candidate = provisioned
    if candidate is None:
        return Tie.NONE, None
    if candidate.bound or candidate.bound_to not in ("", proved.connection):
        return Tie.TAKEN, None
    return Tie.AWAITED, candidate.member


def contract_phase(organization: Organization | None, *, now: datetime) -> ContractPhase:
    """Return where the organization's contract stands at this instant."""
    if organization is None:
        return ContractPhase.ENDED
    return _phase(organization.admits_until, organization.access_until, now=now)


def _phase(admits_until: datetime | None, access_until: datetime | None, *, now: datetime) -> ContractPhase:
    if access_until is not None and access_until <= now:
        return ContractPhase.ENDED
    if admits_until is not None and admits_until <= now:
        return ContractPhase.GRACE
    return ContractPhase.RUNNING


def _everything(*of_holds: Label[int] | Label[bool]) -> Prepared:
    """Return the statement of S1: one row for each known identity, or one alone; the seats stand in all of them.

    All of it is of one instant, be there holds or not: whoever came in by another tab between two statements would hold
    no seat in the first, and have none kept in the second.
    """
    house, via = organization.c, connection.c
    mine: BindParameter[str] = bindparam("organization")
    separator: Any = literal_column("' '")  # in the text: a statement of this kind takes no other constants
    domains = select(func.aggregate_strings(organization_domain.c.domain, separator))
    columns = (
        house.enabled,
        house.slug,
        house.admits_until_at,
        house.access_until_at,
        house.provisioning,
        domains.where(organization_domain.c.organization == mine).scalar_subquery().label("domains"),
        seat_pool.c.purchased,
        seat_pool.c.used,
        seat_pool.c.version,
        select(func.count()).where(hold.c.organization == mine).scalar_subquery().label("holds"),
        *of_holds,
        select(scim_user.c.member).where(scim_user.c.organization == mine).exists().label("provisioned"),
        via.id.label("via"),
        via.enabled.label("via_enabled"),
        identity.c.subject.label("via_subject"),
    )
    known = (identity.c.connection == via.id) & OneOf(identity.c.subject, "subjects")
    return Prepared(
        select(*columns)
        .add_columns(*members.COLUMNS)
        .join_from(organization, seat_pool, seat_pool.c.organization == house.id, isouter=True)
        .join(connection, (via.organization == house.id) & OneOf(via.id, "connections"), isouter=True)
        .join(identity, known, isouter=True)
        .join(member, member.c.id == identity.c.member, isouter=True)
        .where(house.id == mine)
    )


_NONE: Any = literal_column("0")
_LOOK = _everything(_NONE.label("reserved"), _NONE.label("lapsed"), _NONE.label("kept"))
# Seldom needed, and it would make every login look longer.
_LOOK_AT_HOLDS = _everything(
    *ledger.holds_of(bindparam("organization")),
    exists().where(hold.c.member == member.c.id, hold.c.until_at > bindparam("now")).label("kept"),
)
