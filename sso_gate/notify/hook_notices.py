"""Owners' news for programs: what is told by mail, as a small signed message to every webhook, where owners chose so.

Beside the events of the log, which webhooks get in their order: a notice says what the owners are told, once.
"""

import json
import logging
from typing import Any

from sqlalchemy import Connection, select

from sso_gate.clock import Clock, iso
from sso_gate.errors import Refused, Unavailable
from sso_gate.notify import streams
from sso_gate.notify.preferences import (
    CERTIFICATE,
    CODE_ISSUED,
    CODE_USED,
    PEOPLE_WAIT,
    SEATS_ADDED,
    SOLVED,
    STREAM_FAILS,
    THRESHOLD,
)
from sso_gate.notify.streams_delivery import Outgoing
from sso_gate.notify.webhooks import signed_headers
from sso_gate.storage import outbox
from sso_gate.storage.outbox import Promise
from sso_gate.storage.runtime import Runtime
from sso_gate.storage.tables import audit_stream

HOOK = "notice.webhook"
GIVE_UP_AFTER = 12  # attempts, which is most of a day
GONE = 410
# What the message is called for each kind of news.
TYPES = {
    PEOPLE_WAIT: "seats.people_waiting",
    SOLVED: "seats.nobody_waiting",
    THRESHOLD: "seats.threshold_crossed",
    SEATS_ADDED: "seats.increased",
    CERTIFICATE: "connection.certificate_expiring",
    STREAM_FAILS: "webhook.failing",
    CODE_ISSUED: "breakglass.issued",
    CODE_USED: "breakglass.used",
}
# What of the news leaves the gate: numbers and ids, no person's name or address.
_TOLD = (
    "count", "left", "purchased", "seats", "order", "invoice", "days", "connection_name", "destination", "problem",
    "switched_off", "sample",
)  # fmt: skip
_log = logging.getLogger(__name__)


def webhook_ids(tx: Connection, organization: str) -> list[str]:
    """Return the webhooks that are switched on."""
    table = audit_stream.c
    on = (table.organization == organization) & (table.kind == "webhook") & table.enabled.is_(True)
    return list(tx.execute(select(table.id).where(on).order_by(table.id)).scalars())


def promise_notices(
    tx: Connection, organization: str, kind: str, told: dict[str, Any], *, member: str = "", clock: Clock
) -> None:
    """Promise one message to each webhook, so that none is sent again for another's sake."""
    data = {"organization": organization, **{name: told[name] for name in _TOLD if name in told}}
    payload = {
        "type": TYPES[kind],
        "timestamp": iso(clock.now()),
        "data": data | ({"member": member} if member else {}),
    }
    for stream in webhook_ids(tx, organization):
        outbox.add(tx, organization, HOOK, clock=clock, subject=stream, payload=payload)


async def post_notice(runtime: Runtime, outgoing: Outgoing, promise: Promise) -> None:
    """Send the message that a promise holds; one that was removed or switched off meanwhile gets nothing.

    Raises:
        Unavailable: it was not taken, and is worth another try.
    """
    now = runtime.clock.now()
    known = await runtime.database.read(
        lambda tx: streams.of_organization(tx, promise.organization, keyring=runtime.keyring, now=now)
    )
    stream = next((one for one in known if one.id == promise.subject and one.enabled), None)
    if stream is None:
        return
    body = json.dumps(promise.payload, separators=(",", ":"))
    ours = signed_headers(stream.secrets, message=f"msg_{promise.id}", at=now, body=body)
    try:
        status = await outgoing.post(stream.url, body.encode("ascii"), {**dict(stream.headers), **ours})
    except Refused as refused:
        status, problem = 0, str(refused)
    else:
        problem = f"answered with {status}"
    if 200 <= status < 300:
        return
    if status == GONE or promise.attempts >= GIVE_UP_AFTER:
        _log.warning("notice to %s: %s, given up", stream.id, problem)
        return
    raise Unavailable(f"webhook: {problem}")
