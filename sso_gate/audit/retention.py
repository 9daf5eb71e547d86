"""How long the log is kept, and what leaves it before: whole sealed segments from its oldest end, and a person's data.

Neither breaks the chain. A segment that expired leaves its signed checkpoint with hash and roots; of an erased person
the commitments stay, which say nothing without the salts.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import BigInteger, Connection, cast, delete, func, or_, select, update

from sso_gate.audit import chain, store
from sso_gate.audit.canonical import SALT_DIGITS
from sso_gate.audit.event import Action, Actor, Event, new_event
from sso_gate.audit.stored_exports import forget_exports
from sso_gate.clock import Clock, to_micros
from sso_gate.errors import InvalidInput
from sso_gate.identity import normal_email
from sso_gate.storage.runtime import Runtime
from sso_gate.storage.tables import audit_chain, audit_checkpoint, audit_event

SHORTEST_DAYS, LONGEST_DAYS = 30, 2555
ROWS_AT_ONCE = 5000
SEGMENTS_AT_ONCE = 1000
MEMBER = "mem_"
_DAY_MICROS = 24 * 3600 * 1_000_000
# Where the canonical form keeps names, and the columns in which what it keeps can be searched.
ACTOR_NAME, TARGET_NAME = "actor.name", "target.name"
_SEARCHED = {"person": ACTOR_NAME, "about": TARGET_NAME, "address": "client.ip"}


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
        store.record(tx, [new_event(runtime.clock, organization, Action.AUDIT_RETENTION, by, changes=changes)])

    await runtime.database.write(work)


async def expire(runtime: Runtime) -> int:
    """Remove every whole segment that no organization's retention covers any more; return how many events went."""
    gone = 0
    for organization, days in await runtime.database.read(partial(_expiring, now=runtime.clock.now())):
        before = runtime.clock.now() - timedelta(days=days)
        await runtime.database.write(partial(_give_up, organization=organization, before=before, clock=runtime.clock))
        while removed := await runtime.database.write(partial(_remove, organization=organization)):
            gone += removed
    return gone


def _expiring(tx: Connection, *, now: datetime) -> list[tuple[str, int]]:
    """Return the organizations of whose log something goes now, and for how many days they keep events: every event
    of the first segment is older, or one that was given up is still there.
    """
    end, event, segment = audit_chain.c, audit_event.c, audit_checkpoint.c
    first = select(func.min(segment.size)).where(segment.organization == end.organization, segment.size > end.expired)
    ours = select(event.id).where(event.organization == end.organization).correlate(audit_chain)
    last = first.correlate(audit_chain).scalar_subquery()
    newer = ours.where(
        event.position > end.expired,
        event.position <= last,
        event.happened_at >= to_micros(now) - cast(end.retention_days, BigInteger) * _DAY_MICROS,
    )
    left = ours.where(event.position <= end.expired)
    query = select(end.organization, end.retention_days).where(or_(left.exists(), last.is_not(None) & ~newer.exists()))
    return [(row.organization, row.retention_days) for row in tx.execute(query.order_by(end.organization))]


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
        end.expired, end.expired_before = upto, before
        chain.save(tx, end)
        store.record(tx, [new_event(clock, organization, Action.AUDIT_EXPIRE, Actor("system"), changes=changes)])


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
    those that tell of the person; of a member, every address that they ever had. The record of it holds a keyed
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
    event = new_event(runtime.clock, organization, Action.AUDIT_ERASE, by, changes=changes)
    await runtime.database.write(partial(_close_erasing, event=event))
    return changed


def _close_erasing(tx: Connection, *, event: Event) -> None:
    forget_exports(tx, event.organization)
    store.record(tx, [event])


async def _erase_member(runtime: Runtime, organization: str, member: str) -> tuple[int, set[str]]:
    """Erase what a member did, and their name in what was done to them; return how many events that were, and the email
    addresses that stood in them.
    """
    changed, emails = 0, set[str]()
    async for erased, found in _batches(runtime, partial(_erase_member_in, organization=organization, member=member)):
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
    holds = or_(
        func.lower(table.personal).like(_anywhere(email), escape="!"), table.person == email, table.about == email
    )
    query = select(table.id, table.personal).where(table.organization == organization, table.id > after, holds)
    rows = tx.execute(query.order_by(table.id).limit(ROWS_AT_ONCE)).all()
    changed = 0
    for row in rows:
        before = json.loads(row.personal)
        kept = _without(before, email)
        if kept != before:
            changed += _keep_only(tx, row.id, kept)
    return (rows[-1].id if len(rows) == ROWS_AT_ONCE else ""), changed, set()


def _erase_member_in(tx: Connection, *, organization: str, member: str, after: str) -> tuple[str, int, set[str]]:
    """The same for everything that a member did, and for their name in what was done to them; the canonical text names
    them by their id.
    """
    table = audit_event.c
    as_actor, as_target = (f'"actor":{{"type":"user","id":"{member}",', f'"target":{{"type":"member","id":"{member}",')
    named = or_(*(table.body.like(_anywhere(words, quoted=True), escape="!") for words in (as_actor, as_target)))
    query = select(table.id, table.body, table.personal)
    query = query.where(table.organization == organization, table.id > after, named)
    rows = tx.execute(query.order_by(table.id).limit(ROWS_AT_ONCE)).all()
    changed, emails = 0, set[str]()
    for row in rows:
        before = json.loads(row.personal)
        kept = _only_target(before) if as_actor in row.body else before
        kept = {path: salted for path, salted in kept.items() if path != TARGET_NAME or as_target not in row.body}
        emails |= _addresses(before[path] for path in (ACTOR_NAME, TARGET_NAME) if path in before and path not in kept)
        changed += _keep_only(tx, row.id, kept) if kept != before else 0
    return (rows[-1].id if len(rows) == ROWS_AT_ONCE else ""), changed, emails


def _addresses(salted: Iterable[str]) -> set[str]:
    names = (one[SALT_DIGITS:] for one in salted)
    return {normal_email(name) for name in names if "@" in name}


def _anywhere(text: str, *, quoted: bool = False) -> str:
    """Return the pattern of a text in JSON, which writes other letters than ASCII as escapes."""
    words = text if quoted else json.dumps(text)[1:-1]
    return "%" + words.replace("!", "!!").replace("%", "!%").replace("_", "!_") + "%"


def _keep_only(tx: Connection, event: str, kept: dict[str, str]) -> int:
    left = {"personal": json.dumps(kept, ensure_ascii=True, separators=(",", ":"))}
    left |= {column: "" for column, path in _SEARCHED.items() if path not in kept}
    return tx.execute(update(audit_event).where(audit_event.c.id == event).values(left)).rowcount


def _without(personal: dict[str, str], email: str) -> dict[str, str]:
    """Return what is left of an event: of one that the person caused, the name of whom it was done to alone."""
    is_theirs = normal_email(personal.get(ACTOR_NAME, "")[SALT_DIGITS:]) == email
    left = _only_target(personal) if is_theirs else personal
    return {path: salted for path, salted in left.items() if email not in normal_email(salted[SALT_DIGITS:])}


def _only_target(personal: dict[str, str]) -> dict[str, str]:
    return {TARGET_NAME: personal[TARGET_NAME]} if TARGET_NAME in personal else {}
