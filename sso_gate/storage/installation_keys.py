"""Keys that all gates of one installation share: kept in SQL, sealed under SSO_GATE_SECRET_KEYS, made once by whoever
comes first.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError

from sso_gate.clock import Clock, from_micros, to_micros
from sso_gate.storage.database import Database
from sso_gate.storage.keyring import Keyring
from sso_gate.storage.tables import installation_key


@dataclass(frozen=True, slots=True)
class KeyMaterial:
    """A key as text: `private` never leaves the installation, `public` may (a certificate, a key id)."""

    private: str
    public: str


@dataclass(frozen=True, slots=True)
class KeptKey:
    """The `number`th key for its purpose; from `signs_from` on it signs, until a newer one does."""

    number: int
    material: KeyMaterial
    made_at: datetime
    signs_from: datetime


async def shared_keys(
    database: Database, keyring: Keyring, clock: Clock, purpose: str, make: Callable[[], KeyMaterial]
) -> list[KeyMaterial]:
    """Return the keys for this purpose, newest first, making the first one when there is none yet."""
    return [key.material for key in await shared_kept_keys(database, keyring, clock, purpose, make)]


async def shared_kept_keys(
    database: Database, keyring: Keyring, clock: Clock, purpose: str, make: Callable[[], KeyMaterial]
) -> list[KeptKey]:
    """Return as `shared_keys` does, with what is known of each key."""
    found = await database.read(lambda tx: kept_keys(tx, keyring, purpose))
    if found:
        return found
    made = make()
    with contextlib.suppress(IntegrityError):  # another gate was quicker: theirs counts
        await database.write(lambda tx: add(tx, keyring, clock, purpose, made, number=1))
    return await database.read(lambda tx: kept_keys(tx, keyring, purpose))


def add(
    tx: Connection,
    keyring: Keyring,
    clock: Clock,
    purpose: str,
    key: KeyMaterial,
    *,
    number: int,
    signs_from: datetime | None = None,
) -> None:
    """Insert a key as the `number`th for its purpose, by default one that signs now; `IntegrityError` where there is
    one with this number.
    """
    now = clock.now()
    row = {"id": _id(purpose, number), "purpose": purpose, "public": key.public, "sealed": keyring.seal(key.private)}
    times = {"created_at": to_micros(now), "signs_from_at": to_micros(signs_from or now)}
    tx.execute(insert(installation_key).values(**row, **times))


def forget(tx: Connection, purpose: str, number: int) -> None:
    """Delete a key for ever."""
    tx.execute(delete(installation_key).where(installation_key.c.id == _id(purpose, number)))


def kept_keys(tx: Connection, keyring: Keyring, purpose: str) -> list[KeptKey]:
    """Return the keys for this purpose, newest first."""
    table = installation_key
    rows = tx.execute(select(table).where(table.c.purpose == purpose).order_by(table.c.id.desc()))
    return [
        KeptKey(
            number=int(row.id.rpartition("-")[2]),
            material=KeyMaterial(keyring.unseal(row.sealed), row.public),
            made_at=from_micros(row.created_at),
            signs_from=from_micros(row.signs_from_at),
        )
        for row in rows
    ]


def signing_first(keys: Sequence[KeptKey], *, now: datetime) -> list[KeptKey]:
    """Return the keys (newest first, one at least) with the one that signs now before the others."""
    signing = next((key for key in keys if key.signs_from <= now), keys[-1])
    return [signing, *(key for key in keys if key is not signing)]


def _id(purpose: str, number: int) -> str:
    return f"{purpose}-{number:04}"
