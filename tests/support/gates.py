"""The inside of a gate, without HTTP: a database with an organization in it, people whom a connection has proved, and
the use cases as a process of the gate calls them.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sso_gate.admission.admit import Admission, Door
from sso_gate.admission.settle import Allowed, Denied, Login
from sso_gate.apply.apply import apply
from sso_gate.apply.file import OrganizationFile
from sso_gate.audit.event import Actor
from sso_gate.clock import Clock, SystemClock
from sso_gate.errors import Unavailable
from sso_gate.identity import Identity, new_id
from sso_gate.organizations import store as organizations
from sso_gate.organizations.organization import Organization
from sso_gate.seats import ledger
from sso_gate.seats.ledger import Pool
from sso_gate.settings import Settings
from sso_gate.storage import migrate
from sso_gate.storage.database import Database
from sso_gate.storage.open import open_runtime
from sso_gate.storage.runtime import Runtime
from tests.support.postgres import ThrowAwayPostgres
from tests.support.valkey import ThrowAwayValkey

OPERATOR = Actor("admin", "operator", "operator")
SECRET_KEY = "a-key-for-tests-of-the-inside-of-a-gate"
_numbers = itertools.count(1)


class MovingClock:
    """A clock that stands still until it is moved; instants of one run differ by a microsecond each."""

    def __init__(self, start: datetime = datetime(2026, 3, 1, 9, tzinfo=UTC)) -> None:
        self.instant = start

    def now(self) -> datetime:
        """Return the instant, a microsecond later each time: rows keep the order in which they were made."""
        self.instant += timedelta(microseconds=1)
        return self.instant

    def move(self, by: timedelta) -> None:
        """Set the clock forward, or back."""
        self.instant += by


def settings_for(database_url: str, redis_url: str, **more: object) -> Settings:
    """Return complete settings."""
    plain = database_url.replace("postgresql+psycopg://", "postgresql://")
    values = {"database_url": plain, "redis_url": redis_url, "secret_keys": (SECRET_KEY,), **more}
    return Settings.model_validate(values)


@dataclass
class Gate:
    """One process's view of an installation; `slow` tests open several on the same servers."""

    runtime: Runtime
    door: Door = field(init=False)

    def __post_init__(self) -> None:
        self.door = Door.of(self.runtime)

    async def login(self, identity: Identity) -> Admission | Denied:
        """Let somebody try to come in, with a proof of their own."""
        return await self.door.admit(fresh_login(identity, self.runtime.clock))

    async def tries(self, identity: Identity, *, times: int = 200) -> Admission | Denied:
        """Do as a browser would whose server is away for a moment: try again, with a new proof each time."""
        for _ in range(times):
            try:
                return await self.login(identity)
            except Unavailable:
                await asyncio.sleep(0.05)
        raise Unavailable("the gate stayed unavailable")

    async def settle(self, identity: Identity, hint: str = "unknown") -> Allowed | Denied:
        """Decide without Redis."""
        login = fresh_login(identity, self.runtime.clock)
        return await self.door.combiner.settle(login, hint)  # type: ignore[arg-type]  # any of the three words

    async def pool(self, organization: str) -> Pool:
        """Return the organization's seats as SQL says."""
        now = self.runtime.clock.now()
        return await self.runtime.database.read(lambda tx: ledger.read(tx, organization, now=now))


@asynccontextmanager
async def open_gate(
    database_url: str, redis_url: str, *, clock: Clock | None = None, **settings: object
) -> AsyncIterator[Gate]:
    """Open a gate on databases that are migrated already."""
    runtime = open_runtime(settings_for(database_url, redis_url, **settings), clock or SystemClock())
    try:
        yield Gate(runtime)
    finally:
        await runtime.close()


