"""Promises made in a transaction and kept after it: rows that any process takes up until they are done."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, select, update

from sso_gate.clock import Clock, to_micros
from sso_gate.identity import new_id
from sso_gate.storage.tables import outbox

FIRST_RETRY = timedelta(seconds=5)
LONGEST_RETRY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Promise:
    """One thing still to be done: `kind` says what, `subject` and `generation` for whom."""

    id: str
    organization: str
    kind: str
    subject: str
    generation: int
    payload: dict[str, Any]
    attempts: int


def add(
    tx: Connection,
    organization: str,
    kind: str,
    *,
    clock: Clock,
    subject: str = "",
    generation: int = 0,
    payload: dict[str, Any] | None = None,
) -> None:
    """Promise something in this transaction."""
    now = to_micros(clock.now())
    row = {"organization": organization, "kind": kind, "subject": subject, "generation": generation}
    times = {"created_at": now, "due_at": now, "attempts": 0}
    tx.execute(insert(outbox).values(id=new_id("out", clock), payload=json.dumps(payload or {}), **row, **times))


def due(tx: Connection, *, now: datetime, limit: int = 100) -> list[Promise]:
    """Return the oldest promises that are due."""
    table = outbox.c
    query = (
        select(outbox).where(table.done_at.is_(None), table.due_at <= to_micros(now)).order_by(table.id).limit(limit)
    )
    return [
        Promise(row.id, row.organization, row.kind, row.subject, row.generation, json.loads(row.payload), row.attempts)
        for row in tx.execute(query)
    ]


def done(tx: Connection, promise: Promise, *, now: datetime) -> None:
    """Note that the promise is kept."""
    tx.execute(update(outbox).where(outbox.c.id == promise.id).values(done_at=to_micros(now)))


def postpone(tx: Connection, promise: Promise, *, now: datetime) -> None:
    """Try again later: 5 seconds, doubled each time, an hour at most."""
    wait = min(FIRST_RETRY * 2**promise.attempts, LONGEST_RETRY)
    later = {"due_at": to_micros(now + wait), "attempts": promise.attempts + 1}
    tx.execute(update(outbox).where(outbox.c.id == promise.id).values(later))
