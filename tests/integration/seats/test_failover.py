"""A replica takes over from a lost primary, behind Sentinel and on a Cluster, without what it had not copied yet."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from sso_gate.admission.admit import Admission
from sso_gate.admission.recheck import LEASE, Alive, Recheck
from sso_gate.admission.revoke import Revoker
from sso_gate.admission.settle import Denied
from sso_gate.errors import Unavailable
from sso_gate.organizations.organization import Organization
from tests.integration.seats import test_storms
from tests.integration.seats.processes import assert_books_agree
from tests.support.gates import OPERATOR, Gate, Migrated, MovingClock, address, make_organization, open_gate, person
from tests.support.redis_kinds import Loss, ReplicatedCluster, SentinelValkey, client, wait_until


@pytest.fixture(params=[SentinelValkey, ReplicatedCluster])
def servers(request: pytest.FixtureRequest) -> Iterator[SentinelValkey | ReplicatedCluster]:
    """Servers that may be lost."""
    opened: SentinelValkey | ReplicatedCluster = request.param()
    yield opened
    opened.close()


@pytest.fixture
def sqlite(migrated: Migrated, tmp_path: Path) -> str:
    return migrated.sqlite(tmp_path)


def counter(organization: Organization) -> str:
    return f"sso:{{{organization.id}}}:seats"


def wait_until_told(servers: SentinelValkey | ReplicatedCluster, organization: Organization, *, used: int) -> None:
    """Return once the counter has heard that so many seats are taken; it is told beside the answers."""
    with client(servers.keeper(counter(organization))) as primary:
        wait_until(lambda: int(primary.hget(counter(organization), "used") or 0) >= used)


async def release(gate: Gate, organization: Organization, name: str) -> None:
    await Revoker.of(gate.runtime).release(organization.id, address(organization, name), by=OPERATOR)


async def comes(gate: Gate, organization: Organization, name: str) -> Admission | Denied:
    """Let somebody try to come in until the gate has found the primary that there is now."""
    async with asyncio.timeout(20):
        return await gate.tries(person(organization, name))


@pytest.mark.parametrize("how", Loss)
async def test_a_replica_that_lags_costs_no_seat_and_revives_a_session_for_its_lease_at_most(
    sqlite: str, servers: SentinelValkey | ReplicatedCluster, how: Loss, moving_clock: MovingClock
):
    async with open_gate(sqlite, servers.url, clock=moving_clock) as gate:
        organization = await make_organization(gate.runtime, seats=3)
        ana, cyd = [await gate.login(person(organization, name)) for name in ("ana", "cyd")]
        assert isinstance(ana, Admission)
        assert isinstance(cyd, Admission)
        await asyncio.to_thread(wait_until_told, servers, organization, used=3)
        await asyncio.to_thread(servers.cut_off_replica, counter(organization))
        await release(gate, organization, "ana")
        assert isinstance(await gate.login(person(organization, "bob")), Admission)
        await release(gate, organization, "cyd")
        servers.lose(servers.keeper(counter(organization)), how)
        with pytest.raises(Unavailable):
            await gate.login(person(organization, "dan"))
        assert (await gate.pool(organization.id)).used == 2
        await asyncio.to_thread(servers.fail_over, counter(organization))
        assert isinstance(await comes(gate, organization, "dan"), Admission), "the replica knows of no free seat"
        assert isinstance(await comes(gate, organization, "bob"), Admission), "the replica knows nothing of him"
        pool = await gate.pool(organization.id)
        assert pool.used == 3
        assert (await gate.runtime.redis.fields(counter(organization)))["version"] == str(pool.version)
        moving_clock.move(LEASE)
        assert not isinstance(await Recheck.of(gate.runtime).session(ana.token), Alive)
        assert isinstance(await comes(gate, organization, "ana"), Denied)
        await assert_books_agree(gate, organization)


async def test_a_primary_that_comes_back_with_the_past_costs_no_seat_and_lets_nobody_in(
    sqlite: str, servers: SentinelValkey | ReplicatedCluster, moving_clock: MovingClock
):
    async with (
        open_gate(sqlite, servers.url, clock=moving_clock) as gate,
        open_gate(sqlite, servers.url, clock=moving_clock) as other,
    ):
        organization = await make_organization(gate.runtime, seats=3)
        ana = await gate.login(person(organization, "ana"))
        assert isinstance(ana, Admission)
        primary = servers.keeper(counter(organization))
        servers.lose(primary, Loss.SILENT)
        await asyncio.to_thread(servers.fail_over, counter(organization))
        await release(other, organization, "ana")
        for name in ("bob", "dan"):
            assert isinstance(await comes(other, organization, name), Admission)
        servers.find_again(primary)
        assert isinstance(await comes(gate, organization, "eve"), Denied), "the old primary knows of a free seat"
        assert isinstance(await comes(gate, organization, "dan"), Admission)
        assert (await gate.pool(organization.id)).used == 3
        moving_clock.move(LEASE)
        assert not isinstance(await Recheck.of(gate.runtime).session(ana.token), Alive)
        assert isinstance(await comes(gate, organization, "ana"), Denied)
        await assert_books_agree(gate, organization)


@pytest.mark.parametrize("how", Loss)
async def test_a_storm_at_the_last_ten_seats_admits_exactly_ten_though_the_primary_is_lost_in_it(
    sqlite: str, servers: SentinelValkey | ReplicatedCluster, how: Loss
):
    def fail_over(organization: Organization) -> None:
        wait_until_told(servers, organization, used=2)
        servers.lose(servers.keeper(counter(organization)), how)
        servers.fail_over(counter(organization))

    await test_storms.assert_ten_seats_go_to_ten(sqlite, servers.url, meanwhile=fail_over)
