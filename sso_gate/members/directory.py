"""The list of an organization's members as people look through it: filtered, ordered, by pages or whole."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from io import StringIO
from typing import Any, Literal, get_args

from sqlalchemy import Connection, Select, func, select

from sso_gate.clock import from_micros, iso, to_micros
from sso_gate.identity import normal_email
from sso_gate.members.member import Member, MemberState
from sso_gate.members.roles import Role
from sso_gate.members.store import to_member
from sso_gate.storage.tables import member

MAX_ROWS = 50_000
UNUSED_FOR = timedelta(days=60)
Source = Literal["listed", "login", "invite", "scim"]
SOURCES: tuple[Source, ...] = get_args(Source)
_COLUMNS = member.c
_ORDERS: dict[str, Any] = {
    "email": _COLUMNS.email_key,
    "role": _COLUMNS.role,
    "seat": _COLUMNS.state,
    "source": _COLUMNS.source,
    "login": _COLUMNS.last_login_at,
}
ORDERS = tuple(order for name in _ORDERS for order in (name, f"-{name}"))
"""How a list may be ordered; a hyphen turns it round. Ties are in the order of the addresses."""
_CSV_HEADER = ("email", "name", "role", "seat", "source", "seat_since", "last_login")
_USED = func.coalesce(_COLUMNS.last_login_at, _COLUMNS.seat_since_at, _COLUMNS.created_at)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which members to list, and how: part of a name or address, a role, a state, where they came from, whether they
    have not logged in since an instant, one of `ORDERS`. Empty means all.
    """

    search: str = ""
    role: Role | None = None
    state: MemberState | None = None
    source: Source | None = None
    unused_since: datetime | None = None
    order: str = "email"


@dataclass(frozen=True, slots=True)
class ListedMember(Member):
    """A member with where they came from, and since when they hold the seat that they hold."""

    source: str = ""
    seat_since: datetime | None = None


def listed(
    tx: Connection, organization: str, wanted: Wanted, *, skip: int = 0, limit: int = MAX_ROWS
) -> list[ListedMember]:
    """Return the members who are wanted, at most `limit` of them behind the first `skip`."""
    query = _filtered(select(member).where(_COLUMNS.organization == organization), wanted)
    column = _ORDERS[wanted.order.removeprefix("-")]
    ordered = column.desc().nulls_last() if wanted.order.startswith("-") else column.asc().nulls_first()
    rows = tx.execute(query.order_by(ordered, _COLUMNS.email_key).offset(skip).limit(limit))
    return [_with_source(row) for row in rows]


def idle(tx: Connection, organization: str, *, since: datetime) -> int:
    """Return how many members hold a seat since before that instant, and have not logged in after it."""
    held = (_COLUMNS.organization == organization) & (_COLUMNS.state == MemberState.HELD)
    return tx.execute(select(func.count()).where(held, to_micros(since) > _USED)).scalar_one()


def not_deactivated(tx: Connection, organization: str) -> int:
    """Return how many members there are whom a login could let in."""
    open_to = (_COLUMNS.organization == organization) & (_COLUMNS.state != MemberState.BLOCKED)
    return tx.execute(select(func.count()).where(open_to)).scalar_one()


def _with_source(row: Any) -> ListedMember:
    one = to_member(row)
    held = one.state is MemberState.HELD and row.seat_since_at is not None
    since = from_micros(row.seat_since_at) if held else None
    return ListedMember(**{f.name: getattr(one, f.name) for f in fields(one)}, source=row.source, seat_since=since)


def _filtered(query: Select[Any], wanted: Wanted) -> Select[Any]:
    if wanted.role:
        query = query.where(_COLUMNS.role == wanted.role)
    if wanted.state:
        query = query.where(_COLUMNS.state == wanted.state)
    if wanted.source:
        query = query.where(_COLUMNS.source == wanted.source)
    if wanted.unused_since:
        query = query.where(to_micros(wanted.unused_since) > _USED)
    if wanted.search:
        by_email = _COLUMNS.email_key.contains(normal_email(wanted.search), autoescape=True)
        query = query.where(by_email | _COLUMNS.name.icontains(wanted.search, autoescape=True))
    return query


def members_csv(people: Iterable[ListedMember]) -> str:
    """Return RFC 4180 text with a header and one row a member; no text in it becomes a spreadsheet's formula."""
    out = StringIO()
    rows = csv.writer(out)
    rows.writerow(_CSV_HEADER)
    for one in people:
        since, last = (iso(instant) if instant else "" for instant in (one.seat_since, one.last_login))
        rows.writerow((_harmless(one.email), _harmless(one.name), one.role, one.state, one.source, since, last))
    return out.getvalue()


def _harmless(text: str) -> str:
    """Lead by an apostrophe what a spreadsheet would run (OWASP, CSV Injection)."""
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) else text
