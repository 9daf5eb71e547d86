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


def _wide_road(gate: RunningGate, saml_idp: SamlpIdp, oidc_provider: OidcProvider) -> Road:
    organization = Organization(seats=1000)
    owners = {"lines": "", "tables": '[connections.roles]\n"gate-owners" = "owner"\n"gate-admins" = "admin"'}
    organization.add_member("listed-owner", role="owner")
    organization.add_member("admin", role="admin")
    organization.add_member("viewer", grants=["billing_viewer"])
    organization.add_member("auditor", grants=["auditor"])
    return lay_road(gate, saml_idp, oidc_provider, organization, **owners)


@pytest.fixture(scope="session")
def road(gate: RunningGate, _samlp_server: SamlpIdp, oidc_provider: OidcProvider) -> Road:
    """The way into an organization with seats for everybody, on the one-command default."""
    return _wide_road(gate, _samlp_server, oidc_provider)


@pytest.fixture(scope="session")
def big_road(big_gate: RunningGate, _samlp_server: SamlpIdp, oidc_provider: OidcProvider) -> Road:
    """The same on PostgreSQL and Valkey."""
    return _wide_road(big_gate, _samlp_server, oidc_provider)


@pytest.fixture(scope="session", params=["road", "big_road"])
def any_road(request: pytest.FixtureRequest) -> Road:
    """Each of the two; a test that takes it runs twice."""
    found: Road = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def lay(_samlp_server: SamlpIdp, oidc_provider: OidcProvider) -> Callable[..., Road]:
    """Make the road into a gate for a new organization: `lay(gate, Organization(seats=2))`."""

    def make(gate: RunningGate, organization: Organization, **connection: str) -> Road:
        return lay_road(gate, _samlp_server, oidc_provider, organization, **connection)

    return make
