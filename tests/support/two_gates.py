"""Two gates on one PostgreSQL, and one of them made to wait for a lock that the other holds."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, text

from tests.support.gates import Gate, Migrated, MovingClock, open_gate
from tests.support.postgres import ThrowAwayPostgres
from tests.support.valkey import ThrowAwayValkey

T = TypeVar("T")
U = TypeVar("U")

TwoGates = tuple[Gate, Gate]
PATIENCE_SECONDS = 12  # less than the fifteen after which PostgreSQL ends a transaction that says nothing
_HELD_UP = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@pytest.fixture
async def two_gates(
    migrated: Migrated, postgres_server: ThrowAwayPostgres, valkey: ThrowAwayValkey, moving_clock: MovingClock
) -> AsyncIterator[TwoGates]:
    """Two gates on one database, with one clock that is moved by hand."""
    url = migrated.postgres(postgres_server)
    async with (
        open_gate(url, valkey.socket_url, clock=moving_clock) as here,
        open_gate(url, valkey.socket_url, clock=moving_clock) as there,
    ):
        yield here, there
    postgres_server.drop_database(url)


async def one_behind_the_other(
    gate: Gate, first: Callable[[], Coroutine[Any, Any, T]], second: Coroutine[Any, Any, U]
) -> tuple[T, U]:
    """Return what both return: `first`, at this gate, had done all but commit when `second`, at another, came, and
    committed when that one had to wait for it. Raises what one of them raises.
    """
    all_but_committed, go_on, loop = asyncio.Event(), threading.Event(), asyncio.get_running_loop()
    write = gate.runtime.database.write

    async def write_slowly(work: Callable[[Connection], Any]) -> Any:
        def and_wait(tx: Connection) -> Any:
            result = work(tx)
            tx.exec_driver_sql("SELECT 1")  # so that the server has seen everything but the commit
            loop.call_soon_threadsafe(all_but_committed.set)
            assert go_on.wait(PATIENCE_SECONDS)
            return result

        return await write(and_wait)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate.runtime.database, "write", write_slowly)
        came_first = asyncio.create_task(first())
        reached = asyncio.create_task(all_but_committed.wait())
        await asyncio.wait((came_first, reached), return_when=asyncio.FIRST_COMPLETED)
        came_second = asyncio.create_task(second)
        try:
            assert reached.done(), "it came to nothing before the other one began"
            assert await _has_to_wait(gate, came_second), "the other one went by"
        finally:
            reached.cancel()
            go_on.set()
            await asyncio.wait((came_first, came_second))
    return came_first.result(), came_second.result()


async def _has_to_wait(gate: Gate, task: asyncio.Task[Any]) -> bool:
    """Return whether the task comes to wait for a lock, before it has ended."""
    held_up = 0
    while not held_up and not task.done():
        await asyncio.sleep(0.01)
        held_up = await gate.runtime.database.read(lambda tx: tx.execute(text(_HELD_UP)).scalar_one())
    return bool(held_up)
