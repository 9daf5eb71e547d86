"""Somebody for whom no seat is free: the denied page, asking, a seat that is bought, and the sign-in that follows."""

import re

import pytest

from tests.integration.gate import Organization
from tests.integration.people import SESSION, WAITING, lay_road, session_of
from tests.support.browser_jar import BrowserJar

TARGET = "http://app.localhost:8081/reports"


@pytest.fixture(scope="module")
def full(gate, _samlp_server, oidc_provider):
    """The way into an organization whose only seat is the primary owner's."""
    return lay_road(gate, _samlp_server, oidc_provider, Organization(seats=1))


def buy(road, seats):
    quote = road.api.post("seat-quotes", {"add": seats}).json()
    order = road.api.post("seat-orders", {"quote_id": quote["id"]}, Idempotency_Key=quote["id"])
    assert order.status_code == 201, order.text


@pytest.mark.parametrize("protocol", ["saml", "oidc"])
@pytest.mark.parametrize("kind", ["gate", "big_gate"])
def test_the_road_from_a_refusal_over_a_purchase_into_the_application(request, lay, kind, protocol, browser_jar):
    gate = request.getfixturevalue(kind)
    road = lay(gate, Organization(seats=1))
    login = road.saml_login if protocol == "saml" else road.oidc_login
    bea = road.person("bea")
    page = login(browser_jar, bea, return_to=TARGET)
    assert page.status == 303
    assert re.fullmatch(rf"{re.escape(gate.origin)}/denied/[A-Za-z0-9_-]{{22}}", page.location)
    assert session_of(browser_jar) == ""
    denied = browser_jar.get(page.location)
    assert denied.status == 403
    event = road.last_refusal()
    assert event["reason"] == "seat_unavailable"
    assert event["reference"] in denied.text
    assert (event["seat"]["limit"], event["seat"]["used"]) == (1, 1)
    state = browser_jar.get(f"{page.location}/state")
    assert state.status == 200
    assert state.json()["state"] == "blocked"
    assert state.json()["retry_after"] > 0
    asked = browser_jar.post(f"{page.location}/ask", {"message": "Please"}, initiator=page.location)
    assert asked.status == 303
    assert browser_jar.get(f"{page.location}/state").json()["state"] == "asked"
    assert road.api.seats()["waiting"] == 1
    buy(road, 1)
    state = browser_jar.get(f"{page.location}/state").json()
    assert state["state"] == "held"
    assert road.api.seats() | {"as_of": ""} == {
        "purchased": 2, "in_use": 1, "reserved": 1, "available": 0, "waiting": 0, "as_of": ""
    }  # fmt: skip
    again = browser_jar.get(state["continue_url"])
    assert again.status == 302, "continuing is a new sign-in"
    assert session_of(browser_jar) == ""
    page = login(browser_jar, bea, return_to=TARGET)
    assert page.location.startswith("http://app.localhost:8081/.sso-gate/")
    assert road.api.seats()["in_use"] == 2


def test_a_kept_seat_is_given_only_to_whom_it_is_kept_for(gate, lay):
    full = lay(gate, Organization(seats=1))
    with BrowserJar() as bea, BrowserJar() as carl:
        location = full.saml_login(bea, full.person("bea")).location
        bea.post(f"{location}/ask", {"message": ""}, initiator=location)
        buy(full, 1)
        assert "/denied/" in full.saml_login(carl, full.person("carl")).location
        assert "/denied/" not in full.saml_login(bea, full.person("bea")).location


def test_the_denied_page_opens_only_in_the_browser_that_was_refused(full, browser_jar):
    location = full.saml_login(browser_jar, full.newcomer()).location
    unknown = browser_jar.get(f"{full.gate.origin}/no-such-path")
    with BrowserJar() as somebody_else:
        for path in ("", "/state"):
            assert somebody_else.get(location + path).status == 404
        assert somebody_else.post(f"{location}/ask", {"message": ""}, initiator=location).status == 404
        assert somebody_else.get(location).content == unknown.content
    reference = full.last_refusal()["reference"]
    assert browser_jar.get(f"{full.gate.origin}/denied/{reference}").status == 404
    attributes = browser_jar.cookie(WAITING, "gate.localhost")
    assert attributes
    assert (attributes.secure, attributes.http_only, attributes.path) == (True, True, "/")


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("pt-BR", "Ainda não há um assento livre para você"),
        ("es-MX", "Todavía no hay un asiento libre para usted"),
        ("en-GB", "No seat is free for you yet"),
    ],
)
def test_the_denied_page_speaks_the_browsers_language(full, language, sentence):
    with BrowserJar(accept_language=language) as jar:
        location = full.saml_login(jar, full.newcomer()).location
        assert sentence in jar.get(location).text
        assert "No seat is free for you yet" in jar.get(f"{location}?lang=en").text


