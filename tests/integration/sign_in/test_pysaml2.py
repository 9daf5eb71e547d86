"""A whole life of a session with a second SAML provider, which reads our metadata: sign-in, clear and encrypted, and
single logout from either side.
"""

from __future__ import annotations

import pytest

from tests.integration.gate import Api, Organization
from tests.integration.people import session_of
from tests.support.people import Person

PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"


class Company:
    """One organization, whose provider trusts the gate because it has read its metadata."""

    def __init__(self, gate, provider):
        self.gate, self.provider, self.organization = gate, provider, Organization()
        lines = f'name_id_format = "{PERSISTENT}"\nsign_requests = true'
        self.saml = self.organization.add_saml(provider.metadata_xml, lines=lines)
        gate.applied(self.organization)
        self.metadata_url = f"{gate.origin}/sso/saml/{self.saml}/metadata"
        answer = gate.client.get(f"/sso/saml/{self.saml}/metadata", headers={"Host": gate.host})
        provider.trust(answer.text)
        self.person = Person(self.organization.email("bea"), "Bea <b>& Söhne</b>")

    def sign_in(self, jar):
        departure = jar.get(f"{self.gate.origin}/login/{self.saml}?return_to=/settings/access")
        return jar.submit(self.provider.login(self.person, departure.location))

    def logouts(self):
        events = Api(self.gate, self.gate.token(self.organization, "audit:read")).events(action="auth.logout")
        return [event["outcome"] for event in events]


@pytest.fixture(scope="module")
def company(gate, pysaml2_idp):
    return Company(gate, pysaml2_idp)


@pytest.mark.parametrize("encrypted", [False, True], ids=["clear", "encrypted"])
def test_sign_in_and_out_with_both_sides_told(company, browser_jar, encrypted):
    if encrypted:
        with company.provider.encrypting_with_gcm():
            page = company.sign_in(browser_jar)
    else:
        page = company.sign_in(browser_jar)
    assert (page.status, page.location) == (303, f"{company.gate.origin}/settings/access"), page.text
    page = browser_jar.post(f"{company.gate.origin}/logout", {}, initiator=f"{company.gate.origin}/")
    assert page.status == 303
    assert page.location.startswith(company.provider.slo_url)
    assert not session_of(browser_jar)
    back = browser_jar.get(company.provider.answer_logout(page.location))
    assert (back.status, back.location) == (303, f"{company.gate.origin}/signed-out?provider=1")
    replayed = browser_jar.get(company.provider.answer_logout(page.location))
    assert replayed.status == 400, "one log-out has one answer"


def test_the_provider_ends_the_session_and_hears_that_it_is_done(company, browser_jar):
    assert company.sign_in(browser_jar).status == 303
    assert browser_jar.get(f"{company.gate.origin}/").status == 200
    slo = f"{company.gate.origin}/sso/saml/{company.saml}/slo"
    page = browser_jar.get(company.provider.begin_logout(company.person, company.metadata_url, slo))
    assert page.status == 303, page.text
    assert page.location.startswith(f"{company.provider.slo_url}?SAMLResponse=")
    assert browser_jar.get(f"{company.gate.origin}/").status == 302
    assert company.logouts()[-1] == "success"
