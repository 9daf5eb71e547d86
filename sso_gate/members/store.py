"""Rows of members and of the identities that are bound to them. Seats are not changed here: see
`sso_gate.seats.ledger`.
"""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, bindparam, exists, select, update

from sso_gate.clock import from_micros, to_micros
from sso_gate.identity import Identity, normal_email
from sso_gate.members.member import Member, MemberState
from sso_gate.members.roles import OWNERS, Grant, Role
from sso_gate.storage.prepared import OneOf, Prepared, inserting
from sso_gate.storage.tables import identity, member, scim_user

MAX_PAGE = 200
_RANKS = {Role.USER: 0, Role.ADMIN: 1, Role.OWNER: 2, Role.PRIMARY_OWNER: 3}
_COLUMNS = member.c
# What `to_member` reads.
COLUMNS = (
    _COLUMNS.id,
    _COLUMNS.organization,
    _COLUMNS.email,
    _COLUMNS.name,
    _COLUMNS.listed_role,
    _COLUMNS.role,
    _COLUMNS.grants,
    _COLUMNS.state,
    _COLUMNS.generation,
    _COLUMNS.locale,
    _COLUMNS.last_login_at,
    _COLUMNS.group_role,
)
_BY_EMAIL = Prepared(
    select(
        *COLUMNS,
        _COLUMNS.email_key,
        _COLUMNS.bound_to,
        exists().where(identity.c.member == _COLUMNS.id).label("is_bound"),
    ).where(_COLUMNS.organization == bindparam("organization"), OneOf(_COLUMNS.email_key, "emails"))
)
_BY_EXTERNAL_ID = Prepared(
    select(
        *COLUMNS,
        scim_user.c.external_id,
        _COLUMNS.bound_to,
        exists().where(identity.c.member == _COLUMNS.id).label("is_bound"),
    )
    .join(scim_user, scim_user.c.member == _COLUMNS.id)
    .where(scim_user.c.organization == bindparam("organization"), OneOf(scim_user.c.external_id, "subjects"))
)
_ADD = inserting(member)
_BIND = inserting(identity)
_NOTE_LOGIN = Prepared(update(member).where(OneOf(_COLUMNS.id, "members")).values(last_login_at=bindparam("at")))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A member whom an email could mean: `bound` says whether an identity is theirs already."""

    member: Member
    bound: bool
    bound_to: str


@lru_cache(maxsize=64)
def _grants(text: str) -> frozenset[Grant]:
    return frozenset(Grant(word) for word in json.loads(text))


def to_member(row: Any) -> Member:
    """Return the value that a row of the member table holds."""
    return Member(
        id=row.id,
        organization=row.organization,
        email=row.email,
        name=row.name,
        listed_role=Role(row.listed_role),
        role=Role(row.role),
        grants=_grants(row.grants),
        state=MemberState(row.state),
        generation=row.generation,
        locale=row.locale,
        last_login=None if row.last_login_at is None else from_micros(row.last_login_at),
        group_role=Role(row.group_role),
    )


def by_email(tx: Connection, organization: str, emails: Collection[str]) -> dict[str, Candidate]:
    """Return the organization's members with these addresses, by normal form."""
    return asking_by_email(tx, organization, emails)()


def asking_by_email(tx: Connection, organization: str, emails: Collection[str]) -> Callable[[], dict[str, Candidate]]:
    """Ask who has these addresses, together with other questions (`Prepared.asking`), and return what tells."""
    keys = [normal_email(email) for email in emails]
    rows = _BY_EMAIL.asking(tx, organization=organization, emails=keys)
    return lambda: {row.email_key: Candidate(to_member(row), bool(row.is_bound), row.bound_to) for row in rows()}


def by_external_id(tx: Connection, organization: str, subjects: Collection[str]) -> dict[str, Candidate]:
    """Return the members whom a provisioning client names by these subjects, one for each, never an owner.

    Whoever may provision could otherwise say which identity an owner is.
    """
    found: dict[str, list[Candidate]] = {}
    for row in _BY_EXTERNAL_ID.rows(tx, organization=organization, subjects=list(subjects)):
        candidate = Candidate(to_member(row), bool(row.is_bound), row.bound_to)
        if candidate.member.role not in OWNERS:
            found.setdefault(row.external_id, []).append(candidate)
    return {subject: people[0] for subject, people in found.items() if len(people) == 1}


def get(tx: Connection, organization: str, member_id: str) -> Member | None:
    """Return the member with this id, or None when the organization has no such member."""
    query = select(member).where(_COLUMNS.organization == organization, _COLUMNS.id == member_id)
    row = tx.execute(query).one_or_none()
    return to_member(row) if row else None


