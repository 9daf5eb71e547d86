"""The gate looks after its own logs: every few hours each chain is proved from its oldest event to its end.

What is found is for those on call and for whoever reads the log. It is no substitute for a proof elsewhere: whoever
can change the rows and the program can change this too.
"""

import asyncio
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from sso_gate.audit import chain, store
from sso_gate.audit.chain import GENESIS, link
from sso_gate.audit.checkpoint import audit_keys, is_signed, read_checkpoint
from sso_gate.audit.event import Action, Actor, Event
from sso_gate.audit.export import tree_at
from sso_gate.audit.line import whole
from sso_gate.audit.merkle import Tree
from sso_gate.clock import from_micros, to_micros
from sso_gate.identity import new_id
from sso_gate.storage.runtime import Runtime
from sso_gate.storage.tables import audit_chain, audit_checkpoint, audit_event, audit_proof

EVERY = timedelta(hours=6)
ROWS_AT_ONCE = 500
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Proof:
    """Up to which event the chain was found whole, and when (None: never yet); `problem` is empty, or what is wrong."""

    size: int = 0
    at: datetime | None = None
    problem: str = ""


@dataclass(slots=True)
class _Walk:
    """How far the proof of one chain has come; `end` and `head_there` are the chain's end when it was begun."""

    organization: str
    keys: Sequence[str]
    end: int
    head_there: str
    position: int = -1
    head: str = GENESIS
    tree: Tree = field(default_factory=Tree)
    problem: str = ""


async def last_proof(runtime: Runtime, organization: str) -> Proof:
    """Return what the last look at the organization's chain found."""
    return await runtime.database.read(partial(_last, organization=organization))


async def prove_logs(runtime: Runtime) -> int:
    """Prove every chain that was not looked at for some hours; return how many that were. One process does each."""
    looked = 0
    for organization in await runtime.database.read(partial(_due, now=runtime.clock.now())):
        if await _is_mine(runtime, organization):
            await _prove(runtime, organization)
            looked += 1
    return looked


def _due(tx: Connection, *, now: datetime) -> list[str]:
    looked_at = audit_proof.c.begun_at > to_micros(now - EVERY)
    chains = select(audit_chain.c.organization).outerjoin(
        audit_proof, (audit_proof.c.organization == audit_chain.c.organization) & looked_at
    )
    fresh = audit_proof.c.organization.is_(None)
    return list(tx.execute(chains.where(fresh).order_by(audit_chain.c.organization)).scalars())


async def _is_mine(runtime: Runtime, organization: str) -> bool:
    try:
        return await runtime.database.write(partial(_claim, organization=organization, now=runtime.clock.now()))
    except IntegrityError:
        return False  # another process was quicker with the first look


def _claim(tx: Connection, *, organization: str, now: datetime) -> bool:
    table = audit_proof.c
    values = {"begun_at": to_micros(now)}
    here = table.organization == organization
    if tx.execute(select(table.organization).where(here)).first() is None:
        tx.execute(insert(audit_proof).values(organization=organization, size=0, proved_at=0, problem="", **values))
        return True
    due = here & (table.begun_at <= to_micros(now - EVERY))
    return bool(tx.execute(update(audit_proof).where(due).values(values)).rowcount)


async def _prove(runtime: Runtime, organization: str) -> None:
    keys = [key.public for key in await audit_keys(runtime)]
    end = await runtime.database.read(partial(chain.load, organization=organization))
    walk = _Walk(organization, keys, end.size, end.head)
    while walk.position < walk.end and not walk.problem:
        begin = time.perf_counter()
        await runtime.database.read(partial(_go_on, walk=walk))
        await asyncio.sleep(time.perf_counter() - begin)  # at most half of the time is taken from logins
    await runtime.database.write(partial(_note, runtime=runtime, walk=walk))


def _go_on(tx: Connection, *, walk: _Walk) -> None:
    """Prove the next rows. What expired meanwhile is left out; a segment's checkpoint stands for it."""
    expired = chain.load(tx, walk.organization).expired
    if expired > walk.position:
        walk.tree, walk.head = tree_at(tx, walk.organization, expired)
        walk.position = expired
    signed = _checkpoints(tx, walk)
    table = audit_event.c
    columns = (table.position, table.prev, table.hash, table.body, table.personal)
    ours = (table.organization == walk.organization) & (table.position > walk.position) & (table.position <= walk.end)
    rows = tx.execute(select(*columns).where(ours).order_by(table.position).limit(ROWS_AT_ONCE)).all()
    _compare(walk, signed)
    for position, prev, own, body, personal in rows:
        walk.problem = walk.problem or _problem(walk, position, prev, own, body, personal)
        if walk.problem:
            return
        walk.position, walk.head = position, own
        walk.tree.push(bytes.fromhex(own))
        _compare(walk, signed)
    if len(rows) < ROWS_AT_ONCE or walk.position == walk.end:
        _close(walk)


def _problem(walk: _Walk, position: int, prev: str, own: str, body: str, personal: str) -> str:
    if position != walk.position + 1:
        return f"position {walk.position + 1} is missing"
    if prev != walk.head or link(prev, body) != own:
        return f"position {position} is not the event that was sealed"
    wrong = whole(body, json.loads(personal).values())[0]
    return f"position {position}: {wrong}" if wrong else ""


def _checkpoints(tx: Connection, walk: _Walk) -> dict[int, str]:
    """Return the signed roots of the next rows by size; one that nobody of ours signed has none."""
    table = audit_checkpoint.c
    near = (table.size >= walk.position) & (table.size <= walk.position + ROWS_AT_ONCE)
    found = tx.execute(select(table.size, table.signed).where(table.organization == walk.organization, near))
    return {row.size: _signed_root(walk, row.signed) for row in found}


def _signed_root(walk: _Walk, text: str) -> str:
    kept = read_checkpoint(json.loads(text))
    ours = kept and kept.organization == walk.organization and any(is_signed(kept, key) for key in walk.keys)
    return kept.root if kept and ours else ""


def _compare(walk: _Walk, signed: dict[int, str]) -> None:
    root = signed.get(walk.tree.size)
    if root is not None and root != walk.tree.root().hex():
        walk.problem = walk.problem or f"the events up to position {walk.tree.size} are not those that were signed"


def _close(walk: _Walk) -> None:
    """Where no row is left, the end is the chain's."""
    if walk.position < walk.end:
        walk.problem = f"position {walk.position + 1} is missing"
    elif walk.position == walk.end and walk.head != walk.head_there:
        walk.problem = f"position {walk.position} is not the event that was sealed last"


def _note(tx: Connection, *, runtime: Runtime, walk: _Walk) -> None:
    known, now = _last(tx, organization=walk.organization), runtime.clock.now()
    if walk.problem:
        _log.error("audit log of %s: %s", walk.organization, walk.problem)
    if walk.problem != known.problem:  # told when it is found, and when it is gone
        changes = {"problem": walk.problem, "position": walk.position}
        event_id = new_id("evt", runtime.clock)
        store.record(
            tx, [Event(event_id, walk.organization, now, Action.AUDIT_VERIFY, Actor("system"), changes=changes)]
        )
    values = {"size": walk.position, "proved_at": to_micros(now), "problem": walk.problem}
    tx.execute(update(audit_proof).where(audit_proof.c.organization == walk.organization).values(values))


def _last(tx: Connection, *, organization: str) -> Proof:
    row = tx.execute(select(audit_proof).where(audit_proof.c.organization == organization)).one_or_none()
    if row is None:
        return Proof()
    return Proof(row.size, from_micros(row.proved_at) if row.proved_at else None, row.problem)
