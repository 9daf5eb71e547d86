"""Two processes and two hundred people at the last ten seats."""

import asyncio
import time
from collections.abc import Callable

import pytest

from sso_gate.organizations.organization import Organization
from tests.integration.seats.processes import assert_books_agree, processes
from tests.support.gates import make_organization, open_gate, person
from tests.support.valkey import ThrowAwayValkey

PEOPLE, SEATS = 200, 10


@pytest.mark.parametrize("flushed", [False, True], ids=["undisturbed", "Redis flushed in the middle"])
async def test_two_hundred_people_at_the_last_ten_seats_admit_exactly_ten(
    gate_database: str, valkey: ThrowAwayValkey, *, flushed: bool
):
    def flush(_organization: Organization) -> None:
        for _ in range(10 if flushed else 0):
            time.sleep(0.02)
            valkey.flush()

    await assert_ten_seats_go_to_ten(gate_database, valkey.socket_url, meanwhile=flush)


async def assert_ten_seats_go_to_ten(
    gate_database: str, redis_url: str, *, meanwhile: Callable[[Organization], None]
) -> None:
    """Let two hundred people come at once while that happens, and count who is let in."""
    async with open_gate(gate_database, redis_url) as gate:
        organization = await make_organization(gate.runtime, seats=1 + SEATS)
        names = [f"p{at}" for at in range(PEOPLE)]
        with processes(gate_database, redis_url, count=2) as running:
            for place, one in enumerate(running):
                one.tell(do="storm", slug=organization.slug, names=names[place::2])
            await asyncio.to_thread(meanwhile, organization)
            told = [admitted for one in running for admitted in await asyncio.to_thread(one.answer)]
        assert len(told) == PEOPLE
        assert sum(told) == SEATS
        assert (await gate.pool(organization.id)).used == 1 + SEATS
        await assert_books_agree(gate, organization)


async def test_everybody_comes_in_both_processes_at_once_and_takes_one_seat(
    gate_database: str, valkey: ThrowAwayValkey
):
    async with open_gate(gate_database, valkey.socket_url) as gate:
        organization = await make_organization(gate.runtime, seats=1 + SEATS)
        names = [f"p{at}" for at in range(SEATS)] * 4
        with processes(gate_database, valkey.socket_url, count=2) as running:
            for one in running:
                one.tell(do="storm", slug=organization.slug, names=names)
            told = [admitted for one in running for admitted in await asyncio.to_thread(one.answer)]
        assert all(told)
        assert len(told) == 8 * SEATS
        assert (await gate.pool(organization.id)).used == 1 + SEATS
        await assert_books_agree(gate, organization)


async def test_holders_come_in_while_a_storm_finds_no_seat(gate_database: str, valkey: ThrowAwayValkey):
    async with open_gate(gate_database, valkey.socket_url) as gate:
        organization = await make_organization(gate.runtime, seats=1)
        with processes(gate_database, valkey.socket_url) as [storm]:
            storm.tell(do="storm", slug=organization.slug, names=[f"p{at}" for at in range(PEOPLE)])
            answers = [await gate.tries(person(organization, "owner")) for _ in range(20)]
            assert not any(await asyncio.to_thread(storm.answer))
        assert all(hasattr(answer, "session") for answer in answers)
        await assert_books_agree(gate, organization)
