"""Delivers the audit log: at least once, in the order of the chain, each destination for itself.

Nothing here runs on the way of a login: events are committed, sealed, and only then read for delivery.
"""

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlsplit

from sqlalchemy import Connection

from sso_gate.audit import store
from sso_gate.audit.canonical import canonical_form, readable_text
from sso_gate.audit.event import Action, Actor, Event
from sso_gate.audit.store import AuditFilter
from sso_gate.errors import Refused
from sso_gate.identity import new_id
from sso_gate.notify import streams, streams_log, streams_objects
from sso_gate.notify.preferences import STREAM_FAILS
from sso_gate.notify.streams import RETRIES, Stream, shown
from sso_gate.notify.streams_log import Attempt
from sso_gate.notify.streams_objects import object_request
from sso_gate.notify.streams_wire import fitting, splunk_body, syslog_frames, webhook_body
from sso_gate.notify.webhooks import signed_headers
from sso_gate.storage import outbox
from sso_gate.storage.runtime import Runtime

EVENTS_AT_ONCE = 200
BATCHES_AT_ONCE = 20
DESTINATIONS_AT_ONCE = 64
ATTEMPT_SECONDS = 20  # the way out allows fifteen for itself; whatever it is stuck in ends here
GONE = 410
TOLD_AT = 3  # failed attempts: the owners hear of it after half an hour
_log = logging.getLogger(__name__)


