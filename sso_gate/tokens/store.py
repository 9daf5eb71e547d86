"""Rows of API and SCIM tokens."""

import json
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from sso_gate.clock import Clock, from_micros, to_micros
from sso_gate.identity import new_id
from sso_gate.storage.prepared import Prepared
from sso_gate.storage.tables import api_token
from sso_gate.tokens.token import Scope, Token, secret_hash

_COLUMNS = api_token.c
_USE_NOTED_EVERY = timedelta(minutes=5)
_BY_SECRET = Prepared(select(api_token).where(_COLUMNS.secret_hash == bindparam("secret")))  # read at every request


def add(
    tx: Connection,
    organization: str,
    *,
    name: str,
    scopes: frozenset[Scope],
    secret: str,
    expires: datetime | None,
    clock: Clock,
    made_by: str = "",
) -> Token:
    """Insert a token and return it."""
    token_id, now = new_id("tok", clock), clock.now()
    tx.execute(
        insert(api_token).values(
            id=token_id,
            organization=organization,
            name=name,
            scopes=json.dumps(sorted(scopes)),
            secret_hash=secret_hash(secret),
            made_by=made_by,
            created_at=to_micros(now),
            expires_at=to_micros(expires) if expires else None,
        )
    )
    return Token(token_id, organization, name, scopes, now, expires, None, None, made_by)


def known_by_secret(tx: Connection, secret: str) -> Token | None:
    """Return the token that has, or once had, this secret: whose use is to be recorded although it opens nothing."""
    rows = _BY_SECRET.rows(tx, secret=secret_hash(secret))
    return _token(rows[0]) if rows else None


def ended(token: Token, *, now: datetime) -> str:
    """Return `revoked` or `expired` for a token that opens nothing any more, and an empty text for a living one."""
    if token.revoked is not None:
        return "revoked"
    return "expired" if token.expires is not None and now >= token.expires else ""


def is_use_worth_noting(token: Token, *, now: datetime) -> bool:
    """Return whether the last use that was noted is long ago."""
    return token.last_used is None or now - token.last_used > _USE_NOTED_EVERY


def note_use(tx: Connection, token: Token, *, now: datetime) -> None:
    """Remember roughly when the token was last used."""
    if is_use_worth_noting(token, now=now):
        tx.execute(update(api_token).where(_COLUMNS.id == token.id).values(last_used_at=to_micros(now)))


def of_organization(tx: Connection, organization: str) -> list[Token]:
    """Return the organization's tokens, oldest first."""
    rows = tx.execute(select(api_token).where(_COLUMNS.organization == organization).order_by(_COLUMNS.id))
    return [_token(row) for row in rows]


def revoke(tx: Connection, organization: str, token_id: str, *, now: datetime) -> bool:
    """End the token; False when the organization has no such living token."""
    living = (_COLUMNS.id == token_id) & (_COLUMNS.organization == organization) & _COLUMNS.revoked_at.is_(None)
    return tx.execute(update(api_token).where(living).values(revoked_at=to_micros(now))).rowcount == 1


@lru_cache(maxsize=1024)  # read from the database each time, made anew where its row has changed
def _token(row: Any) -> Token:
    return Token(
        id=row.id,
        organization=row.organization,
        name=row.name,
        scopes=frozenset(Scope(word) for word in json.loads(row.scopes)),
        created=from_micros(row.created_at),
        expires=_instant(row.expires_at),
        revoked=_instant(row.revoked_at),
        last_used=_instant(row.last_used_at),
        made_by=row.made_by,
    )


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
