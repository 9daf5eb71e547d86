"""Asking the owners, asking again and reminding them: what each changes, and how often the owners are told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from sso_gate.audit.event import Actor
from sso_gate.errors import Conflict
from sso_gate.members import store as members
from sso_gate.organizations import store as organizations
from sso_gate.settings import Settings
from sso_gate.storage.open import open_runtime
from sso_gate.storage.runtime import Runtime
from sso_gate.storage.tables import outbox
from sso_gate.waiting.people import SEAT_ASKED, ask, decline, remind
from sso_gate.waiting.state import WaitingState, waiting_state
from sso_gate.waiting.ticket import Ticket
from tests.support.gates import Migrated
from tests.support.valkey import ThrowAwayValkey
from tests.unit.console.gate import Gate

OWNER = Actor("user", "mem_1", "ana@acme.example")


class Eva:
    """Somebody who waits for a seat of a full organization, and what the owners were told of her."""

    def __init__(self, gate: Gate, runtime: Runtime, ticket: Ticket) -> None:
        self.clock, self.runtime, self.ticket = gate.clock, runtime, ticket

    async def asks(self, message: str) -> None:
        await ask(self.runtime, self.ticket, message)

    async def reminds(self) -> None:
        await remind(self.runtime, self.ticket)

    async def state(self) -> WaitingState:
        now = self.clock.now()
        return await self.runtime.database.read(lambda tx: waiting_state(tx, self.ticket, now=now))

    async def times_told(self) -> int:
        query = select(func.count()).select_from(outbox).where(outbox.c.kind == SEAT_ASKED)
        return await self.runtime.database.read(lambda tx: tx.execute(query).scalar_one())


@pytest.fixture
def full_gate(valkey: ThrowAwayValkey, migrated: Migrated, tmp_path: Path) -> Gate:
    settings = Settings(
        public_url="https://gate.example",
        database_url=migrated.sqlite(tmp_path),
        redis_url=valkey.url,
        secret_keys=("k" * 43,),
    )
    gate = Gate(settings, tmp_path)
    gate.waits("eva")
    return gate


@pytest.fixture
async def eva(full_gate: Gate) -> AsyncIterator[Eva]:
    runtime = open_runtime(full_gate.settings, full_gate.clock)
    acme = await runtime.database.read(lambda tx: organizations.by_slug(tx, "acme"))
    assert acme is not None
    found = await runtime.database.read(lambda tx: members.find(tx, acme.id, "eva@acme.example"))
    assert found is not None
    yield Eva(
        full_gate, runtime, Ticket(acme.id, found.id, found.email, "seat_unavailable", "R", "acme-oidc", "/", 0, "")
    )
    await runtime.close()


async def test_asking_again_changes_the_message_and_tells_nobody_twice(eva):
    await eva.asks("Please")
    await eva.asks("Please, for month-end")
    found = await eva.state()
    assert (found.state, found.message) == ("asked", "Please, for month-end")
    assert await eva.times_told() == 1


async def test_a_reminder_is_sent_once_after_a_day_and_keeps_the_message(eva):
    await eva.asks("Please")
    with pytest.raises(Conflict):
        await eva.reminds()
    eva.clock.instant += timedelta(hours=24)
    await eva.reminds()
    found = await eva.state()
    assert (found.message, found.reminded_at, found.can_remind) == ("Please", eva.clock.now(), False)
    with pytest.raises(Conflict):
        await eva.reminds()
    assert await eva.times_told() == 2


async def test_asking_again_does_not_use_the_reminder_up(eva):
    await eva.asks("Please")
    await eva.asks("Pretty please")
    eva.clock.instant += timedelta(hours=25)
    assert (await eva.state()).can_remind


async def test_who_was_declined_asks_anew_after_a_week_and_may_remind_anew(eva):
    await eva.asks("Please")
    eva.clock.instant += timedelta(hours=24)
    await eva.reminds()
    await decline(eva.runtime, eva.ticket.organization, eva.ticket.email, "Not now", by=OWNER)
    assert not (await eva.state()).can_ask
    eva.clock.instant += timedelta(days=7)
    await eva.asks("Once more")
    assert (await eva.state()).reminded_at is None
    eva.clock.instant += timedelta(hours=24)
    assert (await eva.state()).can_remind
