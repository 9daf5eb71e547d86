"""The gate's own keys change while people sign in: providers see both, and may encrypt to either."""

from __future__ import annotations

import json

import pytest
from lxml import etree

from tests.integration.gate import Organization
from tests.integration.people import session_of


@pytest.fixture
def keys(gate):
    """Run `sso-gate keys`, and leave the gate with one key of each kind."""

    def run(*words):
        ran = gate.run("keys", *words)
        assert ran.code == 0, ran.err
        return json.loads(ran.out) if ran.out else None

    yield run
    for key in run("list", "--json"):
        if key["state"] != "signs":
            run("retire", key["protocol"], str(key["number"]), "--yes")


def certificates(gate, connection, use):
    xml = gate.client.get(f"/sso/saml/{connection}/metadata", headers={"Host": gate.host}).content
    bodies = etree.fromstring(xml).findall(f".//{{*}}KeyDescriptor[@use='{use}']//{{*}}X509Certificate")
    return [f"-----BEGIN CERTIFICATE-----\n{body.text}\n-----END CERTIFICATE-----\n" for body in bodies]


def test_a_key_rolls_over_without_a_break(gate, lay, browser_jar, keys):
    road = lay(gate, Organization(), lines="sign_requests = true")
    saml, person = road.organization.saml, road.person("bea")
    old = certificates(gate, saml, "signing")
    assert len(old) == 1
    keys("rotate", "saml", "--yes")
    announced = certificates(gate, saml, "signing")
    assert announced[0] == old[0], "the next key is published and does not sign yet"
    assert announced == certificates(gate, saml, "encryption")
    for certificate in announced:
        page = road.saml_login(browser_jar, person, encrypt_for=certificate)
        assert (page.status, bool(session_of(browser_jar))) == (303, True)
    keys("retire", "saml", str(max(key["number"] for key in keys("list", "--json"))), "--yes")
    keys("rotate", "saml", "--now", "--yes")
    rolled = certificates(gate, saml, "signing")
    assert rolled[1] == old[0] != rolled[0]
    for certificate in rolled:
        assert road.saml_login(browser_jar, person, encrypt_for=certificate).status == 303
    keys(
        "retire",
        "saml",
        str(min(key["number"] for key in keys("list", "--json") if key["protocol"] == "saml")),
        "--yes",
    )
    assert certificates(gate, saml, "encryption") == rolled[:1]
    assert road.saml_login(browser_jar, person, encrypt_for=old[0]).status == 400
    assert road.last_refusal()["reason"] == "encryption_refused"


def test_the_key_that_signs_is_not_retired(gate, keys):
    signing = next(key for key in keys("list", "--json") if key["protocol"] == "oidc" and key["state"] == "signs")
    ran = gate.run("keys", "retire", "oidc", str(signing["number"]), "--yes")
    assert (ran.code, "the one that signs" in ran.err) == (5, True)
    assert gate.run("keys", "retire", "oidc", "999", "--yes").code == 3
    assert gate.run("keys", "rotate", "saml", "--signs-after", "soon", "--yes").code == 2


def test_the_next_key_for_openid_is_published_before_it_signs(gate, lay, keys):
    road = lay(gate, Organization())

    def published():
        path = f"/sso/oidc/{road.organization.oidc}/jwks.json"
        return [key["kid"] for key in gate.client.get(path, headers={"Host": gate.host}).json()["keys"]]

    first = published()
    keys("rotate", "oidc", "--yes")
    assert published()[:1] == first
    assert len(published()) == 2
