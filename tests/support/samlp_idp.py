"""A SAML identity provider that nobody here wrote: npm `samlp`, signing what a test says.

It accepts any service provider, answers at the request's AssertionConsumerServiceURL, and honours the request's ID.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

import httpx2

from tests.support.browser_jar import BrowserJar, borrowed
from tests.support.forms import Form
from tests.support.keys import make_key_pair
from tests.support.people import Person
from tests.support.servers import LOOPBACK, ReadyServer

SCRIPT = Path(__file__).parent / "idp" / "samlp_idp.js"


class SamlpOptions(TypedDict, total=False):
    """What one login may be told to do differently; everything left out is as a well-behaved provider does it."""

    sign: Literal["assertion", "response", "both", "none"]
    sha1: bool
    other_key: bool  # signed by a key that the metadata does not show
    lifetime_seconds: int  # negative: already expired
    encrypt_for: str  # PEM certificate; aes256-gcm unless `encryption_algorithm` says another
    encryption_algorithm: str
    issuer: str
    audience: str
    recipient: str
    destination: str
    acs: str
    in_response_to: str
    session_index: str
    name_id_format: str


class SamlpIdp:
    """One provider on a loopback port. Its metadata, its key pair and its browser-facing login are all it shows."""

    def __init__(
        self, *, port: int = 0, entity_id: str = "https://idp.example/samlp", people: tuple[Person, ...] = ()
    ) -> None:
        """Start it; port 0 takes a free one."""
        self.entity_id = entity_id
        self.keys = make_key_pair("samlp test provider")
        self.other_keys = make_key_pair("somebody else")
        self._folder = tempfile.TemporaryDirectory(prefix="samlp-")
        start = {
            "port": port,
            "entity_id": entity_id,
            "people": [person.as_entry() for person in people],
            "main": {"key": self.keys.key, "certificate": self.keys.certificate},
            "other": {"key": self.other_keys.key, "certificate": self.other_keys.certificate},
        }
        log = Path(self._folder.name) / "log"
        self._server = ReadyServer(["node", "--no-deprecation", str(SCRIPT), json.dumps(start)], log=log)
        self.port: int = self._server.ready["port"]

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def sso_url(self) -> str:
        return f"{self.url}/sso"

    @property
    def metadata_url(self) -> str:
        return f"{self.url}/metadata"

    @property
    def metadata_xml(self) -> str:
        return httpx2.get(self.metadata_url).raise_for_status().text

    def configure(self, **options: Unpack[SamlpOptions]) -> None:
        """Set what logins do from now on, in any browser; without options, as at the start."""
        self._control("defaults", options)

    def add_people(self, *people: Person) -> None:
        """Let people sign in by typing their email."""
        self._control("people", [person.as_entry() for person in people])

    def login(
        self, person: Person, authn_request_url: str, *, jar: BrowserJar | None = None, **options: Unpack[SamlpOptions]
    ) -> Form:
        """Return the form that the provider's page would post to the gate: action, SAMLResponse, RelayState.

        `authn_request_url` is where the gate sent the browser. The form is not submitted: `jar.submit(form)` does it.
        """
        with borrowed(jar) as browser:
            page = browser.get(authn_request_url)
            answer = browser.submit(page.forms[0], person=person.as_json(), options=json.dumps(options))
        assert answer.status == 200, f"the provider answered {answer.status}: {answer.text}"
        return answer.forms[0]

    def unsolicited(self, person: Person, *, relay_state: str = "", **options: Unpack[SamlpOptions]) -> Form:
        """Return the form of a login that the provider started: no request, no InResponseTo.

        `acs` and `audience` have to be among the options: nobody asked, so nothing says where to.
        """
        fields = {"person": person.as_json(), "RelayState": relay_state, "options": json.dumps(options)}
        with BrowserJar() as browser:
            return browser.post(self.sso_url, fields).forms[0]

    def close(self) -> None:
        """Stop the provider."""
        self._server.stop()
        self._folder.cleanup()

    def _control(self, what: str, body: Any) -> None:
        httpx2.post(f"{self.url}/control/{what}", json=body).raise_for_status()
