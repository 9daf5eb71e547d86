"""Signed checkpoints: what an organization's log was at one size, by a key that the database does not show.

A checkpoint that was kept elsewhere proves that nothing before it was changed or cut since, also against whoever can
write to the database. It proves nothing about what was written at first.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import Connection

from sso_gate.audit import chain, store
from sso_gate.audit.event import Action, Actor, Event
from sso_gate.clock import iso
from sso_gate.identity import new_id
from sso_gate.storage.installation_keys import KeyMaterial, add, shared_keys
from sso_gate.storage.runtime import Runtime

PURPOSE = "audit"
_SIGNED = ("v", "organization", "size", "head", "root", "time", "key")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """An organization's log at `size` events: the hash of the last one and the Merkle root, hex, and who says so."""

    organization: str
    size: int
    head: str
    root: str
    time: str
    key: str
    signature: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as it is kept, delivered and exported."""
        return {**self._signed(), "signature": self.signature}

    def _signed(self) -> dict[str, Any]:
        return {"v": 1, **{name: getattr(self, name) for name in _SIGNED[1:]}}

    def signed_bytes(self) -> bytes:
        """Return what is signed: the fields but the signature, in this order, as JSON without spaces."""
        return b"sso-gate audit checkpoint\n" + json.dumps(self._signed(), separators=(",", ":")).encode("ascii")


def read_checkpoint(found: Any) -> Checkpoint | None:
    """Return the checkpoint that `to_json` turned into this value, or None when it is none."""
    names = [*_SIGNED[1:], "signature"]
    if not isinstance(found, dict) or found.get("v") != 1 or any(name not in found for name in names):
        return None
    values = {name: found[name] for name in names}
    texts = all(isinstance(value, str) for name, value in values.items() if name != "size")
    return Checkpoint(**values) if texts and type(values["size"]) is int else None


class Signer:
    """Signs with the installation's newest audit key. Source: RFC 8032 (Ed25519)."""

    def __init__(self, key: KeyMaterial) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(base64.b64decode(key.private))
        self.public = key.public

    def sign(self, *, organization: str, size: int, head: str, root: bytes, at: datetime) -> Checkpoint:
        """Return the signed checkpoint."""
        bare = Checkpoint(organization, size, head, root.hex(), iso(at), key_id(self.public))
        signature = base64.b64encode(self._private.sign(bare.signed_bytes())).decode("ascii")
        return Checkpoint(organization, size, head, root.hex(), bare.time, bare.key, signature)


def is_signed(checkpoint: Checkpoint, public: str) -> bool:
    """Return whether the holder of this public key (base64, 32 bytes) signed the checkpoint."""
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public, validate=True))
        key.verify(base64.b64decode(checkpoint.signature, validate=True), checkpoint.signed_bytes())
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return checkpoint.key == key_id(public)


def key_id(public: str) -> str:
    """Return the short name of a public key."""
    return hashlib.sha256(public.encode()).hexdigest()[:16]


async def signer(runtime: Runtime) -> Signer:
    """Return the installation's signer; its key is made at the first use."""
    return Signer((await audit_keys(runtime))[0])


async def audit_keys(runtime: Runtime) -> Sequence[KeyMaterial]:
    """Return the installation's audit keys, newest first."""
    return await shared_keys(runtime.database, runtime.keyring, runtime.clock, PURPOSE, _new_key)


async def roll_over(runtime: Runtime, *, by: Actor) -> str:
    """Make a new key, which signs from the next checkpoint on, and return its public half; older ones still verify.

    Every organization's log says so. `IntegrityError` where two do it at once.
    """
    known, made, now = await audit_keys(runtime), _new_key(), runtime.clock.now()
    changes = {"key": key_id(made.public), "before": key_id(known[0].public)}

    def work(tx: Connection) -> None:
        add(tx, runtime.keyring, runtime.clock, PURPOSE, made, number=len(known) + 1)
        logs = chain.logs(tx)
        ids = [new_id("evt", runtime.clock) for _ in logs]
        events = zip(ids, logs, strict=True)
        store.record(tx, [Event(one, log, now, Action.AUDIT_KEY, by, changes=changes) for one, log in events])

    await runtime.database.write(work)
    return made.public


def _new_key() -> KeyMaterial:
    private = Ed25519PrivateKey.generate()
    public = base64.b64encode(private.public_key().public_bytes_raw()).decode("ascii")
    return KeyMaterial(base64.b64encode(private.private_bytes_raw()).decode("ascii"), public)
