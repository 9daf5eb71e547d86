"""Making and changing destinations of the audit log, each with the record of it in the same transaction."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Connection, func, select

from sso_gate.audit import store
from sso_gate.audit.event import Action, Actor
from sso_gate.clock import to_micros
from sso_gate.errors import Conflict, InvalidInput, NotFound, Reason, Refused
from sso_gate.notify import streams
from sso_gate.notify.streams import Kind, Stream, shown
from sso_gate.notify.streams_delivery import stream_event
from sso_gate.storage.runtime import Runtime
from sso_gate.storage.tables import audit_event

MAX_URL = 2048
MOST = 20  # destinations of one organization: each event is read and sent for each of them


class Checking(Protocol):
    """Says whether an address may be reached."""

    async def check(self, url: str) -> None:
        """Return when it may as things stand; Refused otherwise."""
        ...


async def check_address(runtime: Runtime, outgoing: Checking, kind: Kind, url: str) -> None:
    """Return when events may be sent to this address; each delivery checks again.

    Raises:
        InvalidInput: another scheme than `https`, or an address that may not be reached.
    """
    scheme = "syslog+tls://" if kind == "syslog" else "https://"
    allowed = runtime.settings.allow_private_networks
    if not url.startswith(scheme) and not (allowed and url.startswith("http://") and kind != "syslog"):
        raise InvalidInput("url", f"expected {scheme}…")
    if kind == "s3" and ("?" in url or "#" in url):
        raise InvalidInput("url", "the address of a bucket, or of a folder in it, has no query")
    try:
        await outgoing.check("https://" + url.removeprefix(scheme) if kind == "syslog" else url)
    except Refused as refused:
        if refused.reason is not Reason.PROVIDER_UNREACHABLE:  # a name may begin to resolve later
            raise InvalidInput("url", refused.detail) from refused


async def all_destinations(runtime: Runtime, organization: str) -> list[Stream]:
    """Return the organization's destinations in the order of their making."""
    now = runtime.clock.now()
    return await runtime.database.read(
        lambda tx: streams.of_organization(tx, organization, keyring=runtime.keyring, now=now)
    )


async def add_destination(
    runtime: Runtime, organization: str, kind: Kind, url: str, secret: str, *, by: Actor, **wanted: Any
) -> str:
    """Add a destination and return its id; what is `wanted` of it is as `streams.create` has it.

    Raises:
        Conflict: the organization has as many as it may have. InvalidInput: this kind takes no such thing.
    """

    def write(tx: Connection) -> str:
        if len(streams.of_organization(tx, organization, keyring=runtime.keyring, now=runtime.clock.now())) >= MOST:
            raise Conflict(f"an organization has {MOST} destinations at most")
        made = streams.create(
            tx, organization, kind, url, secret, keyring=runtime.keyring, clock=runtime.clock, **wanted
        )
        stream = _one(tx, runtime, organization, made)
        changes = {"kind": kind, "url": shown(url), "position": stream.position}
        store.record(tx, [stream_event(runtime, stream, Action.STREAM_CREATE, by, changes)])
        return made

    return await runtime.database.write(write)


async def change_destination(
    runtime: Runtime,
    organization: str,
    destination: str,
    change: Callable[[Connection, Stream], dict[str, Any]],
    *,
    action: Action = Action.STREAM_UPDATE,
    by: Actor,
) -> None:
    """Change a destination; what `change` returns is what the audit record says of it.

    Raises:
        NotFound: the organization has no such destination.
    """

    def write(tx: Connection) -> None:
        stream = _one(tx, runtime, organization, destination)
        store.record(tx, [stream_event(runtime, stream, action, by, change(tx, stream))])

    await runtime.database.write(write)


def position_before(tx: Connection, organization: str, instant: datetime) -> int:
    """Return the position behind which everything is that happened since this instant; 0 for all that is kept."""
    table = audit_event.c
    before = select(func.max(table.position)).where(
        table.organization == organization, table.happened_at < to_micros(instant), table.position.is_not(None)
    )
    return tx.execute(before).scalar_one() or 0


def _one(tx: Connection, runtime: Runtime, organization: str, destination: str) -> Stream:
    now = runtime.clock.now()
    for one in streams.of_organization(tx, organization, keyring=runtime.keyring, now=now):
        if one.id == destination:
            return one
    raise NotFound(f"no destination {destination}")
