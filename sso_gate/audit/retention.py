"""How long the log is kept, and what leaves it before: whole sealed segments from its oldest end, and a person's data.

Neither breaks the chain. A segment that expired leaves its signed checkpoint with hash and roots; of an erased person
the commitments stay, which say nothing without the salts.
"""

import json
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, delete, func, select, update

from sso_gate.audit import chain, store
from sso_gate.audit.canonical import SALT_DIGITS
from sso_gate.audit.event import Action, Actor, Event
from sso_gate.clock import Clock, to_micros
from sso_gate.errors import InvalidInput
from sso_gate.identity import new_id, normal_email
from sso_gate.storage.runtime import Runtime
from sso_gate.storage.tables import audit_checkpoint, audit_event

SHORTEST_DAYS, LONGEST_DAYS = 30, 2555
ROWS_AT_ONCE = 5000
SEGMENTS_AT_ONCE = 1000


async def retention_days(runtime: Runtime, organization: str) -> int:
    """Return for how many days the organization's events are kept."""
    return (await runtime.database.read(lambda tx: chain.load(tx, organization))).retention_days


async def keep_for(runtime: Runtime, organization: str, days: int, *, by: Actor) -> None:
    """Set for how many days (30 to 2,555) events are kept; that is on record.

    Raises:
        InvalidInput: a number outside of these.
    """
    if not SHORTEST_DAYS <= days <= LONGEST_DAYS:
        raise InvalidInput("days", f"from {SHORTEST_DAYS} to {LONGEST_DAYS}")

    def work(tx: Connection) -> None:
        chain.lock(tx)
        end = chain.load(tx, organization)
        changes = {"days": [end.retention_days, days]}
        end.retention_days = days
        chain.save(tx, end)
        store.record(tx, [_event(runtime.clock, organization, Action.AUDIT_RETENTION, by, changes)])

    await runtime.database.write(work)


async def expire(runtime: Runtime) -> int:
    """Remove every whole segment that no organization's retention covers any more; return how many events went."""
    gone = 0
    for organization, days in await runtime.database.read(chain.retained):
        before = runtime.clock.now() - timedelta(days=days)
        await runtime.database.write(partial(_give_up, organization=organization, before=before, clock=runtime.clock))
        while removed := await runtime.database.write(partial(_remove, organization=organization)):
            gone += removed
    return gone


def _give_up(tx: Connection, *, organization: str, before: datetime, clock: Clock) -> None:
    """Move the beginning of the log behind the last segment in which every event is older than `before`."""
    chain.lock(tx)
    end = chain.load(tx, organization)
    table, upto, root = audit_checkpoint.c, end.expired, ""
    query = select(table.size, table.root).where(table.organization == organization, table.size > end.expired)
    for segment in tx.execute(query.order_by(table.size).limit(SEGMENTS_AT_ONCE)).all():
        if _holds_newer(tx, organization, after=upto, upto=segment.size, than=before):
            break
        upto, root = segment.size, segment.root
    if upto > end.expired:
        changes = {"first": end.expired + 1, "last": upto, "root": root}
        end.expired = upto
        chain.save(tx, end)
        store.record(tx, [_event(clock, organization, Action.AUDIT_EXPIRE, Actor("system"), changes)])


def _holds_newer(tx: Connection, organization: str, *, after: int, upto: int, than: datetime) -> bool:
    table = audit_event.c
    segment = (table.organization == organization) & (table.position > after) & (table.position <= upto)
    newer = select(table.id).where(segment, table.happened_at >= to_micros(than)).limit(1)
    return tx.execute(newer).first() is not None


def _remove(tx: Connection, *, organization: str) -> int:
    table = audit_event.c
    expired = chain.load(tx, organization).expired
    old = select(table.id).where(table.organization == organization, table.position <= expired).limit(ROWS_AT_ONCE)
    return tx.execute(delete(audit_event).where(table.id.in_(old.scalar_subquery()))).rowcount


async def erase(runtime: Runtime, organization: str, email: str, *, by: Actor) -> int:
    """Delete a person's data from every event of the organization; return how many events held some.

    Names, subjects, addresses and user agents go from the events that the person caused, and the email address from
    those that tell of the person. The record of it holds a keyed hash of the address alone.
    """
    wanted, after, changed = normal_email(email), "", 0
    if "@" not in wanted:
        raise InvalidInput("email", "an email address is needed")
    while True:
        after, erased = await runtime.database.write(
            partial(_erase_some, organization=organization, email=wanted, after=after)
        )
        changed += erased
        if not after:
            break
    changes = {"events": changed, "person": runtime.keyring.keyed_hash(f"{organization} {wanted}")}
    event = _event(runtime.clock, organization, Action.AUDIT_ERASE, by, changes)
    await runtime.database.write(lambda tx: store.record(tx, [event]))
    return changed


def _erase_some(tx: Connection, *, organization: str, email: str, after: str) -> tuple[str, int]:
    """Erase in the next rows; return the id to go on behind (empty: done) and how many rows were changed."""
    table = audit_event.c
    # JSON writes other letters than ASCII as escapes; the pattern has to say it in the same way.
    quoted = json.dumps(email)[1:-1].replace("!", "!!").replace("%", "!%").replace("_", "!_")
    holds = func.lower(table.personal).like(f"%{quoted}%", escape="!") | (table.person == email)
    query = select(table.id, table.personal).where(table.organization == organization, table.id > after, holds)
    rows = tx.execute(query.order_by(table.id).limit(ROWS_AT_ONCE)).all()
    changed = 0
    for row in rows:
        kept = _without(json.loads(row.personal), email)
        if kept != row.personal:
            left = {"personal": kept} | ({"person": "", "address": ""} if kept == "{}" else {})
            changed += tx.execute(update(audit_event).where(table.id == row.id).values(left)).rowcount
    return (rows[-1].id if len(rows) == ROWS_AT_ONCE else ""), changed


def _without(personal: dict[str, str], email: str) -> str:
    if normal_email(personal.get("actor.name", "")[SALT_DIGITS:]) == email:
        return "{}"
    kept = {path: salted for path, salted in personal.items() if email not in normal_email(salted[SALT_DIGITS:])}
    return json.dumps(kept, ensure_ascii=True, separators=(",", ":"))


def _event(clock: Clock, organization: str, action: Action, by: Actor, changes: dict[str, Any]) -> Event:
    return Event(new_id("evt", clock), organization, clock.now(), action, by, changes=changes)
