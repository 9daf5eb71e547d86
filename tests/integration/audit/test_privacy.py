"""Personal data: outside of what is chained, gone when it is erased, and expiry by whole segments."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from sso_gate.audit import export as exporting
from sso_gate.audit import reading, retention, sealer, store
from sso_gate.audit.event import Action, Actor, Client, Via
from sso_gate.audit.sealer import seal, sign_due
from sso_gate.audit.store import AuditFilter
from sso_gate.audit.verify import verify
from sso_gate.errors import InvalidInput, Reason
from sso_gate.storage.tables import audit_checkpoint, audit_event
from tests.integration.audit.conftest import OWNER, Log, new_organization

HOSTILE = 'x\r\nFORGED: line\x1b[31m|=\\"\u2028\ud800\x00' + "A" * 100_000


def everything(tx):
    return json.dumps([[str(cell) for cell in row] for row in tx.execute(select(audit_event))])


async def test_the_chained_text_holds_no_personal_data(log):
    await log.sealed(1)
    row = await log.runtime.database.read(lambda tx: tx.execute(select(audit_event)).one())
    for value in ("ana@acme.example", "198.51.100.7", "Mozilla", "subject of"):
        assert value not in row.body
        assert value in row.personal


async def test_equal_people_have_unequal_commitments(small_log):
    await small_log.sealed(2)
    rows = await small_log.runtime.database.read(lambda tx: tx.execute(select(audit_event.c.body)).scalars().all())
    names = {json.loads(body)["actor"]["name"] for body in rows}
    assert len(names) == 2
    assert all(name.startswith("sha256:") for name in names)


async def test_readers_see_the_values(log):
    await log.sealed(1, changes={"done": ["member ana@acme.example listed"]}, target="ana@acme.example")
    event = json.loads((await log.page()).events[0])
    assert event["actor"]["name"] == event["target"]["id"] == "ana@acme.example"
    assert event["client"] == {"ip": "198.51.100.7", "ua": "Mozilla/5.0"}
    assert event["changes"] == {"done": ["member ana@acme.example listed"]}


async def test_an_erased_person_is_gone_from_database_exports_and_search_and_the_chain_is_whole(log):
    await log.sealed(3)
    await log.sealed(2, person="li@acme.example")
    told = await log.sealed(1, actor=OWNER, changes={"done": ["member Ana@Acme.example listed", "connection changed"]})
    assert await retention.erase(log.runtime, log.organization, "ANA@acme.example", by=OWNER) == 4
    lines = await log.export()
    csv = await log.export("csv")
    stored = await log.runtime.database.read(everything)
    for place in (stored, *lines, *csv, *(await log.export("ocsf"))):
        assert "ana@acme.example" not in place.lower()
    assert (await log.page(person="ana@acme.example")).events == ()
    assert len((await log.page(person="li@acme.example")).events) == 2
    report = verify(lines)
    assert report.findings == ()
    assert report.erased == 4
    event = next(json.loads(line) for line in lines if told[0].id in line)
    assert event["changes"]["done"] == ["", "connection changed"]
    assert event["actor"]["name"] == OWNER.name


async def test_a_member_is_erased_by_id_with_every_address_they_came_with(log):
    await log.sealed(2)
    await log.sealed(1, person="ana.souza@acme.example")  # the same member, who got another address
    await log.sealed(1, actor=Actor("user", "mem_12", "li@acme.example", "li"), target="ana.souza@acme.example")
    assert await retention.erase(log.runtime, log.organization, "mem_1", by=OWNER) == 4
    stored = await log.runtime.database.read(everything)
    assert not [word for word in ("ana@", "ana.souza", "subject of") if word in stored]
    assert "li@acme.example" in stored
    assert len((await log.page(person="li@acme.example")).events) == 1
    assert verify(await log.export()).findings == ()


async def test_who_was_done_something_to_is_found_by_name_and_erased_without_whoever_did_it(log):
    deed = {"action": Action.SEAT_RELEASE, "target": "mem_2", "target_name": "Li@acme.example"}
    await log.sealed(1, actor=OWNER, **deed)
    program = Actor("scim_token", "tok_1", "entra")
    await log.sealed(1, actor=program, **{**deed, "target_name": "li.wei@acme.example"})  # the same member, renamed
    assert len((await log.page(person="li@acme.example")).events) == 1
    assert await retention.erase(log.runtime, log.organization, "mem_2", by=OWNER) == 2
    stored = (await log.runtime.database.read(everything)).lower()
    assert [word for word in ("li@acme", "li.wei") if word in stored] == []
    assert [(await log.page(person=who)).events for who in ("li@acme.example", "li.wei@acme.example")] == [(), ()]
    kept = json.loads((await log.page(person=OWNER.name)).events[0])
    assert (kept["actor"]["name"], kept["target"]) == (OWNER.name, {"type": "member", "id": "mem_2", "name": ""})
    assert verify(await log.export()).findings == ()


async def test_erasing_who_did_it_leaves_the_name_of_whom_it_was_done_to(log):
    await log.sealed(1, action=Action.SEAT_RELEASE, target="mem_2", target_name="li@acme.example")
    for person in ("ana@acme.example", "mem_1"):
        await retention.erase(log.runtime, log.organization, person, by=OWNER)
    event = json.loads((await log.page(person="li@acme.example")).events[0])
    assert (event["actor"]["name"], event["client"]["ip"], event["target"]["name"]) == ("", "", "li@acme.example")
    assert verify(await log.export()).findings == ()


@pytest.mark.parametrize("name", ["", "ana", "mem", "evt_1"])
async def test_what_is_neither_an_address_nor_a_member_is_not_erased(small_log, name):
    with pytest.raises(InvalidInput):
        await retention.erase(small_log.runtime, small_log.organization, name, by=OWNER)


@pytest.mark.parametrize("pattern", ["mem_%", "mem__", "mem_1!"])
async def test_a_members_id_is_no_pattern(small_log, pattern):
    await small_log.sealed(1)
    assert await retention.erase(small_log.runtime, small_log.organization, pattern, by=OWNER) == 0


async def test_the_record_of_an_erasure_names_nobody(log):
    await log.sealed(1)
    await retention.erase(log.runtime, log.organization, "ana@acme.example", by=OWNER)
    await seal(log.runtime)
    event = json.loads((await log.page(action="audit.erase")).events[0])
    assert event["changes"]["events"] == 1
    assert "ana" not in json.dumps(event["changes"])


async def test_a_value_put_back_in_an_erased_place_is_a_changed_row(small_log):
    await small_log.sealed(1)
    await retention.erase(small_log.runtime, small_log.organization, "ana@acme.example", by=OWNER)
    lines = await small_log.export()
    row = json.loads(lines[1])
    row["actor"]["name"] = "eve@acme.example"
    assert verify([lines[0], json.dumps(row), *lines[2:]]).findings[0].kind == "changed"
    row["chain"]["personal"] = ["0" * 32 + "eve@acme.example"]
    assert verify([lines[0], json.dumps(row), *lines[2:]]).findings[0].kind == "changed"


async def test_erasing_one_organizations_person_leaves_the_other_organizations(log):
    other = Log(log.runtime, log.clock, await new_organization(log.runtime))
    await log.sealed(1)
    await other.sealed(1)
    assert await retention.erase(log.runtime, log.organization, "ana@acme.example", by=OWNER) == 1
    assert len((await other.page(person="ana@acme.example")).events) == 1


@pytest.mark.parametrize("pattern", ["%@acme.example", "a_a@acme.example", "!%@acme.example"])
async def test_an_address_is_no_pattern(log, pattern):
    await log.sealed(1)
    assert await retention.erase(log.runtime, log.organization, pattern, by=OWNER) == 0


async def test_hostile_text_is_one_line_of_json_in_every_form(log):
    await log.sealed(
        1, actor=Actor("user", "mem_1", HOSTILE, HOSTILE), client=Client("198.51.100.7", HOSTILE, "req_1"),
        target=HOSTILE, target_name=HOSTILE, check=HOSTILE, changes={"said": HOSTILE[:500]},
    )  # fmt: skip
    lines = await log.export()
    assert verify(lines).findings == ()
    for line in [*lines, *(await log.export("ocsf")), *(await log.export("csv"))]:
        assert line.rstrip("\r\n").isprintable()
        assert len(line) < 30_000
    assert len((await log.page()).events) >= 1


async def test_a_spreadsheet_takes_no_cell_for_a_formula(small_log):
    for evil in ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r=1"):
        await small_log.sealed(1, actor=Actor("admin", "mem_1", f"{evil}"), client=Client("198.51.100.7", evil))
    import csv

    cells = [cell for row in csv.reader(await small_log.export("csv")) for cell in row]
    assert not [cell for cell in cells if cell.lstrip()[:1] in ("=", "+", "-", "@") and cell]
    assert "'=1+1" in cells


async def test_whole_sealed_segments_expire_and_their_roots_stay(log, monkeypatch):
    monkeypatch.setattr(sealer, "SIGN_EACH", 10)
    await log.sealed(12)
    await sign_due(log.runtime)
    await seal(log.runtime)
    log.clock.move(days=300)
    await log.sealed(12)
    await sign_due(log.runtime)
    log.clock.move(days=101)
    assert await retention.expire(log.runtime) == 12
    assert await retention.expire(log.runtime) == 0
    await seal(log.runtime)
    positions = [json.loads(line)["chain"]["pos"] for line in (await log.page()).events]
    assert positions[0] == 13
    told = json.loads((await log.page(action="audit.expire")).events[0])["changes"]
    roots = await log.runtime.database.read(lambda tx: tx.execute(select(audit_checkpoint.c.root)).scalars().all())
    assert (told["first"], told["last"]) == (1, 12)
    assert told["root"] in roots
    assert verify(await log.export()).findings == ()


async def test_a_segment_with_one_newer_event_stays(log, monkeypatch):
    monkeypatch.setattr(sealer, "SIGN_EACH", 10)
    await log.sealed(9)
    log.clock.move(days=10)
    await log.sealed(1)
    await sign_due(log.runtime)
    log.clock.move(days=395)
    assert await retention.expire(log.runtime) == 0


async def test_retention_is_set_within_bounds_and_on_record(log):
    assert await retention.retention_days(log.runtime, log.organization) == 400
    await retention.keep_for(log.runtime, log.organization, 90, by=OWNER)
    assert await retention.retention_days(log.runtime, log.organization) == 90
    await seal(log.runtime)
    assert json.loads((await log.page(action="audit.retention.change")).events[0])["changes"] == {"days": [400, 90]}
    for days in (29, 2556):
        with pytest.raises(InvalidInput):
            await retention.keep_for(log.runtime, log.organization, days, by=OWNER)


async def test_a_reader_is_on_record_once_an_hour(log):
    for _ in range(3):
        await reading.read(log.runtime, log.organization, store.AuditFilter(), limit=10, by=OWNER)
    program = Actor("api_token", "tok_1", "siem")
    await reading.read(log.runtime, log.organization, store.AuditFilter(), limit=10, by=program, via=Via(token="tok_1"))
    log.clock.move(hours=1)
    page = await reading.read(log.runtime, log.organization, store.AuditFilter(), limit=10, by=OWNER)
    assert [json.loads(line)["actor"]["id"] for line in page.events] == ["mem_owner", "tok_1", "mem_owner"]
    assert {json.loads(line)["action"] for line in page.events} == {Action.AUDIT_READ}


async def test_an_export_is_on_record_and_in_itself(log):
    lines = await log.export(outcome="success")
    event = json.loads(lines[1])
    assert event["action"] == "audit.export"
    assert event["changes"] == {"format": "jsonl", "filter": {"outcome": "success"}}


async def test_one_organization_reads_none_of_anothers_events(log):
    other = Log(log.runtime, log.clock, await new_organization(log.runtime))
    theirs = (await other.sealed(3))[0]
    await log.sealed(1)
    assert all(json.loads(line)["organization"] == log.organization for line in (await log.page()).events)
    assert (await log.page(reference=theirs.reference)).events == ()
    for unknown in (theirs.id, "evt_of_nobody"):
        with pytest.raises(InvalidInput, match="after"):
            await log.page(after=unknown)
    for form in ("jsonl", "csv", "ocsf"):
        assert theirs.id not in "".join(await log.export(form))


@pytest.mark.parametrize("form", ["jsonl", "csv", "ocsf"])
async def test_an_export_reads_a_few_rows_at_a_time_as_they_are_taken(small_log, monkeypatch, form):
    monkeypatch.setattr(exporting, "ROWS_AT_ONCE", 10)
    await small_log.sealed(45)
    asked, rows = [], store.rows

    def noted(*arguments, limit):
        asked.append(limit)
        return rows(*arguments, limit=limit)

    monkeypatch.setattr(store, "rows", noted)
    wanted = AuditFilter()
    _, blocks = await exporting.export(small_log.runtime, small_log.organization, wanted, form=form, by=OWNER)
    taken = []
    async for block in blocks:
        taken.append(block.count("\n"))
        assert len(asked) <= len(taken), "nothing is read ahead of whoever takes it"
    assert max(taken) == 10
    assert sum(taken) >= 46
    assert set(asked) == {10}


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"outcome": "denied"}, 2),
        ({"reason": "seat_unavailable"}, 2),
        ({"person": "LI@acme.example "}, 3),
        ({"connection": "acme-okta"}, 5),
        ({"address": "203.0.113.9"}, 2),
        ({"action": "auth.login"}, 5),
        ({"outcome": "denied", "person": "ana@acme.example"}, 2),
    ],
)
async def test_every_filter_narrows_the_list(log, filters, count):
    away = Client("203.0.113.9")
    await log.sealed(2, reason=Reason.SEAT_UNAVAILABLE, client=away)
    await log.sealed(3, person="li@acme.example")
    assert len((await log.page(**filters)).events) == count


async def test_times_narrow_the_list(log):
    await log.sealed(2)
    log.clock.move(days=1)
    middle = log.clock.now()
    await log.sealed(3)
    assert len((await log.page(since=middle)).events) == 3
    assert len((await log.page(until=middle)).events) == 2
    before = middle - timedelta(days=1, hours=1)
    assert len((await log.page(until=before)).events) == 0


async def test_denied_logins_are_counted_by_day_and_reason_with_floods(log):
    begin = log.clock.now()
    await log.sealed(2, reason=Reason.SEAT_UNAVAILABLE)
    await log.sealed(1, reason=Reason.SIGNATURE_INVALID, repeat_count=500)
    await log.sealed(4)
    log.clock.move(days=1)
    await log.sealed(1, reason=Reason.SEAT_UNAVAILABLE)
    found = await reading.denials(log.runtime, log.organization, since=begin, until=log.clock.now())
    days = {(one.day, one.reason): one.count for one in found}
    today = found[0].day
    assert days == {
        (today, "seat_unavailable"): 2, (today, "signature_invalid"): 500, (today + 1, "seat_unavailable"): 1,
    }  # fmt: skip


async def test_pages_follow_each_other_both_ways(log):
    await log.sealed(7)
    seen, after = [], ""
    while True:
        page = await log.page(limit=3, after=after, newest_first=True)
        seen += [json.loads(line)["chain"]["pos"] for line in page.events]
        after = page.next_after
        if not after:
            break
    assert seen == [7, 6, 5, 4, 3, 2, 1]


async def test_a_list_and_a_reference_are_found_by_their_index(big_log):
    await big_log.sealed(400)

    def plan(tx):
        tx.execute(text("ANALYZE audit_event"))
        tx.execute(text("SET LOCAL enable_seqscan = off"))
        where = f"organization = '{big_log.organization}' AND position > 0"
        return [
            "\n".join(row[0] for row in tx.execute(text(f"EXPLAIN SELECT id FROM audit_event WHERE {where} {rest}")))
            for rest in ("ORDER BY position LIMIT 50", "AND reference = 'X'")
        ]

    by_position, by_reference = await big_log.runtime.database.write(plan)
    assert "uq_audit_event_organization_position" in by_position
    assert "ix_audit_event_organization_reference" in by_reference
