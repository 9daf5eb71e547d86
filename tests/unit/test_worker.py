"""The worker's duties through trouble: one that fails is tried again, does not fill the log, and holds up no other."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update

from billing_core import tables
from sso_gate import worker
from sso_gate.billing import purchase
from sso_gate.billing.renewal import renew_due
from sso_gate.errors import Unavailable
from tests.support.gates import Gate, MovingClock, make_organization


async def ran(duty, *, until: asyncio.Event) -> None:
    """The duty, repeated until it says that it is enough."""
    task = asyncio.create_task(worker.repeat("seal", duty, timedelta(0)))
    await until.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("error", [Unavailable("the database is away"), RuntimeError("nobody expected this")])
async def test_a_trouble_that_lasts_is_logged_once_and_when_it_is_over(monkeypatch, caplog, error):
    monkeypatch.setattr(worker, "RETRY_SECONDS", 0)
    tries, enough = 0, asyncio.Event()

    async def duty():
        nonlocal tries
        tries += 1
        if tries <= 50:
            raise error
        if tries == 60:
            enough.set()

    with caplog.at_level(logging.INFO):
        await ran(duty, until=enough)
    first, last = [record.getMessage() for record in caplog.records]
    assert first.startswith("seal")
    assert last == "seal works again after 50 failures in 0 s"


async def test_a_trouble_that_goes_on_is_logged_again_after_a_while(monkeypatch, caplog):
    monkeypatch.setattr(worker, "RETRY_SECONDS", 0)
    monkeypatch.setattr(worker, "TELL_SECONDS", 0)
    tries, enough = 0, asyncio.Event()

    async def duty():
        nonlocal tries
        tries += 1
        if tries == 5:
            enough.set()
        raise Unavailable("still away")

    await ran(duty, until=enough)
    assert len(caplog.records) >= 5


async def test_a_contract_that_cannot_be_renewed_holds_up_no_other(inside: Gate, moving_clock: MovingClock, caplog):
    broken, whole = [await make_organization(inside.runtime, seats=2) for _ in range(2)]
    unreadable = update(tables.contracts).where(tables.contracts.c.customer == broken.id).values(buyer="{")
    await inside.runtime.database.write(lambda tx: tx.execute(unreadable))
    moving_clock.instant = datetime(2027, 1, 1, 12, tzinfo=UTC)
    assert [one.organization.id for one in await renew_due(inside.runtime)] == [whole.id]
    assert broken.id in caplog.text


async def test_quotes_that_nobody_ordered_are_not_kept_for_ever(inside: Gate, moving_clock: MovingClock):
    organization = await make_organization(inside.runtime, seats=2)
    await purchase.review(inside.runtime, organization=organization, add=1)
    moving_clock.move(timedelta(days=32))
    await worker.watch_books(inside.runtime)
    left = await inside.runtime.database.read(lambda tx: tx.execute(select(func.count(tables.quotes.c.id))).scalar())
    assert left == 0
