"""The SQL database: runs a plain function in one transaction, off the event loop.

SQLite and PostgreSQL take the same statements. On SQLite one thread writes (`BEGIN IMMEDIATE`, WAL, `synchronous=FULL`:
a commit that was answered survives a power cut) while others read; on PostgreSQL transactions are READ COMMITTED, so
that a waiter for a row lock sees the row as it is then. There BEGIN goes with the first statement and COMMIT with the
last writes (`postgres_line.py`).
"""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from sso_gate.errors import Unavailable
from sso_gate.storage.postgres_line import COMMIT, LINE, Line
from sso_gate.storage.prepared import Prepared, as_sqlalchemy, line_of
from sso_gate.storage.threads import Threads

SQLITE_BUSY_MILLISECONDS = 10_000
READERS = 4
POSTGRES_WRITERS = 8
CONNECT_SECONDS = 5
STATEMENT_MILLISECONDS = 15_000
TRIES = 3
_POSTGRES_SETTINGS = {
    # A list is planned anew at each login otherwise, which takes longer than the login.
    "plan_cache_mode": "force_generic_plan",
    # A gate that stops in the middle of a transaction, or that cannot be reached any more, must not keep a lock.
    "statement_timeout": STATEMENT_MILLISECONDS,
    "idle_in_transaction_session_timeout": STATEMENT_MILLISECONDS,
    "tcp_user_timeout": STATEMENT_MILLISECONDS,
}
_SQLITE_WRITES = Prepared(text("BEGIN IMMEDIATE"))
_SQLITE_READS = Prepared(text("BEGIN"))
_POSTGRES_WRITES = Prepared(text("BEGIN ISOLATION LEVEL READ COMMITTED"))
_POSTGRES_READS = Prepared(text("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"))
_COMMIT = Prepared(text(COMMIT))
# The transaction was ended by the server and left nothing: running it again is safe (PostgreSQL, appendix A, class 40).
_TRY_AGAIN = ("40001", "40P01")

T = TypeVar("T")
R = TypeVar("R")
_log = logging.getLogger(__name__)


class Database:
    """One database, by URL (`sqlite:///path` or `postgresql://…`); `write` and `read` run one transaction each."""

    def __init__(self, url: str) -> None:
        self.is_sqlite = url.startswith("sqlite")
        if self.is_sqlite:
            writers, writes, reads, engine = 1, _SQLITE_WRITES, _SQLITE_READS, _sqlite_engine
        else:
            writers, writes, reads, engine = POSTGRES_WRITERS, _POSTGRES_WRITES, _POSTGRES_READS, _postgres_engine
        self.engine, self._read_engine = engine(url, writers), engine(url, READERS)
        self._writers = _Lane(self.engine, writes, writers, "sql-write")
        self._readers = _Lane(self._read_engine, reads, READERS, "sql-read")

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Return what `work` returned, after its transaction was committed; any exception rolls it back. The database's
        own errors must get through.

        `work` is run again from its beginning when the database ended its transaction to resolve a deadlock, or when
        the connection turned out to be dead before the commit was asked for, never after.

        Raises:
            Unavailable: the database did not answer. Whether a commit arrived is then unknown.
        """
        return await self._writers.run(work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Return what `work` read in one transaction; `Unavailable` when the database did not answer."""
        return await self._readers.run(work)

    async def read_then(self, work: Callable[[Connection], T], then: Callable[[T], R]) -> R:
        """Return what `then` makes of what `work` read: in the same thread, when the transaction has ended."""
        return await self._readers.run_then(work, then)

    def close(self) -> None:
        """Close every connection and thread."""
        self._writers.close()
        self._readers.close()
        self.engine.dispose()
        self._read_engine.dispose()