def find(tx: Connection, organization: str, email: str) -> Member | None:
    """Return the member with this address, or None."""
    found = by_email(tx, organization, [email])
    return found[normal_email(email)].member if found else None


def page(tx: Connection, organization: str, *, after: str = "", limit: int = 50) -> list[Member]:
    """Return at most `limit` (1 to 200) members behind the address `after`, ordered by address."""
    query = select(member).where(_COLUMNS.organization == organization, _COLUMNS.email_key > normal_email(after))
    query = query.order_by(_COLUMNS.email_key).limit(max(1, min(limit, MAX_PAGE)))
    return [to_member(row) for row in tx.execute(query)]


def primary_owner(tx: Connection, organization: str) -> Member | None:
    """Return the organization's primary owner, or None before one was listed."""
    query = select(member).where(_COLUMNS.organization == organization, _COLUMNS.role == Role.PRIMARY_OWNER)
    row = tx.execute(query).one_or_none()
    return to_member(row) if row else None


def emails_in_state(tx: Connection, organization: str, state: MemberState) -> list[str]:
    """Return the addresses of the organization's members in this state, in order."""
    query = select(_COLUMNS.email).where(_COLUMNS.organization == organization, _COLUMNS.state == state)
    return list(tx.execute(query.order_by(_COLUMNS.email_key)).scalars())


def owners(tx: Connection, organization: str) -> list[Member]:
    """Return the organization's owners and its primary owner, those who were deactivated left out."""
    query = select(member).where(
        _COLUMNS.organization == organization, _COLUMNS.role.in_(OWNERS), _COLUMNS.state != MemberState.BLOCKED
    )
    return [to_member(row) for row in tx.execute(query.order_by(_COLUMNS.email_key))]


def add(tx: Connection, people: Sequence[Member], *, source: str, at: datetime, bound_to: str = "") -> None:
    """Insert members. One who holds a seat from now on is inserted by `sso_gate.seats.ledger` alone."""
    rows = [
        {
            "id": person.id,
            "organization": person.organization,
            "email": person.email,
            "email_key": normal_email(person.email),
            "name": person.name,
            "listed_role": person.listed_role,
            "role": person.role,
            "group_role": person.group_role,
            "grants": _grants_json(person.grants),
            "state": person.state,
            "generation": person.generation,
            "bound_to": bound_to,
            "locale": person.locale,
            "source": source,
            "created_at": to_micros(at),
            "seat_since_at": to_micros(at) if person.state is MemberState.HELD else None,
            "last_login_at": None if person.last_login is None else to_micros(person.last_login),
        }
        for person in people
    ]
    _ADD.run_many(tx, rows)


def bind(tx: Connection, ties: Sequence[tuple[str, Identity]], *, at: datetime) -> None:
    """Tie each identity to its member for ever. The primary key keeps it from being tied to anybody else."""
    rows = [
        {"connection": proved.connection, "subject": proved.subject, "member": member_id, "bound_at": to_micros(at)}
        for member_id, proved in ties
    ]
    _BIND.run_many(tx, rows)


def note_login(tx: Connection, members: Sequence[str], *, at: datetime) -> None:
    """Remember when these members last came in."""
    if members:
        _NOTE_LOGIN.later(tx, members=list(members), at=to_micros(at))


def set_role(tx: Connection, member_id: str, role: Role) -> None:
    """Set the role in force; the listed one stays."""
    tx.execute(update(member).where(_COLUMNS.id == member_id).values(role=role))


def appoint(tx: Connection, member_id: str, role: Role) -> None:
    """Set the role in force and the listed one: no group and no file gave it."""
    tx.execute(update(member).where(_COLUMNS.id == member_id).values(role=role, listed_role=role))


def set_state(tx: Connection, member_id: str, state: MemberState) -> None:
    """Set the state of a member who holds no seat and takes none: `released`, `waiting` or `blocked`."""
    without_seat = (_COLUMNS.id == member_id) & (_COLUMNS.state != MemberState.HELD)
    tx.execute(update(member).where(without_seat).values(state=state))


def relist(tx: Connection, member_id: str, *, name: str, role: Role, grants: frozenset[Grant], bound_to: str) -> None:
    """Write what the organization file says of a member who is there already."""
    values = {"name": name, "listed_role": role, "role": role, "grants": _grants_json(grants), "bound_to": bound_to}
    tx.execute(update(member).where(_COLUMNS.id == member_id).values(values))


def higher(first: Role, second: Role) -> Role:
    """Return the role that may do more."""
    return first if _RANKS[first] >= _RANKS[second] else second


@lru_cache(maxsize=64)
def _grants_json(grants: frozenset[Grant]) -> str:
    return json.dumps(sorted(grants))