class Outgoing(Protocol):
    """The guarded way out of the gate: never to an address that may not be reached, never along a redirect."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Return the status of the answer; Refused when there is none."""
        ...

    async def put(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Return the status of the answer; Refused when there is none."""
        ...

    async def send_tls(self, url: str, data: bytes) -> None:
        """Send bytes over TLS; Refused when that did not work."""
        ...


@dataclass(frozen=True, slots=True)
class Delivery:
    """How an attempt ended: `problem` is empty when the destination has the events; `gone` when it wants no more."""

    problem: str = ""
    gone: bool = False


class Courier:
    """The deliveries under way, each a task of its own: one destination that hangs holds up no other."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing
        self._under_way: set[asyncio.Task[int]] = set()

    async def begin_due(self, runtime: Runtime) -> int:
        """Begin to deliver to every destination that is due and return how many those are; wait for none of them."""
        free, now = DESTINATIONS_AT_ONCE - len(self._under_way), runtime.clock.now()
        if free <= 0 or not await runtime.database.read(partial(streams.any_due, now=now)):
            return 0
        due = await runtime.database.write(partial(streams.claim, keyring=runtime.keyring, now=now, limit=free))
        for stream in due:
            self._under_way.add(asyncio.create_task(self._one(runtime, stream)))
        return len(due)

    async def finished(self) -> int:
        """Wait for what is under way; return how many events went out."""
        return sum(await asyncio.gather(*self._under_way))

    async def aclose(self) -> None:
        """End what is under way; whatever was not confirmed is sent again, by whoever comes next."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _one(self, runtime: Runtime, stream: Stream) -> int:
        try:
            return await _deliver_to(runtime, self._outgoing, stream)
        except Exception:  # noqa: BLE001 - whatever is wrong with one destination, it is tried again after its lease
            _log.exception("audit stream %s", stream.id)
            return 0
        finally:
            self._under_way -= {asyncio.current_task()}


async def deliver(runtime: Runtime, outgoing: Outgoing) -> int:
    """Deliver to every destination that is due; return how many events went out."""
    courier = Courier(outgoing)
    await courier.begin_due(runtime)
    return await courier.finished()


async def _deliver_to(runtime: Runtime, outgoing: Outgoing, stream: Stream) -> int:
    delivered = 0
    for turn in range(BATCHES_AT_ONCE):
        lines, upto = await _next_batch(runtime, stream)
        if stream.kind == "s3" and lines:
            lines, upto, is_whole = _of_one_hour(runtime, stream, lines, upto)
            if not is_whole:
                until = streams_objects.hour_of(lines[0]) + streams_objects.HOUR + streams_objects.LATE
                await runtime.database.write(partial(streams.rest, stream=stream, until=until))
                break
        if upto == stream.position:
            await runtime.database.write(
                partial(streams.advance, stream=stream, upto=upto, now=runtime.clock.now(), more=False)
            )
            break
        attempt = None
        if lines:
            await runtime.database.write(partial(streams.begin, stream=stream, upto=upto))
            began, message = runtime.clock.now(), f"msg_{stream.id}_{stream.position}_{upto}"
            outcome = await send(runtime, outgoing, stream, lines, message=message)
            attempt = _attempt(runtime, began, outcome, (stream.position + 1, upto, len(lines)))
            if outcome.problem:
                await _failed(runtime, stream, outcome, attempt)
                break
        more = turn + 1 < BATCHES_AT_ONCE
        await runtime.database.write(partial(_done, runtime=runtime, stream=stream, upto=upto, more=more, log=attempt))
        stream = replace(stream, position=upto, sending=0, attempts=0)
        delivered += len(lines)
    return delivered


def _of_one_hour(runtime: Runtime, stream: Stream, lines: list[str], upto: int) -> tuple[list[str], int, bool]:
    """Return those that go into one object, the position behind them, and whether the object is whole."""
    hour = streams_objects.hour_of(lines[0])
    count = next((at for at, line in enumerate(lines) if streams_objects.hour_of(line) != hour), len(lines))
    if count < len(lines):
        return lines[:count], json.loads(lines[count - 1])["chain"]["pos"], True
    is_full = upto - stream.position >= EVENTS_AT_ONCE or stream.sending > stream.position
    return lines, upto, is_full or streams_objects.is_due(hour, now=runtime.clock.now())


def _done(tx: Connection, *, runtime: Runtime, stream: Stream, upto: int, more: bool, log: Attempt | None) -> None:
    streams.advance(tx, stream, upto=upto, now=runtime.clock.now(), more=more)
    if log:
        streams_log.note(tx, stream.id, log)


async def _next_batch(runtime: Runtime, stream: Stream) -> tuple[list[str], int]:
    """Return the next lines that the destination wants and the position behind which the batch after them begins."""
    wanted = AuditFilter(after=str(stream.position))
    found = await runtime.database.read(lambda tx: store.page(tx, stream.organization, wanted, limit=EVENTS_AT_ONCE))
    events = [(json.loads(line), line) for line in found.events]
    if stream.sending > stream.position:
        events = [(event, line) for event, line in events if event["chain"]["pos"] <= stream.sending]
    places = [(event["chain"]["pos"], line) for event, line in events if stream.wants(event)]
    end = events[-1][0]["chain"]["pos"] if events else stream.position
    if not places:
        return [], end
    count = fitting(stream.kind, [line for _, line in places])
    if count < len(places):
        end = places[count - 1][0]
    return [line for _, line in places[:count]], end


async def send(
    runtime: Runtime,
    outgoing: Outgoing,
    stream: Stream,
    lines: Sequence[str],
    *,
    message: str,
    kind: str = "audit.events",
) -> Delivery:
    """Make one attempt and return how it ended; whatever goes wrong on the way is a problem, not an error."""
    try:
        async with asyncio.timeout(ATTEMPT_SECONDS):
            if stream.kind == "syslog":
                host = urlsplit(runtime.settings.origin).hostname or ""
                await outgoing.send_tls(stream.url, syslog_frames(lines, host=host, form=stream.form))
                return Delivery()
            if stream.kind == "s3":
                status = await outgoing.put(*object_request(stream, lines, at=runtime.clock.now()))
            else:
                body, headers = _message(runtime, stream, lines, message, kind)
                status = await outgoing.post(stream.url, body.encode("ascii"), headers)
    except Refused as refused:
        return Delivery(str(refused))
    except TimeoutError:
        return Delivery(f"no answer within {ATTEMPT_SECONDS} s")
    if 200 <= status < 300:
        return Delivery()
    return Delivery(f"answered with {status}", gone=status == GONE)


def _message(
    runtime: Runtime, stream: Stream, lines: Sequence[str], message: str, kind: str
) -> tuple[str, dict[str, str]]:
    if stream.kind == "splunk":
        return splunk_body(lines, form=stream.form), {"Authorization": f"Splunk {stream.secrets[0]}"}
    now = runtime.clock.now()
    body = webhook_body(lines, at=now, kind=kind, form=stream.form)
    return body, {**dict(stream.headers), **signed_headers(stream.secrets, message=message, at=now, body=body)}


def _attempt(runtime: Runtime, began: datetime, outcome: Delivery, what: tuple[int, int, int]) -> Attempt:
    took = (runtime.clock.now() - began) // timedelta(milliseconds=1)
    return Attempt(began, *what, max(0, took), outcome.problem)


async def _failed(runtime: Runtime, stream: Stream, outcome: Delivery, attempt: Attempt) -> None:
    off = outcome.gone or stream.attempts >= len(RETRIES)
    now = runtime.clock.now()
    _log.warning("audit stream %s: %s", stream.id, outcome.problem)

    def work(tx: Connection) -> None:
        streams.postpone(tx, stream, problem=outcome.problem, now=now, off=off)
        streams_log.note(tx, stream.id, attempt)
        if off or not stream.attempts:  # the first failure and the last one are told, those between are not news
            changes = {"problem": outcome.problem, "switched_off": off, "position": stream.position}
            store.record(tx, [stream_event(runtime, stream, Action.STREAM_FAIL, Actor("system"), changes)])
        if off or stream.attempts == TOLD_AT:
            told = {"destination": shown(stream.url), "problem": outcome.problem, "switched_off": off}
            outbox.add(tx, stream.organization, STREAM_FAILS, clock=runtime.clock, payload=told)

    await runtime.database.write(work)


async def send_sample(runtime: Runtime, outgoing: Outgoing, stream: Stream, *, by: Actor) -> Delivery:
    """Send a sample, signed and sent like every event, and return how that ended. It is on record."""
    now = runtime.clock.now()
    sample = stream_event(runtime, stream, Action.STREAM_TEST, by, {})
    body, personal = canonical_form(sample)
    text = readable_text(body, json.loads(personal))
    line = f'{text[:-1]},"chain":{{"pos":0,"prev":"","hash":""}}}}'  # it has no place in the chain
    outcome = await send(runtime, outgoing, stream, [line], message=f"msg_{sample.id}", kind="webhook.test")
    event = stream_event(runtime, stream, Action.STREAM_TEST, by, {"problem": outcome.problem})
    attempt = _attempt(runtime, now, outcome, (0, 0, 1))

    def work(tx: Connection) -> None:
        store.record(tx, [event])
        streams_log.note(tx, stream.id, attempt)

    await runtime.database.write(work)
    return outcome


def stream_event(runtime: Runtime, stream: Stream, action: Action, by: Actor, changes: dict[str, Any]) -> Event:
    """Return the event that tells what was done to a destination, or what became of it."""
    now = runtime.clock.now()
    event_id = new_id("evt", runtime.clock)
    return Event(event_id, stream.organization, now, action, by, target=stream.id, changes=changes)
