"""Gives committed events their positions: one sealer at a time in a database, at most a tenth of a second behind.

Writers of events wait for nobody. Whatever is committed and has no position yet gets the next ones in one transaction;
a sealer that dies leaves nothing half done, and the unique indexes refuse a position, or a predecessor, used twice.
"""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, insert, select, update

from sso_gate.audit import chain, store
from sso_gate.audit.chain import Chain
from sso_gate.audit.checkpoint import Checkpoint, Signer, signer
from sso_gate.audit.event import Action, Actor, Event
from sso_gate.clock import Clock, to_micros
from sso_gate.identity import new_id
from sso_gate.storage.prepared import Prepared
from sso_gate.storage.runtime import Runtime
from sso_gate.storage.tables import audit_checkpoint, audit_event

BATCH = 1000
SIGN_EACH = 1000
SIGN_EVERY = timedelta(hours=1)
# Gates whose clocks differ by less are not worth a warning.
CLOCK_TOLERANCE_SECONDS = 60
SYSTEM = Actor("system")
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
    keys = await signer(runtime)
    return await runtime.database.write(partial(_sign, keys=keys, clock=runtime.clock))


def _due(tx: Connection, *, now: datetime) -> list[str]:
    return chain.unsigned(tx, at_least=SIGN_EACH, since=now - SIGN_EVERY)


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
    chains = {name: chain.load(tx, name) for name in sorted({row.organization for row in rows})}
    links = [_link(chains[row.organization], row) for row in rows]
    if links:
        placed = update(audit_event).where(table.id == bindparam("event"))
        tx.execute(
            placed.values(position=bindparam("at"), prev=bindparam("before"), hash=bindparam("own")),
            links,
        )
    warnings = [event for one in chains.values() for event in _watch_clock(one, rows, clock)]
    store.record(tx, warnings)
    for one in chains.values():
        one.signed_at = one.signed_at or clock.now()  # the first hour begins with the first event
        chain.save(tx, one)
    return len(rows)


def _link(end: Chain, row: Row[Any]) -> dict[str, object]:
    position, before, own = end.append(row.body)
    return {"event": row.id, "at": position, "before": before, "own": own}


def _watch_clock(end: Chain, rows: Sequence[Row[Any]], clock: Clock) -> list[Event]:
    """Note the latest time seen, and return a warning, once, when events fall far behind it: a clock was set back."""
    ours = [row for row in rows if row.organization == end.organization]
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


def _sign(tx: Connection, *, keys: Signer, clock: Clock) -> int:
    chain.lock(tx)
    now = clock.now()
    due = _due(tx, now=now)  # asked again under the lock: another process may have been quicker
    for organization in due:
        end = chain.load(tx, organization)
        made = keys.sign(organization=organization, size=end.size, head=end.head, root=end.tree.root(), at=now)
        _keep(tx, made, end, now)
        end.signed_size, end.signed_at = end.size, now
        chain.save(tx, end)
        store.record(tx, [_event(clock, organization, Action.AUDIT_CHECKPOINT, {"checkpoint": made.to_json()})])
    return len(due)


def _keep(tx: Connection, made: Checkpoint, end: Chain, now: datetime) -> None:
    row = {"organization": made.organization, "size": made.size, "head": made.head, "root": made.root}
    row |= {"roots": " ".join(root.hex() for root in end.tree.roots), "signed": json.dumps(made.to_json())}
    tx.execute(insert(audit_checkpoint).values(**row, made_at=to_micros(now)))


def _event(clock: Clock, organization: str, action: Action, changes: dict[str, Any]) -> Event:
    return Event(new_id("evt", clock), organization, clock.now(), action, SYSTEM, changes=changes)
