"""What owners do in the settings beside buying: tokens, connections, emergency codes, looking through the members."""

import re
from contextlib import contextmanager

import pytest

from sso_gate.apply.apply import apply
from sso_gate.apply.file import read_file
from sso_gate.members import store as members
from sso_gate.members.roles import Role
from tests.unit.console.gate import plain
from tests.unit.console.test_numbers import done

FORM = {"content-type": "application/x-www-form-urlencoded"}


def secret_in(page: str, name: str) -> str:
    found = re.search(f'<code id="{name}">([^<]+)</code>', page)
    assert found, page
    return found[1]


@contextmanager
def in_an_emergency(gate, ana):
    """Olga, who opened the settings with a code that Ana issued."""
    code = secret_in(ana.post("/settings/access/_codes", data={"email": "olga@acme.example"}).text, "code")
    with gate.browser() as olga:
        entered = olga.post("/login/break-glass", data={"email": "olga@acme.example", "code": code})
        session = re.search(r"__Host-sso_gate=([^;]+)", entered.headers["set-cookie"])
        assert session
        olga.headers["cookie"] = f"__Host-sso_gate={session[1]}"
        yield olga


def made_token(browser, **form):
    return browser.post("/settings/developer/tokens", data={"name": "Terraform", "lifetime": "30", **form})


def test_a_token_is_shown_once_works_and_ends_when_it_is_revoked(gate, ana):
    made = made_token(ana, **{"seats:read": "1"})
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    secret = secret_in(made.text, "secret")
    with gate.browser() as program:
        bearer = {"authorization": f"Bearer {secret}"}
        assert program.get("/api/v1/seats", headers=bearer).json()["purchased"] == 3
        assert program.get("/api/v1/members", headers=bearer).status_code == 403
        listed = ana.get("/settings/developer").text
        assert "Terraform" in listed
        assert secret not in listed
        link = re.search(r'action="(/settings/developer/tokens/[^"]+/revoke)"', listed)
        assert link
        sent = ana.post(link[1], headers=FORM)
        assert sent.status_code == 303
        assert program.get("/api/v1/seats", headers=bearer).status_code == 401
    log = plain(ana.get("/settings/audit").text)
    assert "token.create" in log
    assert "token.revoke" in log


def test_a_token_that_may_do_nothing_is_not_made(ana):
    answer = made_token(ana)
    assert answer.status_code == 422
    assert 'href="#scopes"' in answer.text
    assert 'value="Terraform"' in answer.text, "nothing has to be typed again"


def applied(gate, before, after):
    """The organization's file once more, with other words in it."""
    gate.file.write_text(gate.file.read_text().replace(before, after))

    async def work(runtime, _organization):
        wanted, text = read_file(gate.file)
        await apply(runtime, wanted, folder=gate.file.parent, text=text, name="acme.toml")

    done(gate, work)


def test_who_may_not_buy_seats_makes_no_token_that_does(gate, ana):
    applied(gate, '["owner", "primary_owner"]', '["primary_owner"]')
    with gate.browser("olga") as olga:
        assert "seats:write" not in olga.get("/settings/developer").text
        assert made_token(olga, **{"seats:write": "1"}).status_code == 422
        both = made_token(olga, **{"seats:write": "1", "seats:read": "1"})
        with gate.browser() as program:
            bearer = {"authorization": f"Bearer {secret_in(both.text, 'secret')}"}
            asked = program.post("/api/v1/seat-quotes", json={"add": 1}, headers=bearer)
        assert asked.json()["reason"] == "insufficient_scope"
    assert made_token(ana, **{"seats:write": "1"}).status_code == 201


def test_a_token_buys_only_as_long_as_its_maker_may_and_the_organization_is_enabled(gate, ana):
    with gate.browser("olga") as olga, gate.browser() as program:

        def asked(maker, method="POST", path="seat-quotes", **sent):
            bearer = {"authorization": f"Bearer {secrets_of[maker]}"}
            answer = program.request(method, f"/api/v1/{path}", headers=bearer, **sent)
            return answer.status_code, answer.json().get("reason")

        both = {"seats:write": "1", "seats:read": "1"}
        secrets_of = {
            name: secret_in(made_token(who, **both).text, "secret") for name, who in (("olga", olga), ("ana", ana))
        }
        one = {"json": {"add": 1}}
        assert asked("olga", **one) == asked("ana", **one) == (201, None)
        applied(gate, '["owner", "primary_owner"]', '["primary_owner"]')
        assert asked("olga", **one) == asked("olga", path="seat-orders", **one) == (403, "insufficient_scope")
        assert asked("olga", "GET", "seats") == asked("ana", "GET", "seats") == (200, None)
        assert asked("ana", **one) == (201, None)
        rows = re.findall(r'id="token-\d.*?</td>\s*<td class="nowrap">', ana.get("/settings/developer").text, re.DOTALL)
        assert [row.count("<time") for row in rows] == [3, 3], "made, ends, and was used"
        applied(gate, 'slug = "acme"', 'slug = "acme"\nenabled = false')
        assert asked("ana", **one) == (403, "organization_disabled")
        assert asked("ana", "GET", "seats") == (200, None)


