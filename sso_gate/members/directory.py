"""The list of an organization's members as people look through it: filtered, ordered, by pages or whole."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from io import StringIO
from typing import Any

from sqlalchemy import Connection, Select, func, select

from sso_gate.clock import iso, to_micros
from sso_gate.identity import normal_email
from sso_gate.members.member import Member, MemberState
from sso_gate.members.roles import Role
from sso_gate.members.store import to_member
from sso_gate.storage.tables import member

MAX_ROWS = 50_000
_COLUMNS = member.c
_ORDERS: dict[str, Any] = {
    "email": _COLUMNS.email_key,
    "role": _COLUMNS.role,
    "seat": _COLUMNS.state,
    "login": _COLUMNS.last_login_at,
}
ORDERS = tuple(order for name in _ORDERS for order in (name, f"-{name}"))
"""How a list may be ordered; a hyphen turns it round. Ties are in the order of the addresses."""
_CSV_HEADER = ("email", "name", "role", "seat", "last_login")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which members to list, and how: part of a name or address, a role, a state, one of `ORDERS`. Empty means all."""

    search: str = ""
    role: Role | None = None
    state: MemberState | None = None
    order: str = "email"


def listed(tx: Connection, organization: str, wanted: Wanted, *, skip: int = 0, limit: int = MAX_ROWS) -> list[Member]:
    """Return the members who are wanted, at most `limit` of them behind the first `skip`."""
    query = _filtered(select(member).where(_COLUMNS.organization == organization), wanted)
    column = _ORDERS[wanted.order.removeprefix("-")]
    ordered = column.desc().nulls_last() if wanted.order.startswith("-") else column.asc().nulls_first()
    return [to_member(row) for row in tx.execute(query.order_by(ordered, _COLUMNS.email_key).offset(skip).limit(limit))]


def idle(tx: Connection, organization: str, *, since: datetime) -> int:
    """Return how many members hold a seat since before that instant, and have not logged in after it."""
    held = (_COLUMNS.organization == organization) & (_COLUMNS.state == MemberState.HELD)
    unused = func.coalesce(_COLUMNS.last_login_at, _COLUMNS.seat_since_at) < to_micros(since)
    return tx.execute(select(func.count()).where(held, unused)).scalar_one()


def _filtered(query: Select[Any], wanted: Wanted) -> Select[Any]:
    if wanted.role:
        query = query.where(_COLUMNS.role == wanted.role)
    if wanted.state:
        query = query.where(_COLUMNS.state == wanted.state)
    if wanted.search:
        by_email = _COLUMNS.email_key.contains(normal_email(wanted.search), autoescape=True)
        query = query.where(by_email | _COLUMNS.name.icontains(wanted.search, autoescape=True))
    return query


def members_csv(people: Iterable[Member]) -> str:
    """Return RFC 4180 text with a header and one row a member; no text in it becomes a spreadsheet's formula."""
    out = StringIO()
    rows = csv.writer(out)
    rows.writerow(_CSV_HEADER)
    for one in people:
        last = iso(one.last_login) if one.last_login else ""
        rows.writerow((_harmless(one.email), _harmless(one.name), one.role, one.state, last))
    return out.getvalue()


def _harmless(text: str) -> str:
    """Lead by an apostrophe what a spreadsheet would run (OWASP, CSV Injection)."""
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) else text