def test_a_message_to_the_owners_has_an_end(full, browser_jar):
    location = full.saml_login(browser_jar, full.newcomer()).location
    page = browser_jar.post(f"{location}/ask", {"message": "x" * 281}, initiator=location)
    assert page.status == 422
    assert "x" * 281 in page.text, "nothing has to be typed again"
    assert browser_jar.get(f"{location}/state").json()["state"] == "blocked"


def test_asking_needs_no_message_and_not_even_a_body(full, browser_jar):
    location = full.saml_login(browser_jar, full.newcomer()).location
    assert browser_jar.post(f"{location}/ask", {}, initiator=location).status == 303
    assert browser_jar.get(f"{location}/state").json()["state"] == "asked"


def test_a_message_may_have_tabs_and_emoji_and_cannot_turn_the_writing_round(full, browser_jar):
    location = full.saml_login(browser_jar, full.newcomer()).location
    told = {"message": "New here\t\N{RIGHT-TO-LEFT OVERRIDE}\N{WOMAN}\N{ZERO WIDTH JOINER}\N{PERSONAL COMPUTER}"}
    assert browser_jar.post(f"{location}/ask", told, initiator=location).status == 303
    page = browser_jar.get(location).text
    assert "New here  \N{WOMAN}\N{ZERO WIDTH JOINER}\N{PERSONAL COMPUTER}" in page


def test_owners_can_decline_and_the_page_says_so(full, browser_jar):
    person = full.newcomer()
    location = full.saml_login(browser_jar, person).location
    browser_jar.post(f"{location}/ask", {"message": "Please"}, initiator=location)
    ran = full.gate.run("waiting", "decline", person.email, "--org", full.organization.slug, "--yes")
    assert ran.code == 0, ran.err
    assert browser_jar.get(f"{location}/state").json()["state"] == "declined"


def test_a_refused_login_takes_no_seat_and_a_second_try_makes_no_second_member(full, browser_jar):
    person, before = full.newcomer(), full.api.seats()
    for _ in range(2):
        full.saml_login(browser_jar, person)
    people = [row["email"] for row in full.api.get("members").json()["data"]]
    assert people.count(person.email) == 1
    after = full.api.seats()
    assert after["waiting"] == before["waiting"] + 1
    assert {name: after[name] for name in ("purchased", "in_use", "available")} == {
        "purchased": 1,
        "in_use": 1,
        "available": 0,
    }


def test_an_owner_without_a_seat_may_open_settings_but_no_application(gate, lay, browser_jar):
    organization = Organization(seats=1)
    organization.add_member("second", role="owner")
    road = lay(gate, organization)
    page = road.saml_login(browser_jar, road.person("second"), return_to="/settings/billing")
    assert page.location == f"{gate.origin}/settings/billing"
    assert browser_jar.get(page.location).status == 200
    answer = gate.client.get("/check", headers={"Cookie": f"{SESSION}={session_of(browser_jar)}"})
    assert answer.status_code == 403
    assert answer.json()["reason"] == "seat_unavailable"
    assert road.api.seats()["in_use"] == 1


def test_a_released_persons_next_login_is_a_first_admission(gate, lay):
    road = lay(gate, Organization(seats=2))
    organization = road.organization
    with road.signed_in(road.person("bea")) as bea, BrowserJar() as carl:
        assert gate.client.get("/check", headers={"Cookie": f"{SESSION}={session_of(bea)}"}).status_code == 200
        ran = gate.run("members", "release-seat", organization.email("bea"), "--org", organization.slug, "--yes")
        assert ran.code == 0, ran.err
        assert gate.client.get("/check", headers={"Cookie": f"{SESSION}={session_of(bea)}"}).status_code in {401, 403}
        assert road.saml_login(carl, road.person("carl")).location == f"{gate.origin}/"
        assert "/denied/" in road.saml_login(bea, road.person("bea")).location
