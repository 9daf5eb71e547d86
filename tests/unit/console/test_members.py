"""The members' list with its tabs and filters, and what an administrator does who cannot add seats."""

import re
from datetime import timedelta

from sso_gate.members import store as members
from sso_gate.members.roles import Role
from tests.unit.console.gate import plain
from tests.unit.console.test_banner import PATH as BANNER
from tests.unit.console.test_banner import put_away, with_more
from tests.unit.console.test_numbers import done

FORM = {"content-type": "application/x-www-form-urlencoded"}
TELL = "/settings/members/requests/tell"


def administrator(gate, name):
    async def work(runtime, organization):
        def change(tx):
            members.set_role(tx, members.find(tx, organization, f"{name}@acme.example").id, Role.ADMIN)

        await runtime.database.write(change)

    done(gate, work)


def listed(browser, query):
    page = browser.get(f"/settings/members?{query}").text
    return [name for name in ("ana", "olga", "leo", "finance", "eva") if f'class="person">{name}@' in page]


def test_members_are_found_by_where_they_came_from_and_by_their_last_login(gate, ana):
    gate.waits("eva")
    assert listed(ana, "source=login") == ["eva"]
    assert listed(ana, "source=listed&state=held") == ["ana", "leo", "finance"]
    assert listed(ana, "source=nonsense") == ["ana", "olga", "leo", "finance", "eva"]
    lines = ana.get("/settings/members/export.csv?source=listed&state=held").text.splitlines()
    assert lines[0] == "email,name,role,seat,source,seat_since,last_login"
    assert "listed,2026-03-01T15:00:00.000000Z," in lines[1]


def test_seats_that_nobody_uses_have_a_tab_of_their_own(gate, ana):
    assert "Inactive Name" in plain(ana.get("/settings/members").text)
    gate.clock.instant += timedelta(days=61)
    gate.comes_again("ana")
    with gate.browser("ana") as again:
        assert "Inactive (2)" in plain(again.get("/settings/members").text)
        page = again.get("/settings/members?state=held&unused=60&sort=login").text
        assert 'aria-current="page">Inactive (2)' in page
        assert listed(again, "state=held&unused=60&sort=login") == ["leo", "finance"]


def test_an_administrator_tells_the_owners_who_wait_instead_of_buying(gate, ana):
    gate.waits("eva")
    put_away(ana, ana.get("/settings/billing").text, "billing")
    assert BANNER not in ana.get("/settings/billing").text
    gate.clock.instant += timedelta(minutes=1)
    administrator(gate, "leo")
    with gate.browser("leo") as leo:
        page = leo.get("/settings/members/requests").text
        assert TELL in page
        assert "/settings/billing" not in page
        answer = leo.post(TELL, headers=FORM)
        assert (answer.status_code, answer.headers["location"]) == (303, "/settings/members/requests?done=told")
        assert "The Owners are told." in leo.get(answer.headers["location"]).text
        again = leo.post(TELL, headers=FORM)
        assert again.status_code == 409
        assert "less than an hour ago" in again.text
    assert BANNER in ana.get("/settings/billing").text, "the owners' banner comes back"


def test_telling_the_owners_is_there_for_nobody_else(gate):
    for name in ("leo", "finance", "ana"):
        with gate.browser(name) as browser:
            unknown, answer = browser.get("/no/such/path"), browser.post(TELL, headers=FORM)
            assert (answer.status_code, answer.content) == (404, unknown.content), name


def test_the_primary_owner_hands_it_to_another_owner_with_a_seat_and_keeps_being_an_owner(gate, ana):
    with_more(ana, 1)
    gate.comes_again("olga")
    page = ana.get("/settings/members?role=owner").text
    link = re.search(r'href="(/settings/members/[^"]+/primary)" aria-label="Make Primary Owner: olga@', page)[1]
    with gate.browser("olga") as olga:
        assert "/primary" not in olga.get("/settings/members").text
        unknown = olga.get("/no/such/path")
        for answer in (olga.get(link), olga.post(link, headers=FORM)):
            assert (answer.status_code, answer.content) == (404, unknown.content)
        assert "only olga@acme.example can hand primary ownership on" in ana.get(link).text
        assert ana.post(link, headers=FORM).headers["location"] == "/settings/members?done=primary"
        assert "Primary ownership was handed over." in ana.get("/settings/members?done=primary").text
        assert ana.post(link, headers=FORM).status_code == 404, "it is not hers any more"
        assert "Primary Owner" in plain(olga.get("/").text)
        assert "/primary" in olga.get("/settings/members?role=owner").text
    assert ana.get("/settings/billing").status_code == 200
    assert "admin.role.change" in ana.get("/settings/audit?action=admin.role.change").text


def test_primary_ownership_goes_to_nobody_but_an_owner_with_a_seat(gate, ana):
    for name in ("leo", "olga"):
        member = {}

        async def found(runtime, organization, name=name, member=member):
            one = await runtime.database.read(lambda tx: members.find(tx, organization, f"{name}@acme.example"))
            member["id"] = one.id

        done(gate, found)
        assert ana.post(f"/settings/members/{member['id']}/primary", headers=FORM).status_code == 404
