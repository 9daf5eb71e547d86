"""Seats behind Sentinel and on a Cluster: what storms and crashes leave on one Valkey, they leave there too."""

from pathlib import Path

import pytest

from tests.integration.seats import test_crashes, test_storms
from tests.integration.seats.worker_process import AFTER_COMMIT
from tests.support.gates import Migrated
from tests.support.redis_kinds import ClusterValkey, SentinelValkey


@pytest.fixture(params=["sentinel_valkey", "cluster_valkey"])
def servers(request: pytest.FixtureRequest) -> SentinelValkey | ClusterValkey:
    """Empty servers of each kind."""
    kind: SentinelValkey | ClusterValkey = request.getfixturevalue(request.param)
    kind.flush()
    return kind


@pytest.fixture
def sqlite(migrated: Migrated, tmp_path: Path) -> str:
    return migrated.sqlite(tmp_path)


@pytest.mark.parametrize("flushed", [False, True], ids=["undisturbed", "Redis flushed in the middle"])
async def test_two_hundred_people_at_the_last_ten_seats_admit_exactly_ten(sqlite: str, servers, *, flushed: bool):
    await test_storms.test_two_hundred_people_at_the_last_ten_seats_admit_exactly_ten(sqlite, servers, flushed=flushed)


async def test_who_died_after_the_commit_of_a_login_finds_the_seat(sqlite: str, servers):
    await test_crashes.test_admit(sqlite, servers, AFTER_COMMIT)


async def test_a_release_that_died_before_its_purge_is_purged(sqlite: str, servers):
    await test_crashes.test_giving_back(sqlite, servers, AFTER_COMMIT, "release")


async def test_a_purchase_that_died_after_the_commit_is_one_purchase(sqlite: str, servers):
    await test_crashes.test_purchase(sqlite, servers, AFTER_COMMIT)
