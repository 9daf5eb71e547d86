"""Rows of the audit log: written in somebody's transaction, read page by page."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, insert, select

from sso_gate.audit.event import Event, event_json
from sso_gate.clock import to_micros
from sso_gate.storage.tables import audit_event

MAX_PAGE = 200
FILTERED = ("outcome", "reason", "action", "person", "connection", "address", "reference")


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which events to list; an empty text means any. `after` is the id of the last event already seen."""

    outcome: str = ""
    reason: str = ""
    action: str = ""
    person: str = ""
    connection: str = ""
    address: str = ""
    reference: str = ""
    after: str = ""
    newest_first: bool = False

    def narrowed(self, words: Mapping[str, str]) -> "AuditFilter":
        """Return this filter with the named columns set to these words."""
        return replace(self, **{name: words[name] for name in FILTERED if name in words})  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Events as their JSON lines; `next_after` continues the list, empty at its end."""

    events: tuple[str, ...]
    next_after: str


def record(tx: Connection, events: Sequence[Event]) -> None:
    """Write the events in this transaction: they are there if, and only if, what they tell of was done.

    Raises:
        sqlalchemy.exc.IntegrityError: a `login_id` was used before.
    """
    if events:
        tx.execute(insert(audit_event), [_row(event) for event in events])


def _row(event: Event) -> dict[str, object]:
    return {
        "id": event.id,
        "organization": event.organization,
        "happened_at": to_micros(event.at),
        "action": event.action,
        "outcome": event.outcome,
        "reason": event.reason or "",
        "reference": event.reference,
        "login_id": event.login_id,
        "attempt": event.attempt,
        "person": event.actor.name if event.actor.type == "user" else "",
        "connection": event.via.connection,
        "address": event.client.address,
        "body": event_json(event),
    }


def page(tx: Connection, organization: str, wanted: AuditFilter, *, limit: int = 50) -> AuditPage:
    """Return at most `limit` (1 to 200) events of the organization, oldest first unless the filter says otherwise."""
    table = audit_event.c
    limit = max(1, min(limit, MAX_PAGE))
    query = select(table.id, table.body).where(table.organization == organization)
    for column in FILTERED:
        value = getattr(wanted, column)
        if value:
            query = query.where(table[column] == value)
    if wanted.after:
        query = query.where(table.id < wanted.after if wanted.newest_first else table.id > wanted.after)
    order = table.id.desc() if wanted.newest_first else table.id
    rows = tx.execute(query.order_by(order).limit(limit + 1)).all()
    more = len(rows) > limit
    return AuditPage(tuple(row.body for row in rows[:limit]), rows[limit - 1].id if more else "")


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """The login that used a proof up: which try it was, and how it ended."""

    attempt: str
    reason: str
    reference: str
    changes: dict[str, Any]


def login_attempts(tx: Connection, login_ids: Collection[str]) -> dict[str, LoginAttempt]:
    """Return the logins that used up these proofs, by proof; a proof that nobody has used is left out."""
    table = audit_event.c
    query = select(table.login_id, table.attempt, table.reason, table.reference, table.body)
    rows = tx.execute(query.where(table.login_id.in_(list(login_ids))))
    return {
        row.login_id: LoginAttempt(row.attempt, row.reason, row.reference, json.loads(row.body)["changes"])
        for row in rows
    }
