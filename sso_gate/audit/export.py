"""Exports of an organization's log: JSON Lines that can be verified by themselves, CSV for people, OCSF for other
programs.

The first line of the JSON Lines says what is in the file, the last one is a signed checkpoint; between them each event
has its place in the chain, its canonical text and its personal data with the salts. Memory is bounded: rows are read a
thousand at a time, whatever the size of the log.
"""

import csv
import io
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

from sqlalchemy import Connection, Row, func, select

from sso_gate.audit import chain, store
from sso_gate.audit.canonical import readable, readable_text
from sso_gate.audit.chain import GENESIS
from sso_gate.audit.checkpoint import Signer, audit_keys
from sso_gate.audit.event import Action, Actor, Event, new_event
from sso_gate.audit.forms import Form, in_form
from sso_gate.audit.merkle import Tree
from sso_gate.audit.sealer import seal
from sso_gate.audit.store import AuditFilter
from sso_gate.clock import Clock, iso, to_micros
from sso_gate.storage.runtime import Runtime
from sso_gate.storage.tables import audit_checkpoint, audit_event

ROWS_AT_ONCE = 500
CSV_COLUMNS = (
    "position", "time", "outcome", "action", "reason", "reference", "actor_type", "actor_id", "actor_name",
    "actor_subject", "target_type", "target", "target_name", "connection", "protocol", "token", "initiated", "mfa",
    "address", "user_agent", "request", "method", "route", "session", "seat_limit", "seat_used", "seat_policy",
    "repeat", "check", "severity", "changes", "id", "hash",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True, slots=True)
class Span:
    """The positions of an export, both included, with what the chain was just before: enough to verify them alone."""

    first: int
    last: int
    prev: str
    before: Tree
    tree: Tree
    head: str

    @property
    def count(self) -> int:
        """How many positions that are."""
        return max(0, self.last - self.first + 1)


async def export(
    runtime: Runtime, organization: str, wanted: AuditFilter, *, form: str, by: Actor
) -> tuple[Span, AsyncIterator[str]]:
    """Return what the export spans, and its lines, many in one text: `jsonl`, `csv`, `ocsf`, `ecs` or `cef`.

    `since` and `until` choose a span of the chain; any other filter leaves rows out, and the first line says so. The
    export itself is on record before it begins, and in it.
    """
    event = export_event(runtime.clock, organization, wanted, form=form, by=by)
    await runtime.database.write(lambda tx: store.record(tx, [event]))
    return await lines(runtime, organization, wanted, form=form)


def export_event(clock: Clock, organization: str, wanted: AuditFilter, *, form: str, by: Actor) -> Event:
    """Return the event that tells of an export, without the person who was looked for."""
    names = {name: value for name, value in _words(wanted).items() if name != "person"}
    changes = {"format": form, "filter": names}
    return new_event(clock, organization, Action.AUDIT_EXPORT, by, changes=changes)


async def lines(
    runtime: Runtime, organization: str, wanted: AuditFilter, *, form: str
) -> tuple[Span, AsyncIterator[str]]:
    """Return what `export` does, where it is on record already."""
    await seal(runtime, wait=True)
    span = await runtime.database.read(partial(_span, organization=organization, wanted=wanted))
    match form:
        case "jsonl":
            return span, _json_lines(runtime, organization, wanted, span)
        case "csv":
            return span, _csv_lines(runtime, organization, wanted, span)
        case _:
            return span, _blocks(runtime, organization, wanted, span, partial(_formed_line, form=cast("Form", form)))


def _words(wanted: AuditFilter) -> dict[str, str]:
    words = {name: getattr(wanted, name) for name in store.FILTERED}
    words |= {name: iso(at) for name, at in (("since", wanted.since), ("until", wanted.until)) if at}
    return {name: word for name, word in words.items() if word}


def _span(tx: Connection, organization: str, wanted: AuditFilter) -> Span:
    end = chain.load(tx, organization)
    first, last = end.expired + 1, end.size
    if wanted.since:
        first = _edge(tx, organization, func.min, audit_event.c.happened_at >= to_micros(wanted.since)) or last + 1
    if wanted.until:
        last = _edge(tx, organization, func.max, audit_event.c.happened_at < to_micros(wanted.until)) or first - 1
    first = max(first, end.expired + 1)
    before, prev = tree_at(tx, organization, first - 1)
    tree, head = tree_at(tx, organization, max(last, first - 1))
    return Span(first, last, prev, before, tree, head)


def _edge(tx: Connection, organization: str, which: Any, fits: Any) -> int | None:
    table = audit_event.c
    found = select(which(table.position)).where(table.organization == organization, table.position > 0, fits)
    position: int | None = tx.execute(found).scalar_one()
    return position


