"""Real gates for the whole session: one as a fresh machine has it, one on PostgreSQL and a Valkey of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.integration.gate import Organization, RunningGate
from tests.integration.people import Road, lay_road
from tests.support.oidc_op import OidcProvider
from tests.support.postgres import ThrowAwayPostgres
from tests.support.samlp_idp import SamlpIdp
from tests.support.valkey import ThrowAwayValkey


@pytest.fixture(scope="session")
def gate() -> Iterator[RunningGate]:
    """The one-command default: SQLite and the embedded Valkey, in one process."""
    running = RunningGate()
    yield running
    running.close()


@pytest.fixture(scope="session")
def big_gate(postgres_server: ThrowAwayPostgres) -> Iterator[RunningGate]:
    """A gate on PostgreSQL and an external Valkey, with two server processes."""
    valkey = ThrowAwayValkey()  # the suite's shared one is emptied before every test that takes it
    url = postgres_server.create_database().replace("postgresql+psycopg", "postgresql")
    running = RunningGate(DATABASE_URL=url, REDIS_URL=valkey.url, WORKERS="2")
    yield running
    running.close()
    postgres_server.drop_database(url)
    valkey.close()


@pytest.fixture(params=["gate", "big_gate"])
def any_gate(request: pytest.FixtureRequest) -> RunningGate:
    """Each of the two; a test that takes it runs twice."""
    running: RunningGate = request.getfixturevalue(request.param)
    return running


@pytest.fixture
def lay(samlp_idp: SamlpIdp, oidc_provider: OidcProvider) -> Callable[..., Road]:
    """Make the road into a gate for a new organization: `lay(gate, Organization(seats=2))`."""

    def make(gate: RunningGate, organization: Organization, **connection: str) -> Road:
        return lay_road(gate, samlp_idp, oidc_provider, organization, **connection)

    return make
