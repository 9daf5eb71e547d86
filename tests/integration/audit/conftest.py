"""A log without a gate around it: a migrated database of either kind, a clock to turn, organizations to write for."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from sso_gate.audit import store
from sso_gate.audit.event import Action, Actor, Client, Event, SeatCount, Via, new_reference
from sso_gate.audit.export import export
from sso_gate.audit.sealer import seal
from sso_gate.audit.store import AuditFilter
from sso_gate.clock import to_micros
from sso_gate.errors import Reason
from sso_gate.identity import new_id
from sso_gate.settings import load_settings
from sso_gate.storage import tables
from sso_gate.storage.open import open_runtime
from sso_gate.storage.runtime import Runtime
from tests.support.gates import Migrated
from tests.support.postgres import ThrowAwayPostgres

START = datetime(2026, 11, 20, 8, tzinfo=UTC)
OWNER = Actor("user", "mem_owner", "owner@acme.example")
_NUMBERS = itertools.count(1)


@dataclass
class Hand:
    """A clock that stands still until it is moved; each look moves it by a microsecond."""

    at: datetime = START

    def now(self) -> datetime:
        self.at += timedelta(microseconds=1)
        return self.at

    def move(self, **by: float) -> None:
        self.at += timedelta(**by)


@dataclass
class Log:
    """The log of one organization."""

    runtime: Runtime
    clock: Hand
    organization: str
    written: list[Event] = field(default_factory=list)

    def event(self, person: str = "ana@acme.example", reason: Reason | None = None, **parts: Any) -> Event:
        values = {
            "via": Via("acme-okta", "saml"),
            "client": Client("198.51.100.7", "Mozilla/5.0", "req_1"),
            "seat": SeatCount(25, 25),
            "reference": new_reference(),
            "actor": Actor("user", "mem_1", person, f"subject of {person}"),
            "action": Action.LOGIN,
            **parts,
        }
        now = self.clock.now()
        return Event(id=new_id("evt", self.clock), organization=self.organization, at=now, reason=reason, **values)

    async def write(self, count: int = 1, **parts: Any) -> list[Event]:
        events = [self.event(**parts) for _ in range(count)]
        await self.runtime.database.write(lambda tx: store.record(tx, events))
        self.written += events
        return events

    async def sealed(self, count: int = 1, **parts: Any) -> list[Event]:
        events = await self.write(count, **parts)
        await seal(self.runtime)
        return events

    async def page(self, limit: int = 200, **filters: Any) -> store.AuditPage:
        wanted = AuditFilter(**filters)
        return await self.runtime.database.read(lambda tx: store.page(tx, self.organization, wanted, limit=limit))

    async def export(self, form: str = "jsonl", **filters: Any) -> list[str]:
        _, blocks = await export(self.runtime, self.organization, AuditFilter(**filters), form=form, by=OWNER)
        return "".join([block async for block in blocks]).splitlines(keepends=True)


async def new_organization(runtime: Runtime) -> str:
    name = f"org_{next(_NUMBERS)}"
    row = {
        "id": name, "slug": name.replace("_", "-"), "name": name, "enabled": True, "locale": "en",
        "hold_for_waiting": True, "scim_when_full": "refuse", "purchase_roles": "[]", "created_at": to_micros(START),
    }  # fmt: skip
    await runtime.database.write(lambda tx: tx.execute(insert(tables.organization).values(row)))
    return name


async def open_log(url: str, tmp_path: Any) -> Log:
    """Open an empty log in a migrated database."""
    settings = load_settings({
        "SSO_GATE_DATABASE_URL": url.replace("postgresql+psycopg", "postgresql"),
        "SSO_GATE_REDIS_URL": "redis://127.0.0.1:1",
        "SSO_GATE_SECRET_KEYS": "a-key-of-the-tests-with-40-characters-ok",
        "SSO_GATE_DATA_DIR": str(tmp_path),
        "SSO_GATE_ALLOW_PRIVATE_NETWORKS": "127.0.0.0/8",
    })  # fmt: skip
    clock = Hand()
    runtime = open_runtime(settings, clock)
    return Log(runtime, clock, await new_organization(runtime))


@pytest.fixture
async def log(gate_database: str, tmp_path: Any) -> AsyncIterator[Log]:
    """An empty log, on each kind of database."""
    made = await open_log(gate_database, tmp_path)
    yield made
    await made.runtime.close()


@pytest.fixture
async def small_log(migrated: Migrated, tmp_path: Any) -> AsyncIterator[Log]:
    """An empty log on SQLite, where the kind of database makes no difference."""
    made = await open_log(migrated.sqlite(tmp_path), tmp_path)
    yield made
    await made.runtime.close()


@pytest.fixture
async def big_log(migrated: Migrated, postgres_server: ThrowAwayPostgres, tmp_path: Any) -> AsyncIterator[Log]:
    """An empty log on PostgreSQL alone."""
    url = migrated.postgres(postgres_server)
    made = await open_log(url, tmp_path)
    yield made
    await made.runtime.close()
    postgres_server.drop_database(url)
