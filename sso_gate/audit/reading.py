"""Reads the log for somebody: everything committed, in the order of positions, and on record that they read it."""

import json
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from sso_gate.audit import store
from sso_gate.audit.event import Action, Actor, Event, Via, repeatable_id
from sso_gate.audit.sealer import seal
from sso_gate.audit.store import AuditFilter, AuditPage, Denials, Summary
from sso_gate.storage.runtime import Runtime
from sso_gate.storage.tables import audit_event


async def read(
    runtime: Runtime,
    organization: str,
    wanted: AuditFilter,
    *,
    limit: int,
    by: Actor,
    via: Via | None = None,
) -> AuditPage:
    """Return a page of events. The log says once an hour that this person or program reads it, and from where."""
    await note_read(runtime, organization, by=by, via=via)
    await seal(runtime, wait=True)
    return await runtime.database.read(lambda tx: store.page(tx, organization, wanted, limit=limit))


@dataclass(frozen=True, slots=True)
class Found:
    """One event as its JSON line, with the ids of the same person's events before and after it (or empty)."""

    line: str
    earlier: str
    later: str


async def find(runtime: Runtime, organization: str, name: str, *, by: Actor) -> Found | None:
    """Return the event with this id, or the newest with this reference; None for neither. Reading is on record."""
    await note_read(runtime, organization, by=by)
    await seal(runtime, wait=True)
    return await runtime.database.read(partial(_find, organization=organization, name=name))


def _find(tx: Connection, *, organization: str, name: str) -> Found | None:
    line = store.find(tx, organization, name)
    if line is None:
        return None
    event = json.loads(line)
    person = event["actor"]["name"] if event["actor"]["type"] == "user" else ""
    earlier, later = store.beside(tx, organization, person, event["chain"]["pos"]) if person else ("", "")
    return Found(line, earlier, later)


async def summary(runtime: Runtime, organization: str, wanted: AuditFilter) -> Summary:
    """Return the numbers of what fits. The caller has read a page, which is on record."""
    return await runtime.database.read(lambda tx: store.summary(tx, organization, wanted))


async def denials(runtime: Runtime, organization: str, *, since: datetime, until: datetime) -> list[Denials]:
    """Return the denied logins of a span of time by day and reason. The caller has read a page, which is on record."""
    counted = partial(store.denials_by_day, organization=organization, since=since, until=until)
    return await runtime.database.read(counted)


async def note_read(runtime: Runtime, organization: str, *, by: Actor, via: Via | None = None) -> None:
    """Put on record that somebody reads the log, unless that was done in this hour already."""
    now = runtime.clock.now()
    hour = now.replace(minute=0, second=0, microsecond=0)
    event_id = repeatable_id(f"read|{organization}|{by.type}|{by.id}", hour)
    if not await runtime.database.read(partial(_is_noted, event_id=event_id)):
        event = Event(event_id, organization, now, Action.AUDIT_READ, by, via=via or Via())
        try:
            await runtime.database.write(lambda tx: store.record(tx, [event]))
        except IntegrityError:
            return  # another request of the same hour was quicker


def _is_noted(tx: Connection, *, event_id: str) -> bool:
    return tx.execute(select(audit_event.c.id).where(audit_event.c.id == event_id)).first() is not None
