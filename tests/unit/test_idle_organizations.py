"""What an installation does by itself costs as much for thirty organizations in which nothing happens as for three: its
ways to SQL and to Redis are counted.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine.default import DefaultDialect
from starlette.requests import Request

from sso_gate import worker
from sso_gate.admission.settle import Allowed
from sso_gate.apply.metadata_refresh import refresh_metadata
from sso_gate.audit.proving import prove_logs
from sso_gate.audit.retention import expire
from sso_gate.audit.sealer import seal, sign_due
from sso_gate.audit.stored_exports import make_exports
from sso_gate.billing.renewal import renew_due
from sso_gate.health import metrics
from sso_gate.notify.owners import tell_of_certificates, tell_owners
from sso_gate.storage.postgres_line import Line
from sso_gate.storage.redis_lines import Lines
from sso_gate.storage.runtime import Runtime
from tests.support.gates import Gate, MovingClock, make_organization, open_gate, person
from tests.support.keys import make_key_pair
from tests.support.valkey import ThrowAwayValkey

_numbers = itertools.count(1)
Duty = Callable[[Runtime], Awaitable[object]]


async def scrape(runtime: Runtime) -> None:
    """Ask for the metrics."""
    await metrics(Request({"type": "http", "state": {"runtime": runtime}}))


DUTIES: tuple[Duty, ...] = (
    worker.keep_promises,
    worker.pass_on_holds,
    worker.record_floods,
    worker.watch_books,
    renew_due,
    refresh_metadata,
    tell_owners,
    tell_of_certificates,
    seal,
    sign_due,
    expire,
    prove_logs,
    make_exports,
    scrape,
)


class Asked:
    """How often SQL and Redis were asked; on PostgreSQL statements that go together are asked once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times = 0
        for kind, name in ((DefaultDialect, "do_execute"), (DefaultDialect, "do_executemany"), (Line, "send")):
            monkeypatch.setattr(kind, name, self._counted(getattr(kind, name)))
        monkeypatch.setattr(Lines, "ask", self._counted(Lines.ask))

    def _counted(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*given: Any, **named: Any) -> Any:
            self.times += 1
            return real(*given, **named)

        return counting

    async def by(self, duty: Duty, runtime: Runtime) -> int:
        """Return how often this duty asks."""
        before = self.times
        await duty(runtime)
        return self.times - before


@pytest.fixture
async def gate(gate_database: str, valkey: ThrowAwayValkey, moving_clock: MovingClock) -> AsyncIterator[Gate]:
    mail = {"smtp_url": "smtp://127.0.0.1:1", "mail_from": "gate@example.com"}
    async with open_gate(gate_database, valkey.socket_url, clock=moving_clock, **mail) as opened:
        yield opened


async def add(gate: Gate, count: int, folder: Path) -> None:
    """Make so many organizations, each with a certificate to watch, and let the owner of each log in."""
    for _ in range(count):
        slug = f"idle{next(_numbers)}"
        saml = {"id": f"{slug}-saml", "protocol": "saml", "certificates": ["idp.pem"]}
        saml |= {"idp_entity_id": "https://idp.example", "sso_url": "https://idp.example/sso"}
        made = await make_organization(gate.runtime, seats=9, slug=slug, connections=[saml], folder=folder)
        assert isinstance(await gate.settle(person(made, "owner"), "free"), Allowed)


async def settled(gate: Gate, clock: MovingClock) -> None:
    """Do all that is to be done, until nothing is."""
    for _ in range(2):  # a checkpoint is an event again, which is sealed
        clock.move(timedelta(hours=2))
        for duty in DUTIES:
            await duty(gate.runtime)


async def test_no_duty_and_no_scrape_asks_more_often_for_thirty_idle_organizations_than_for_three(
    gate: Gate, moving_clock: MovingClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "idp.pem").write_text(make_key_pair("idp.example").certificate)
    asked, found = Asked(monkeypatch), []
    for more in (3, 27):
        await add(gate, more, tmp_path)
        await settled(gate, moving_clock)
        found.append({duty.__name__: await asked.by(duty, gate.runtime) for duty in DUTIES})
    assert found[0] == found[1]
    assert max(found[0].values()) < 20


async def test_sealing_and_signing_many_logs_ask_as_often_as_for_a_few(
    gate: Gate, moving_clock: MovingClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "idp.pem").write_text(make_key_pair("idp.example").certificate)
    asked, found = Asked(monkeypatch), []
    for more in (1, 3, 27):  # the first one makes the key that signs
        await add(gate, more, tmp_path)
        sealing = await asked.by(seal, gate.runtime)
        moving_clock.move(timedelta(hours=2))
        found.append((sealing, await asked.by(sign_due, gate.runtime)))
        await settled(gate, moving_clock)
    assert found[1] == found[2]
