"""People at their browsers: they sign in through identity providers that nobody here wrote, and look at pages."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote

from tests.integration.gate import Api, Organization, RunningGate
from tests.support.browser_jar import BrowserJar, Page
from tests.support.oidc_op import OidcProvider
from tests.support.people import Person
from tests.support.samlp_idp import SamlpIdp

SESSION = "__Host-sso_gate"
WAITING = "__Host-sso_gate_waiting"
GATE_NAME = "gate.localhost"
SCOPES = ("seats:read", "seats:write", "billing:read", "members:read", "audit:read")
_NUMBERS = itertools.count(1)


@dataclass
class Road:
    """The way into one gate for the people of one organization, by SAML and by OpenID Connect."""

    gate: RunningGate
    organization: Organization
    saml_idp: SamlpIdp
    oidc_provider: OidcProvider

    def person(self, name: str, /, **fields: object) -> Person:
        """Return somebody of this organization; fields are those of `Person`."""
        values = {"email": self.organization.email(name), "name": name.title(), **fields}
        return Person(**values)  # type: ignore[arg-type]  # passed on  # options go through as they are  # the fields are checked by the dataclass itself

    def newcomer(self, **fields: object) -> Person:
        """Return somebody whom nobody has seen before."""
        return self.person(f"person-{next(_NUMBERS)}", **fields)

    @cached_property
    def api(self) -> Api:
        """Return a program with a token that may do everything that the API offers."""
        return Api(self.gate, self.gate.token(self.organization, *SCOPES))

    def last_refusal(self) -> dict[str, Any]:
        """Return the newest event of somebody who was refused."""
        return self.api.events(outcome="denied")[-1]

    def saml_login(
        self, jar: BrowserJar, person: Person, *, return_to: str = "", connection: str = "", **options: object
    ) -> Page:
        """Return the gate's answer to the assertion, redirects not followed."""
        departure = jar.get(self.login_url(connection or self.organization.saml, return_to))
        assert departure.status == 302, departure.text
        form = self.saml_idp.login(person, departure.location, jar=jar, **options)  # type: ignore[arg-type]  # passed on as they are
        return jar.submit(form)

    def oidc_login(self, jar: BrowserJar, person: Person, *, return_to: str = "", connection: str = "") -> Page:
        """Return the gate's answer to the authorization code, redirects not followed."""
        connection = connection or self.organization.oidc
        departure = jar.get(self.login_url(connection, return_to))
        assert departure.status == 302, departure.text
        callback = f"{self.gate.origin}/sso/oidc/{connection}/callback"
        return jar.get(self.oidc_provider.login(person, departure.location, callback=callback, jar=jar))

    def login_url(self, connection: str, return_to: str = "") -> str:
        query = f"?return_to={quote(return_to, safe='')}" if return_to else ""
        return f"{self.gate.origin}/login/{connection}{query}"

    def signed_in(self, person: Person, *, protocol: str = "saml") -> BrowserJar:
        """Return the browser of somebody who was let in; the caller closes it."""
        jar = BrowserJar()
        login = self.saml_login if protocol == "saml" else self.oidc_login
        page = login(jar, person)
        assert page.status == 303, page.text
        assert "/denied/" not in page.location, page.location
        assert session_of(jar), page.text
        return jar


def session_of(jar: BrowserJar) -> str:
    """Return the value of the gate's session cookie, empty without one."""
    cookie = jar.cookie(SESSION, GATE_NAME)
    return cookie.value if cookie else ""


def lay_road(
    gate: RunningGate, saml_idp: SamlpIdp, oidc_provider: OidcProvider, organization: Organization, **connection: str
) -> Road:
    """Return the road of an organization with one SAML and one OIDC connection, applied; fields bend the SAML one."""
    organization.add_saml(saml_idp.metadata_xml, **connection)
    client = f"client-of-{organization.slug}-{gate.port}"
    secret = f"secret-of-{organization.slug}-and-more-of-it"
    callback = f"{gate.origin}/sso/oidc/{organization.oidc}/callback"
    oidc_provider.register(
        client, secret=secret, redirect_uris=[callback], post_logout_redirect_uris=[f"{gate.origin}/signed-out"]
    )
    organization.add_oidc(oidc_provider.issuer, client_id=client, secret=secret)
    gate.applied(organization)
    return Road(gate, organization, saml_idp, oidc_provider)
