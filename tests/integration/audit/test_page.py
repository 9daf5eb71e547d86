"""The log as auditors and owners see it: one code from the employee's page to the row and its checks, files to take."""

import html
import json
import re
from functools import cache

import pytest

from tests.integration.people import SESSION, session_of

DENIED = "/settings/audit?outcome=denied"
FILES = ("events.jsonl", "events.csv", "events.ocsf.jsonl")


@pytest.fixture(scope="module")
def cookie(road):
    """The session cookie of somebody, by name; each signs in once."""

    @cache
    def of(name):
        with road.signed_in(road.person(name)) as jar:
            return f"{SESSION}={session_of(jar)}"

    return of


@pytest.fixture
def look(road, cookie):
    def get(path, name="auditor"):
        headers = {"Host": road.gate.host, "Cookie": cookie(name), "Accept-Language": "en"}
        return road.gate.client.get(path, headers=headers)

    return get


@pytest.fixture(scope="module")
def refused(road):
    """The page of an employee whose login's signature was wrong, and the reference on it."""
    address = {"Host": road.gate.host, "X-Forwarded-For": "203.0.113.77"}
    acs = f"/sso/saml/{road.organization.saml}/acs"
    page = road.gate.client.post(acs, data={"SAMLResponse": "bm90aGluZw=="}, headers=address)
    found = re.search(r"<code>([0-9A-Z]{8})</code>", page.text)
    assert found, page.text
    return found[1]


def test_one_code_leads_from_the_employees_page_to_the_row_and_to_every_check(look, refused):
    row = look(f"/settings/audit?reference={refused}").text
    assert f'href="/settings/audit/{refused}"' in row
    page = look(f"/settings/audit/{refused}").text
    assert "message_malformed" in page
    marks = re.findall(r"<strong>Failed</strong>|Passed|Not reached", page)
    failed = marks.index("<strong>Failed</strong>")
    assert set(marks[:failed]) == {"Passed"}
    assert set(marks[failed + 1 :]) == {"Not reached"}
    assert "203.0.113.77" in page


@pytest.mark.parametrize(
    "change", [str.lower, lambda code: f" {code[:4]} {code[4:]}", lambda code: code.replace("0", "o")]
)
def test_a_code_is_understood_however_it_was_written_down(look, refused, change):
    assert refused in look(f"/settings/audit/{change(refused)}").text
    assert f"/settings/audit/{refused}" in look(f"/settings/audit?reference={change(refused)}").text


def test_an_admission_shows_its_checks_and_leads_to_the_persons_other_events(road, look):
    who = road.newcomer()
    for _ in range(2):
        road.signed_in(who).close()
    rows = look(f"/settings/audit?action=auth.login&person={who.email}").text
    newest, older, *_ = re.findall(r'href="/settings/audit/(evt_[^"]+)"', rows)
    page = look(f"/settings/audit/{newest}").text
    assert "Not reached" not in page
    assert f'href="/settings/audit/{older}"' in page
    event = json.loads(html.unescape(re.search(r"<pre>(.*?)</pre>", page, re.DOTALL)[1]))
    assert event["id"] == newest
    assert event["actor"]["name"] == who.email
    assert event["seat"]["limit"] == 1000


def test_a_login_and_what_was_done_in_its_session_bear_one_mark(road, look):
    look("/settings/audit")
    who = road.organization.email("auditor")
    read = road.api.events(action="audit.read", person=who)
    logins = road.api.events(action="auth.login", person=who, outcome="success")
    assert read
    assert {event["session"] for event in read} <= {event["session"] for event in logins}
    assert all(re.fullmatch("[0-9a-f]{16}", event["session"]) for event in read + logins)
    assert read[-1]["request"]["method"] == "GET"
    assert read[-1]["request"]["route"].startswith("/settings/audit")
    assert logins[-1]["request"]["route"].startswith("/sso/")
    assert read[-1]["client"]["ip"]


def test_the_page_counts_what_fits(road, look):
    who = road.newcomer()
    road.signed_in(who).close()
    text = re.sub(r"<[^>]+>", "", look(f"/settings/audit?person={who.email}&action=auth.login&days=1").text)
    assert "1 event · 0 denied · 1 person" in text


@pytest.mark.parametrize("file", FILES)
def test_a_file_holds_what_the_filter_shows_and_is_on_record(road, look, refused, tmp_path, file):
    assert f"/settings/audit/{file}?outcome=denied" in html.unescape(look(DENIED).text)
    taken = look(f"/settings/audit/{file}?outcome=denied&address=203.0.113.77")
    assert taken.headers["content-disposition"].startswith(f'attachment; filename="audit-{road.organization.slug}-')
    assert taken.headers["cache-control"] == "no-store"
    assert refused in taken.text
    assert "auth.logout" not in taken.text
    told = road.api.events(action="audit.export")[-1]
    assert told["actor"]["name"] == road.organization.email("auditor")
    assert told["changes"]["filter"] == {"outcome": "denied", "address": "203.0.113.77"}


def test_a_whole_file_of_the_page_is_proved_by_the_program(road, look, tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(look("/settings/audit/events.jsonl").text)
    ran = road.gate.run("audit", "verify", str(path), "--key", road.gate.run("audit", "key").out)
    assert ran.code == 0, ran.err


@pytest.mark.parametrize("name", ["somebody", "admin", "viewer"])
def test_the_log_does_not_exist_for_anybody_else(look, refused, name):
    unknown = look("/no-such-path", name)
    for path in ("", f"/{refused}", "/evt_none", *(f"/{file}" for file in FILES)):
        found = look(f"/settings/audit{path}", name)
        assert (found.status_code, found.content) == (404, unknown.content), path


def test_another_organizations_events_do_not_exist(road, look):
    from tests.integration.gate import Api, Organization

    other = road.gate.applied(Organization())
    theirs = Api(road.gate, road.gate.token(other, "audit:read")).events()[0]
    assert look(f"/settings/audit/{theirs['id']}").content == look("/settings/audit/evt_none").content
    assert theirs["id"] not in look("/settings/audit/events.jsonl").text


@pytest.mark.parametrize(
    "wrong",
    ["since=yesterday", "outcome=maybe", "reason=zzz", "until=2026-99-01", f"person={'x' * 400}", "after=" + "9" * 70],
)
def test_what_is_no_filter_is_refused(look, wrong):
    assert look(f"/settings/audit?{wrong}").status_code in (400, 422)
