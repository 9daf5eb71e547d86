"""The three outcomes of a login, over real HTTP, with identity providers from packages: in, waiting, refused."""

import re

import pytest

from tests.integration.gate import Organization
from tests.integration.people import GATE_NAME, SESSION, session_of
from tests.support.browser_jar import BrowserJar
from tests.support.people import Person

REFERENCE = re.compile(r"[0-9A-HJKMNP-TV-Z]{8}")


def cookie_attributes(page, name):
    line = next(line for line in page.headers.get_list("set-cookie") if line.startswith(f"{name}="))
    return {part.strip().lower() for part in line.split(";")[1:]}


@pytest.mark.parametrize("protocol", ["saml", "oidc"])
def test_an_admitted_person_is_sent_to_the_return_target_with_a_session(any_road, protocol, browser_jar):
    login = any_road.saml_login if protocol == "saml" else any_road.oidc_login
    person = any_road.newcomer()
    page = login(browser_jar, person, return_to="/?x=1")
    assert (page.status, page.location) == (303, f"{any_road.gate.origin}/?x=1")
    home = browser_jar.get(page.location)
    assert home.status == 200
    assert person.email in home.text
    event = any_road.api.events(person=person.email)[-1]
    assert (event["action"], event["outcome"], event["reason"]) == ("auth.login", "success", None)
    assert event["actor"]["name"] == person.email
    assert event["via"]["protocol"] == protocol
    assert event["seat"]["limit"] == 1000
    assert event["seat"]["used"] >= 2


def test_the_session_cookie_is_host_bound_secure_and_out_of_reach_of_scripts(road, browser_jar):
    page = road.saml_login(browser_jar, road.newcomer())
    assert cookie_attributes(page, SESSION) == {"path=/", "secure", "httponly", "samesite=lax"}


def test_the_login_cookie_crosses_sites_and_lives_for_minutes(road, browser_jar):
    attributes = cookie_attributes(browser_jar.get(road.login_url(road.organization.saml)), f"{SESSION}_login")
    assert {"path=/", "secure", "httponly", "samesite=none"} <= attributes
    age = next(int(part.partition("=")[2]) for part in attributes if part.startswith("max-age="))
    assert 60 <= age <= 3600


def test_a_second_login_makes_a_new_session_id(road, browser_jar):
    person = road.newcomer()
    road.saml_login(browser_jar, person)
    first = session_of(browser_jar)
    road.saml_login(browser_jar, person)
    assert session_of(browser_jar) not in {"", first}


def test_a_known_person_who_is_not_allowed_gets_403_and_a_reference(road, browser_jar):
    page = road.saml_login(browser_jar, road.newcomer(attributes={"mail": "bea@elsewhere.example"}))
    assert page.status == 403
    assert session_of(browser_jar) == ""
    event = road.last_refusal()
    assert event["reason"] == "domain_not_allowed"
    assert REFERENCE.fullmatch(event["reference"])
    assert event["reference"] in page.text


def test_an_application_as_return_target_is_reached_by_its_own_host(road, browser_jar):
    page = road.saml_login(browser_jar, road.newcomer(), return_to="http://app.localhost:8081/reports")
    assert page.status == 303
    assert page.location.startswith("http://app.localhost:8081/.sso-gate/")
    assert session_of(browser_jar)


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_a_login_never_returns_to_a_host_that_is_not_allowed(road, browser_jar, target):
    page = road.saml_login(browser_jar, road.newcomer(), return_to=target)
    assert (page.status, page.location) == (303, f"{road.gate.origin}/")


def test_two_tabs_of_one_browser_may_finish_in_either_order(road, browser_jar):
    person = road.newcomer()
    tabs = [browser_jar.get(road.login_url(road.organization.saml, f"/?tab={n}")).location for n in (1, 2)]
    forms = [road.saml_idp.login(person, location, jar=browser_jar) for location in reversed(tabs)]
    arrived = [browser_jar.submit(form).location for form in forms]
    assert arrived == [f"{road.gate.origin}/?tab=2", f"{road.gate.origin}/?tab=1"]


@pytest.mark.parametrize("by", ["org", "email"])
def test_where_two_connections_fit_the_person_chooses(road, browser_jar, by):
    values = {"org": road.organization.slug, "email": road.organization.email("bea")}
    page = browser_jar.get(f"{road.gate.origin}/login?{by}={values[by]}")
    assert page.status == 200
    assert f"/login/{road.organization.saml}" in page.text
    assert f"/login/{road.organization.oidc}" in page.text


def test_when_one_connection_fits_the_login_goes_straight_to_the_provider(road, browser_jar):
    alone = Organization()
    alone.add_saml(road.saml_idp.metadata_xml)
    road.gate.applied(alone)
    page = browser_jar.get(f"{road.gate.origin}/login?email={alone.email('bea')}&return_to=/x")
    assert page.status == 302
    assert browser_jar.follow(page, stop_before=road.saml_idp.url).location.startswith(road.saml_idp.sso_url)


def test_the_login_page_offers_what_this_browser_used_last_and_nothing_of_another_organization(road, browser_jar):
    page = f"{road.gate.origin}/login?choose=1&return_to=/x"
    assert "Last time you used" not in browser_jar.get(page).text
    assert road.saml_login(browser_jar, road.newcomer()).status == 303
    assert f'href="/login/{road.organization.saml}?return_to=%2Fx"' in browser_jar.get(page).text
    assert "Last time you used" in browser_jar.get(f"{page}&org={road.organization.slug}").text
    other = Organization()
    other.add_saml(road.saml_idp.metadata_xml)
    road.gate.applied(other)
    assert "Last time you used" not in browser_jar.get(f"{page}&org={other.slug}").text


