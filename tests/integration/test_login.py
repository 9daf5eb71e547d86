"""The three outcomes of a login, over real HTTP, with identity providers from packages: in, waiting, refused."""

import re

import pytest

from tests.integration.gate import Api, Organization
from tests.integration.people import GATE_NAME, session_of
from tests.support.browser_jar import BrowserJar

REFERENCE = re.compile(r"\b[0-9A-HJKMNP-TV-Z]{8}\b")


@pytest.mark.parametrize("protocol", ["saml", "oidc"])
def test_an_admitted_person_is_sent_to_the_return_target_with_a_session(any_gate, lay, protocol, browser_jar):
    road = lay(any_gate, Organization(seats=2))
    login = road.saml_login if protocol == "saml" else road.oidc_login
    page = login(browser_jar, road.person("bea"), return_to="/settings/billing?x=1")
    assert page.status == 303
    assert page.location == f"{any_gate.origin}/settings/billing?x=1"
    home = browser_jar.get(f"{any_gate.origin}/")
    assert home.status == 200
    assert road.organization.email("bea") in home.text


def test_the_session_cookie_is_host_bound_secure_and_out_of_reach_of_scripts(gate, lay, browser_jar):
    road = lay(gate, Organization())
    page = road.saml_login(browser_jar, road.person("bea"))
    line = next(line for line in page.headers.get_list("set-cookie") if line.startswith("__Host-sso_gate="))
    attributes = {part.strip().lower() for part in line.split(";")[1:]}
    assert attributes == {"path=/", "secure", "httponly", "samesite=lax"}


def test_the_login_cookie_crosses_sites_and_lives_for_minutes(gate, lay, browser_jar):
    road = lay(gate, Organization())
    page = browser_jar.get(road.login_url(road.organization.saml))
    line = next(line for line in page.headers.get_list("set-cookie") if line.startswith("__Host-sso_gate_login="))
    attributes = {part.strip().lower() for part in line.split(";")[1:]}
    assert {"path=/", "secure", "httponly", "samesite=none"} <= attributes
    age = next(int(part.partition("=")[2]) for part in attributes if part.startswith("max-age="))
    assert 60 <= age <= 3600


def test_a_second_login_makes_a_new_session_id(gate, lay, browser_jar):
    road = lay(gate, Organization())
    road.saml_login(browser_jar, road.person("bea"))
    first = session_of(browser_jar)
    road.saml_login(browser_jar, road.person("bea"))
    assert session_of(browser_jar) not in {"", first}


@pytest.mark.parametrize("protocol", ["saml", "oidc"])
def test_without_a_seat_the_person_waits_and_gets_no_session(any_gate, lay, protocol, browser_jar):
    road = lay(any_gate, Organization(seats=1))
    login = road.saml_login if protocol == "saml" else road.oidc_login
    page = login(browser_jar, road.person("bea"), return_to="http://app.localhost:8081/reports")
    assert page.status == 303
    assert page.location.startswith(f"{any_gate.origin}/denied/")
    assert session_of(browser_jar) == ""
    denied = browser_jar.get(page.location)
    assert denied.status == 403
    event = Api(any_gate, any_gate.token(road.organization, "audit:read")).events(outcome="denied")[-1]
    assert event["reason"] == "seat_unavailable"
    assert event["reference"] in denied.text
    assert REFERENCE.fullmatch(event["reference"])
    assert event["seat"] == {"limit": 1, "used": 1}
    assert event["via"]["protocol"] == protocol


def test_every_admitted_login_is_on_the_audit_record(any_gate, lay, browser_jar):
    road = lay(any_gate, Organization(seats=2))
    road.saml_login(browser_jar, road.person("bea"))
    api = Api(any_gate, any_gate.token(road.organization, "audit:read"))
    event = next(event for event in api.events(outcome="success") if event["action"] == "auth.login")
    assert event["actor"]["name"] == road.organization.email("bea")
    assert event["via"]["connection"] == road.organization.saml
    assert event["seat"] == {"limit": 2, "used": 2}
    assert event["reason"] is None


def test_a_known_person_who_is_not_allowed_gets_403_and_a_reference(gate, lay, browser_jar):
    road = lay(gate, Organization())
    page = road.saml_login(browser_jar, road.person("bea", attributes={"mail": "bea@elsewhere.example"}))
    assert page.status == 403
    assert session_of(browser_jar) == ""
    event = Api(gate, gate.token(road.organization, "audit:read")).events(outcome="denied")[-1]
    assert event["reason"] == "domain_not_allowed"
    assert event["reference"] in page.text


def test_an_application_as_return_target_is_reached_by_its_own_host(gate, lay, browser_jar):
    road = lay(gate, Organization())
    page = road.saml_login(browser_jar, road.person("bea"), return_to="http://app.localhost:8081/reports")
    assert page.status == 303
    assert page.location.startswith("http://app.localhost:8081/.sso-gate/")
    assert session_of(browser_jar)


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_a_login_never_returns_to_a_host_that_is_not_allowed(gate, lay, browser_jar, target):
    road = lay(gate, Organization())
    page = road.saml_login(browser_jar, road.person("bea"), return_to=target)
    assert page.status == 303
    assert page.location == f"{gate.origin}/"


