"""One transaction each: committed as a whole or not at all, run again only where nothing can have been committed."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, InternalError, PendingRollbackError

from sso_gate.errors import Unavailable
from sso_gate.storage.database import TRIES, Database
from sso_gate.storage.postgres_line import Line
from sso_gate.storage.prepared import Prepared
from tests.support.commits import before_each_commit
from tests.support.servers import LOOPBACK, free_port
from tests.unit.storage.things import metadata, thing

END_MYSELF = text("SELECT pg_terminate_backend(pg_backend_pid())")
END_MYSELF_OF_OURS = Prepared(END_MYSELF)
NAMES_OF_OURS = Prepared(select(thing.c.id))
AT_THE_COMMIT = (
    "CREATE TABLE parent (id text PRIMARY KEY)",
    "CREATE TABLE child (parent text REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)",
)
ORPHAN = text("INSERT INTO child VALUES ('nobody')")
ORPHAN_OF_OURS = Prepared(ORPHAN)


async def opened(url: str) -> AsyncIterator[Database]:
    made = Database(url.replace("+psycopg", ""))
    await made.write(metadata.create_all)
    yield made
    made.close()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async for made in opened(database_url):
        yield made


@pytest.fixture
async def postgres(postgres_url: str) -> AsyncIterator[Database]:
    async for made in opened(postgres_url):
        yield made


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[Database]:
    async for made in opened(f"sqlite:///{tmp_path}/small.db"):
        yield made


def add(tx: Connection, name: str) -> None:
    tx.execute(insert(thing).values(id=name))


def touch(tx: Connection, name: str) -> None:
    tx.execute(update(thing).where(thing.c.id == name).values(number=1))


async def names(database: Database) -> list[str]:
    query = select(thing.c.id).order_by(thing.c.id)
    return await database.read(lambda tx: list(tx.execute(query).scalars()))


async def test_what_was_written_is_there_when_write_returns(database: Database):
    assert await database.write(lambda tx: (add(tx, "a"), "done")[1]) == "done"
    assert await names(database) == ["a"]


async def test_an_exception_takes_everything_back_and_goes_through(database: Database):
    def work(tx: Connection) -> None:
        add(tx, "a")
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await database.write(work)
    assert await names(database) == []


async def test_a_broken_rule_of_a_table_is_told_as_it_is(database: Database):
    await database.write(lambda tx: add(tx, "a"))
    with pytest.raises(IntegrityError):
        await database.write(lambda tx: add(tx, "a"))
    assert await names(database) == ["a"]


async def test_a_rule_that_is_checked_at_the_commit_takes_everything_back(database: Database):
    """In both ways of speaking to the database: SQLAlchemy's, which keeps books, and statements of our own."""
    await database.write(lambda tx: [tx.exec_driver_sql(statement) for statement in AT_THE_COMMIT])
    for break_it in (lambda tx: tx.execute(ORPHAN), ORPHAN_OF_OURS.later):

        def work(tx: Connection, break_it: Callable[[Connection], object] = break_it) -> None:
            add(tx, "a")
            break_it(tx)

        with pytest.raises(IntegrityError):
            await database.write(work)
        assert await names(database) == []
    await database.write(lambda tx: add(tx, "b"))
    assert await names(database) == ["b"]


