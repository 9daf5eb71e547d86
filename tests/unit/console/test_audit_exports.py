"""S11: exports of more events than are sent at once are made in the background; whoever may see the log takes them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from sso_gate.audit import stored_exports
from sso_gate.audit.retention import erase
from sso_gate.audit.stored_exports import KEPT_FOR, LEASE, MOST_ATTEMPTS, Superseded, make_exports
from sso_gate.notify.letters import write_letters
from sso_gate.storage import outbox
from sso_gate.storage.tables import audit_export, audit_export_part
from tests.support.gates import OPERATOR
from tests.unit.console.gate import Gate, plain
from tests.unit.console.test_numbers import done

PATH = "/settings/audit/exports"


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch):
    """Two events are many here, and every line is a part of its own."""
    monkeypatch.setattr(stored_exports, "AT_ONCE", 2)
    monkeypatch.setattr(stored_exports, "PART_LETTERS", 100)


def asked(browser, **words: str) -> str:
    answer = browser.post(PATH, data={"form": "jsonl", **words})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def made(gate: Gate) -> None:
    async def work(runtime: Any, _organization: str) -> None:
        await make_exports(runtime)

    done(gate, work)


def letters(gate: Gate) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []

    async def work(runtime: Any, _organization: str) -> None:
        def write(tx: Any) -> None:
            for promise in outbox.claim(tx, now=gate.clock.now()):
                write_letters(tx, promise, origin="https://gate.example", clock=gate.clock)
            found.extend(one.payload for one in outbox.claim(tx, now=gate.clock.now()) if one.kind == "mail.letter")

        await runtime.database.write(write)

    done(gate, work)
    return found


def test_many_events_are_asked_for_and_made_in_the_background_with_a_mail_to_who_asked(gate, ana):
    page = ana.get("/settings/audit").text
    assert f'action="{PATH}" method="post"' in page
    moved = ana.get("/settings/audit/events.csv?outcome=success")
    assert (moved.status_code, moved.headers["location"]) == (303, "/settings/audit?outcome=success#exports")
    address = asked(ana, outcome="success")
    waiting = ana.get(address).text
    assert 'value="0"' in waiting
    assert ana.get(f"{address}/file").status_code == 404
    made(gate)
    ready = ana.get(address).text
    assert f'href="{address}/file"' in ready
    file = ana.get(f"{address}/file")
    assert file.headers["content-disposition"].startswith('attachment; filename="audit-acme-1-')
    first, *events, last = [json.loads(line) for line in file.text.splitlines()]
    assert first["export"]["filter"] == {"outcome": "success"}
    assert "checkpoint" in last
    assert {event["outcome"] for event in events} == {"success"}
    assert events[-1]["action"] == "audit.export", "the asking itself is on record, and in the file"
    letter = next(one for one in letters(gate) if one["template"] == "export_ready")
    assert (letter["to"], letter["context"]["export_url"]) == ("ana@acme.example", f"https://gate.example{address}")


def test_few_events_are_sent_at_once(ana):
    page = ana.get("/settings/audit?action=connection.delete").text
    assert "/settings/audit/events.csv?action=connection.delete" in page
    assert ana.get("/settings/audit/events.csv?action=connection.delete").status_code == 200


def test_the_page_tells_how_far_the_file_is(gate, ana):
    address = asked(ana)

    async def work(runtime: Any, _organization: str) -> None:
        half = update(audit_export).values(expected=40_000, written=12_500)
        await runtime.database.write(lambda tx: tx.execute(half))

    done(gate, work)
    page = ana.get(address).text
    assert "12,500 of 40,000 events" in plain(page)
    assert '<progress id="progress" max="40000" value="12500">' in page


def test_a_file_is_for_its_organization_and_for_who_may_see_the_log(gate, ana):
    address = asked(ana)
    made(gate)
    with gate.browser("leo") as leo, gate.browser("olga") as olga, gate.browser() as nobody:
        assert olga.get(f"{address}/file").status_code == 200
        unknown = leo.get("/no/such/path").content
        for answer in (leo.get(address), leo.get(f"{address}/file"), leo.post(PATH, data={"form": "csv"})):
            assert (answer.status_code, answer.content) == (404, unknown)
        assert (
            nobody.get(f"{address}/file").headers["location"].startswith("/login?return_to=%2Fsettings%2Faudit%2Fexp")
        )
        assert ana.get(f"{PATH}/exp_of_somebody_else").status_code == 404
    assert ana.post(PATH, data={"form": "pdf"}).status_code == 422


def test_an_organization_has_three_files_in_the_making_at_most(gate, ana):
    for _ in range(3):
        asked(ana)
    refused = ana.post(PATH, data={"form": "csv", "outcome": "success"})
    assert refused.status_code == 409
    assert "No further file can be made now" in refused.text
    assert '<option value="success" selected>' in refused.text, "the filters stay"
    made(gate)
    asked(ana)


def test_an_organization_keeps_so_many_files_at_most(gate, ana, monkeypatch):
    monkeypatch.setattr(stored_exports, "MOST_KEPT", 1)
    asked(ana)
    made(gate)
    assert ana.post(PATH, data={"form": "csv"}).status_code == 409
    gate.clock.instant += KEPT_FOR + timedelta(seconds=1)
    made(gate)
    gate.comes_again("ana")
    with gate.browser("ana") as later:
        asked(later)


def test_a_process_that_dies_leaves_the_file_to_another_and_cannot_add_to_it_any_more(gate, ana):
    address = asked(ana)

    async def taken_up_twice(runtime: Any, _organization: str) -> None:
        claim = stored_exports._claim
        dead = await runtime.database.write(lambda tx: claim(tx, now=gate.clock.now()))
        assert await make_exports(runtime) == 0, "it is somebody's"
        gate.clock.instant += LEASE
        assert await make_exports(runtime) == 1
        with pytest.raises(Superseded):
            await stored_exports._make(runtime, dead)

    done(gate, taken_up_twice)
    assert ana.get(f"{address}/file").text.count('"export":{') == 1


def test_what_cannot_be_made_is_given_up_and_said(gate, ana):
    address = asked(ana)

    async def tried(runtime: Any, _organization: str) -> None:
        often = update(audit_export).values(attempts=MOST_ATTEMPTS)
        await runtime.database.write(lambda tx: tx.execute(often))
        await make_exports(runtime)

    done(gate, tried)
    assert "The file could not be made." in ana.get(address).text


@pytest.mark.parametrize("ends", ["kept for long enough", "somebody is erased"])
def test_a_file_is_forgotten(gate, ana, ends):
    asked(ana)
    made(gate)

    async def work(runtime: Any, organization: str) -> None:
        if ends == "somebody is erased":
            await erase(runtime, organization, "leo@acme.example", by=OPERATOR)
        else:
            gate.clock.instant += KEPT_FOR + timedelta(seconds=1)
            await make_exports(runtime)
        left = select(func.count()).select_from(audit_export_part)
        assert await runtime.database.read(lambda tx: tx.execute(left).scalar_one()) == 0

    done(gate, work)
