"""What the seat benches share: commits by the driver alone, counted flushes, medians and printed lines."""

from __future__ import annotations

import sqlite3
import statistics
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain
from time import perf_counter, sleep
from typing import Any
from unittest.mock import patch

import psycopg
from sqlalchemy import Connection
from sqlalchemy.engine import make_url

from sso_gate.storage.database import Database
from sso_gate.storage.postgres_line import Asked, Line
from tests.support.commits import before_each_commit

Statement = tuple[str, Sequence[Any]]


class BareDriver:
    """One connection of sqlite3 or psycopg, with the durability that the gate asks for; statements use `?`.

    `flush` is how much longer a flush takes than it does here, in seconds.
    """

    def __init__(self, url: str) -> None:
        self.is_sqlite = url.startswith("sqlite")
        self.flush = 0.0
        if self.is_sqlite:
            path = url.removeprefix("sqlite:///")
            self._sqlite = sqlite3.connect(path, isolation_level=None, timeout=10, check_same_thread=False)
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
                self._sqlite.execute(f"PRAGMA {pragma}")
        else:
            address = make_url(url).set(drivername="postgresql").render_as_string()
            self._postgres = psycopg.connect(address, autocommit=True, options="-c plan_cache_mode=force_generic_plan")
            self._line = Line(self._postgres)

    def commit(self, statements: Sequence[Statement]) -> None:
        """Run the statements in one transaction; one alone commits by itself, which spares the words around it."""
        run = self._sqlite.execute if self.is_sqlite else self._postgres.execute
        several = len(statements) > 1
        if several:
            run("BEGIN IMMEDIATE" if self.is_sqlite else "BEGIN")
        for text, values in statements:
            run(text if self.is_sqlite else text.replace("?", "%s"), values)
        self._flush_longer()
        if several:
            run("COMMIT")

    def say(self, portions: Sequence[Sequence[Statement]]) -> None:
        """Say what a decision has said, waiting for an answer to each portion, and commit."""
        if self.is_sqlite:
            for text, values in chain.from_iterable(portions):
                self._sqlite.execute(text, values).fetchall()
            self._flush_longer()
            self._sqlite.execute("COMMIT")
            return
        *first, last = portions
        for portion in first:
            self._send(portion)
        self._flush_longer()
        self._send([*last, ("COMMIT", ())])

    def _send(self, portion: Sequence[Statement]) -> None:
        for text, words in portion:
            self._line.later(text, words)
        self._line.send()

    def _flush_longer(self) -> None:
        if self.flush:
            sleep(self.flush)

    def close(self) -> None:
        """Close the connection."""
        (self._sqlite if self.is_sqlite else self._postgres).close()


@contextmanager
def slower_flushes(database: Database, driver: BareDriver, by: float) -> Iterator[None]:
    """Let every commit, the gate's and the driver's, take so many seconds longer, as on another disk."""
    driver.flush = by
    with before_each_commit(database, partial(sleep, by)):
        yield
    driver.flush = 0.0


async def said(database: Database, work: Callable[[Connection], object]) -> list[list[Statement]]:
    """Return what this work says to the database, in the portions in which it waits for an answer; it is undone."""
    portions: list[list[Statement]] = [[]]
    execute, later, send = database.engine.dialect.do_execute, Line.later, Line.send

    def executing(cursor: Any, text: str, values: Any, context: Any = None) -> None:
        portions[-1].append((text, values))
        execute(cursor, text, values, context)

    def waiting(line: Line, text: str, words: Any = ()) -> Asked:
        portions[-1].append((text, words))
        return later(line, text, words)

    def sending(line: Line) -> None:
        portions.append([])
        send(line)

    def undone(tx: Connection) -> None:
        work(tx)
        raise _Undone

    with (
        patch.object(database.engine.dialect, "do_execute", executing),
        patch.object(Line, "later", waiting),
        patch.object(Line, "send", sending),
        suppress(_Undone),
    ):
        await database.write(undone)
    return portions


class _Undone(Exception):
    """Rolls a transaction back."""


@contextmanager
def counted_commits(database: Database) -> Iterator[list[int]]:
    """Count the transactions that commit: each is one flush."""
    commits: list[int] = []
    with before_each_commit(database, partial(commits.append, 1)):
        yield commits


async def seconds(work: Callable[[], Awaitable[Any]]) -> float:
    """Return how long this took."""
    begun = perf_counter()
    await work()
    return perf_counter() - begun


def median(times: Sequence[float]) -> float:
    """Return the middle one."""
    return statistics.median(times)


def p10(times: Sequence[float]) -> float:
    """Return the time that 10 of 100 stayed below."""
    return sorted(times)[len(times) // 10]


def p95(times: Sequence[float]) -> float:
    """Return the time that 95 of 100 stayed below."""
    return sorted(times)[int(len(times) * 0.95)]


def tell(name: str, **numbers: float) -> None:
    """Print one line of results."""
    told = "  ".join(f"{key} {value:.3g}" for key, value in numbers.items())
    print(f"\n{name}: {told}", flush=True)  # noqa: T201 - what a bench is for
