"""Statements that are compiled once: the same answers on both kinds of database, whatever stands in them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import bindparam, func, select, update

from sso_gate.storage.database import Database
from sso_gate.storage.prepared import OneOf, Prepared, inserting
from tests.unit.storage.things import metadata, thing

THING = thing.c
INSERT = inserting(thing)
BY_ID = Prepared(select(THING.id, THING.number).where(OneOf(THING.id, "ids")).order_by(THING.id))
AGED = Prepared(
    select(THING.id).where(THING.kind == "constant", THING.number > bindparam("since"), OneOf(THING.id, "ids"))
)
RENAME = Prepared(update(thing).where(THING.id == bindparam("which")).values(said=bindparam("word")))
COUNT = Prepared(select(func.count().label("found")).select_from(thing))
ODD = [
    "it's",
    'a "quote"',
    "100%",
    ":colon",
    "ünï",
    "%(percent)s",
    "[1]",
    "back\\slash",
    '\\"',
    "{a,b}",
    "NULL",
    "",
    " ",
]


def row(name: str, *, at: int = 0) -> dict[str, object]:
    return {"id": name, "kind": "constant", "said": "", "number": at}


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url.replace("+psycopg", ""))
    await opened.write(metadata.create_all)
    await opened.write(lambda tx: INSERT.run_many(tx, [row(name, at=at) for at, name in enumerate(ODD)]))
    yield opened
    opened.close()


async def test_a_list_is_one_parameter_however_long_it_is(database: Database):
    for ids in ([], ODD[:1], ODD, [*ODD, "missing"] * 200):
        found = await database.read(lambda tx, ids=ids: BY_ID.rows(tx, ids=ids))
        assert {(one.id, one.number) for one in found} == {(name, ODD.index(name)) for name in ids if name in ODD}


async def test_values_of_the_statement_and_values_that_are_given_keep_their_places(database: Database):
    found = await database.read(lambda tx: AGED.rows(tx, ids=ODD, since=4))
    assert {one.id for one in found} == set(ODD[5:])
    assert await database.read(lambda tx: AGED.rows(tx, since=100, ids=ODD)) == []


async def test_the_number_of_changed_rows_is_told(database: Database):
    assert await database.write(lambda tx: RENAME.run(tx, which=ODD[0], word="x")) == 1
    assert await database.write(lambda tx: RENAME.run(tx, which="missing", word="x")) == 0


async def test_many_rows_may_be_none(database: Database):
    await database.write(lambda tx: INSERT.run_many(tx, []))
    assert (await database.read(COUNT.rows))[0].found == len(ODD)
