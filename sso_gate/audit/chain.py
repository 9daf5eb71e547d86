"""An organization's chain of events: each is bound to the one before it, so that none can be changed or left out
unseen.

`hash = SHA-256(prev || canonical text)`, where `prev` is the hash before it as 32 bytes and 32 zero bytes at the
beginning. The Merkle tree's entries are these hashes.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, text, update

from sso_gate.audit.merkle import Tree
from sso_gate.clock import from_micros, to_micros
from sso_gate.storage.prepared import Prepared, inserting
from sso_gate.storage.tables import audit_chain

GENESIS = "0" * 64
DEFAULT_RETENTION_DAYS = 400
_LOCK = 0x55_06_5EA  # any number that no other program takes as a PostgreSQL advisory lock here


def link(prev: str, canonical: str) -> str:
    """Return the hash, 64 hex digits, of an event whose predecessor has the hash `prev`."""
    return hashlib.sha256(bytes.fromhex(prev) + canonical.encode("ascii")).hexdigest()


@dataclass(slots=True)
class Chain:
    """The end of a chain, while somebody who holds the lock works on it."""

    organization: str
    tree: Tree
    head: str = GENESIS
    latest_at: int = 0
    warned_at: int = 0
    signed_size: int = 0
    signed_at: datetime | None = None
    expired: int = 0
    expired_before: datetime | None = None
    retention_days: int = DEFAULT_RETENTION_DAYS
    is_new: bool = True

    @property
    def size(self) -> int:
        """How many events the chain has ever had."""
        return self.tree.size

    def append(self, canonical: str) -> tuple[int, str, str]:
        """Put an event at the end; return its position, the hash before it and its own."""
        prev, self.head = self.head, link(self.head, canonical)
        self.tree.push(bytes.fromhex(self.head))
        return self.tree.size, prev, self.head


def lock(tx: Connection, *, wait: bool = True) -> bool:
    """Return whether this transaction is the only one that works on chains; on SQLite it is, being the only writer."""
    if tx.dialect.name != "postgresql":
        return True
    if wait:
        tx.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        return True
    return bool(tx.execute(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": _LOCK}).scalar_one())


def load(tx: Connection, organization: str) -> Chain:
    """Return the organization's chain, or a new one."""
    row = tx.execute(select(audit_chain).where(audit_chain.c.organization == organization)).one_or_none()
    return _chain(row) if row else Chain(organization, Tree())


def load_many(tx: Connection, organizations: Collection[str]) -> dict[str, Chain]:
    """Return the chains of these organizations by their ids, in that order."""
    rows = tx.execute(select(audit_chain).where(audit_chain.c.organization.in_(organizations)))
    known = {row.organization: _chain(row) for row in rows}
    return {name: known.get(name) or Chain(name, Tree()) for name in sorted(organizations)}


def unsigned(tx: Connection, *, at_least: int, since: datetime, among: Collection[str] | None) -> list[str]:
    """Return the organizations, all or of these, with so many events that no checkpoint covers, or with some since
    before an instant.
    """
    table = audit_chain.c
    more = table.size - table.signed_size
    # The event that tells of the last checkpoint is not worth another one.
    due = (more >= at_least) | ((more > 1) & (table.signed_at <= to_micros(since)))
    query = select(table.organization).where(due).order_by(table.organization)
    return list(tx.execute(query if among is None else query.where(table.organization.in_(among))).scalars())


def logs(tx: Connection) -> list[str]:
    """Return the organizations that have a log."""
    return list(tx.execute(select(audit_chain.c.organization).order_by(audit_chain.c.organization)).scalars())


def _chain(row: Row[Any]) -> Chain:
    return Chain(
        organization=row.organization,
        tree=Tree(row.size, [bytes.fromhex(root) for root in row.roots.split()]),
        head=row.head,
        latest_at=row.latest_at,
        warned_at=row.warned_at,
        signed_size=row.signed_size,
        signed_at=from_micros(row.signed_at) if row.signed_at else None,
        expired=row.expired,
        expired_before=from_micros(row.expired_before_at) if row.expired_before_at else None,
        retention_days=row.retention_days,
        is_new=False,
    )


def save(tx: Connection, chain: Chain) -> None:
    """Write the chain back. The caller holds the lock."""
    save_many(tx, [chain])


def save_many(tx: Connection, chains: Collection[Chain]) -> None:
    """Write the chains back, in two statements however many they are. The caller holds the lock."""
    _ADD.run_many(tx, [_values(one) for one in chains if one.is_new])
    _CHANGE.run_many(tx, [_values(one) for one in chains if not one.is_new])
    for one in chains:
        one.is_new = False


def _values(chain: Chain) -> dict[str, Any]:
    return {
        "organization": chain.organization,
        "size": chain.size,
        "head": chain.head,
        "roots": " ".join(root.hex() for root in chain.tree.roots),
        "latest_at": chain.latest_at,
        "warned_at": chain.warned_at,
        "signed_size": chain.signed_size,
        "signed_at": to_micros(chain.signed_at) if chain.signed_at else 0,
        "expired": chain.expired,
        "expired_before_at": to_micros(chain.expired_before) if chain.expired_before else 0,
        "retention_days": chain.retention_days,
    }


_ADD = inserting(audit_chain)
_CHANGE = Prepared(
    update(audit_chain)
    .where(audit_chain.c.organization == bindparam("organization"))
    .values({one.name: bindparam(one.name) for one in audit_chain.columns if not one.primary_key})
)
