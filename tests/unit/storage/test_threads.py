"""Jobs beside the event loop: each is answered once, whatever becomes of it, and none is lost when they end."""

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest

from sso_gate.storage.threads import Threads

PATIENCE = 10


class Ended:
    """Which threads have ended."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def note(self) -> None:
        self.names.append(threading.current_thread().name)


@pytest.fixture
def ended() -> Ended:
    return Ended()


@pytest.fixture
def two(ended: Ended) -> Iterator[Threads]:
    threads = Threads(2, "two", at_end=ended.note)
    yield threads
    threads.close()


def refuse() -> None:
    raise KeyError("mine")


def waiting_for(gate: threading.Event) -> Callable[[], str]:
    def wait() -> str:
        assert gate.wait(PATIENCE)
        return threading.current_thread().name

    return wait


async def test_a_job_is_done_in_another_thread_and_its_result_comes_back(two: Threads):
    assert await two.run(threading.get_ident) != threading.get_ident()


async def test_what_a_job_raises_comes_back_and_the_thread_goes_on(two: Threads):
    with pytest.raises(KeyError, match="mine"):
        await two.run(refuse)
    assert await two.run(lambda: "done") == "done"


async def test_jobs_run_side_by_side_but_no_more_than_there_are_threads(two: Threads):
    gates = [threading.Event() for _ in range(3)]
    answers = [two.run(waiting_for(gate)) for gate in gates]
    gates[1].set()
    await asyncio.wait_for(answers[1], PATIENCE)  # beside the first, which is not done yet
    assert not answers[0].done()
    for gate in gates:
        gate.set()
    assert set(await asyncio.gather(*answers)) == {"two"}
    assert len(two._threads) == 2


async def test_a_job_that_is_cancelled_before_its_turn_is_not_done(ended: Ended):
    one, gate, done = Threads(1, "one", at_end=ended.note), threading.Event(), []
    first, second = one.run(waiting_for(gate)), one.run(lambda: done.append("second"))
    second.cancel()
    gate.set()
    await first
    one.close()
    assert done == []


async def test_closing_does_what_was_asked_for_and_ends_every_thread(ended: Ended):
    one, done = Threads(1, "one", at_end=ended.note), []
    answers = [one.run(lambda at=at: done.append(at)) for at in range(5)]
    one.close()
    assert done == [0, 1, 2, 3, 4]
    assert ended.names == ["one"]
    await asyncio.gather(*answers)
    with pytest.raises(RuntimeError, match="ended"):
        one.run(int)


def test_a_loop_that_has_ended_is_told_nothing(ended: Ended):
    one, gate = Threads(1, "one", at_end=ended.note), threading.Event()

    async def ask() -> None:
        one.run(waiting_for(gate))

    asyncio.run(ask())
    gate.set()
    one.close()
    assert ended.names == ["one"]