@pytest.mark.parametrize("value", ["no-such-connection", "../settings", "x" * 65])
def test_a_cookie_that_names_no_connection_offers_nothing(road, browser_jar, value):
    cookie = {"Cookie": f"__Host-sso_gate_last={value}"}
    page = browser_jar.get(f"{road.gate.origin}/login?choose=1", headers=cookie)
    assert page.status == 200
    assert "Last time you used" not in page.text


def test_the_connection_can_be_named_in_the_login_address(road, browser_jar):
    page = browser_jar.get(f"{road.gate.origin}/login?connection={road.organization.saml}")
    assert browser_jar.follow(page, stop_before=road.saml_idp.url).location.startswith(road.saml_idp.sso_url)


def test_an_address_that_nobody_knows_leads_nowhere_and_keeps_what_was_typed(road, browser_jar):
    page = browser_jar.get(f"{road.gate.origin}/login?email=somebody@nowhere.example")
    assert page.status == 200
    assert "somebody@nowhere.example" in page.text


@pytest.mark.parametrize(
    "path", ["/login/no-such-connection", "/sso/saml/no-such/metadata", "/sso/oidc/no-such/callback?state=x"]
)
def test_an_unknown_connection_is_a_path_that_does_not_exist(road, browser_jar, path):
    unknown = browser_jar.get(f"{road.gate.origin}/no-such-path")
    page = browser_jar.get(f"{road.gate.origin}{path}")
    assert (page.status, page.content) == (404, unknown.content)


def test_signed_out_the_home_page_leads_to_the_login(road, browser_jar):
    page = browser_jar.get(f"{road.gate.origin}/")
    assert (page.status, page.location) == (302, f"{road.gate.origin}/login")


def test_logging_out_ends_the_session_on_the_server_too(any_road, browser_jar):
    any_road.saml_login(browser_jar, any_road.newcomer())
    stolen = session_of(browser_jar)
    page = browser_jar.post(f"{any_road.gate.origin}/logout", {}, initiator=f"{any_road.gate.origin}/")
    assert page.status == 303
    assert session_of(browser_jar) == ""
    headers = {"Host": any_road.gate.host, "Cookie": f"{SESSION}={stolen}"}
    answer = any_road.gate.client.get("/", headers=headers)
    assert (answer.status_code, answer.headers["location"]) == (302, "/login")


def test_logging_out_of_an_openid_connection_goes_on_to_the_provider(road, browser_jar):
    road.oidc_login(browser_jar, road.newcomer())
    page = browser_jar.post(f"{road.gate.origin}/logout", {}, initiator=f"{road.gate.origin}/")
    assert page.status == 303
    assert page.location.startswith(f"{road.oidc_provider.issuer}/session/end")


def test_another_site_cannot_log_somebody_out(road, browser_jar):
    road.saml_login(browser_jar, road.newcomer())
    page = browser_jar.post(f"{road.gate.origin}/logout", {}, initiator="http://evil.localhost/")
    assert page.status == 403
    assert browser_jar.get(f"{road.gate.origin}/").status == 200


def test_a_pysaml2_provider_is_understood_too(gate, pysaml2_idp, browser_jar):
    organization = Organization()
    connection = organization.add_saml(pysaml2_idp.metadata_xml)
    gate.applied(organization)
    pysaml2_idp.trust(browser_jar.get(f"{gate.origin}/sso/saml/{connection}/metadata").text)
    departure = browser_jar.get(f"{gate.origin}/login/{connection}?return_to=/")
    page = browser_jar.submit(pysaml2_idp.login(Person(organization.email("bea"), "Bea"), departure.location))
    assert (page.status, page.location) == (303, f"{gate.origin}/")
    assert browser_jar.cookie(SESSION, GATE_NAME)


def test_our_saml_metadata_is_signed_and_its_entity_id_is_its_own_address(road, browser_jar):
    address = f"{road.gate.origin}/sso/saml/{road.organization.saml}"
    page = browser_jar.get(f"{address}/metadata")
    assert page.status == 200
    assert f'entityID="{address}/metadata"' in page.text
    assert f'Location="{address}/acs"' in page.text
    assert "SignatureValue>" in page.text


def test_an_openid_connection_has_no_saml_metadata(road, browser_jar):
    assert browser_jar.get(f"{road.gate.origin}/sso/saml/{road.organization.oidc}/metadata").status == 404


@pytest.mark.parametrize(("wish", "word"), [("?lang=pt-BR", "Entrar"), ("?lang=es", "sesión"), ("?lang=en", "Log in")])
def test_the_language_of_a_page_is_chosen_by_its_address(road, browser_jar, wish, word):
    page = browser_jar.get(f"{road.gate.origin}/login{wish}", headers={"Accept-Language": "de"})
    assert word in page.text
    assert f'<html lang="{wish.partition("=")[2]}"' in page.text


def test_the_language_of_a_page_is_the_browsers_own_otherwise(road):
    with BrowserJar(accept_language="pt-PT,en;q=0.5") as jar:
        assert '<html lang="pt-BR"' in jar.get(f"{road.gate.origin}/login").text
