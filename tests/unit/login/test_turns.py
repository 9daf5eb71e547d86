"""Messages of one connection wait for one another, and for nobody else's."""

import asyncio
import gc

from sso_gate.login.turns import AT_ONCE, Turns


async def test_one_connections_messages_wait_for_their_turn_and_anothers_do_not():
    turns, seen = Turns(), []

    async def look(connection: str, finished: asyncio.Event) -> None:
        async with turns.of(connection):
            seen.append(connection)
            await finished.wait()

    finished = asyncio.Event()
    tasks = [asyncio.create_task(look(name, finished)) for name in ("stormy", "stormy", "stormy", "calm")]
    await asyncio.sleep(0)
    assert sorted(seen) == ["calm", *["stormy"] * AT_ONCE]
    finished.set()
    await asyncio.gather(*tasks)
    assert seen.count("stormy") == 3


async def test_a_turn_is_given_back_when_looking_fails():
    turns = Turns()
    for _ in range(2 * AT_ONCE):
        try:
            async with turns.of("a"):
                raise ValueError
        except ValueError:
            pass
    assert not turns.of("a").locked()


async def test_connections_that_nobody_waits_at_are_forgotten():
    turns = Turns()
    for number in range(100):
        async with turns.of(f"made-up-{number}"):
            pass
    gc.collect()
    assert len(turns._turns) == 0
