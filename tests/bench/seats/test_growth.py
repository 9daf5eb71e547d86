"""What a decision costs as an organization grows to a million holders, and an installation to 100,000 organizations.

A small database and a large one of the same kind lie side by side, and the same login is decided in both in turn, so
that a busy machine moves both alike. The aim is 1.1: the statements read by index alone, which
`tests/unit/admission/test_cost.py` holds without a clock, and PostgreSQL keeps their plans (planned anew, as it does by
itself for a list, a decision took twice as long in a large database). What remains is a page or two more of a B-tree.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import pytest
from sqlalchemy import Connection, Table, text

from sso_gate.admission.settle import Allowed
from sso_gate.organizations.organization import Organization
from sso_gate.storage.tables import connection, identity, member, organization, seat_entry, seat_pool
from tests.bench.seats.measure import median, tell
from tests.support.gates import Gate, Migrated, make_organization, open_gate, person
from tests.support.postgres import ThrowAwayPostgres
from tests.support.valkey import ThrowAwayValkey

pytestmark = pytest.mark.bench
HOLDERS, ORGANIZATIONS, PAIRS = 1_000_000, 100_000, 300
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class House:
    """A gate on a database of its own, with one organization that is asked."""

    gate: Gate
    organization: Organization

    async def returning(self) -> float:
        """Return how long the decision about a holder took, in seconds."""
        return await self._decided("owner")

    async def first(self) -> float:
        """Return how long the decision about somebody new took."""
        return await self._decided(f"new{next(_numbers)}")

    async def _decided(self, name: str) -> float:
        begun = perf_counter()
        assert isinstance(await self.gate.settle(person(self.organization, name), "free"), Allowed)
        return perf_counter() - begun


@pytest.fixture(params=["sqlite", "postgresql"])
def new_database(request: pytest.FixtureRequest, migrated: Migrated, tmp_path: Path) -> Iterator[Callable[[], str]]:
    if request.param == "sqlite":
        yield lambda: migrated.sqlite(tmp_path)
        return
    server: ThrowAwayPostgres = request.getfixturevalue("postgres_server")
    made: list[str] = []
    yield lambda: made.append(migrated.postgres(server)) or made[-1]
    for url in made:
        server.drop_database(url)


@pytest.fixture
async def houses(new_database: Callable[[], str], valkey: ThrowAwayValkey) -> AsyncIterator[tuple[House, House]]:
    async with AsyncExitStack() as opened:
        pair = []
        for _ in range(2):
            gate = await opened.enter_async_context(open_gate(new_database(), valkey.socket_url))
            house = House(gate, await make_organization(gate.runtime, seats=9 + PAIRS * 2))
            await house.returning()
            pair.append(house)
        yield pair[0], pair[1]


def many(table: Table, count: int, **changed: str) -> str:
    """Return the statement that copies the first row of a table; `changed` columns are SQL with a number n from 1."""
    names = [column.name for column in table.columns if not (table is seat_entry and column.name == "id")]
    values = ", ".join(changed.get(name, f"sample.{name}") for name in names)
    return (
        f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}) "
        f"INSERT INTO {table.name} ({', '.join(names)}) "
        f"SELECT {values} FROM numbers, (SELECT * FROM {table.name} LIMIT 1) AS sample"
    )


async def fill(house: House, *statements: str) -> None:
    """Run the statements on the house's database, and let it take stock."""

    def work(tx: Connection) -> None:
        if tx.dialect.name == "postgresql":
            tx.execute(text("SET LOCAL statement_timeout = 0"))
        for statement in statements:
            # SQLite reads WITH in front of INSERT; so does PostgreSQL.
            tx.execute(text(statement))
        tx.execute(text("ANALYZE"))

    await house.gate.runtime.database.write(work)


async def ratio(small: Callable[[], Awaitable[float]], large: Callable[[], Awaitable[float]]) -> tuple[float, float]:
    """Return large against small by their medians, and the median of large in milliseconds, asked in turn."""
    for _ in range(10):
        await small(), await large()
    times = [(await small(), await large()) for _ in range(PAIRS)]
    least, most = median([one for one, _ in times]), median([other for _, other in times])
    return most / least, most * 1e3


async def compare(name: str, small: House, large: House) -> None:
    kind = small.gate.runtime.database.engine.dialect.name
    for what, ask in (("returning", House.returning), ("first admission", House.first)):
        times, milliseconds = await ratio(lambda ask=ask: ask(small), lambda ask=ask: ask(large))
        tell(f"{name}, {what}, {kind}", times=times, large_ms=milliseconds)


async def test_a_million_holders_against_ten(houses: tuple[House, House]):
    small, large = houses
    for house, holders in ((small, 9), (large, HOLDERS)):
        await fill(
            house,
            many(member, holders, id="'mem_' || n", email="'p' || n", email_key="'p' || n", role="'user'"),
            many(identity, holders, subject="'s' || n", member="'mem_' || n"),
            many(seat_entry, holders, member="'mem_' || n"),
            f"UPDATE seat_pool SET purchased = purchased + {holders}, used = used + {holders}",
        )
    await compare("1,000,000 holders", small, large)


async def test_a_hundred_thousand_organizations_against_ten(houses: tuple[House, House]):
    small, large = houses
    for house, count in ((small, 9), (large, ORGANIZATIONS)):
        await fill(
            house,
            many(organization, count, id="'org_' || n", slug="'o' || n"),
            many(seat_pool, count, organization="'org_' || n"),
            many(connection, count, id="'con_' || n", organization="'org_' || n"),
            many(member, count, id="'mem_' || n", organization="'org_' || n"),
            many(identity, count, connection="'con_' || n", member="'mem_' || n"),
        )
    await compare("100,000 organizations", small, large)
