"""Exports that nobody waits for: more events than are sent at once are written in the background, and kept for a week.

The file is kept in the database, packed, in parts: any process may write it, and any process may send it. A process
that dies leaves the file to the next one, which begins it anew.
"""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from sso_gate.audit import store
from sso_gate.audit.event import Actor
from sso_gate.audit.export import export_event, lines
from sso_gate.audit.store import AuditFilter
from sso_gate.clock import from_micros, to_micros
from sso_gate.errors import Conflict
from sso_gate.identity import new_id
from sso_gate.storage import outbox
from sso_gate.storage.runtime import Runtime
from sso_gate.storage.tables import audit_export, audit_export_part

AT_ONCE = 10_000  # events that are sent as they are asked for
MOST = 2_000_000  # more are for the command line, which writes to a disk of its own
MOST_UNFINISHED = 3  # of one organization
MOST_KEPT = 20  # of one organization: each may take as much of the database as the log itself
KEPT_FOR = timedelta(days=7)
LEASE = timedelta(minutes=2)
MOST_ATTEMPTS = 5
PART_LETTERS = 4 * 1024 * 1024
EXPORT_READY = "audit.export.ready"
_T = audit_export.c


@dataclass(frozen=True, slots=True)
class StoredExport:
    """One export: who asked, how many events it will have and has, and the file's name once it is there."""

    id: str
    form: str
    asked_by: str
    expected: int
    written: int
    name: str
    created: datetime
    done: datetime | None

    @property
    def state(self) -> str:
        """`running` (or waiting for its turn), `ready`, or `failed`."""
        if self.done is None:
            return "running"
        return "ready" if self.name else "failed"

    @property
    def kept_until(self) -> datetime:
        """When the file is forgotten."""
        return (self.done or self.created) + KEPT_FOR


class Superseded(Conflict):
    """Another process has taken this export up."""


async def is_large(runtime: Runtime, organization: str, wanted: AuditFilter) -> bool:
    """Return whether more events fit than are sent at once."""
    return await runtime.database.read(lambda tx: store.exceeds(tx, organization, wanted, AT_ONCE))


async def ask(runtime: Runtime, organization: str, wanted: AuditFilter, *, form: str, by: Actor) -> str:
    """Promise an export, put it on record, and return its id.

    Raises:
        Conflict: three are being made already, twenty are kept, or it would be too large for the database.
    """
    made = new_id("exp", runtime.clock)
    event = export_event(runtime.clock, organization, wanted, form=form, by=by)
    asked = {"filter": _plain(wanted), "by": by.name}

    def write(tx: Connection) -> None:
        ours = select(func.count()).where(_T.organization == organization)
        unfinished = tx.execute(ours.where(_T.done_at.is_(None))).scalar_one()
        if unfinished >= MOST_UNFINISHED or tx.execute(ours).scalar_one() >= MOST_KEPT:
            raise Conflict("three exports are being made already, or twenty are kept")
        expected = store.count(tx, organization, wanted, MOST + 1)
        if expected > MOST:
            raise Conflict("more events than a page can export: sso-gate audit export has no such limit")
        now = to_micros(runtime.clock.now())
        row = {"id": made, "organization": organization, "member": by.id, "asked": json.dumps(asked), "form": form}
        begun = {"written": 0, "name": "", "attempts": 0, "due_at": now, "created_at": now}
        tx.execute(insert(audit_export).values(**row, **begun, expected=expected))
        store.record(tx, [event])

    await runtime.database.write(write)
    return made


async def exports_of(runtime: Runtime, organization: str) -> list[StoredExport]:
    """Return the organization's exports that are being made or kept, newest first."""
    ours = select(audit_export).where(_T.organization == organization).order_by(_T.created_at.desc(), _T.id.desc())
    return await runtime.database.read(lambda tx: [_export(row) for row in tx.execute(ours)])


async def export_of(runtime: Runtime, organization: str, name: str) -> StoredExport | None:
    """Return the organization's export with this id, or None."""
    ours = select(audit_export).where(_T.organization == organization, _T.id == name)
    row = await runtime.database.read(lambda tx: tx.execute(ours).one_or_none())
    return _export(row) if row else None


async def text_of(runtime: Runtime, name: str) -> AsyncIterator[bytes]:
    """Return the file, one part in memory at a time."""
    number = 0
    while packed := await runtime.database.read(partial(_part, name=name, number=number)):
        yield await asyncio.to_thread(gzip.decompress, packed)
        number += 1


async def make_exports(runtime: Runtime) -> int:
    """Write what was asked for, one after another, and forget what was kept for long enough; return how many were
    written.
    """
    now, made = runtime.clock.now(), 0
    old, due = _T.done_at < to_micros(now - KEPT_FOR), _T.done_at.is_(None) & (_T.due_at <= to_micros(now))
    if await runtime.database.read(lambda tx: tx.execute(select(_T.id).where(old).limit(1)).first()):
        await runtime.database.write(lambda tx: _forget(tx, old))
    if not await runtime.database.read(lambda tx: tx.execute(select(_T.id).where(due).limit(1)).first()):
        return 0
    while row := await runtime.database.write(partial(_claim, now=now)):
        await _make(runtime, row)
        made += 1
    return made


