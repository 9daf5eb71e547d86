"""Faults at the boundary of the drivers: one call to SQL or Redis of a gate goes wrong, before or after it took place.

The gate's own code is untouched; what is wrapped is SQLAlchemy's dialect, where it calls psycopg or sqlite3, and the
lines to PostgreSQL and Redis.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import psycopg
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy import Engine, event

from sso_gate.storage.postgres_line import LINE, Line
from sso_gate.storage.redis_lines import Lines, _Line
from sso_gate.storage.runtime import Runtime

_CALLS = ("do_execute", "do_executemany", "do_execute_no_params")


class Died(BaseException):
    """The process is gone: nothing of the use case under way runs any more."""


class Kind(Enum):
    """What happens at the call."""

    DIES_BEFORE = "dies before"
    DIES_AFTER = "dies after"
    LOST_BEFORE = "connection lost before"
    LOST_AFTER = "connection lost after"


_DEATHS = (Kind.DIES_BEFORE, Kind.DIES_AFTER)


@dataclass(frozen=True, slots=True)
class Fault:
    """The `call`th call to a driver goes wrong."""

    kind: Kind
    call: int


class Drivers:
    """The drivers of one runtime: they count calls and let one of them go wrong."""

    def __init__(self, runtime: Runtime) -> None:
        """Stand between the runtime and its drivers."""
        self._fault: Fault | None = None
        self._calls = 0
        self.fired = False
        for engine in (runtime.database.engine, runtime.database._read_engine):
            self._watch(engine)
        lines = runtime.redis._lines
        assert lines is not None
        setattr(lines, "_make", lambda: _watched_line(self, lines))  # noqa: B010 - mypy forbids the assignment

    def arm(self, fault: Fault | None) -> None:
        """Let this fault, or none, befall the calls from now on."""
        self._fault, self._calls, self.fired = fault, 0, False

    @property
    def has_died(self) -> bool:
        """Whether the process is gone since `arm`."""
        return self.fired and self._fault is not None and self._fault.kind in _DEATHS

    def begin(self) -> None:
        """Count a call."""
        self._calls += 1

    def strikes(self, *kinds: Kind) -> Kind | None:
        """Return the kind when the fault is one of these and the call under way is the one."""
        fault = self._fault
        if fault is None or self.fired or fault.call != self._calls or fault.kind not in kinds:
            return None
        self.fired = True
        return fault.kind

    def _watch(self, engine: Engine) -> None:
        for name in _CALLS:
            setattr(engine.dialect, name, self._watched_call(getattr(engine.dialect, name)))
        if engine.dialect.name == "postgresql":
            event.listen(engine, "connect", self._watch_line)

    def _watch_line(self, connection: Any, record: Any) -> None:
        record.info[LINE] = _WatchedPostgresLine(connection, self)

    def _watched_call(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(subject: Any, *arguments: Any, **options: Any) -> None:
            self.begin()
            _go_wrong(subject, self.strikes(Kind.DIES_BEFORE, Kind.LOST_BEFORE))
            original(subject, *arguments, **options)
            _go_wrong(subject, self.strikes(Kind.DIES_AFTER, Kind.LOST_AFTER))

        return call


def _go_wrong(subject: Any, kind: Kind | None) -> None:
    """Fail as a driver does whose connection is gone; `subject` is its cursor, the pool's hold of it, or its line."""
    if kind is None:
        return
    connection = getattr(subject, "dbapi_connection", None) or subject.connection
    is_postgresql = isinstance(connection, psycopg.Connection)
    if isinstance(subject, sqlite3.Cursor):
        subject.close()  # what nobody fetches would stay under way, and keep the next transaction from its commit
    # A process that is gone has no transaction: the server sees the connection end, the next one to open the file none.
    connection.close() if is_postgresql else connection.rollback()
    if kind in _DEATHS:
        raise Died
    if is_postgresql:
        raise psycopg.OperationalError("the connection is lost")
    raise sqlite3.OperationalError("disk I/O error")


class _WatchedPostgresLine(Line):
    def __init__(self, connection: psycopg.Connection[Any], drivers: Drivers) -> None:
        super().__init__(connection)
        self.connection = connection
        self._drivers = drivers

    def send(self) -> None:
        if not self._waiting:
            return
        self._drivers.begin()
        _go_wrong(self, self._drivers.strikes(Kind.DIES_BEFORE, Kind.LOST_BEFORE))
        super().send()
        _go_wrong(self, self._drivers.strikes(Kind.DIES_AFTER, Kind.LOST_AFTER))


def _watched_line(drivers: Drivers, lines: Lines) -> _Line:
    lines._made.append(_WatchedLine(lines._pool.make_connection(), drivers))
    return lines._made[-1]


class _WatchedLine(_Line):
    def __init__(self, connection: Any, drivers: Drivers) -> None:
        super().__init__(connection)
        self._drivers = drivers

    async def ask(self, words: Sequence[str | int], seconds: float) -> Any:  # type: ignore[override]  # awaited alike
        self._drivers.begin()
        await self._go_wrong(self._drivers.strikes(Kind.DIES_BEFORE, Kind.LOST_BEFORE))
        answer = await super().ask(words, seconds)
        await self._go_wrong(self._drivers.strikes(Kind.DIES_AFTER, Kind.LOST_AFTER))
        return answer

    async def _go_wrong(self, kind: Kind | None) -> None:
        if kind is None:
            return
        await self.close(wait=False)
        if kind in _DEATHS:
            raise Died
        raise RedisConnectionError("the connection is lost")