async def make_organization(
    runtime: Runtime,
    *,
    seats: int = 3,
    slug: str = "",
    hold: bool = True,
    connections: Sequence[Mapping[str, object]] = (),
    folder: Path = Path("/"),
) -> Organization:
    """Return a new organization, made by the file that operators write: its primary owner holds one of the seats.

    It has an OIDC connection, besides these `connections`, whose files are in `folder`.
    """
    slug = slug or f"org{next(_numbers)}"
    wanted = OrganizationFile.model_validate(
        {
            "organization": {"slug": slug, "name": slug, "domains": [f"{slug}.example"], "hold_for_waiting": hold},
            "contract": {
                "kind": "annual_invoiced",
                "currency": "USD",
                "unit_price": "20.00",
                "price_per": "seat_month",
                "anchor_date": "2026-01-01",
                "timezone": "UTC",
                "seats": seats,
                "minimum_seats": 1,
            },
            "seller": {"name": "Example GmbH", "timezone": "UTC"},
            "members": [{"email": f"owner@{slug}.example", "name": "Owner", "role": "primary_owner"}],
            "connections": [
                *connections,
                {
                    "id": f"{slug}-oidc",
                    "protocol": "oidc",
                    "issuer": f"https://login.{slug}.example",
                    "client_id": "gate",
                    "client_secret": "secret",
                },
            ],
        }
    )
    await apply(runtime, wanted, folder=folder, text="", name="org.toml")
    found = await runtime.database.read(lambda tx: organizations.by_slug(tx, slug))
    assert found is not None
    return found


def person(organization: Organization, name: str) -> Identity:
    """Return what the organization's connection would prove about this person."""
    return Identity(
        connection=f"{organization.slug}-oidc",
        organization=organization.id,
        protocol="oidc",
        subject=f"subject of {name}",
        email=f"{name}@{organization.slug}.example",
        email_verified=True,
        name=name,
        groups=(),
        authenticated_at=datetime(2026, 1, 1, tzinfo=UTC),
        session_index=None,
        login_id="",
    )


def address(organization: Organization, name: str) -> str:
    """Return this person's address."""
    return f"{name}@{organization.slug}.example"


def fresh_login(identity: Identity, clock: Clock) -> Login:
    """Return a try to come in with a proof that nobody has used."""
    return Login(replace(identity, login_id=secrets.token_hex(32)), new_id("att", clock))


class Migrated:
    """Migrated empty databases, copied instead of made: SQLite files, and databases of the suite's PostgreSQL."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="gates-"))
        self._sqlite: Path | None = None
        self._postgres: dict[int, str] = {}

    def sqlite(self, folder: Path) -> str:
        """Return the URL of a new SQLite database in this folder."""
        if self._sqlite is None:
            self._sqlite = self._folder / "template.db"
            _migrate_apart(f"sqlite:///{self._sqlite}")
        copy = folder / f"gate-{next(_numbers)}.db"
        shutil.copy(self._sqlite, copy)
        return f"sqlite:///{copy}"

    def postgres(self, server: ThrowAwayPostgres) -> str:
        """Return the URL of a new database on this server."""
        if server.port not in self._postgres:
            url = server.create_database()
            _migrate_apart(url)
            self._postgres[server.port] = url.rpartition("/")[2]
        return server.create_database(template=self._postgres[server.port])

    def close(self) -> None:
        """Remove the templates of SQLite; the server's go with it."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _migrate_apart(url: str) -> None:
    """Migrate on a thread of its own: a test that asks for a database may run in an event loop."""
    with ThreadPoolExecutor(1) as apart:
        apart.submit(asyncio.run, _migrate(url)).result()


async def _migrate(url: str) -> None:
    database = Database(url)
    await migrate.migrate(database)
    database.close()


@pytest.fixture(scope="session")
def migrated() -> Iterator[Migrated]:
    """Migrated databases for the asking."""
    made = Migrated()
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def gate_database(request: pytest.FixtureRequest, migrated: Migrated, tmp_path: Path) -> Iterator[str]:
    """The URL of a migrated, empty database; a test that takes it runs on both kinds."""
    if request.param == "sqlite":
        yield migrated.sqlite(tmp_path)
        return
    server: ThrowAwayPostgres = request.getfixturevalue("postgres_server")
    url = migrated.postgres(server)
    yield url
    server.drop_database(url)


@pytest.fixture
def moving_clock() -> MovingClock:
    """A clock that stands still until it is moved."""
    return MovingClock()


@pytest.fixture
async def inside(gate_database: str, valkey: ThrowAwayValkey, moving_clock: MovingClock) -> AsyncIterator[Gate]:
    """A gate on an empty database of each kind and an empty Valkey, with a clock that is moved by hand."""
    async with open_gate(gate_database, valkey.socket_url, clock=moving_clock) as gate:
        yield gate
