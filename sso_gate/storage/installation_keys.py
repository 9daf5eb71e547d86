"""Keys that all gates of one installation share: kept in SQL, sealed under SSO_GATE_SECRET_KEYS, made once by whoever
comes first.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from sso_gate.clock import Clock, to_micros
from sso_gate.storage.database import Database
from sso_gate.storage.keyring import Keyring
from sso_gate.storage.tables import installation_key


@dataclass(frozen=True, slots=True)
class KeyMaterial:
    """A key as text: `private` never leaves the installation, `public` may (a certificate, a key id)."""

    private: str
    public: str


async def shared_keys(
    database: Database, keyring: Keyring, clock: Clock, purpose: str, make: Callable[[], KeyMaterial]
) -> list[KeyMaterial]:
    """Return the keys for this purpose, newest first, making the first one when there is none yet."""
    found = await database.read(lambda tx: _load(tx, keyring, purpose))
    if found:
        return found
    made = make()
    with contextlib.suppress(IntegrityError):  # another gate was quicker: theirs counts
        await database.write(lambda tx: add(tx, keyring, clock, purpose, made, number=1))
    return await database.read(lambda tx: _load(tx, keyring, purpose))


def add(tx: Connection, keyring: Keyring, clock: Clock, purpose: str, key: KeyMaterial, *, number: int) -> None:
    """Insert a key as the `number`th for its purpose; `IntegrityError` where there is one with this number."""
    row = {"id": f"{purpose}-{number:04}", "purpose": purpose, "public": key.public}
    tx.execute(
        insert(installation_key).values(**row, sealed=keyring.seal(key.private), created_at=to_micros(clock.now()))
    )


def _load(tx: Connection, keyring: Keyring, purpose: str) -> list[KeyMaterial]:
    table = installation_key.c
    rows = tx.execute(select(table.sealed, table.public).where(table.purpose == purpose).order_by(table.id.desc()))
    return [KeyMaterial(keyring.unseal(row.sealed), row.public) for row in rows]
