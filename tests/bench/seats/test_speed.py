"""What a decision costs: ratios of one run, on SQLite and PostgreSQL, with every commit flushed. `make bench`.

The floor of the first two is a bare commit of the same rows as a program that serves must make it: a coroutine hands
rows that are ready to a thread with one open connection, by the standard library's executor, and awaits the driver's
commit; no pool, no SQLAlchemy, nothing asked and nothing decided, and where there is one row not even the words around
it. It speaks as the driver does, by its cursors and with statements prepared by the driver. A thread it must be, for a
flush on the event loop would hold up everybody: `ratio` is to this floor. `to_driver` is the ratio to the same
commit in the very thread that wants it, which no such program can have: it is told so that nobody need believe in the
floor. `undisturbed` compares the quickest tenths, which other work on the machine touches least. `statements` is what
the very statements of such a decision take when the driver says them in that thread, and nobody decides anything.

The aims are 1.5. What a decision adds is work of Python's, not flushes, so the disk makes the ratio, and each is
measured twice: on the disk that is there, and with a sleep of a millisecond at every flush, the floor's too, which a
virtual machine stretches to one or two. Where this was written a flush takes 0.1 ms, as on a virtual disk that keeps it
in memory; a solid-state disk without a capacitor, or one across a network, takes a millisecond or more.
"""

import asyncio
import itertools
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import perf_counter

import pytest
from sqlalchemy import Table, select

from sso_gate.admission.settle import Allowed, Login, settle
from sso_gate.clock import SystemClock
from sso_gate.identity import Identity, new_id
from sso_gate.storage.tables import audit_event, identity, member, seat_entry
from tests.bench.seats.measure import (
    BareDriver,
    Statement,
    counted_commits,
    median,
    p10,
    p95,
    said,
    seconds,
    slower_flushes,
    tell,
)
from tests.support.gates import Gate, Migrated, fresh_login, make_organization, open_gate, person
from tests.support.postgres import ThrowAwayPostgres
from tests.support.valkey import ThrowAwayValkey

pytestmark = pytest.mark.bench
BLOCKS, BLOCK = 12, 25
DEARER_FLUSH = 0.001


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


async def compare(
    name: str, gate: Gate, url: str, rows: Callable[[], list[Statement]], people: Callable[[], Identity]
) -> None:
    """Print what a decision takes, what the commit of its rows does, and the ratios: on this disk and a dearer one."""
    driver, database = BareDriver(url), gate.runtime.database
    with ThreadPoolExecutor(1) as thread:
        here = ratios(await times_in_turn(gate, driver, thread, rows, people))
        with slower_flushes(database, driver, DEARER_FLUSH):
            there = ratios(await times_in_turn(gate, driver, thread, rows, people))
    tell(f"{name}, {database.engine.dialect.name}", **here)
    dearer = there["driver_ms"] - here["driver_ms"]
    tell(f"{name}, {database.engine.dialect.name}, each flush {dearer:.1f} ms dearer", **there)
    driver.close()


async def times_in_turn(
    gate: Gate,
    driver: BareDriver,
    thread: ThreadPoolExecutor,
    rows: Callable[[], list[Statement]],
    people: Callable[[], Identity],
) -> dict[str, list[float]]:
    """Return the times of decisions, of commits awaited and in this thread, and of statements, in blocks in turn."""
    times: dict[str, list[float]] = {"login": [], "bare": [], "driver": [], "statements": []}
    in_thread = partial(asyncio.get_running_loop().run_in_executor, thread)

    def login() -> Login:
        return fresh_login(people(), gate.runtime.clock)

    for _ in range(BLOCKS):
        for _ in range(BLOCK):
            times["login"].append(await seconds(partial(let_in, gate, login())))
            await asyncio.gather(*gate.door.combiner._tasks)  # the counter's news is no part of the next decision
        for _ in range(BLOCK):
            times["bare"].append(await seconds(partial(in_thread, driver.commit, rows())))
        for _ in range(BLOCK):
            made, begun = rows(), perf_counter()
            driver.commit(made)
            times["driver"].append(perf_counter() - begun)
        for portions in [await said_about(gate, login()) for _ in range(BLOCK)]:
            times["statements"].append(await seconds(partial(in_thread, driver.say, portions)))
    return times


async def let_in(gate: Gate, login: Login) -> None:
    assert isinstance(await gate.door.combiner.settle(login, "free"), Allowed)


