"""Keeps what is pinned of SAML providers in step with the metadata that they publish: the last good one stays.

What a thief of the metadata's host could change (entity id, hosts, a new key) is never taken over by itself, unless the
metadata is signed by a key that was pinned before: it is held, on record and shown by `sso-gate connections list`, and
somebody approves it: an owner in the settings, or an operator with `sso-gate connections import-metadata`.
"""

import json
import logging
from dataclasses import asdict, dataclass, replace
from functools import partial

from sqlalchemy import Connection as Transaction

from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Actor, Event, new_event
from sso_gate.connections import store as connections
from sso_gate.connections.connection import Connection, SamlSettings
from sso_gate.connections.manage import change_action
from sso_gate.errors import Reason, SsoGateError
from sso_gate.protocols.fetch import Expected, Fetcher
from sso_gate.protocols.saml.metadata import MetadataChange, compare, parse_identity_provider
from sso_gate.storage.runtime import Runtime

MAX_METADATA_BYTES = 2 * 1024 * 1024
MAX_PROBLEM = 300
REMEMBER_SECONDS = 7 * 24 * 3600
PUBLISHED = ("idp_entity_id", "sso_url", "slo_url", "slo_response_url", "certificates")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Look:
    """What the last look at a connection's published metadata came to: what is held for approval, what went wrong."""

    held: tuple[str, ...] = ()
    problem: str = ""


async def fetch_metadata(runtime: Runtime, url: str) -> bytes:
    """Return the metadata that lies there. `Refused`: `provider_unreachable` or `discovery_refused`."""
    fetcher = Fetcher(runtime.settings.allow_private_networks)
    expected = Expected(Reason.DISCOVERY_REFUSED, max_bytes=MAX_METADATA_BYTES)
    try:
        return (await fetcher.get(url, expected=expected)).body
    finally:
        await fetcher.aclose()


async def last_look(runtime: Runtime, connection: str) -> Look:
    """Return what the last look came to; an empty one where all was well or nobody has looked for a week."""
    text = await runtime.redis.get(_key(connection))
    values = json.loads(text) if text else {}
    return Look(tuple(values.get("held", ())), values.get("problem", ""))


async def published_change(runtime: Runtime, settings: SamlSettings) -> MetadataChange:
    """Return what taking over the metadata that the provider publishes now would change.

    Raises:
        Refused: it cannot be fetched. InvalidInput: it cannot be used.
    """
    xml = await fetch_metadata(runtime, settings.metadata_url)
    now = runtime.clock.now()
    found = parse_identity_provider(xml, now=now, entity_id=settings.idp_entity_id, pinned=settings.certificates)
    return compare(settings, found)


async def forget_look(runtime: Runtime, connection: str) -> None:
    """Forget what was held: somebody has approved it."""
    await runtime.redis.delete(_key(connection))


def still_pinned(known: Connection | None, wanted: Connection) -> Connection:
    """Return the wanted connection with what is pinned already of metadata at the same address.

    Applying a file again takes over nothing that was published meanwhile: looking there every hour does, by its rules.
    """
    if known is None or not isinstance(known.settings, SamlSettings) or not isinstance(wanted.settings, SamlSettings):
        return wanted
    before, after = known.settings, wanted.settings
    if not after.metadata_url or after.metadata_url != before.metadata_url:
        return wanted
    return replace(wanted, settings=replace(after, **{name: getattr(before, name) for name in PUBLISHED}))


async def refresh_metadata(runtime: Runtime) -> None:
    """Look at the metadata of every connection that has it by URL; what fails is tried again the next time."""
    for one in await runtime.database.read(partial(connections.with_metadata_url, keyring=runtime.keyring)):
        try:
            look = await _refresh(runtime, one)
        except SsoGateError as error:
            _log.warning("metadata of %s not refreshed: %s", one.id, error)
            look = Look(problem=str(error)[:MAX_PROBLEM])
        await _keep(runtime, one, look)


async def _refresh(runtime: Runtime, known: Connection) -> Look:
    settings = known.settings
    if not isinstance(settings, SamlSettings):
        return Look()
    change = await published_change(runtime, settings)
    if change.changes and not change.held:
        await runtime.database.write(partial(_take_over, runtime=runtime, known=known, change=change))
    return Look(held=change.held)


def _take_over(tx: Transaction, *, runtime: Runtime, known: Connection, change: MetadataChange) -> None:
    current = connections.get(tx, runtime.keyring, known.id)
    if current is None or current.revision != known.revision:
        return  # somebody changed it while we fetched: the next look compares with what is there now
    wanted = replace(known, settings=change.settings)
    connections.change(tx, runtime.keyring, wanted, at=runtime.clock.now())
    audit.record(tx, [_event(runtime, known, change_action(known, wanted), {"metadata": list(change.changes)})])


async def _keep(runtime: Runtime, known: Connection, look: Look) -> None:
    """Remember what was seen; a change that is held is on record once, not at every look."""
    before = await last_look(runtime, known.id)
    await runtime.redis.put(_key(known.id), json.dumps(asdict(look)), seconds=REMEMBER_SECONDS)
    if look.held and look.held != before.held:
        _log.warning("metadata of %s changed and is held for approval: %s", known.id, ", ".join(look.held))
        event = _event(runtime, known, Action.CONNECTION_UPDATE, {"metadata_held": list(look.held)})
        await runtime.database.write(lambda tx: audit.record(tx, [event]))


def _event(runtime: Runtime, known: Connection, action: Action, changes: dict[str, list[str]]) -> Event:
    by = Actor("system")
    return new_event(
        runtime.clock, known.organization, action, by, target=known.id, target_name=known.name, changes=changes
    )


def _key(connection: str) -> str:
    return f"sso:{{connection:{connection}}}:metadata"
