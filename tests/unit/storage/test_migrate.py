"""Migrations: an empty database becomes this release's, twice is once, and a newer release's is left alone."""

import asyncio

import pytest
from sqlalchemy import inspect, text

import billing_core
from sso_gate.errors import Conflict
from sso_gate.storage import migrate
from sso_gate.storage.database import Database
from sso_gate.storage.tables import metadata


@pytest.fixture
def database(database_url):
    opened = Database(database_url)
    yield opened
    opened.close()


def tables(tx):
    found = inspect(tx)
    return {
        name: (
            {column["name"]: column["nullable"] for column in found.get_columns(name)},
            {tuple(index["column_names"]) for index in found.get_indexes(name)},
        )
        for name in found.get_table_names()
        if name != "alembic_version"
    }


def declared():
    return {
        table.name: {column.name: bool(column.nullable) for column in table.columns}
        for each in (metadata, billing_core.metadata)
        for table in each.tables.values()
    }


async def test_an_empty_database_has_no_version_and_then_this_releases(database):
    assert await migrate.current(database) is None
    assert await migrate.migrate(database) == migrate.newest()
    assert await migrate.current(database) == migrate.newest()


async def test_the_migrations_make_the_tables_that_the_code_declares(database):
    await migrate.migrate(database)
    made = await database.read(tables)
    assert {name: columns for name, (columns, _) in made.items()} == declared()


async def test_gates_that_start_together_migrate_once(database, database_url):
    others = [Database(database_url) for _ in range(3)]
    found = await asyncio.gather(*(migrate.migrate(one) for one in (database, *others)))
    assert set(found) == {migrate.newest()}
    for one in others:
        one.close()


async def test_a_newer_releases_database_is_left_alone(database):
    await migrate.migrate(database)
    await database.write(lambda tx: tx.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    with pytest.raises(Conflict, match="newer"):
        await migrate.migrate(database)
    assert await migrate.current(database) == "9999"
