"""Keeps what is pinned of SAML providers in step with the metadata that they publish: the last good one stays.

What a thief of the metadata's host could change (entity id, hosts, a new key) is never taken over by itself, unless the
metadata is signed by a key that was pinned before: it is held, and an operator approves it with `sso-gate connections
import-metadata`.
"""

import logging
from dataclasses import replace
from functools import partial

from sqlalchemy import Connection as Transaction

from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Actor, Event
from sso_gate.connections import store as connections
from sso_gate.connections.connection import Connection, SamlSettings
from sso_gate.errors import Reason, SsoGateError
from sso_gate.identity import new_id
from sso_gate.protocols.fetch import Expected, Fetcher
from sso_gate.protocols.saml.metadata import MetadataChange, compare, parse_identity_provider
from sso_gate.storage.runtime import Runtime

MAX_METADATA_BYTES = 2 * 1024 * 1024
_log = logging.getLogger(__name__)


async def fetch_metadata(runtime: Runtime, url: str) -> bytes:
    """Return the metadata that lies there. `Refused`: `provider_unreachable` or `discovery_refused`."""
    fetcher = Fetcher(runtime.settings.allow_private_networks)
    expected = Expected(Reason.DISCOVERY_REFUSED, max_bytes=MAX_METADATA_BYTES)
    return (await fetcher.get(url, expected=expected)).body


async def refresh_metadata(runtime: Runtime) -> None:
    """Look at the metadata of every connection that has it by URL; what fails is tried again the next time."""
    known = await runtime.database.read(partial(connections.with_metadata_url, keyring=runtime.keyring))
    for one in known:
        try:
            await _refresh(runtime, one)
        except SsoGateError as error:
            _log.warning("metadata of %s not refreshed: %s", one.id, error)


async def _refresh(runtime: Runtime, known: Connection) -> None:
    settings = known.settings
    if not isinstance(settings, SamlSettings):
        return
    xml = await fetch_metadata(runtime, settings.metadata_url)
    now = runtime.clock.now()
    found = parse_identity_provider(xml, now=now, entity_id=settings.idp_entity_id, pinned=settings.certificates)
    change = compare(settings, found)
    if not change.changes:
        return
    if change.held:
        _log.warning("metadata of %s changed and is held for approval: %s", known.id, ", ".join(change.held))
        return
    await runtime.database.write(partial(_take_over, runtime=runtime, known=known, change=change))


def _take_over(tx: Transaction, *, runtime: Runtime, known: Connection, change: MetadataChange) -> None:
    now = runtime.clock.now()
    connections.change(tx, runtime.keyring, replace(known, settings=change.settings), at=now)
    event = Event(
        id=new_id("evt", runtime.clock),
        organization=known.organization,
        at=now,
        action=Action.CONNECTION_UPDATE,
        actor=Actor("system"),
        target=known.id,
        changes={"metadata": list(change.changes)},
    )
    audit.record(tx, [event])
