"""What a test does to the time goes by whoever serves in another thread."""

import asyncio
import threading
import time
from datetime import UTC, datetime

from tests.support.frozen import frozen


def test_a_loop_in_another_thread_goes_on_while_the_clock_is_stopped_and_after_it():
    ticks, stopping, pause = 0, threading.Event(), threading.Event()

    async def tick() -> None:
        nonlocal ticks
        while not stopping.is_set():
            await asyncio.sleep(0.001)
            ticks += 1

    def goes_on() -> bool:
        seen = ticks
        return any(ticks > seen + 2 or pause.wait(0.001) for _ in range(5_000))

    thread = threading.Thread(target=asyncio.run, args=[tick()], daemon=True)
    thread.start()
    for _ in range(3):
        with frozen("1999-12-31"):
            assert (datetime.now(UTC).year, time.time()) == (1999, time.time())
            assert goes_on()
        assert goes_on()
    stopping.set()
    thread.join(5)
    assert not thread.is_alive()
