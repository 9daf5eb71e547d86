"""How long the log is kept, and what leaves it before: whole sealed segments from its oldest end, and a person's data.

Neither breaks the chain. A segment that expired leaves its signed checkpoint with hash and roots; of an erased person
the commitments stay, which say nothing without the salts.
"""

import json
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, delete, func, select, update

from sso_gate.audit import chain, store
from sso_gate.audit.canonical import SALT_DIGITS
from sso_gate.audit.event import Action, Actor, Event
from sso_gate.audit.stored_exports import forget_exports
from sso_gate.clock import Clock, to_micros
from sso_gate.errors import InvalidInput
from sso_gate.identity import new_id, normal_email
from sso_gate.storage.runtime import Runtime
from sso_gate.storage.tables import audit_checkpoint, audit_event

SHORTEST_DAYS, LONGEST_DAYS = 30, 2555
ROWS_AT_ONCE = 5000
SEGMENTS_AT_ONCE = 1000
MEMBER = "mem_"


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


async def erase(runtime: Runtime, organization: str, person: str, *, by: Actor) -> int:
    """Delete a person's data, by email address or member id, from every event of the organization; return how many
    events held some.

    Names, subjects, addresses and user agents go from the events that the person caused, and the email address from
    those that tell of the person; of a member, every address that they ever came with. The record of it holds a keyed
    hash of what was asked for alone.
    """
    wanted, changed = normal_email(person), 0
    if "@" in wanted:
        emails = {wanted}
    elif wanted.startswith(MEMBER):
        changed, emails = await _erase_member(runtime, organization, wanted)
    else:
        raise InvalidInput("person", "an email address or a member's id is needed")
    for email in sorted(emails):
        each = partial(_erase_some, organization=organization, email=email)
        changed += sum([erased async for erased, _ in _batches(runtime, each)])
    changes = {"events": changed, "person": runtime.keyring.keyed_hash(f"{organization} {wanted}")}
    event = _event(runtime.clock, organization, Action.AUDIT_ERASE, by, changes)
    await runtime.database.write(partial(_close_erasing, event=event))
    return changed


def _close_erasing(tx: Connection, *, event: Event) -> None:
    forget_exports(tx, event.organization)
    store.record(tx, [event])


async def _erase_member(runtime: Runtime, organization: str, member: str) -> tuple[int, set[str]]:
    """Erase what a member did; return how many events that were, and the email addresses that stood in them."""
    changed, emails = 0, set[str]()
    async for erased, found in _batches(runtime, partial(_erase_done_by, organization=organization, member=member)):
        changed, emails = changed + erased, emails | found
    return changed, emails


async def _batches(
    runtime: Runtime, work: Callable[..., tuple[str, int, set[str]]]
) -> AsyncIterator[tuple[int, set[str]]]:
    """Run the work again and again, each time behind where it came to, until nothing is left."""
    after = ""
    while True:
        after, erased, emails = await runtime.database.write(partial(work, after=after))
        yield erased, emails
        if not after:
            return


def _erase_some(tx: Connection, *, organization: str, email: str, after: str) -> tuple[str, int, set[str]]:
    """Erase in the next rows; return the id to go on behind (empty: done) and how many rows were changed."""
    table = audit_event.c
    holds = func.lower(table.personal).like(_anywhere(email), escape="!") | (table.person == email)
    query = select(table.id, table.personal).where(table.organization == organization, table.id > after, holds)
    rows = tx.execute(query.order_by(table.id).limit(ROWS_AT_ONCE)).all()
    changed = 0
    for row in rows:
        kept = _without(json.loads(row.personal), email)
        if kept != row.personal:
            changed += _keep_only(tx, row.id, kept)
    return (rows[-1].id if len(rows) == ROWS_AT_ONCE else ""), changed, set()


def _erase_done_by(tx: Connection, *, organization: str, member: str, after: str) -> tuple[str, int, set[str]]:
    """The same for everything that a member did; the canonical text names them by their id."""
    table = audit_event.c
    theirs = table.body.like(_anywhere(f'"actor":{{"type":"user","id":"{member}",', quoted=True), escape="!")
    query = select(table.id, table.personal).where(table.organization == organization, table.id > after, theirs)
    rows = tx.execute(query.order_by(table.id).limit(ROWS_AT_ONCE)).all()
    names = (json.loads(row.personal).get("actor.name", "")[SALT_DIGITS:] for row in rows)
    emails = {normal_email(name) for name in names if "@" in name}
    changed = sum(_keep_only(tx, row.id, "{}") for row in rows if row.personal != "{}")
    return (rows[-1].id if len(rows) == ROWS_AT_ONCE else ""), changed, emails


def _anywhere(text: str, *, quoted: bool = False) -> str:
    """Return the pattern of a text in JSON, which writes other letters than ASCII as escapes."""
    words = text if quoted else json.dumps(text)[1:-1]
    return "%" + words.replace("!", "!!").replace("%", "!%").replace("_", "!_") + "%"


def _keep_only(tx: Connection, event: str, kept: str) -> int:
    left = {"personal": kept} | ({"person": "", "address": ""} if kept == "{}" else {})
    return tx.execute(update(audit_event).where(audit_event.c.id == event).values(left)).rowcount


def _without(personal: dict[str, str], email: str) -> str:
    if normal_email(personal.get("actor.name", "")[SALT_DIGITS:]) == email:
        return "{}"
    kept = {path: salted for path, salted in personal.items() if email not in normal_email(salted[SALT_DIGITS:])}
    return json.dumps(kept, ensure_ascii=True, separators=(",", ":"))


def _event(clock: Clock, organization: str, action: Action, by: Actor, changes: dict[str, Any]) -> Event:
    return Event(new_id("evt", clock), organization, clock.now(), action, by, changes=changes)