def test_two_tabs_of_one_browser_may_finish_in_either_order(gate, lay, browser_jar):
    road = lay(gate, Organization())
    person = road.person("bea")
    tabs = [browser_jar.get(road.login_url(road.organization.saml, f"/?tab={n}")).location for n in (1, 2)]
    forms = [road.saml_idp.login(person, location, jar=browser_jar) for location in reversed(tabs)]
    assert [browser_jar.submit(form).location for form in forms] == [f"{gate.origin}/?tab=2", f"{gate.origin}/?tab=1"]


def test_when_one_connection_fits_the_login_goes_straight_to_the_provider(gate, lay, browser_jar):
    road = lay(gate, Organization())
    for query in (f"org={road.organization.slug}", f"email={road.organization.email('bea')}"):
        page = browser_jar.get(f"{gate.origin}/login?{query}")
        assert page.status == 200, "two connections: a choice"
        assert f"/login/{road.organization.saml}" in page.text
    alone = Organization()
    alone.add_saml(road.saml_idp.metadata_xml)
    gate.applied(alone)
    page = browser_jar.get(f"{gate.origin}/login?email={alone.email('bea')}&return_to=/x")
    assert page.status == 302
    assert browser_jar.follow(page, stop_before=road.saml_idp.url).location.startswith(road.saml_idp.sso_url)


def test_the_connection_can_be_named_in_the_login_address(gate, lay, browser_jar):
    road = lay(gate, Organization())
    page = browser_jar.get(f"{gate.origin}/login?connection={road.organization.saml}")
    assert browser_jar.follow(page, stop_before=road.saml_idp.url).location.startswith(road.saml_idp.sso_url)


def test_an_address_that_nobody_knows_gets_the_same_page_as_one_of_a_disabled_realm(gate, browser_jar):
    page = browser_jar.get(f"{gate.origin}/login?email=somebody@nowhere.example")
    assert page.status == 200
    assert "somebody@nowhere.example" in page.text


def test_an_unknown_connection_is_a_path_that_does_not_exist(gate, browser_jar):
    unknown = browser_jar.get(f"{gate.origin}/no-such-path")
    page = browser_jar.get(f"{gate.origin}/login/no-such-connection")
    assert (page.status, page.content) == (404, unknown.content)


def test_signed_out_the_home_page_leads_to_the_login_and_signed_in_it_is_the_persons_own(gate, lay, browser_jar):
    road = lay(gate, Organization())
    page = browser_jar.get(f"{gate.origin}/")
    assert (page.status, page.location) == (302, f"{gate.origin}/login")
    road.saml_login(browser_jar, road.person("bea"))
    assert browser_jar.get(f"{gate.origin}/").status == 200


def test_logging_out_ends_the_session_on_the_server_too(gate, lay, browser_jar):
    road = lay(gate, Organization())
    road.saml_login(browser_jar, road.person("bea"))
    stolen = session_of(browser_jar)
    page = browser_jar.post(f"{gate.origin}/logout", {}, initiator=f"{gate.origin}/")
    assert page.status == 303
    assert session_of(browser_jar) == ""
    answer = gate.client.get("/", headers={"Host": gate.host, "Cookie": f"__Host-sso_gate={stolen}"})
    assert (answer.status_code, answer.headers["location"]) == (302, "/login")


def test_logging_out_of_an_openid_connection_goes_on_to_the_provider(gate, lay, browser_jar):
    road = lay(gate, Organization())
    road.oidc_login(browser_jar, road.person("bea"))
    page = browser_jar.post(f"{gate.origin}/logout", {}, initiator=f"{gate.origin}/")
    assert page.status == 303
    assert page.location.startswith(f"{road.oidc_provider.issuer}/session/end")


def test_another_site_cannot_log_somebody_out(gate, lay, browser_jar):
    road = lay(gate, Organization())
    road.saml_login(browser_jar, road.person("bea"))
    page = browser_jar.post(f"{gate.origin}/logout", {}, initiator="http://evil.localhost/")
    assert page.status == 403
    assert browser_jar.get(f"{gate.origin}/").status == 200


def test_a_pysaml2_provider_is_understood_too(any_gate, pysaml2_idp):
    organization = Organization()
    connection = organization.add_saml(pysaml2_idp.metadata_xml)
    any_gate.applied(organization)
    with BrowserJar() as jar:
        pysaml2_idp.trust(jar.get(f"{any_gate.origin}/sso/saml/{connection}/metadata").text)
        departure = jar.get(f"{any_gate.origin}/login/{connection}?return_to=/")
        from tests.support.people import Person  # noqa: PLC0415 - beside its only use

        page = jar.submit(pysaml2_idp.login(Person(organization.email("bea"), "Bea"), departure.location))
        assert (page.status, page.location) == (303, f"{any_gate.origin}/")
        assert jar.cookie("__Host-sso_gate", GATE_NAME)


def test_our_saml_metadata_is_signed_and_names_its_own_address(gate, lay):
    road = lay(gate, Organization())
    answer = gate.client.get(f"/sso/saml/{road.organization.saml}/metadata", headers={"Host": gate.host})
    assert answer.status_code == 200
    assert f'entityID="{gate.origin}/sso/saml/{road.organization.saml}/metadata"' in answer.text
    assert f"{gate.origin}/sso/saml/{road.organization.saml}/acs" in answer.text
    assert "<ds:SignatureValue>" in answer.text or "SignatureValue" in answer.text
