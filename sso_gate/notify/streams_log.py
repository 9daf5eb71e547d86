"""The last attempts to deliver to each destination: what went out, how long it took, and what was wrong."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from sso_gate.clock import from_micros, to_micros
from sso_gate.storage.tables import audit_delivery, audit_stream

KEPT = 50
_TABLE = audit_delivery.c


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt: the events of the chain from `first` to `last` that the destination wants, `events` in number;
    `first` is 0 for a sample. `problem` is empty when it was delivered.
    """

    at: datetime
    first: int
    last: int
    events: int
    milliseconds: int
    problem: str


def note(tx: Connection, stream: str, attempt: Attempt) -> None:
    """Keep the attempt, and of the older ones the last; a destination that was removed meanwhile keeps none."""
    if tx.execute(select(audit_stream.c.id).where(audit_stream.c.id == stream)).first() is None:
        return
    values = {"first": attempt.first, "last": attempt.last, "events": attempt.events, "at": to_micros(attempt.at)}
    row = {"stream": stream, "milliseconds": attempt.milliseconds, "problem": attempt.problem[:500], **values}
    tx.execute(insert(audit_delivery).values(row))
    newest_first = select(_TABLE.id).where(_TABLE.stream == stream).order_by(_TABLE.id.desc())
    too_old = tx.execute(newest_first.offset(KEPT).limit(1)).scalar_one_or_none()
    if too_old is not None:
        tx.execute(delete(audit_delivery).where(_TABLE.stream == stream, _TABLE.id <= too_old))


def latest(tx: Connection, stream: str, *, limit: int = 20) -> list[Attempt]:
    """Return the last attempts, newest first."""
    query = select(audit_delivery).where(_TABLE.stream == stream).order_by(_TABLE.id.desc()).limit(limit)
    return [
        Attempt(from_micros(row.at), row.first, row.last, row.events, row.milliseconds, row.problem)
        for row in tx.execute(query)
    ]
