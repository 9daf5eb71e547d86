"""Promises made in a transaction and kept after it: rows that any process takes up until they are done."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from sso_gate.clock import Clock, to_micros
from sso_gate.identity import new_id
from sso_gate.storage.tables import outbox

FIRST_RETRY = timedelta(seconds=5)
LONGEST_RETRY = timedelta(hours=1)
LATE_AFTER = timedelta(minutes=15)  # a promise is tried again after 5 seconds, then after twice as long each time


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


def claim(tx: Connection, *, now: datetime, limit: int = 100) -> list[Promise]:
    """Return the oldest promises that are due, put off already: whoever claims one and dies leaves it to the next try.

    Tried after 5 seconds, doubled each time, an hour at most, until `done`. No two processes claim one together.
    """
    table = outbox.c
    query = (
        select(outbox).where(table.done_at.is_(None), table.due_at <= to_micros(now)).order_by(table.id).limit(limit)
    )
    promises = [_promise(row) for row in tx.execute(query.with_for_update(skip_locked=True))]
    if promises:
        later = update(outbox).where(table.id == bindparam("promise")).values(attempts=table.attempts + 1)
        tx.execute(
            later.values(due_at=bindparam("due")),
            [{"promise": one.id, "due": to_micros(now + _patience(one.attempts))} for one in promises],
        )
    return promises


def _patience(attempts: int) -> timedelta:
    doubled: int = 2 ** min(attempts, 16)
    return min(FIRST_RETRY * doubled, LONGEST_RETRY)


def _promise(row: Row[Any]) -> Promise:
    payload = json.loads(row.payload)
    return Promise(row.id, row.organization, row.kind, row.subject, row.generation, payload, row.attempts)


def done(tx: Connection, promise: Promise, *, now: datetime) -> None:
    """Note that the promise is kept."""
    tx.execute(update(outbox).where(outbox.c.id == promise.id).values(done_at=to_micros(now)))


def overdue(tx: Connection, *, now: datetime) -> int:
    """Return how many promises that were made fifteen minutes ago are not kept yet."""
    late = outbox.c.done_at.is_(None) & (outbox.c.created_at < to_micros(now - LATE_AFTER))
    return tx.execute(select(func.count()).select_from(outbox).where(late)).scalar_one()


def forget_done(tx: Connection, *, before: datetime, limit: int = 10_000) -> int:
    """Delete promises that were kept before an instant; return how many. They are on the audit record anyway."""
    old = select(outbox.c.id).where(outbox.c.done_at < to_micros(before)).limit(limit)
    return tx.execute(delete(outbox).where(outbox.c.id.in_(old.scalar_subquery()))).rowcount