def test_the_answer_to_a_form_leads_back_to_its_page_in_another_language_and_never_to_itself(gate, ana):
    form = {"data": {"name": "Terraform"}}
    page = ana.post("/settings/developer/tokens", headers={"referer": f"{gate.url}/settings/developer?lang=en"}, **form)
    assert 'href="/settings/developer?lang=es"' in page.text
    for referer in ("", "https://elsewhere.example/a", f"{gate.url}//elsewhere.example", "http://[", "/settings"):
        page = ana.post("/settings/developer/tokens", headers={"referer": referer}, **form)
        assert page.status_code == 422
        assert "lang=es" not in page.text, referer
    assert 'href="?lang=es"' in ana.get("/settings/developer").text


def test_nobody_but_owners_gets_near_the_tokens(gate):
    for name in ("leo", "finance"):
        with gate.browser(name) as browser:
            assert browser.get("/settings/developer").status_code == 404
            assert made_token(browser, scim="1").status_code == 404


def test_who_is_an_owner_no_longer_finds_nothing_in_the_session_that_is_open(gate):
    def now_is(name, role):
        async def work(runtime, organization):
            def change(tx):
                members.set_role(tx, members.find(tx, organization, f"{name}@acme.example").id, role)

            await runtime.database.write(change)

        done(gate, work)

    with gate.browser("leo") as leo, gate.browser("olga") as olga:
        now_is("leo", Role.OWNER)
        assert leo.get("/settings/billing").status_code == olga.get("/settings/billing").status_code == 200
        for name in ("leo", "olga"):
            now_is(name, Role.USER)
        unknown = leo.get("/no/such/path").content
        for path in ("/settings", "/settings/billing", "/settings/billing/seats/edit", "/settings/developer"):
            assert (leo.get(path).status_code, leo.get(path).content) == (404, unknown), path
        assert made_token(leo, scim="1").content == unknown
        assert olga.get("/settings/billing").headers["location"].startswith("/login?"), "without a seat it is over"


def test_no_emergency_code_is_issued_that_its_page_could_not_show(ana):
    asked = {"email": "olga@acme.example", "connection": "removed-meanwhile"}
    assert ana.post("/settings/access/_codes", data=asked).status_code == 404
    assert "No code works now." in ana.get("/settings/access").text


def test_what_does_not_exist_is_the_same_bytes_whoever_finds_that_out_and_whatever_the_organization_speaks(ana):
    ana.headers["accept-language"] = ""
    paths = ("/settings/nowhere", "/settings/audit/evt_1", "/settings/access/no-such-connection", "/no/such/path")
    found = {ana.get(path).content for path in paths}
    assert len(found) == 1


def test_an_emergency_code_is_shown_once_to_be_used_once(gate, ana):
    page = ana.post("/settings/access/_codes", data={"email": "olga@acme.example"})
    assert page.status_code == 201
    code = secret_in(page.text, "code")
    listed = ana.get("/settings/access").text
    assert "olga@acme.example" in listed
    assert code not in listed
    with gate.browser() as olga:
        form = {"email": "olga@acme.example", "code": code}
        assert olga.post("/login/break-glass", data=form).status_code == 303
        assert olga.post("/login/break-glass", data=form).status_code != 303
    assert "No code works now" in ana.get("/settings/access").text


def test_an_emergency_code_is_for_owners_and_ends_when_it_is_revoked(gate, ana):
    assert ana.post("/settings/access/_codes", data={"email": "leo@acme.example"}).status_code == 404
    code = secret_in(ana.post("/settings/access/_codes", data={"email": "ana@acme.example"}).text, "code")
    link = re.search(r'action="(/settings/access/_codes/[^"]+/revoke)"', ana.get("/settings/access").text)
    assert link
    assert ana.post(link[1], headers=FORM).status_code == 303
    with gate.browser() as thief:
        form = {"email": "ana@acme.example", "code": code}
        assert thief.post("/login/break-glass", data=form).status_code != 303


def test_a_connection_is_switched_off_at_once_and_on_only_after_a_test_login_with_its_settings(gate, ana):
    with in_an_emergency(gate, ana) as olga:
        assert olga.post("/settings/access/acme-oidc/disable", headers=FORM).status_code == 303
        page = olga.get("/settings/access/acme-oidc").text
        assert "It can be switched on once a test login has passed" in page
        answer = olga.post("/settings/access/acme-oidc/enable", headers=FORM)
        assert answer.status_code == 409
        assert "First run a successful test with these settings." in answer.text
        gate.passed_trial("acme-oidc")
        assert olga.post("/settings/access/acme-oidc/enable", headers=FORM).status_code == 303
        assert "Switch off" in olga.get("/settings/access/acme-oidc").text
        assert "connection.update" in olga.get("/settings/audit").text


