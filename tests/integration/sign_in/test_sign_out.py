"""Signing out on either side ends it on both: SAML single logout, and both of OpenID's ways."""

from __future__ import annotations

import time

import pytest

from tests.attacks.test_logouts import posted, redirected, request_xml
from tests.integration.gate import Api, Organization
from tests.integration.people import session_of
from tests.support.browser_jar import BrowserJar


class Provider:
    """The words of the forging kit for a SAML provider from a package, whose key we have."""

    def __init__(self, road):
        self.idp = road.saml_idp.keys
        self.issuer = road.saml_idp.entity_id
        self.slo = f"{road.gate.origin}/sso/saml/{road.organization.saml}/slo"


@pytest.mark.parametrize("binding", ["post", "redirect"])
def test_a_providers_signed_logout_ends_the_session_and_is_answered(gate, lay, browser_jar, binding):
    road = lay(gate, Organization())
    person = road.person("bea")
    road.saml_login(browser_jar, person)
    assert browser_jar.get(f"{gate.origin}/").status == 200
    provider = Provider(road)
    xml = request_xml(provider, name=person.as_entry()["subject"])
    with BrowserJar() as any_browser:
        if binding == "post":
            page = any_browser.post(provider.slo, posted(xml, provider.idp), initiator="https://idp.example/")
        else:
            page = any_browser.get(f"{provider.slo}?{redirected(xml, provider.idp)}")
    assert page.status == 303, page.text
    assert browser_jar.get(f"{gate.origin}/").status == 302
    api = Api(gate, gate.token(road.organization, "audit:read"))
    assert [event["outcome"] for event in api.events(action="auth.logout")] == ["success"]


def test_the_openid_providers_own_logout_reaches_us_behind_the_browser(gate, lay, browser_jar):
    road = lay(gate, Organization())
    organization, provider = road.organization, road.oidc_provider
    provider.register(
        f"client-of-{organization.slug}-{gate.port}",
        secret=f"secret-of-{organization.slug}-and-more-of-it",
        redirect_uris=[f"{gate.origin}/sso/oidc/{organization.oidc}/callback"],
        backchannel_logout_uri=f"{gate.address}/sso/oidc/{organization.oidc}/backchannel-logout",
    )
    road.oidc_login(browser_jar, road.person("bea"))
    assert browser_jar.get(f"{gate.origin}/").status == 200
    provider.logout(browser_jar)
    deadline = time.monotonic() + 15
    while browser_jar.get(f"{gate.origin}/").status == 200:
        assert time.monotonic() < deadline, provider.log_text()
        time.sleep(0.1)


def test_a_client_without_a_secret_proves_itself_by_the_key_that_we_publish(gate, oidc_provider, browser_jar):
    organization = Organization()
    client = f"key-client-{organization.slug}"
    organization.connections.append(
        f'\n[[connections]]\nid = "{organization.oidc}"\nprotocol = "oidc"\nissuer = "{oidc_provider.issuer}"\n'
        f'client_id = "{client}"\nprivate_key_jwt = true\n'
    )
    gate.applied(organization)
    jwks = gate.client.get(f"/sso/oidc/{organization.oidc}/jwks.json", headers={"Host": gate.host}).json()
    assert all(not {"d", "p", "q"} & set(key) for key in jwks["keys"])
    callback = f"{gate.origin}/sso/oidc/{organization.oidc}/callback"
    oidc_provider.register(
        client,
        redirect_uris=[callback],
        token_endpoint_auth_method="private_key_jwt",
        token_endpoint_auth_signing_alg="ES256",
        jwks=jwks,
    )
    departure = browser_jar.get(f"{gate.origin}/login/{organization.oidc}")
    assert "request_uri=" in departure.location, "pushed: nothing of the request is in the address"
    from tests.support.people import Person

    person = Person(organization.email("bea"), "Bea")
    page = browser_jar.get(oidc_provider.login(person, departure.location, callback=callback, jar=browser_jar))
    assert page.status == 303, page.text
    assert session_of(browser_jar)
