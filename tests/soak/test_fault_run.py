"""The storm with everything breaking: some seconds of it here, a minute with `make soak`."""

import random
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.soak.fault_run import FaultRun, LaterClock, fault_run, settle_down, violations
from tests.soak.storm_process import HOLDERS
from tests.support.gates import Migrated, make_organization, open_gate, person
from tests.support.postgres import ThrowAwayPostgres
from tests.support.valkey import ThrowAwayValkey

SEATS = 20


@pytest.fixture(scope="module")
def breakable_postgres() -> Iterator[ThrowAwayPostgres]:
    """A PostgreSQL that keeps what it has answered, crash or not."""
    server = ThrowAwayPostgres(fsync=True)
    yield server
    server.close()


@pytest.fixture(scope="module")
def breakable_valkey() -> Iterator[ThrowAwayValkey]:
    """A Valkey of its own."""
    server = ThrowAwayValkey()
    yield server
    server.close()


async def run_for(
    seconds: float, logins: int, postgres: ThrowAwayPostgres, valkey: ThrowAwayValkey, migrated: Migrated
) -> FaultRun:
    """Run the storm, and fail unless every promise was kept."""
    url = migrated.postgres(postgres)
    async with open_gate(url, valkey.socket_url) as gate:
        organization = await make_organization(gate.runtime, seats=SEATS, hold=False)
        for name in HOLDERS:
            await gate.login(person(organization, name))
    with fault_run(FaultRun(url, postgres, valkey, organization, random.Random())) as run:
        run.go_on(seconds, logins=logins)
    async with open_gate(url, valkey.socket_url, clock=LaterClock()) as gate:
        run.noted["promises kept afterwards"] = await settle_down(gate)
        assert await violations(gate, run) == {}
    return run


def counts(run: FaultRun) -> dict[str, int]:
    """Return how often each thing happened."""
    logins = Counter(f"login: {one.told}" for one in run.came)
    return {**run.accidents, **logins, **run.noted, "orders": len(run.bought)}


async def test_a_storm_with_everything_breaking_breaks_no_promise(
    breakable_postgres: ThrowAwayPostgres, breakable_valkey: ThrowAwayValkey, migrated: Migrated
):
    happened = counts(await run_for(3, 60, breakable_postgres, breakable_valkey, migrated))
    assert happened["login: in"] > 0
    assert happened["login: seat_unavailable"] > 0


@pytest.mark.soak
async def test_a_minute_with_everything_breaking_breaks_no_promise(
    breakable_postgres: ThrowAwayPostgres,
    breakable_valkey: ThrowAwayValkey,
    migrated: Migrated,
    capsys: pytest.CaptureFixture[str],
):
    happened = counts(await run_for(60, 500, breakable_postgres, breakable_valkey, migrated))
    with capsys.disabled():
        print("\n" + "\n".join(f"{times:8} {what}" for what, times in happened.items()))  # noqa: T201 - what was seen
    assert all(happened[what] >= 2 for what in ("kill_a_gate", "flush", "put_copy_back", "crash_postgres"))