class _Lane:
    """Threads that run transactions, each on a connection that it keeps: taking one from SQLAlchemy's pool and giving
    it back costs three times what a transaction itself does. BEGIN and COMMIT are statements like others: SQLAlchemy
    keeps its books about a transaction where its own statements are run, and says nothing to the database.
    """

    def __init__(self, engine: Engine, begin: Prepared, threads: int, name: str) -> None:
        self._engine = engine
        self._begin = begin
        self._threads = Threads(threads, name, at_end=self._give_back)
        self._own = threading.local()

    async def run(self, work: Callable[[Connection], T]) -> T:
        return await self._threads.run(lambda: self._in_transaction(work))

    async def run_then(self, work: Callable[[Connection], T], then: Callable[[T], R]) -> R:
        return await self._threads.run(lambda: then(self._in_transaction(work)))

    def close(self) -> None:
        self._threads.close()

    def _in_transaction(self, work: Callable[[Connection], T]) -> T:
        for tries_left in reversed(range(TRIES)):
            try:
                return self._once(work)
            except _NothingDone as error:
                if tries_left and _is_worth_a_try(error.why):
                    continue
                raise _as_ours(error.why) from error.why
            except SQLAlchemyError as error:
                raise _as_ours(error) from error
        raise AssertionError("the last try returns or raises")

    def _once(self, work: Callable[[Connection], T]) -> T:
        """Return what `work` returned, committed. What it raises itself goes through, and nothing is committed then."""
        try:
            tx = self._connection()
            try:
                self._begin.later(tx)
                result = work(tx)
            except SQLAlchemyError as error:
                raise _NothingDone(error) from error
            self._commit(tx)
        except BaseException:
            self._give_back()  # whatever state it is in: the pool rolls back, and throws away what is broken
            raise
        return result

    def _commit(self, tx: Connection) -> None:
        if tx.in_transaction():
            tx.commit()  # its books alone
        try:
            _COMMIT.run(tx)
        except DBAPIError as error:
            if _was_ended_by_the_server(error):
                raise _NothingDone(error) from error
            raise

    def _connection(self) -> Connection:
        kept: Connection | None = getattr(self._own, "connection", None)
        if kept is None:
            try:
                kept = self._own.connection = self._engine.connect()
            except SQLAlchemyError as error:
                raise _NothingDone(error) from error
        return kept

    def _give_back(self) -> None:
        kept: Connection | None = self._own.__dict__.pop("connection", None)
        if kept is not None:
            kept.close()


class _NothingDone(Exception):
    """The transaction ended before its commit was asked for, or the server says that it has taken it back."""

    def __init__(self, why: SQLAlchemyError) -> None:
        super().__init__()
        self.why = why


def _is_worth_a_try(error: SQLAlchemyError) -> bool:
    """Whether the same may go well now: the connection was a dead one of the pool, or a deadlock was resolved."""
    if not isinstance(error, DBAPIError):
        return False
    return error.connection_invalidated or _was_ended_by_the_server(error)


def _was_ended_by_the_server(error: DBAPIError) -> bool:
    """Whether the database says, be it in answer to a commit, that nothing of the transaction is left."""
    return getattr(error.orig, "sqlstate", None) in _TRY_AGAIN


def _as_ours(error: SQLAlchemyError) -> Exception:
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    if lost or isinstance(error, OperationalError | InterfaceError | PoolTimeout):
        _log.warning("database unavailable: %s", error)
        return Unavailable(f"database: {error.__class__.__name__}")
    return error


def _sqlite_engine(url: str, connections: int) -> Engine:
    engine = create_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        connect_args={"isolation_level": None, "check_same_thread": False},  # we say BEGIN ourselves
    )
    _keep_books_alone(engine)

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        for pragma in (f"busy_timeout={SQLITE_BUSY_MILLISECONDS}", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        _log_ahead(connection)

    return engine


def _keep_books_alone(engine: Engine) -> None:
    """Let SQLAlchemy's own commit say nothing to the database: who runs the transaction does."""
    setattr(engine.dialect, "do_commit", lambda _connection: None)  # noqa: B010 - mypy forbids the assignment


def _log_ahead(connection: Any) -> None:
    """Switch the file to a write-ahead log, where it stays. SQLite does not wait for whoever switches it just now."""
    for tries_left in reversed(range(SQLITE_BUSY_MILLISECONDS // 10)):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if not tries_left:
                raise
            time.sleep(0.01)
        else:
            return


def _postgres_engine(url: str, connections: int) -> Engine:
    engine = create_engine(
        "postgresql+psycopg://" + url.partition("://")[2],
        pool_size=connections,
        max_overflow=0,
        pool_timeout=CONNECT_SECONDS,
        isolation_level="AUTOCOMMIT",  # we say BEGIN and COMMIT ourselves
        connect_args={
            "connect_timeout": CONNECT_SECONDS,
            "prepare_threshold": None,  # psycopg forgets all that is prepared at each ROLLBACK: ours too
            "options": " ".join(f"-c {name}={value}" for name, value in _POSTGRES_SETTINGS.items()),
        },
    )
    _keep_books_alone(engine)

    @event.listens_for(engine, "connect")
    def _listen(connection: Any, record: Any) -> None:
        record.info[LINE] = Line(connection)

    @event.listens_for(engine, "before_cursor_execute")
    def _send(tx: Connection, *_: Any) -> None:
        try:
            line_of(tx).send()
        except psycopg.Error as error:
            raise as_sqlalchemy(tx, "statements sent together", error) from error

    @event.listens_for(engine, "reset")
    def _forget(_connection: Any, record: Any, _state: Any) -> None:
        record.info[LINE].forget()

    return engine