async def said_about(gate: Gate, login: Login) -> list[list[Statement]]:
    """Return what the decision about this login says to the database; the login has not come then."""
    organization, clock, hold = login.identity.organization, gate.runtime.clock, gate.door.combiner.hold
    decision = partial(settle, organization=organization, logins=[login], hint="free", clock=clock, hold=hold)
    return await said(gate.runtime.database, decision)


def ratios(times: dict[str, list[float]]) -> dict[str, float]:
    """Return the ratios of the medians and of the quickest tenths, and the medians in milliseconds."""
    found = {f"{what}_ms": median(taken) * 1e3 for what, taken in times.items()}
    login, floor, least, statements = found.values()
    undisturbed = p10(times["login"]) / p10(times["bare"])
    return {
        "ratio": login / floor,
        "undisturbed": undisturbed,
        "to_driver": login / least,
        "statements": statements / floor,
        **found,
    }


async def test_a_returning_login_against_a_bare_commit_of_its_row(gate: Gate, flushing_url: str):
    organization = await make_organization(gate.runtime, seats=9)
    ana = person(organization, "ana")
    await gate.settle(ana)
    row = await sample(gate, audit_event)
    await compare("returning login", gate, flushing_url, lambda: [audit_row(row)], lambda: ana)


async def test_a_first_admission_against_a_bare_commit_of_its_rows(gate: Gate, flushing_url: str):
    organization = await make_organization(gate.runtime, seats=5000)
    await gate.settle(person(organization, "first"))
    audit, who, bound, entry = [await sample(gate, table) for table in (audit_event, member, identity, seat_entry)]
    del entry["id"]
    names = (f"p{number}" for number in itertools.count())

    def rows() -> list[Statement]:
        name, key = next(names), new_id("mem", SystemClock())
        return [
            inserting(member, {**who, "id": key, "email": name, "email_key": name}),
            inserting(identity, {**bound, "subject": name, "member": key}),
            ("UPDATE seat_pool SET version = version WHERE organization = ?", (organization.id,)),
            inserting(seat_entry, {**entry, "member": key}),
            audit_row(audit),
        ]

    await compare("first admission", gate, flushing_url, rows, lambda: person(organization, next(names)))


async def test_thirty_two_in_flight_against_one_transaction_per_login(gate: Gate):
    organization = await make_organization(gate.runtime, seats=5000)
    ana = person(organization, "ana")
    await gate.settle(ana)

    def logins(times: int) -> list[Login]:
        return [fresh_login(ana, gate.runtime.clock) for _ in range(times)]

    async def browser(mine: list[Login]) -> None:
        for login in mine:
            await let_in(gate, login)

    alone, together = list[float](), list[float]()
    with counted_commits(gate.runtime.database) as commits:
        for _ in range(8):
            alone.append(await seconds(partial(browser, logins(80))) / 80)
            before, crowd = len(commits), [browser(logins(20)) for _ in range(32)]
            together.append(await seconds(partial(asyncio.gather, *crowd)) / 640)
            flushes = (len(commits) - before) / 640
            assert flushes <= 0.05
    tell(
        f"32 in flight, {gate.runtime.database.engine.dialect.name}",
        times=median(alone) / median(together),
        per_second=1 / median(together),
        flushes_per_login=flushes,
    )


@pytest.mark.parametrize("seats", [0, 100])
async def test_two_thousand_new_people(gate: Gate, seats: int):
    organization = await make_organization(gate.runtime, seats=1 + seats)
    other = await make_organization(gate.runtime, seats=5)
    bystander, crowd = person(other, "owner"), []

    async def bystanders(times: int) -> list[float]:
        return [await seconds(lambda: gate.login(bystander)) for _ in range(times)]

    async def one(name: str) -> bool:
        begun = perf_counter()
        answer = await gate.login(person(organization, name))
        crowd.append(perf_counter() - begun)
        return hasattr(answer, "session")

    calm, meanwhile = await bystanders(100), list[float]()
    storm = asyncio.gather(*(one(f"p{at}") for at in range(2000)))
    while not storm.done():
        meanwhile += await bystanders(1)
    assert sum(await storm) == seats
    calm += await bystanders(100)  # on both sides of the storm: other work on the machine comes and goes
    tell(
        f"2000 people, {seats} seats, {gate.runtime.database.engine.dialect.name}",
        p95_ms=p95(crowd) * 1e3,
        bystander_calm_ms=p95(calm) * 1e3,
        bystander_meanwhile_ms=p95(meanwhile) * 1e3,
        times=p95(meanwhile) / p95(calm),
    )
