"""Whole logins with a second OpenID provider, one that never says whether an address is verified."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from tests.integration.gate import Api, Organization
from tests.integration.people import session_of
from tests.support.canaille_op import CanailleOp
from tests.support.people import Person


class Company:
    """One organization with its provider: one connection trusts its addresses, the other asks for proof of them."""

    def __init__(self, gate):
        self.gate, self.organization = gate, Organization()
        self.person = Person(self.organization.email("bea"), "Bea Söhne", ("staff", "gate-admins"))
        self.provider = CanailleOp(self.person)
        self.trusting = self._connect(
            "trusting", 'trust_email = true\nscopes = ["openid", "email", "profile", "groups"]'
        )
        self.doubting = self._connect("doubting", "")
        gate.applied(self.organization)
        self.close = self.provider.close

    def _connect(self, name, lines):
        identifier = f"{self.organization.slug}-{name}"
        client = self.provider.register(self.callback(identifier))
        self.organization.connections.append(
            f'\n[[connections]]\nid = "{identifier}"\nprotocol = "oidc"\nissuer = "{self.provider.issuer}"\n'
            f'client_id = "{client.id}"\nclient_secret = "{client.secret}"\n{lines}\n'
            '[connections.roles]\n"gate-admins" = "admin"\n'
        )
        return identifier

    def callback(self, connection):
        return f"{self.gate.origin}/sso/oidc/{connection}/callback"

    def sign_in(self, jar, connection):
        departure = jar.get(f"{self.gate.origin}/login/{connection}?return_to=/settings/access")
        assert departure.status == 302, departure.text
        callback = self.callback(connection)
        return jar.get(self.provider.login(self.person, departure.location, callback=callback, jar=jar))


@pytest.fixture(scope="module")
def company(gate):
    with closing(Company(gate)) as made:
        yield made


def test_nobody_comes_in_by_an_address_that_nobody_has_verified(company, browser_jar):
    page = company.sign_in(browser_jar, company.doubting)
    assert page.status == 403
    assert not session_of(browser_jar)
    events = Api(company.gate, company.gate.token(company.organization, "audit:read")).events(outcome="denied")
    assert events[-1]["reason"] == "email_unverified"


def test_a_connection_that_trusts_its_addresses_lets_them_in_with_their_groups(company, browser_jar):
    page = company.sign_in(browser_jar, company.trusting)
    assert (page.status, page.location) == (303, f"{company.gate.origin}/settings/access"), page.text
    assert session_of(browser_jar)
    ran = company.gate.run("members", "list", "--org", company.organization.slug, "--json")
    member = next(one for one in json.loads(ran.out) if one["email"] == company.person.email)
    assert (member["name"], member["role"]) == ("Bea Söhne", "admin")


def test_signing_out_goes_on_to_the_provider(company, browser_jar):
    company.sign_in(browser_jar, company.trusting)
    page = browser_jar.post(f"{company.gate.origin}/logout", {}, initiator=f"{company.gate.origin}/")
    assert page.location.startswith(f"{company.provider.issuer}/oauth/end_session?")
    assert not session_of(browser_jar)
    assert browser_jar.get(page.location).status in (200, 302)
