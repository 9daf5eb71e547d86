"""Gives committed events their positions: one sealer at a time in a database, at most a tenth of a second behind.

Writers of events wait for nobody. Whatever is committed and has no position yet gets the next ones in one transaction;
a sealer that dies leaves nothing half done, and the unique indexes refuse a position, or a predecessor, used twice.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, select, update

from sso_gate.audit import chain, store
from sso_gate.audit.chain import Chain
from sso_gate.audit.checkpoint import Checkpoint, Signer, signer
from sso_gate.audit.event import Action, Actor, Event
from sso_gate.clock import Clock, to_micros
from sso_gate.identity import new_id
from sso_gate.storage.prepared import Prepared, inserting
from sso_gate.storage.runtime import Runtime
from sso_gate.storage.tables import audit_checkpoint, audit_event

BATCH = 1000
SIGN_EACH = 1000
SIGN_EVERY = timedelta(hours=1)
# Logins wait for the one writer of SQLite, and every log is due at once an hour after a key was rolled over.
SIGNED_AT_ONCE = 100
# Gates whose clocks differ by less are not worth a warning.
CLOCK_TOLERANCE_SECONDS = 60
SYSTEM = Actor("system")
_KEEP = inserting(audit_checkpoint)
_UNSEALED = Prepared(select(audit_event.c.id).where(audit_event.c.position.is_(None)).limit(1))


async def seal(runtime: Runtime, *, wait: bool = False) -> int:
    """Seal what is committed; return how many events that was. Another sealer at work is left alone unless `wait`."""
    sealed = 0
    while await runtime.database.read(_any_unsealed):
        batch = await runtime.database.write(partial(_seal_batch, clock=runtime.clock, wait=wait))
        sealed += batch
        if batch < BATCH:
            break
    return sealed


async def sign_due(runtime: Runtime) -> int:
    """Sign a checkpoint for every organization with a thousand events, or an hour, without one; return how many."""
    due = await runtime.database.read(partial(_due, now=runtime.clock.now()))
    if not due:
        return 0
    keys, signed = await signer(runtime), 0
    for first in range(0, len(due), SIGNED_AT_ONCE):
        some = due[first : first + SIGNED_AT_ONCE]
        signed += await runtime.database.write(partial(_sign, some=some, keys=keys, clock=runtime.clock))
    return signed


def _due(tx: Connection, *, now: datetime, among: Sequence[str] | None = None) -> list[str]:
    return chain.unsigned(tx, at_least=SIGN_EACH, since=now - SIGN_EVERY, among=among)


def _any_unsealed(tx: Connection) -> bool:
    return bool(_UNSEALED.rows(tx))


def _seal_batch(tx: Connection, *, clock: Clock, wait: bool) -> int:
    if not chain.lock(tx, wait=wait):
        return 0
    table = audit_event.c
    columns = (table.id, table.organization, table.happened_at, table.body)
    query: Select[Any] = (
        select(*columns).where(table.position.is_(None)).order_by(table.happened_at, table.id).limit(BATCH)
    )
    rows = tx.execute(query).all()
    theirs = defaultdict[str, list[Row[Any]]](list)
    for row in rows:
        theirs[row.organization].append(row)
    chains = chain.load_many(tx, theirs)
    links = [_link(chains[row.organization], row) for row in rows]
    if links:
        placed = update(audit_event).where(table.id == bindparam("event"))
        tx.execute(
            placed.values(position=bindparam("at"), prev=bindparam("before"), hash=bindparam("own")),
            links,
        )
    warnings = [event for name, one in chains.items() for event in _watch_clock(one, theirs[name], clock)]
    store.record(tx, warnings)
    for one in chains.values():
        one.signed_at = one.signed_at or clock.now()  # the first hour begins with the first event
    chain.save_many(tx, chains.values())
    return len(rows)


def _link(end: Chain, row: Row[Any]) -> dict[str, object]:
    position, before, own = end.append(row.body)
    return {"event": row.id, "at": position, "before": before, "own": own}


def _watch_clock(end: Chain, ours: Sequence[Row[Any]], clock: Clock) -> list[Event]:
    """Note the latest time seen, and return a warning, once, when events fall far behind it: a clock was set back."""
    earliest = end.latest_at - CLOCK_TOLERANCE_SECONDS * 1_000_000
    late = [row for row in ours if row.happened_at < earliest and not _is_counted_flood(row)]
    latest = max((row.happened_at for row in ours), default=0)
    events = []
    if late and end.warned_at != end.latest_at:
        end.warned_at = end.latest_at
        behind = (end.latest_at - late[0].happened_at) // 1_000_000
        changes = {"event": late[0].id, "seconds_behind": behind}
        events = [_event(clock, end.organization, Action.AUDIT_CLOCK, changes)]
    end.latest_at = max(end.latest_at, latest)
    return events


def _is_counted_flood(row: Row[Any]) -> bool:
    """A flood is written after its minute is over, by whoever is there then."""
    return bool(json.loads(row.body)["repeat"]["count"] > 1)


def _sign(tx: Connection, *, some: Sequence[str], keys: Signer, clock: Clock) -> int:
    chain.lock(tx)
    now = clock.now()
    # Asked again under the lock: another process may have been quicker.
    due = chain.load_many(tx, _due(tx, now=now, among=some)).values()
    made = [
        keys.sign(organization=end.organization, size=end.size, head=end.head, root=end.tree.root(), at=now)
        for end in due
    ]
    _KEEP.run_many(tx, [_checkpoint(one, end, now) for one, end in zip(made, due, strict=True)])
    for end in due:
        end.signed_size, end.signed_at = end.size, now
    chain.save_many(tx, due)
    words = ((one.organization, {"checkpoint": one.to_json()}) for one in made)
    store.record(tx, [_event(clock, whose, Action.AUDIT_CHECKPOINT, changes) for whose, changes in words])
    return len(made)


def _checkpoint(made: Checkpoint, end: Chain, now: datetime) -> dict[str, Any]:
    row = {"organization": made.organization, "size": made.size, "head": made.head, "root": made.root}
    row |= {"roots": " ".join(root.hex() for root in end.tree.roots), "signed": json.dumps(made.to_json())}
    return {**row, "made_at": to_micros(now)}


def _event(clock: Clock, organization: str, action: Action, changes: dict[str, Any]) -> Event:
    return Event(new_id("evt", clock), organization, clock.now(), action, SYSTEM, changes=changes)
