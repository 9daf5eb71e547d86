"""Rows of emergency codes."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from sso_gate.breakglass.code import IssuedCode, code_hash
from sso_gate.clock import Clock, from_micros, to_micros
from sso_gate.identity import new_id
from sso_gate.storage.tables import breakglass_code, member

_COLUMNS = breakglass_code.c
_UNUSED = _COLUMNS.used_at.is_(None) & _COLUMNS.revoked_at.is_(None)
_ISSUED = select(breakglass_code, member.c.email).join(member, member.c.id == _COLUMNS.member)


def add(tx: Connection, organization: str, member_id: str, code: str, *, expires: datetime, clock: Clock) -> str:
    """Insert a code for a member and return its id."""
    code_id = new_id("brk", clock)
    row = {"id": code_id, "organization": organization, "member": member_id, "code_hash": code_hash(code)}
    times = {"created_at": to_micros(clock.now()), "expires_at": to_micros(expires)}
    tx.execute(insert(breakglass_code).values(**row, **times))
    return code_id


def living(tx: Connection, typed: str, *, now: datetime) -> IssuedCode | None:
    """Return the code that was typed, or None for a wrong, used, revoked or expired one."""
    right = (_COLUMNS.code_hash == code_hash(typed)) & (_COLUMNS.expires_at > to_micros(now))
    row = tx.execute(_ISSUED.where(right & _UNUSED)).one_or_none()
    return _issued(row) if row else None


def use(tx: Connection, code: IssuedCode, *, now: datetime) -> bool:
    """Use a living code up. Of two who try at once one wins; False for the other."""
    unused = (_COLUMNS.id == code.id) & _UNUSED
    return tx.execute(update(breakglass_code).where(unused).values(used_at=to_micros(now))).rowcount == 1


def revoke(tx: Connection, organization: str, code_id: str, *, now: datetime) -> bool:
    """End a code; False when the organization has no such living code."""
    unused = (_COLUMNS.id == code_id) & (_COLUMNS.organization == organization) & _UNUSED
    return tx.execute(update(breakglass_code).where(unused).values(revoked_at=to_micros(now))).rowcount == 1


def of_organization(tx: Connection, organization: str) -> list[IssuedCode]:
    """Return the organization's codes, oldest first."""
    rows = tx.execute(_ISSUED.where(_COLUMNS.organization == organization).order_by(_COLUMNS.id))
    return [_issued(row) for row in rows]


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