def tree_at(tx: Connection, organization: str, size: int) -> tuple[Tree, str]:
    """Return the Merkle tree, and the hash of the last event, as they were at a size that has not expired."""
    nearest = audit_checkpoint.c
    query = select(audit_checkpoint).where(nearest.organization == organization, nearest.size <= size)
    known = tx.execute(query.order_by(nearest.size.desc()).limit(1)).one_or_none()
    tree, head = Tree(), GENESIS
    if known:
        tree, head = Tree(known.size, [bytes.fromhex(root) for root in known.roots.split()]), known.head
    table = audit_event.c
    between = (table.organization == organization) & (table.position > tree.size) & (table.position <= size)
    for row in tx.execute(select(table.hash).where(between).order_by(table.position)):
        head = row.hash
        tree.push(bytes.fromhex(head))
    return tree, head


async def _blocks(
    runtime: Runtime, organization: str, wanted: AuditFilter, span: Span, line: Callable[[Row[Any]], str]
) -> AsyncIterator[str]:
    """The rows as text, many at a time; it is written in the database's thread, so that nobody else waits for it."""
    after = span.first - 1
    rest = replace(wanted, since=None, until=None, newest_first=False)  # a span of positions already
    while after < span.last:
        block, after = await runtime.database.read(
            partial(
                _block, organization=organization, wanted=replace(rest, after=str(after)), last=span.last, line=line
            )
        )
        if block:
            yield block


def _block(
    tx: Connection, *, organization: str, wanted: AuditFilter, last: int, line: Callable[[Row[Any]], str]
) -> tuple[str, int]:
    """Return the next rows as text, and the position to go on behind."""
    rows = store.rows(tx, organization, wanted, limit=ROWS_AT_ONCE)
    text = "".join(line(row) for row in rows if row.position <= last)
    return text, rows[-1].position if len(rows) == ROWS_AT_ONCE else last


async def _json_lines(runtime: Runtime, organization: str, wanted: AuditFilter, span: Span) -> AsyncIterator[str]:
    keys, now = await audit_keys(runtime), runtime.clock.now()
    parts = {name: word for name, word in _words(wanted).items() if name in store.FILTERED}
    yield _json(
        {
            "export": {
                "v": 1,
                "organization": organization,
                "first": span.first,
                "last": span.last,
                "prev": span.prev,
                "roots": [root.hex() for root in span.before.roots],
                "filter": parts or None,
                "time": iso(now),
                "keys": [key.public for key in keys],
            }
        }
    )
    async for block in _blocks(runtime, organization, wanted, span, verifiable_line):
        yield block
    size, root = span.tree.size, span.tree.root()
    closing = Signer(keys[0]).sign(organization=organization, size=size, head=span.head, root=root, at=now)
    yield _json({"checkpoint": closing.to_json()})


def verifiable_line(row: Row[Any]) -> str:
    """Return a sealed row as one line that holds all that its hash was made of, and nothing that it does not prove."""
    personal = json.loads(row.personal)
    event, salted = readable_text(row.body, personal), _encoded(list(personal.values()))
    place = f'"pos":{row.position},"prev":"{row.prev}","hash":"{row.hash}"'
    return f'{event[:-1]},"chain":{{{place},"canonical":{_encoded(row.body)},"personal":{salted}}}}}\n'


def _formed_line(row: Row[Any], form: Form) -> str:
    return in_form(form, store.event_line(row)) + "\n"


async def _csv_lines(runtime: Runtime, organization: str, wanted: AuditFilter, span: Span) -> AsyncIterator[str]:
    yield _csv_line(CSV_COLUMNS)
    async for block in _blocks(runtime, organization, wanted, span, _csv_row):
        yield block


def _csv_row(row: Row[Any]) -> str:
    return _csv_line([neutral(cell) for cell in _cells(readable(row.body, json.loads(row.personal)), row)])


def _cells(event: dict[str, Any], row: Row[Any]) -> list[str]:
    actor, via, client, request = event["actor"], event["via"], event["client"], event["request"]
    seat, target = event["seat"] or {}, event["target"] or {}
    changes = _json(event["changes"]).strip() if event["changes"] else ""
    cells = [
        row.position, event["time"], event["outcome"], event["action"], event["reason"], event["reference"],
        actor["type"], actor["id"], actor["name"], actor["subject"], target.get("type"), target.get("id"),
        target.get("name"), via["connection"], via["protocol"], via["token"], via["initiated"], via["mfa"],
        client["ip"], client["ua"], request["id"], request["method"], request["route"], event["session"],
        seat.get("limit"), seat.get("used"), seat.get("policy"), event["repeat"]["count"],
        event["check"], event["severity"], changes, event["id"], row.hash,
    ]  # fmt: skip
    return ["" if cell is None else str(cell) for cell in cells]


def neutral(cell: str) -> str:
    """Return the text so that no spreadsheet takes it for a formula: one that could be begins with an apostrophe.

    Source: OWASP, CSV Injection.
    """
    text = "".join(letter if letter.isprintable() else " " for letter in cell)
    return f"'{text}" if cell.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA[:4]) else text


def _csv_line(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(cells)  # RFC 4180 2
    return line.getvalue()


def _json(value: Any) -> str:
    return _encoded(value) + "\n"


_encoded = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode
