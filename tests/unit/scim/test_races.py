"""Provisioning at two gates and people who sign in at both, all for the same seats, on one PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from sqlalchemy import func, select

from sso_gate.admission.admit import Admission
from sso_gate.members.member import MemberState
from sso_gate.sessions.store import SessionStore
from sso_gate.storage.tables import member
from tests.support.gates import make_organization, open_gate, person
from tests.unit.scim.client import Client, client_of

SEATS = 4


@pytest.fixture
async def two(scim_databases, migrated, postgres_server, valkey) -> AsyncIterator[list[Client]]:
    """A client of one organization at each of two gates; its primary owner holds one of four seats."""
    if "postgresql" not in scim_databases:
        scim_databases["postgresql"] = migrated.postgres(postgres_server)
    async with AsyncExitStack() as stack:
        gates = [
            await stack.enter_async_context(open_gate(scim_databases["postgresql"], valkey.socket_url)) for _ in "12"
        ]
        organization = await make_organization(gates[0].runtime, seats=SEATS)
        yield [await stack.enter_async_context(client_of(gate, organization)) for gate in gates]


async def holders(scim):
    """Return how many members hold a seat, as their rows say."""
    held = (member.c.organization == scim.organization.id) & (member.c.state == MemberState.HELD)
    query = select(func.count()).select_from(member).where(held)
    return await scim.gate.runtime.database.read(lambda tx: tx.execute(query).scalar_one())


async def test_the_last_seat_goes_to_one_of_those_who_are_created_and_those_who_sign_in(two):
    created = [two[number % 2].create(f"p{number}") for number in range(8)]
    logins = [two[number % 2].gate.login(person(two[0].organization, f"q{number}")) for number in range(8)]
    answers = await asyncio.gather(*created, *logins)
    let_in = [isinstance(one, Admission) or getattr(one, "status_code", 0) == 201 for one in answers]
    assert (sum(let_in), await holders(two[0]), await two[1].used()) == (SEATS - 1, SEATS, SEATS)


async def test_deactivations_and_reactivations_against_logins_leave_exactly_as_many_holders_as_seats(two):
    people = [await two[0].created(f"p{number}", active=False) for number in range(6)]

    async def switch(number):
        gate, who = two[number % 2], people[number % 6]
        answer = await gate.activate(who["id"], number % 3 != 0)
        assert answer.status_code in (200, 403)

    async def sign_in(number):
        await two[number % 2].gate.login(person(two[0].organization, f"p{number % 6}"))
        assert await holders(two[0]) <= SEATS

    await asyncio.gather(*map(switch, range(24)), *map(sign_in, range(24)))
    assert await holders(two[0]) == await two[1].used() <= SEATS
    await asyncio.gather(*(two[number % 2].activate(one["id"]) for number, one in enumerate(people)))
    assert await holders(two[0]) == await two[1].used() == SEATS, "there are more who want one than seats"
    off = [two[number % 2].activate(people[0]["id"], False) for number in range(6)]
    assert {answer.status_code for answer in await asyncio.gather(*off)} == {200}
    listed = (await two[0].get("/Users", filter="active eq true")).json()["totalResults"]
    assert await holders(two[0]) == await two[1].used() == listed


async def test_a_deactivation_that_meets_a_login_leaves_no_session_behind(two):
    async def meet(number):
        user = (await two[0].create(f"m{number}", active=False)).json()
        await two[0].activate(user["id"])
        came, _ = await asyncio.gather(
            two[1].gate.login(person(two[0].organization, f"m{number}")), two[0].activate(user["id"], False)
        )
        if isinstance(came, Admission):
            runtime = two[0].gate.runtime
            assert await SessionStore.of(runtime).find(came.token, now=runtime.clock.now()) is None

    for number in range(6):
        await meet(number)
    assert await holders(two[0]) == 1
