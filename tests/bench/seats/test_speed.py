"""What a decision costs: ratios of one run, on SQLite and PostgreSQL, with every commit flushed. `make bench`.

The aims are 1.5 for a returning person and for a first admission. Where a flush takes 4 ms a returning person comes
near it; where it takes 0.3 ms the hop to the writing thread, the canonical form and one read weigh more than the
commit. A first admission is nine statements where a bare commit has five; on PostgreSQL twelve, each a round trip.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from time import perf_counter

import pytest
from sqlalchemy import Table, select

from sso_gate.admission.settle import Allowed
from sso_gate.clock import SystemClock
from sso_gate.identity import new_id
from sso_gate.storage.tables import audit_event, identity, member, seat_entry
from tests.bench.seats.measure import BareDriver, Statement, counted_commits, median, p95, tell
from tests.support.gates import Gate, Migrated, make_organization, open_gate, person
from tests.support.postgres import ThrowAwayPostgres
from tests.support.valkey import ThrowAwayValkey

pytestmark = pytest.mark.bench
BLOCKS, BLOCK = 6, 50


@pytest.fixture(scope="module")
def flushing_postgres() -> Iterator[ThrowAwayPostgres]:
    server = ThrowAwayPostgres(fsync=True)
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def flushing_url(request: pytest.FixtureRequest, migrated: Migrated, tmp_path) -> str:
    if request.param == "sqlite":
        return migrated.sqlite(tmp_path)
    return migrated.postgres(request.getfixturevalue("flushing_postgres"))


@pytest.fixture
async def gate(flushing_url: str, valkey: ThrowAwayValkey) -> AsyncIterator[Gate]:
    async with open_gate(flushing_url, valkey.socket_url) as opened:
        yield opened


async def sample(gate: Gate, table: Table) -> dict[str, object]:
    """Return the newest row that the gate has written into a table."""
    query = select(table).order_by(next(iter(table.primary_key)).desc()).limit(1)
    return dict(await gate.runtime.database.read(lambda tx: tx.execute(query).mappings().one()))


def inserting(table: Table, row: dict[str, object]) -> Statement:
    return f"INSERT INTO {table.name} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", tuple(row.values())


def audit_row(row: dict[str, object]) -> Statement:
    fresh = {"id": new_id("evt", SystemClock()), "login_id": secrets.token_hex(32), "position": None}
    return inserting(audit_event, {**row, **fresh})


async def test_a_returning_login_against_a_bare_commit_of_its_row(gate: Gate, flushing_url: str):
    organization = await make_organization(gate.runtime, seats=9)
    ana = person(organization, "ana")
    await gate.settle(ana)
    row, driver = await sample(gate, audit_event), BareDriver(flushing_url)
    bare, ours = [], []
    for _ in range(BLOCKS):
        for _ in range(BLOCK):
            begun = perf_counter()
            driver.commit([audit_row(row)])
            bare.append(perf_counter() - begun)
        for _ in range(BLOCK):
            begun = perf_counter()
            assert isinstance(await gate.settle(ana, "free"), Allowed)
            ours.append(perf_counter() - begun)
    driver.close()
    tell(
        f"returning login, {flushing_url[:6]}",
        ratio=median(ours) / median(bare),
        bare_ms=median(bare) * 1e3,
        login_ms=median(ours) * 1e3,
        added_ms=(median(ours) - median(bare)) * 1e3,
    )


async def test_a_first_admission_against_a_bare_commit_of_its_rows(gate: Gate, flushing_url: str):
    organization = await make_organization(gate.runtime, seats=5000)
    await gate.settle(person(organization, "first"))
    audit, who, bound, entry = [await sample(gate, table) for table in (audit_event, member, identity, seat_entry)]
    driver, bare, ours = BareDriver(flushing_url), [], []
    del entry["id"]
    for block in range(BLOCKS):
        for at in range(BLOCK):
            name = f"bare{block}-{at}"
            key = new_id("mem", SystemClock())
            begun = perf_counter()
            driver.commit(
                [
                    inserting(member, {**who, "id": key, "email": name, "email_key": name}),
                    inserting(identity, {**bound, "subject": name, "member": key}),
                    ("UPDATE seat_pool SET version = version WHERE organization = ?", (organization.id,)),
                    inserting(seat_entry, {**entry, "member": key}),
                    audit_row(audit),
                ]
            )
            bare.append(perf_counter() - begun)
        for at in range(BLOCK):
            stranger = person(organization, f"ours{block}-{at}")
            begun = perf_counter()
            assert isinstance(await gate.settle(stranger, "free"), Allowed)
            ours.append(perf_counter() - begun)
    driver.close()
    tell(
        f"first admission, {flushing_url[:6]}",
        ratio=median(ours) / median(bare),
        bare_ms=median(bare) * 1e3,
        login_ms=median(ours) * 1e3,
        added_ms=(median(ours) - median(bare)) * 1e3,
    )


async def test_thirty_two_in_flight_against_one_transaction_per_login(gate: Gate):
    organization = await make_organization(gate.runtime, seats=5000)
    ana, logins = person(organization, "ana"), 640
    await gate.settle(ana)
    begun = perf_counter()
    for _ in range(100):
        await gate.settle(ana, "free")
    alone = 100 / (perf_counter() - begun)

    async def browser() -> None:
        for _ in range(logins // 32):
            await gate.settle(ana, "free")

    with counted_commits(gate.runtime.database) as commits:
        begun = perf_counter()
        await asyncio.gather(*(browser() for _ in range(32)))
        together = logins / (perf_counter() - begun)
    tell(
        f"32 in flight, {gate.runtime.database.engine.dialect.name}",
        times=together / alone,
        per_second=together,
        flushes_per_login=len(commits) / logins,
    )
    assert len(commits) / logins <= 0.05


@pytest.mark.parametrize("seats", [0, 100])
async def test_two_thousand_new_people(gate: Gate, seats: int):
    organization = await make_organization(gate.runtime, seats=1 + seats)
    other = await make_organization(gate.runtime, seats=5)
    bystander, calm, meanwhile, crowd = person(other, "owner"), [], [], []
    for _ in range(100):
        begun = perf_counter()
        await gate.login(bystander)
        calm.append(perf_counter() - begun)

    async def one(name: str) -> bool:
        begun = perf_counter()
        answer = await gate.login(person(organization, name))
        crowd.append(perf_counter() - begun)
        return hasattr(answer, "session")

    storm = asyncio.gather(*(one(f"p{at}") for at in range(2000)))
    while not storm.done():
        begun = perf_counter()
        await gate.login(bystander)
        meanwhile.append(perf_counter() - begun)
    assert sum(await storm) == seats
    tell(
        f"2000 people, {seats} seats, {gate.runtime.database.engine.dialect.name}",
        p95_ms=p95(crowd) * 1e3,
        bystander_calm_ms=p95(calm) * 1e3,
        bystander_meanwhile_ms=p95(meanwhile) * 1e3,
        times=p95(meanwhile) / p95(calm),
    )
