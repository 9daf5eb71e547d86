"""Statements that travel together to PostgreSQL: what goes wrong is told, and nothing of it stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest
from sqlalchemy import Connection, bindparam, func, select, update
from sqlalchemy.exc import DataError, IntegrityError

from sso_gate.errors import Unavailable
from sso_gate.storage.database import Database
from sso_gate.storage.postgres_line import Line
from sso_gate.storage.prepared import Prepared, inserting
from tests.unit.storage.things import metadata, thing

INSERT = inserting(thing)
COUNT = Prepared(select(func.count().label("found")).select_from(thing))
NAMES = Prepared(select(thing.c.id))
RENAME = Prepared(update(thing).where(thing.c.id == bindparam("which")).values(said=bindparam("word")))
GIVES_UP_ONCE = (
    "CREATE SEQUENCE tries",
    (
        "CREATE FUNCTION give_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF nextval('tries') = 1 THEN RAISE EXCEPTION 'not now' USING ERRCODE = '40001'; END IF; RETURN NULL; END $$"
    ),
    (
        "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON thing DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION give_up()"
    ),
)


def row(name: str, *, said: str = "") -> dict[str, object]:
    return {"id": name, "kind": "constant", "said": said, "number": 0}


def add(tx: Connection, *names: str) -> None:
    INSERT.run_many(tx, [row(name) for name in names])


@pytest.fixture
async def postgres(postgres_url: str) -> AsyncIterator[Database]:
    opened = Database(postgres_url.replace("+psycopg", ""))
    await opened.write(metadata.create_all)
    yield opened
    opened.close()


async def count(postgres: Database) -> int:
    found: int = (await postgres.read(COUNT.rows))[0].found
    return found


async def test_a_transaction_goes_as_often_as_somebody_waits_for_an_answer(
    postgres: Database, monkeypatch: pytest.MonkeyPatch
):
    ways, send = list[int](), Line.send

    def counted(line: Line) -> None:
        ways.append(len(line._waiting))
        send(line)

    monkeypatch.setattr(Line, "send", counted)
    await postgres.write(lambda tx: (COUNT.rows(tx), add(tx, "a", "b"), RENAME.later(tx, which="a", word="x")))
    assert ways == [2, 4]  # BEGIN and the question; two rows, the change and COMMIT


async def test_questions_that_go_together_have_each_their_own_answer(
    postgres: Database, monkeypatch: pytest.MonkeyPatch
):
    ways, send = list[int](), Line.send

    def counted(line: Line) -> None:
        ways.append(len(line._waiting))
        send(line)

    def work(tx: Connection) -> tuple[int, int, list[str]]:
        before, names = COUNT.asking(tx), NAMES.asking(tx)
        INSERT.later(tx, **row(f"n{len(ways)}"))
        after = COUNT.asking(tx)
        return after()[0].found, before()[0].found, [one.id for one in names()]

    monkeypatch.setattr(Line, "send", counted)
    assert await postgres.write(work) == (1, 0, [])
    assert await postgres.write(work) == (2, 1, ["n0"])  # nothing has to be prepared any more
    assert ways == [5, 1, 5, 1]  # BEGIN, three questions and a row; COMMIT


async def test_a_row_that_is_refused_with_the_commit_takes_everything_back(postgres: Database):
    await postgres.write(lambda tx: add(tx, "a"))
    for _ in range(2):  # the connection is as good as before
        with pytest.raises(IntegrityError):
            await postgres.write(lambda tx: add(tx, "b", "a"))
    assert await count(postgres) == 1


async def test_a_row_that_is_refused_is_told_by_the_next_answer(postgres: Database):
    def work(tx: Connection) -> int:
        add(tx, "a", "a")
        return int(COUNT.rows(tx)[0].found)

    with pytest.raises(IntegrityError):
        await postgres.write(work)
    assert await count(postgres) == 0


async def test_whatever_speaks_through_a_cursor_sees_what_was_to_be_sent(postgres: Database):
    def work(tx: Connection) -> int:
        add(tx, "a")
        return tx.execute(select(func.count()).select_from(thing)).scalar_one()

    assert await postgres.write(work) == 1


async def test_what_an_exception_cut_short_is_never_sent(postgres: Database):
    def work(tx: Connection) -> None:
        add(tx, "a")
        raise KeyError("mine")

    for _ in range(2):
        with pytest.raises(KeyError, match="mine"):
            await postgres.write(work)
        await postgres.write(lambda tx: RENAME.run(tx, which="a", word="x"))
    assert await count(postgres) == 0


async def test_a_connection_that_is_lost_with_the_commit_leaves_the_outcome_open(postgres: Database, postgres_url: str):
    tries = []

    def work(tx: Connection) -> None:
        [[process]] = tx.exec_driver_sql("SELECT pg_backend_pid()").all()
        tries.append(process)
        add(tx, "a")
        with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [process])

    with pytest.raises(Unavailable):
        await postgres.write(work)
    assert len(tries) == 1
    assert await count(postgres) == 0


async def test_a_transaction_that_the_server_takes_back_at_its_commit_is_run_again(postgres: Database):
    await postgres.write(lambda tx: [tx.exec_driver_sql(text) for text in GIVES_UP_ONCE])
    await postgres.write(lambda tx: add(tx, "a"))
    assert await count(postgres) == 1


@pytest.mark.parametrize("word", ["harmless\0", ["a", "harmless\0"]], ids=["text", "list"])
async def test_a_text_that_the_server_would_cut_at_a_nul_is_refused(postgres: Database, word: str | list[str]):
    with pytest.raises(DataError, match="NUL"):
        await postgres.write(lambda tx: (add(tx, "b"), INSERT.later(tx, **{**row("a"), "said": word})))
    assert await count(postgres) == 0


async def test_more_than_any_buffer_holds_comes_through(postgres: Database):
    long = "x" * 100_000
    await asyncio.wait_for(
        postgres.write(lambda tx: INSERT.run_many(tx, [row(f"n{at}", said=long) for at in range(100)])), 30
    )
    said = Prepared(select(thing.c.said))
    assert await postgres.read(lambda tx: {one.said for one in said.rows(tx)}) == {long}