def test_nobody_switches_off_the_connection_by_which_they_came(ana):
    answer = ana.post("/settings/access/acme-oidc/disable", headers=FORM)
    assert answer.status_code == 409
    assert "You logged in by this connection yourself." in answer.text
    assert ana.get("/settings/access/acme-oidc").status_code == 200


def test_a_test_login_shows_its_link_and_then_what_came_of_it(gate, ana):
    asked = ana.post("/settings/access/acme-oidc/tests", headers=FORM)
    assert asked.status_code == 303
    result = asked.headers["location"]
    name = result.rpartition("/")[2]
    assert f"https://gate.example/login/acme-oidc?trial={name}" in ana.get(result).text
    gate.passed_trial("acme-oidc", name)
    page = plain(ana.get(result).text)
    assert "The test login passed." in page
    assert "Audience and recipient" in page
    assert ana.get(f"/settings/access/acme-oidc/tests/{'x' * 32}").status_code == 404


def test_members_are_found_by_role_and_seat_ordered_and_taken_away_as_a_table(gate, ana):
    owners = plain(ana.get("/settings/members?role=owner").text)
    assert "olga@acme.example" in owners
    assert "leo@acme.example" not in owners
    assert "leo@acme.example" in ana.get("/settings/members?state=held").text
    turned = ana.get("/settings/members?sort=-email").text
    assert 'aria-sort="descending"' in turned
    assert turned.index("olga@acme.example") < turned.index("leo@acme.example")
    table = ana.get("/settings/members/export.csv?role=user&sort=-email")
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    lines = table.text.splitlines()
    assert lines[0] == "email,name,role,seat,source,seat_since,last_login"
    assert [line.partition(",")[0] for line in lines[1:]] == ["leo@acme.example", "finance@acme.example"]
    with gate.browser("finance") as finance:
        assert finance.get("/settings/members/export.csv").status_code == 404


@pytest.mark.parametrize("query", ["role=king", "state=x", "sort=password", "page=0", "page=-1", "page=99999"])
def test_a_filter_that_means_nothing_hurts_nobody(ana, query):
    assert ana.get(f"/settings/members?{query}").status_code == 200


def test_the_review_asks_for_a_po_number_and_promises_no_mail_that_nobody_would_get(ana):
    page = plain(ana.get("/settings/billing/seats/review?add=1").text)
    assert "PO number (optional)" in page
    assert "Invoice goes to" not in page, "nobody has said where"


def test_an_owner_says_whom_people_ask_and_everybody_with_trouble_reads_it(gate, ana):
    told = "it@acme.example, <b>+55 11 5555</b>"
    assert ana.post("/settings/access/_contact", data={"it_contact": told}).status_code == 303
    assert 'value="it@acme.example, &lt;b&gt;' in ana.get("/settings/access").text
    with gate.browser() as nobody:
        assert "Your IT team: it@acme.example, &lt;b&gt;+55 11 5555" in plain(nobody.get("/login/help?org=acme").text)
        assert "Your IT team:" in nobody.get("/login/help").text, "the only organization there is"
        assert "Your IT team:" not in nobody.get("/login/help?org=other").text
        assert 'href="/login/help?org=acme"' in nobody.get("/login?org=acme&choose=1").text
    assert "organization.update" in ana.get("/settings/audit?action=organization.update").text


def test_an_owner_chooses_whether_free_seats_are_held_and_a_file_that_is_silent_leaves_it_so(gate, ana):
    home = "/settings/billing"
    assert "Seats that become free are held for people who wait" in ana.get(home).text
    assert ana.post(f"{home}/hold", data={"hold": "off"}).headers["location"] == f"{home}#waiting"
    assert "Seats that become free go to whoever logs in first." in ana.get(home).text

    async def applied(runtime, _organization):
        wanted, text = read_file(gate.file)
        await apply(runtime, wanted, folder=gate.file.parent, text=text, name="acme.toml")

    done(gate, applied)
    assert "Seats that become free go to whoever logs in first." in ana.get(home).text
    ana.post(f"{home}/hold", data={"hold": "on"})
    assert "are held for people who wait" in ana.get(home).text
    with gate.browser("finance") as finance:
        assert f"{home}/hold" not in finance.get(home).text
        unknown, answer = finance.get("/no/such/path"), finance.post(f"{home}/hold", data={"hold": "off"})
        assert (answer.status_code, answer.content) == (404, unknown.content)
