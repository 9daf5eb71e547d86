"""Rows of emergency codes."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from sso_gate.breakglass.code import IssuedCode, code_hash
from sso_gate.clock import Clock, from_micros, to_micros
from sso_gate.identity import new_id
from sso_gate.storage.tables import breakglass_code, member

_COLUMNS = breakglass_code.c


def add(tx: Connection, organization: str, member_id: str, code: str, *, expires: datetime, clock: Clock) -> str:
    """Insert a code for a member and return its id."""
    code_id = new_id("brk", clock)
    row = {"id": code_id, "organization": organization, "member": member_id, "code_hash": code_hash(code)}
    times = {"created_at": to_micros(clock.now()), "expires_at": to_micros(expires)}
    tx.execute(insert(breakglass_code).values(**row, **times))
    return code_id


def use(tx: Connection, organization: str, member_id: str, typed: str, *, now: datetime) -> bool:
    """Use the member's code up; False for a wrong, used, revoked or expired one. Of two who try at once one wins."""
    living = (
        (_COLUMNS.organization == organization)
        & (_COLUMNS.member == member_id)
        & (_COLUMNS.code_hash == code_hash(typed))
        & _COLUMNS.used_at.is_(None)
        & _COLUMNS.revoked_at.is_(None)
        & (_COLUMNS.expires_at > to_micros(now))
    )
    return tx.execute(update(breakglass_code).where(living).values(used_at=to_micros(now))).rowcount == 1


def revoke(tx: Connection, organization: str, code_id: str, *, now: datetime) -> bool:
    """End a code; False when the organization has no such living code."""
    living = (_COLUMNS.id == code_id) & (_COLUMNS.organization == organization) & _COLUMNS.revoked_at.is_(None)
    unused = living & _COLUMNS.used_at.is_(None)
    return tx.execute(update(breakglass_code).where(unused).values(revoked_at=to_micros(now))).rowcount == 1


def of_organization(tx: Connection, organization: str) -> list[IssuedCode]:
    """Return the organization's codes, oldest first."""
    query = select(breakglass_code, member.c.email).join(member, member.c.id == _COLUMNS.member)
    return [
        _issued(row) for row in tx.execute(query.where(_COLUMNS.organization == organization).order_by(_COLUMNS.id))
    ]


def _issued(row: Row[Any]) -> IssuedCode:
    return IssuedCode(
        id=row.id,
        organization=row.organization,
        member=row.member,
        email=row.email,
        created=from_micros(row.created_at),
        expires=from_micros(row.expires_at),
        used=_instant(row.used_at),
        revoked=_instant(row.revoked_at),
    )


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
