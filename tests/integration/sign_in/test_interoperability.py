"""Whole logins by SAML, with everything that a provider may sign and encrypt, and keys that change on either side."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from lxml import etree

from tests.integration.gate import Organization
from tests.integration.people import session_of
from tests.support.keys import make_key_pair


def encryption_certificate(gate, connection):
    xml = gate.client.get(f"/sso/saml/{connection}/metadata", headers={"Host": gate.host}).content
    body = etree.fromstring(xml).find(".//{*}KeyDescriptor[@use='encryption']//{*}X509Certificate").text
    return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"


@pytest.fixture(scope="module")
def laid(gate):
    """Return the road's memory: one organization serves every test of this module."""
    return {}


@pytest.fixture
def road(gate, lay, laid):
    if "road" not in laid:
        organization = Organization(seats=10)
        spare = make_key_pair("the next one")
        organization.files["next.pem"] = spare.certificate
        laid["road"] = lay(gate, organization)
    return laid["road"]


@pytest.mark.parametrize("sign", ["assertion", "response", "both"])
@pytest.mark.parametrize("encrypted", [False, True], ids=["clear", "encrypted"])
def test_a_provider_may_sign_either_part_or_both_and_encrypt(road, browser_jar, sign, encrypted):
    options = {"encrypt_for": encryption_certificate(road.gate, road.organization.saml)} if encrypted else {}
    page = road.saml_login(browser_jar, road.person("bea"), return_to="/settings/access", sign=sign, **options)
    assert (page.status, page.location) == (303, f"{road.gate.origin}/settings/access")
    assert session_of(browser_jar)


@pytest.mark.parametrize(
    "options",
    [{"sign": "none"}, {"other_key": True}, {"sha1": True}, {"lifetime_seconds": -600}, {"audience": "urn:other"}],
    ids=lambda options: next(iter(options)),
)
def test_what_the_same_provider_may_not_do(road, browser_jar, options):
    page = road.saml_login(browser_jar, road.person("bea"), **options)
    assert page.status == 400
    assert not session_of(browser_jar)


def test_back_button_and_a_fresh_try_lead_in(road, browser_jar):
    departure = browser_jar.get(road.login_url(road.organization.saml, "/?deep=1"))
    form = road.saml_idp.login(road.person("bea"), departure.location, jar=browser_jar)
    assert browser_jar.submit(form).status == 303
    assert browser_jar.submit(form).status == 400, "the back button sends the same answer again"
    assert road.saml_login(browser_jar, road.person("bea"), return_to="/?deep=1").location.endswith("/?deep=1")


def test_deep_link_and_login_hint_survive_the_choice_between_two_connections(road, browser_jar):
    email = road.organization.email("bea")
    page = browser_jar.get(f"{road.gate.origin}/login?email={email}&return_to=/%3Fdeep=2")
    assert page.status == 200
    for connection in (road.organization.saml, road.organization.oidc):
        link = next(part for part in page.text.split('"') if part.startswith(f"/login/{connection}?"))
        assert "return_to=" in link
        assert "email=" in link


def test_every_unknown_realm_gets_the_same_page(gate, browser_jar):
    hidden = Organization()
    hidden.connections.append(
        f'\n[[connections]]\nid = "{hidden.saml}"\nprotocol = "oidc"\nenabled = false\n'
        'issuer = "https://nowhere.example"\nclient_id = "x"\nclient_secret = "y"\n'
    )
    gate.applied(hidden)
    answers = set()
    for email in ("somebody@nowhere.example", hidden.email("somebody")):
        page = browser_jar.get(f"{gate.origin}/login?email={email}")
        answers.add((page.status, page.text.replace(email, "EMAIL").replace(quote(email), "EMAIL")))
    assert len(answers) == 1
