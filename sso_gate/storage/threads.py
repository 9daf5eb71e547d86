"""Threads beside the event loop for what waits for a disk: a job goes to one, and its result comes back.

What the standard library's executor does besides (a condition, two futures and a chain of callbacks for each job) takes
longer than a small transaction.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


class Threads:
    """At most so many threads, started when they are needed; each ends with `at_end`."""

    def __init__(self, most: int, name: str, *, at_end: Callable[[], None]) -> None:
        self._most = most
        self._name = name
        self._at_end = at_end
        self._jobs: deque[Callable[[], None] | None] = deque()
        self._threads: list[Thread] = []
        # The bells of those who wait; appending and popping need no lock. The last to lie down is the first to rise:
        # the memory of its processor and of its connection is still warm.
        self._idle: list[SimpleQueue[None]] = []
        self._closed = False

    def run(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        """Return what will be there when the work was done; cancelling it keeps it from beginning."""
        if self._closed:
            raise RuntimeError("the threads have ended")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._jobs.append(partial(_do, loop, answer, work))
        self._wake_or_start()
        return answer

    def _wake_or_start(self) -> None:
        try:
            self._idle.pop().put(None)
        except IndexError:
            if len(self._threads) < self._most:
                self._threads.append(Thread(target=self._serve, name=self._name, daemon=True))
                self._threads[-1].start()

    def _serve(self) -> None:
        bell: SimpleQueue[None] = SimpleQueue()
        try:
            while (job := self._next(bell)) is not None:
                job()
                del job  # or what it holds would live until the next one
        finally:
            self._at_end()

    def _next(self, bell: "SimpleQueue[None]") -> Callable[[], None] | None:
        while True:
            try:
                return self._jobs.popleft()
            except IndexError:
                self._wait(bell)

    def _wait(self, bell: "SimpleQueue[None]") -> None:
        """Return when there may be a job: one that came before this thread was seen to wait has rung no bell."""
        self._idle.append(bell)
        if self._jobs:
            with contextlib.suppress(ValueError):  # rung meanwhile
                self._idle.remove(bell)
                return
        bell.get()

    def close(self) -> None:
        """Do what was asked for already, and end."""
        self._closed = True
        self._jobs.extend([None] * len(self._threads))
        with contextlib.suppress(IndexError):
            while True:
                self._idle.pop().put(None)
        for thread in self._threads:
            thread.join()


def _do(loop: asyncio.AbstractEventLoop, answer: "asyncio.Future[Any]", work: Callable[[], Any]) -> None:
    if answer.cancelled():
        return
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - whatever it is, somebody waits to be told
        tell = partial(_fail, answer, error)
    else:
        tell = partial(_tell, answer, result)
    with contextlib.suppress(RuntimeError):  # the loop may have ended
        loop.call_soon_threadsafe(tell)


def _tell(answer: "asyncio.Future[Any]", result: object) -> None:
    if not answer.done():
        answer.set_result(result)


def _fail(answer: "asyncio.Future[Any]", error: BaseException) -> None:
    if not answer.done():
        answer.set_exception(error)
