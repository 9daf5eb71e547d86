"""A gate whose Redis or PostgreSQL goes away and comes back: nobody is let in or refused by accident, nothing is taken,
and people come back by themselves.
"""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.integration.gate import Organization, RunningGate
from tests.integration.people import SESSION, Road, session_of
from tests.support.browser_jar import BrowserJar, Page
from tests.support.postgres import ThrowAwayPostgres
from tests.support.valkey import ThrowAwayValkey


@pytest.fixture(scope="module")
def own_valkey() -> Iterator[ThrowAwayValkey]:
    server = ThrowAwayValkey()
    yield server
    server.close()


@pytest.fixture(scope="module")
def own_database(postgres_server: ThrowAwayPostgres) -> Iterator[str]:
    url = postgres_server.create_database()
    yield url.replace("postgresql+psycopg", "postgresql")
    postgres_server.drop_database(url)


@pytest.fixture(scope="module")
def own_gate(own_valkey: ThrowAwayValkey, own_database: str) -> Iterator[RunningGate]:
    gate = RunningGate(DATABASE_URL=own_database, REDIS_URL=own_valkey.url)
    yield gate
    gate.close()


@pytest.fixture
def road(own_gate: RunningGate, lay) -> Road:
    """The way into an organization with two seats, one of them free."""
    made: Road = lay(own_gate, Organization(seats=2))
    return made


@pytest.fixture
def ana(road: Road) -> Iterator[BrowserJar]:
    """The browser of the one who holds the other seat."""
    with road.signed_in(road.person("ana")) as browser:
        yield browser


def slug(road: Road) -> str:
    return road.organization.slug


def in_use(road: Road) -> int:
    seats: dict[str, int] = road.gate.run("seats", "show", "--json", "--org", slug(road)).json()
    return seats["in_use"]


def check(road: Road, browser: BrowserJar) -> int:
    return road.gate.client.get("/check", headers={"Cookie": f"{SESSION}={session_of(browser)}"}).status_code


def departure(road: Road, browser: BrowserJar) -> Page:
    return browser.get(road.login_url(road.organization.saml))


def assert_unavailable(page: Page) -> None:
    assert page.status == 503
    assert int(page.headers["retry-after"]) > 0


def wait_until_ready(road: Road) -> None:
    deadline = time.monotonic() + 20
    while not road.gate.is_ready():
        assert time.monotonic() < deadline, "the gate did not come back"
        time.sleep(0.05)


@contextmanager
def no_postgres(url: str) -> Iterator[None]:
    """Let nobody into the database, and end whoever is there."""
    name = url.rpartition("/")[2]
    with psycopg.connect(url.rpartition("/")[0] + "/postgres", autocommit=True) as admin:
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        try:
            yield
        finally:
            admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


def test_without_redis_nobody_is_let_in_nothing_is_taken_and_sessions_are_there_again_with_it(
    road: Road, ana: BrowserJar, own_valkey: ThrowAwayValkey
):
    with BrowserJar() as bob:
        form = road.saml_idp.login(road.person("bob"), departure(road, bob).location, jar=bob)
        own_valkey.stop()
        try:
            assert check(road, ana) == 503
            assert_unavailable(bob.submit(form))
            assert session_of(bob) == ""
            assert_unavailable(departure(road, bob))
            assert road.gate.client.get("/health/ready").status_code == 503
            assert in_use(road) == 2
        finally:
            own_valkey.start()
        wait_until_ready(road)
        assert check(road, ana) == 200


def test_after_redis_was_emptied_people_sign_in_again_and_find_their_seats(
    road: Road, ana: BrowserJar, own_valkey: ThrowAwayValkey
):
    own_valkey.flush()
    assert check(road, ana) == 401
    assert in_use(road) == 2
    assert road.saml_login(ana, road.person("ana")).status == 303
    assert check(road, ana) == 200
    assert in_use(road) == 2


def test_what_redis_says_of_seats_lets_nobody_in_and_keeps_nobody_out(
    road: Road, ana: BrowserJar, own_valkey: ThrowAwayValkey
):
    lies = {"version": 10**9, "purchased": 1000, "used": 0, "reserved": 0}
    with BrowserJar() as bob, own_valkey.tcp_client() as redis:
        counters = redis.keys("sso:{org_*}:seats")
        assert counters
        for counter in counters:
            redis.hset(counter, mapping=lies)
        assert "/denied/" in road.saml_login(bob, road.person(f"late-{secrets.token_hex(3)}")).location
        for counter in counters:
            redis.hset(counter, mapping={**lies, "purchased": 0})
        assert road.saml_login(ana, road.person("ana")).status == 303
        assert session_of(ana)
        redis.delete(*counters)


def test_without_postgresql_sessions_live_on_their_lease_and_nobody_new_is_let_in(
    road: Road, ana: BrowserJar, own_database: str
):
    with BrowserJar() as bob:
        form = road.saml_idp.login(road.person("ana"), departure(road, bob).location, jar=bob)
        with no_postgres(own_database):
            assert check(road, ana) == 200
            assert_unavailable(bob.submit(form))
            assert session_of(bob) == ""
            assert road.gate.client.get("/health/ready").status_code == 503
        assert road.saml_login(bob, road.person("ana")).status == 303
        assert check(road, bob) == 200


def test_connections_that_postgresql_has_ended_cost_nobody_their_login(road: Road, ana: BrowserJar, own_database: str):
    with no_postgres(own_database):
        pass
    assert road.saml_login(ana, road.person("ana")).status == 303
    assert check(road, ana) == 200
    assert in_use(road) == 2
