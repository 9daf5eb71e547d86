"""One organization with a client of its own, on both databases; the databases are made once, organizations are many."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.gates import Gate, Migrated, MovingClock, make_organization, open_gate
from tests.support.valkey import ThrowAwayValkey
from tests.unit.scim.client import Client, client_of


@pytest.fixture(scope="session")
def scim_databases(migrated: Migrated, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """URLs of databases that the tests share, filled as they are asked for."""
    return {"sqlite": migrated.sqlite(tmp_path_factory.mktemp("scim"))}


@pytest.fixture(params=["sqlite", "postgresql"])
def scim_database(request: pytest.FixtureRequest, scim_databases: dict[str, str], migrated: Migrated) -> str:
    """The URL of a shared database of each kind."""
    if request.param not in scim_databases:
        scim_databases[request.param] = migrated.postgres(request.getfixturevalue("postgres_server"))
    return scim_databases[request.param]


@pytest.fixture
async def scim_gate(scim_database: str, valkey: ThrowAwayValkey, moving_clock: MovingClock) -> AsyncIterator[Gate]:
    """A gate on the shared database and an empty Valkey, with a clock that is moved by hand."""
    async with open_gate(scim_database, valkey.socket_url, clock=moving_clock) as gate:
        yield gate


@pytest.fixture
async def scim(scim_gate: Gate) -> AsyncIterator[Client]:
    """A client of an organization with five seats, one of which its primary owner holds."""
    organization = await make_organization(scim_gate.runtime, seats=5)
    async with client_of(scim_gate, organization) as client:
        yield client
