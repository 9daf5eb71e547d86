"""Promises: found by whoever looks, put off while somebody tries, forgotten long after they were kept."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial

import pytest

from sso_gate.organizations.organization import Organization
from sso_gate.storage import outbox
from sso_gate.storage.outbox import FIRST_RETRY, LONGEST_RETRY, Promise
from tests.support.gates import Gate, MovingClock, make_organization


@pytest.fixture
async def acme(inside: Gate) -> Organization:
    return await make_organization(inside.runtime, seats=1)


async def promise(inside: Gate, organization: Organization, *subjects: str) -> None:
    clock = inside.runtime.clock
    for subject in subjects:
        clock.move(timedelta(milliseconds=1))  # ids tell milliseconds apart
        add = partial(outbox.add, organization=organization.id, kind="kind", clock=clock, subject=subject)
        await inside.runtime.database.write(partial(add, payload={"to": subject}))


async def claim(inside: Gate, *, limit: int = 100) -> list[Promise]:
    now = inside.runtime.clock.now()
    found = await inside.runtime.database.write(lambda tx: outbox.claim(tx, now=now, limit=limit))
    return [one for one in found if one.kind == "kind"]


async def test_promises_are_kept_in_the_order_in_which_they_were_made(inside: Gate, acme: Organization):
    await promise(inside, acme, "a", "b", "c")
    found = await claim(inside)
    assert [(one.subject, one.payload, one.organization) for one in found] == [
        (name, {"to": name}, acme.id) for name in "abc"
    ]


async def test_two_who_look_together_never_find_the_same(inside: Gate, acme: Organization):
    await promise(inside, acme, *(f"s{at}" for at in range(20)))
    found = await asyncio.gather(*(claim(inside, limit=5) for _ in range(4)))
    subjects = [one.subject for some in found for one in some]
    assert len(subjects) == len(set(subjects))


async def test_each_try_waits_twice_as_long_as_the_one_before_an_hour_at_most(
    inside: Gate, acme: Organization, moving_clock: MovingClock
):
    await promise(inside, acme, "a")
    expected = FIRST_RETRY
    for attempt in range(12):
        [found] = await claim(inside)
        assert found.attempts == attempt
        moving_clock.move(expected - timedelta(seconds=1))
        assert await claim(inside) == []
        moving_clock.move(timedelta(seconds=1))
        expected = min(expected * 2, LONGEST_RETRY)


async def test_what_is_late_is_counted_until_it_is_done(inside: Gate, acme: Organization, moving_clock: MovingClock):
    async def late() -> int:
        return await inside.runtime.database.read(lambda tx: outbox.overdue(tx, now=moving_clock.now()))

    await promise(inside, acme, "a")
    moving_clock.move(timedelta(minutes=14))
    assert await late() == 0
    moving_clock.move(timedelta(minutes=2))
    assert await late() == 1
    [found] = await claim(inside)
    await inside.runtime.database.write(lambda tx: outbox.done(tx, found, now=moving_clock.now()))
    assert await late() == 0


async def test_only_promises_that_were_kept_are_forgotten(inside: Gate, acme: Organization, moving_clock: MovingClock):
    await promise(inside, acme, "kept", "open")
    kept = (await claim(inside))[0]
    await inside.runtime.database.write(lambda tx: outbox.done(tx, kept, now=moving_clock.now()))
    moving_clock.move(timedelta(days=365))
    now = moving_clock.now()
    assert await inside.runtime.database.write(lambda tx: outbox.forget_done(tx, before=now)) == 1
    assert [one.subject for one in await claim(inside)] == ["open"]
