"""What a login asks of SQL and of Redis: counted, so that it cannot creep up unseen, and by index alone, so that it
stays the same however many people and organizations there are.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sso_gate.admission.settle import Allowed, Denied
from sso_gate.login.discovery import find_realm
from sso_gate.organizations.organization import Organization
from sso_gate.storage.postgres_line import Line
from sso_gate.storage.redis_lines import Lines
from tests.support.gates import Gate, Migrated, make_organization, open_gate, person
from tests.support.postgres import ThrowAwayPostgres
from tests.support.valkey import ThrowAwayValkey

BEGIN_AND_COMMIT = 2


class Asked:
    """The statements that SQLite has run and the commands that Redis was sent since `forget`."""

    def __init__(self, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
        self.statements: list[str] = []
        self.commands: list[Any] = []
        self._gate = gate
        ask = Lines.ask

        async def counted(lines: Lines, words: Any) -> Any:
            self.commands.append(words)
            return await ask(lines, words)

        monkeypatch.setattr(Lines, "ask", counted)

    async def listen(self) -> None:
        """Hear of every statement that the writing connection runs."""

        def trace(tx: Any) -> None:
            tx.connection.driver_connection.set_trace_callback(self.statements.append)

        await self._gate.runtime.database.write(trace)
        self.forget()

    def forget(self) -> None:
        self.statements.clear()
        self.commands.clear()

    async def scans(self) -> list[str]:
        """Return what SQLite would read from beginning to end for these statements."""
        statements = [text for text in self.statements if re.match("SELECT|UPDATE|DELETE|INSERT", text)]

        def plans(tx: Any) -> list[str]:
            return [row[3] for text in statements for row in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]

        found: list[str] = await self._gate.runtime.database.read(plans)
        assert found
        return [
            step for step in found if step.startswith("SCAN") and not re.match("SCAN (CONSTANT|value|json_each)", step)
        ]


@pytest.fixture
async def gate(migrated: Migrated, tmp_path: Path, valkey: ThrowAwayValkey) -> AsyncIterator[Gate]:
    async with open_gate(migrated.sqlite(tmp_path), valkey.socket_url) as opened:
        yield opened


@pytest.fixture
async def organization(gate: Gate) -> Organization:
    made = await make_organization(gate.runtime, seats=3)
    await gate.settle(person(made, "owner"))
    return made


@pytest.fixture
async def asked(gate: Gate, organization: Organization, monkeypatch: pytest.MonkeyPatch) -> Asked:
    made = Asked(gate, monkeypatch)
    await made.listen()
    return made


async def test_a_returning_person_costs_one_read_and_one_row(gate: Gate, organization: Organization, asked: Asked):
    assert isinstance(await gate.settle(person(organization, "owner")), Allowed)
    assert len(asked.statements) - BEGIN_AND_COMMIT == 2
    assert await asked.scans() == []


async def test_a_first_admission_costs_seven_statements(gate: Gate, organization: Organization, asked: Asked):
    assert isinstance(await gate.settle(person(organization, "bea"), "free"), Allowed)
    assert len(asked.statements) - BEGIN_AND_COMMIT == 7
    assert await asked.scans() == []


async def test_who_is_refused_again_costs_no_lock_and_three_statements(
    gate: Gate, organization: Organization, asked: Asked
):
    for name in ("ana", "bea", "cyd"):
        await gate.settle(person(organization, name))
    asked.forget()
    assert isinstance(await gate.settle(person(organization, "cyd"), "full"), Denied)
    assert len(asked.statements) - BEGIN_AND_COMMIT == 3
    assert await asked.scans() == []


async def test_the_login_page_finds_an_organizations_connections_by_index(
    gate: Gate, organization: Organization, asked: Asked
):
    keyring, slug, email = gate.runtime.keyring, organization.slug, f"bea@{organization.slug}.example"
    for known in ({"slug": slug}, {"email": email}):
        realm = await gate.runtime.database.write(lambda tx, known=known: find_realm(tx, keyring, **known))
        assert realm.organization == organization
    assert await asked.scans() == []


async def test_a_login_together_with_others_shares_their_commit(gate: Gate, organization: Organization, asked: Asked):
    await asyncio.gather(*(gate.settle(person(organization, "owner")) for _ in range(33)))
    assert asked.statements.count("COMMIT") == 2


async def test_postgresql_is_asked_twice_for_a_returning_person_and_three_times_for_somebody_new(
    migrated: Migrated, postgres_server: ThrowAwayPostgres, valkey: ThrowAwayValkey, monkeypatch: pytest.MonkeyPatch
):
    ways, send = list[int](), Line.send

    def counted(line: Line) -> None:
        ways.append(len(line._waiting))
        send(line)

    url = migrated.postgres(postgres_server)
    async with open_gate(url, valkey.socket_url) as gate:
        organization = await make_organization(gate.runtime, seats=3)
        await gate.settle(person(organization, "owner"))
        monkeypatch.setattr(Line, "send", counted)
        await gate.settle(person(organization, "owner"), "free")
        assert ways == [2, 2]  # BEGIN and the look; the audit row and COMMIT
        ways.clear()
        await gate.settle(person(organization, "bea"), "free")
        # The look; again under the lock, with who has the address; then the seat, four rows and COMMIT.
        assert ways == [2, 3, 6]
    postgres_server.drop_database(url)


async def test_a_returning_person_is_two_words_with_redis(gate: Gate, organization: Organization, asked: Asked):
    await gate.login(person(organization, "owner"))
    asked.forget()
    await gate.login(person(organization, "owner"))
    assert len(asked.commands) == 2


async def test_a_first_admission_is_three_words_with_redis(gate: Gate, organization: Organization, asked: Asked):
    for name in ("ana", "bea"):  # the first of them teaches a new server the scripts
        asked.forget()
        await gate.login(person(organization, name))
        await asyncio.gather(*gate.door.combiner._tasks)  # the counter is told when the answer is out already
    assert len(asked.commands) == 3


async def test_a_refusal_is_one_word_with_redis(gate: Gate, organization: Organization, asked: Asked):
    for name in ("ana", "bea", "cyd"):
        await gate.login(person(organization, name))
    await asyncio.gather(*gate.door.combiner._tasks)
    asked.forget()
    await gate.login(person(organization, "cyd"))
    await asyncio.gather(*gate.door.combiner._tasks)
    assert len(asked.commands) == 1
