"""The audit log tells when seats run short: once for each time that use rises past a mark."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select

from sso_gate.admission.settle import Allowed
from sso_gate.seats.thresholds import crossed
from sso_gate.storage.tables import audit_event
from tests.support.gates import Gate, Migrated, make_organization, open_gate, person
from tests.support.valkey import ThrowAwayValkey


@pytest.mark.parametrize(
    ("purchased", "before", "used", "mark"),
    [
        (100, 78, 79, None),
        (100, 79, 80, 80),
        (100, 80, 81, None),
        (100, 70, 95, 90),
        (100, 99, 100, 100),
        (5, 3, 4, 80),
        (1, 0, 1, 100),
        (7, 5, 6, 80),
        (0, 0, 0, None),
    ],
)
def test_the_highest_mark_that_was_passed_is_told(purchased, before, used, mark):
    assert crossed(purchased, before, used) == mark


@pytest.fixture
async def gate(migrated: Migrated, tmp_path: Path, valkey: ThrowAwayValkey) -> AsyncIterator[Gate]:
    async with open_gate(migrated.sqlite(tmp_path), valkey.socket_url) as opened:
        yield opened


async def test_the_event_is_written_with_the_login_that_passed_the_mark(gate):
    organization = await make_organization(gate.runtime, seats=5)
    for name in ("a", "b", "c", "d"):
        assert isinstance(await gate.settle(person(organization, name)), Allowed)
    query = select(audit_event.c.body).where(audit_event.c.organization == organization.id)
    events = await gate.runtime.database.read(
        lambda tx: [json.loads(body) for body in tx.execute(query.order_by(audit_event.c.happened_at)).scalars()]
    )
    told = [(one["changes"]["percent"], one["seat"]) for one in events if one["action"] == "seat.threshold"]
    assert [(percent, seat["used"]) for percent, seat in told] == [(80, 4), (100, 5)]
    at = [one["action"] for one in events].index("seat.threshold")
    assert (events[at - 1]["action"], events[at - 1]["seat"]["used"]) == ("auth.login", 4)
