"""The keys with which the gate speaks to identity providers: the same for every gate of an installation, and never
changed from one moment to the next.

A new key is published at once, beside the old one, and signs when providers had time to learn it; the old one decrypts
until an operator retires it. Every process reads the keys again within seconds.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Literal

from sqlalchemy import Connection as Transaction

from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Actor, Event
from sso_gate.errors import Conflict, NotFound
from sso_gate.identity import new_id
from sso_gate.organizations import store as organizations
from sso_gate.protocols.oidc.keys import ClientKey, new_client_key
from sso_gate.protocols.saml.keys import KeyPair, ServiceProviderKeys, new_key_pair
from sso_gate.storage.installation_keys import (
    KeptKey,
    KeyMaterial,
    add,
    forget,
    kept_keys,
    shared_kept_keys,
    signing_first,
)
from sso_gate.storage.runtime import Runtime

REREAD_SECONDS = 10
MAX_KEYS = 4  # an encrypted assertion is tried with each of them
Protocol = Literal["saml", "oidc"]
_PURPOSES: Mapping[Protocol, str] = MappingProxyType({"saml": "saml_sp", "oidc": "oidc_client"})
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class LoginKeys:
    """SAML service provider keys (one signs, all decrypt) and the OIDC client's for `private_key_jwt` (one signs, all
    are published); the one that signs comes first.
    """

    runtime: Runtime
    saml: ServiceProviderKeys
    oidc_published: tuple[ClientKey, ...]

    @property
    def oidc(self) -> ClientKey:
        """The key that signs."""
        return self.oidc_published[0]

    async def reread(self) -> None:
        """Take over what SQL has now."""
        pairs = [KeyPair(key.material.private, key.material.public) for key in await all_keys(self.runtime, "saml")]
        clients = [_client_key(key.material) for key in await all_keys(self.runtime, "oidc")]
        self.saml, self.oidc_published = ServiceProviderKeys(pairs[0], tuple(pairs)), tuple(clients)

    async def keep_fresh(self) -> None:
        """Read the keys again every few seconds, for ever."""
        while True:
            await asyncio.sleep(REREAD_SECONDS)
            try:
                await self.reread()
            except Exception:  # noqa: BLE001 - whatever it was, it must not keep later keys out
                _log.exception("the gate's keys were not read again")


async def load_login_keys(runtime: Runtime) -> LoginKeys:
    """Return the installation's keys, making those that are missing."""
    keys = LoginKeys(runtime, ServiceProviderKeys(KeyPair("", ""), ()), ())
    await keys.reread()
    return keys


async def all_keys(runtime: Runtime, protocol: Protocol) -> list[KeptKey]:
    """Return the keys for this protocol, the one that signs now first, then the others, newest first."""
    make = _MAKERS[protocol]
    place = (runtime.database, runtime.keyring, runtime.clock, _PURPOSES[protocol])
    return signing_first(await shared_kept_keys(*place, lambda: make(runtime)), now=runtime.clock.now())


async def rotate(runtime: Runtime, protocol: Protocol, *, signs_after: timedelta, by: Actor) -> KeptKey:
    """Return a new key, published from now on and signing after this time; on record in every organization.

    Raises:
        Conflict: an earlier one still waits to sign, or there are as many as there may be.
    """
    await all_keys(runtime, protocol)
    made, purpose = _MAKERS[protocol](runtime), _PURPOSES[protocol]
    signs_from = runtime.clock.now() + signs_after

    def write(tx: Transaction) -> KeptKey:
        known, now = kept_keys(tx, runtime.keyring, purpose), runtime.clock.now()
        if any(key.signs_from > now for key in known):
            raise Conflict(f"key {known[0].number} does not sign yet: retire it first, or wait")
        if len(known) >= MAX_KEYS:
            raise Conflict(f"{len(known)} keys are published already: retire an old one first")
        number = known[0].number + 1
        add(tx, runtime.keyring, runtime.clock, purpose, made, number=number, signs_from=signs_from)
        _record(tx, runtime, f"{protocol} key {number} published", by)
        return kept_keys(tx, runtime.keyring, purpose)[0]

    return await runtime.database.write(write)


async def retire(runtime: Runtime, protocol: Protocol, number: int, *, by: Actor) -> None:
    """Delete a key: it is no longer published, and what is encrypted to it can no longer be read.

    Raises:
        NotFound: there is no such key.
        Conflict: it is the one that signs.
    """
    purpose = _PURPOSES[protocol]

    def write(tx: Transaction) -> None:
        known = kept_keys(tx, runtime.keyring, purpose)
        if number not in {key.number for key in known}:
            raise NotFound(f"no {protocol} key {number}")
        if signing_first(known, now=runtime.clock.now())[0].number == number:
            raise Conflict(f"key {number} is the one that signs: rotate first")
        forget(tx, purpose, number)
        _record(tx, runtime, f"{protocol} key {number} retired", by)

    await runtime.database.write(write)


def _record(tx: Transaction, runtime: Runtime, change: str, by: Actor) -> None:
    events = [
        Event(
            id=new_id("evt", runtime.clock),
            organization=organization.id,
            at=runtime.clock.now(),
            action=Action.CONNECTION_CERTIFICATE,
            actor=by,
            changes={"gate_key": change},
        )
        for organization in organizations.every(tx)
    ]
    audit.record(tx, events)


def _client_key(kept: KeyMaterial) -> ClientKey:
    public = json.loads(kept.public)
    return ClientKey(kid=public["kid"], private_pem=kept.private, algorithm=public["algorithm"])


def _new_pair(runtime: Runtime) -> KeyMaterial:
    pair = new_key_pair("sso-gate", runtime.clock.now())
    return KeyMaterial(pair.private_key_pem, pair.certificate_pem)


def _new_client_key(_: Runtime) -> KeyMaterial:
    key = new_client_key()
    return KeyMaterial(key.private_pem, json.dumps({"kid": key.kid, "algorithm": key.algorithm}))


_MAKERS: Mapping[Protocol, Callable[[Runtime], KeyMaterial]] = MappingProxyType(
    {"saml": _new_pair, "oidc": _new_client_key}
)
