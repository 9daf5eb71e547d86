"""The year before today: use cases say what came of it, and it fits whatever day the demonstration begins on."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest

from sso_gate.admission.invites import invites
from sso_gate.admission.reconcile import reconcile
from sso_gate.apply.apply import apply
from sso_gate.apply.file import read_file
from sso_gate.billing import purchase
from sso_gate.billing.documents import invoices
from sso_gate.console.waiting import waiting_rows
from sso_gate.demo.history import EVENTS, RENEWED_AT, Past, Travelled, live_through, renews
from sso_gate.demo.people import BRUNO, CARLA
from sso_gate.demo.story import TERM_MONTHS, first_day, months_after, write_story
from sso_gate.settings import Settings
from sso_gate.storage.migrate import migrate
from sso_gate.storage.open import open_runtime
from sso_gate.waiting.people import waiting_people

TODAY = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


@pytest.fixture
async def past(world, valkey, sqlite_url, tmp_path):
    file = write_story(tmp_path, world.provider, today=TODAY.date())
    clock = Travelled(datetime.combine(first_day(TODAY.date()), time(12), UTC))
    near = {"allow_private_networks": "127.0.0.0/8"}
    settings = Settings.model_validate(
        {"database_url": sqlite_url, "redis_url": valkey.url, "secret_keys": ("k" * 43,), **near}
    )
    runtime = open_runtime(settings, clock)
    await migrate(runtime.database)
    wanted, text = read_file(file)
    await apply(runtime, wanted, folder=tmp_path, text=text, name=file.name, maker="demo")
    await live_through(runtime, clock, begins=wanted.contract.anchor_date, until=TODAY)
    clock.instant = TODAY
    yield await Past.of(runtime)
    await runtime.close()


async def test_the_organization_is_full_with_people_waiting_invites_invoices_and_a_forecast(past):
    runtime, organization = past.runtime, past.organization
    seats = await purchase.seats_overview(runtime, organization.id)
    assert (seats.purchased, seats.in_use, seats.reserved, seats.available, seats.waiting) == (21, 18, 3, 0, 1)
    assert [one.email for one in await invites(runtime, organization.id)] == [BRUNO.email, CARLA.email]
    waiting = waiting_rows(await waiting_people(runtime, organization.id), TODAY)
    assert [(one.name, one.state) for one in waiting] == [
        ("Li Wei", "held"),
        ("João Prates", "declined"),
        ("Eva Lindt", "asked"),
    ]
    issued = await invoices(runtime, organization, None, 10)
    assert [one.status(TODAY) for one in issued] == ["open", "paid", "paid", "paid", "paid"]
    assert {one.origin for one in issued} == {"opening", "order", "renewal"}
    outlook = await purchase.seats_outlook(runtime, organization.id)
    assert len(outlook.history) > 180
    assert outlook.forecast
    assert outlook.forecast.change > 0
    assert await reconcile(runtime) == []


def test_on_whatever_day_it_is_started_the_renewal_falls_where_nothing_else_happens():
    around = sorted(days for days, act, _ in EVENTS if act is not renews)
    for number in range(4 * 366):
        today = datetime.combine(date(2026, 1, 1) + timedelta(days=number), time(0, 1), UTC)
        renewal = datetime.combine(months_after(first_day(today.date()), TERM_MONTHS), RENEWED_AT, UTC)
        since = (today - renewal) / timedelta(days=1)
        assert max(days for days in around if days < 60) < since < min(days for days in around if days > 60)
        assert max(around) < (today.date() - first_day(today.date())).days