async def test_a_disk_that_is_full_at_the_commit_leaves_the_transaction_before_it(sqlite: Database, tmp_path: Path):
    await sqlite.write(lambda tx: add(tx, "a"))
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    full = (tmp_path / "small.db-wal").stat().st_size, unlimited[1]

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, full)

    try:
        with before_each_commit(sqlite, fill), pytest.raises(Unavailable):
            await sqlite.write(lambda tx: [add(tx, f"{'long' * 200} {at}") for at in range(100)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert await names(sqlite) == ["a"]
    await sqlite.write(lambda tx: add(tx, "b"))
    assert await names(sqlite) == ["a", "b"]


async def test_what_sqlite_has_committed_survives_a_power_cut_and_points_at_rows_that_are_there(sqlite: Database):
    def pragmas(tx: Connection) -> list[object]:
        asked = ("synchronous", "journal_mode", "foreign_keys")
        return [tx.exec_driver_sql(f"PRAGMA {pragma}").scalar_one() for pragma in asked]

    full = 2  # SQLite, PRAGMA synchronous: the log is flushed at each commit
    assert await sqlite.write(pragmas) == [full, "wal", 1]


async def test_work_that_passes_an_error_over_is_not_taken_for_done(postgres: Database):
    def work(tx: Connection) -> None:
        add(tx, "a")
        with contextlib.suppress(IntegrityError):
            add(tx, "a")

    with pytest.raises(InternalError, match="rolled back"):
        await postgres.write(work)
    assert await names(postgres) == []


@pytest.mark.parametrize(
    "then", [lambda tx: None, NAMES_OF_OURS.rows, lambda tx: add(tx, "b")], ids=["nothing", "ours", "SQLAlchemy's"]
)
async def test_work_that_passes_the_loss_of_its_connection_over_goes_on_nowhere(
    postgres: Database, then: Callable[[Connection], object]
):
    def work(tx: Connection) -> None:
        with contextlib.suppress(DBAPIError):
            END_MYSELF_OF_OURS.rows(tx)
        then(tx)

    with pytest.raises(PendingRollbackError):
        await postgres.write(work)
    assert await names(postgres) == []


async def test_nothing_is_written_by_a_read(postgres: Database):
    with pytest.raises(Exception, match="read-only"):
        await postgres.read(lambda tx: add(tx, "a"))
    assert await names(postgres) == []


async def test_a_connection_that_is_lost_in_the_middle_of_a_transaction_costs_another_try_and_nothing_else(
    postgres: Database,
):
    tries = []

    def work(tx: Connection) -> int:
        tries.append(tx)
        add(tx, "a")
        if len(tries) == 1:
            tx.execute(END_MYSELF)
        return len(tries)

    assert await postgres.write(work) == 2
    assert await names(postgres) == ["a"]


async def test_a_connection_that_is_lost_again_and_again_is_unavailable(postgres: Database):
    tries = []

    def work(tx: Connection) -> None:
        tries.append(tx)
        add(tx, "a")
        tx.execute(END_MYSELF)

    with pytest.raises(Unavailable):
        await postgres.write(work)
    assert len(tries) == TRIES
    assert await names(postgres) == []


async def test_a_transaction_whose_commit_was_asked_for_is_never_run_again(postgres: Database, monkeypatch):
    tries = []

    def work(tx: Connection) -> None:
        tries.append(tx)
        add(tx, "a")

    send = Line.send

    def commit_and_lose(line: Line) -> None:
        commits = [one.text for one in line._waiting] == ["COMMIT"]
        send(line)
        if commits:
            line._pgconn.finish()
            raise psycopg.OperationalError("the connection is lost")

    monkeypatch.setattr(Line, "send", commit_and_lose)
    with pytest.raises(Unavailable):
        await postgres.write(work)
    assert len(tries) == 1
    monkeypatch.undo()
    assert await names(postgres) == ["a"]


async def test_two_transactions_that_wait_for_each_other_both_come_through(postgres: Database):
    await postgres.write(lambda tx: (add(tx, "a"), add(tx, "b")))
    both = threading.Barrier(2)
    first = threading.local()

    def crossing(one: str, other: str):
        def work(tx: Connection) -> None:
            touch(tx, one)
            if not getattr(first, one, False):
                setattr(first, one, True)
                both.wait(10)
            touch(tx, other)

        return work

    await asyncio.gather(postgres.write(crossing("a", "b")), postgres.write(crossing("b", "a")))


async def test_a_database_that_is_not_there_is_unavailable(tmp_path):
    for url in (f"postgresql://nobody@{LOOPBACK}:{free_port()}/none", f"sqlite:///{tmp_path}/no/such/folder.db"):
        database = Database(url)
        with pytest.raises(Unavailable):
            await database.read(lambda tx: tx.execute(text("SELECT 1")))
        database.close()
