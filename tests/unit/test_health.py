"""What those on call are told while something is away."""

import pytest
from sqlalchemy import text
from starlette.requests import Request

from sso_gate.health import metrics, ready
from sso_gate.metrics import LOGINS
from sso_gate.storage.open import open_runtime
from tests.support.gates import Gate, make_organization, settings_for


async def told(runtime) -> str:
    answer = await metrics(Request({"type": "http", "state": {"runtime": runtime}}))
    assert answer.status_code == 200
    return bytes(answer.body).decode()


async def test_what_was_counted_is_told_while_the_database_is_away():
    LOGINS.labels("admitted", "saml").inc()
    runtime = open_runtime(settings_for("postgresql://nobody@127.0.0.1:1/nothing", "redis://127.0.0.1:1"))
    text = await told(runtime)
    await runtime.close()
    assert "sso_gate_database_up 0.0" in text
    assert 'sso_gate_logins_total{outcome="admitted",protocol="saml"}' in text
    assert "sso_gate_seats{" not in text


async def test_seats_come_from_the_database(inside: Gate):
    organization = await make_organization(inside.runtime, seats=4)
    text = await told(inside.runtime)
    assert "sso_gate_database_up 1.0" in text
    assert f'sso_gate_seats{{org="{organization.slug}",state="purchased"}} 4.0' in text
    assert "\nsso_gate_outbox_overdue 0.0" in text


@pytest.mark.parametrize(("version", "status"), [("0001", 200), ("0000", 503), ("9999", 200)])
async def test_a_gate_stays_ready_while_a_later_release_migrates_and_is_not_before_its_own_has(
    inside: Gate, version, status, monkeypatch
):
    monkeypatch.setattr("sso_gate.storage.migrate._known", lambda: {"0000", "0001"})  # a release with two steps
    change = text("UPDATE alembic_version SET version_num = :version")
    await inside.runtime.database.write(lambda tx: tx.execute(change, {"version": version}))
    answer = await ready(Request({"type": "http", "state": {"runtime": inside.runtime}}))
    assert answer.status_code == status