def forget_exports(tx: Connection, organization: str) -> None:
    """Delete every stored file of the organization: they hold what was erased from the log."""
    _forget(tx, _T.organization == organization)


async def _make(runtime: Runtime, row: Row[Any]) -> None:
    asked = json.loads(row.asked)
    span, blocks = await lines(runtime, row.organization, _filter(asked["filter"]), form=row.form)
    file, begin = _File(runtime, row), time.perf_counter()
    async for block in blocks:
        await file.add(block)
        await asyncio.sleep(time.perf_counter() - begin)  # at most half of the time is taken from logins
        begin = time.perf_counter()
    await file.close(f"{span.first}-{span.last}")


@dataclass(slots=True)
class _File:
    """A file in the making; what is in memory is at most one part."""

    runtime: Runtime
    row: Row[Any]
    text: str = ""
    number: int = 0
    written: int = 0

    async def add(self, block: str) -> None:
        self.text += block
        self.written += block.count("\n")
        if len(self.text) >= PART_LETTERS:
            await self._keep({})

    async def close(self, span: str) -> None:
        now = to_micros(self.runtime.clock.now())
        await self._keep({"done_at": now, "name": span, "written": self.row.expected})

    async def _keep(self, more: Mapping[str, Any]) -> None:
        packed = await asyncio.to_thread(gzip.compress, self.text.encode(), 6, mtime=0)
        await self.runtime.database.write(partial(self._write, packed=packed, more=more))
        self.text, self.number = "", self.number + 1

    def _write(self, tx: Connection, *, packed: bytes, more: Mapping[str, Any]) -> None:
        due = to_micros(self.runtime.clock.now() + LEASE)
        written = min(self.written, self.row.expected)
        ours = (_T.id == self.row.id) & (_T.attempts == self.row.attempts + 1) & _T.done_at.is_(None)
        values = {"written": written, "due_at": due, **more}
        if not tx.execute(update(audit_export).where(ours).values(values)).rowcount:
            raise Superseded(self.row.id)
        tx.execute(insert(audit_export_part).values(export=self.row.id, number=self.number, packed=packed))
        if more:
            payload = {"export": self.row.id, "events": self.row.expected}
            told = partial(outbox.add, tx, self.row.organization, EXPORT_READY, clock=self.runtime.clock)
            told(subject=self.row.member, payload=payload)


def _claim(tx: Connection, *, now: datetime) -> Row[Any] | None:
    due = select(audit_export).where(_T.done_at.is_(None), _T.due_at <= to_micros(now)).order_by(_T.id).limit(1)
    row = tx.execute(due.with_for_update(skip_locked=True)).one_or_none()
    if row is None:
        return None
    values: dict[str, Any] = {"attempts": row.attempts + 1, "written": 0, "due_at": to_micros(now + LEASE)}
    if row.attempts >= MOST_ATTEMPTS:
        values["done_at"] = to_micros(now)
    tx.execute(delete(audit_export_part).where(audit_export_part.c.export == row.id))
    tx.execute(update(audit_export).where(_T.id == row.id).values(values))
    return row if row.attempts < MOST_ATTEMPTS else None


def _forget(tx: Connection, which: Any) -> None:
    old = list(tx.execute(select(_T.id).where(which)).scalars())
    if old:
        tx.execute(delete(audit_export_part).where(audit_export_part.c.export.in_(old)))
        tx.execute(delete(audit_export).where(_T.id.in_(old)))


def _part(tx: Connection, *, name: str, number: int) -> bytes | None:
    table = audit_export_part.c
    query = select(table.packed).where(table.export == name, table.number == number)
    found: bytes | None = tx.execute(query).scalar_one_or_none()
    return found


def _plain(wanted: AuditFilter) -> dict[str, Any]:
    times = {name: to_micros(at) for name, at in (("since", wanted.since), ("until", wanted.until)) if at}
    return {**asdict(wanted), "since": None, "until": None, "after": "", **times}


def _filter(plain: Mapping[str, Any]) -> AuditFilter:
    given = {one.name: plain[one.name] for one in fields(AuditFilter)}
    times = {name: from_micros(plain[name]) for name in ("since", "until") if plain[name]}
    return AuditFilter(**{**given, **times})


def _export(row: Row[Any]) -> StoredExport:
    return StoredExport(
        id=row.id,
        form=row.form,
        asked_by=json.loads(row.asked)["by"],
        expected=row.expected,
        written=row.written,
        name=row.name,
        created=from_micros(row.created_at),
        done=from_micros(row.done_at) if row.done_at else None,
    )
