"""An OpenID provider that nobody here wrote: npm `oidc-provider`, a certified one.

PKCE is required, requests may be pushed, claims are in the ID token, logouts go out over the back channel. Consent is
given without asking.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2
from joserfc.jwk import ECKey, RSAKey

from tests.support.browser_jar import BrowserJar, borrowed
from tests.support.people import Person
from tests.support.servers import LOOPBACK, ReadyServer

SCRIPT = Path(__file__).parent / "idp" / "oidc_op.js"


def _signing_keys() -> dict[str, Any]:
    keys: list[RSAKey | ECKey] = [
        RSAKey.generate_key(2048, {"kid": "rsa-1", "use": "sig", "alg": "RS256"}, private=True),
        ECKey.generate_key("P-256", {"kid": "ec-1", "use": "sig", "alg": "ES256"}, private=True),
    ]
    return {"keys": [key.as_dict(private=True) for key in keys]}


class OidcProvider:
    """One provider on a loopback port; `issuer` is what a connection is configured with."""

    def __init__(
        self, *, port: int = 0, host: str = LOOPBACK, people: Sequence[Person] = (), id_token_seconds: int = 300
    ) -> None:
        """Start it without clients; port 0 takes a free one. `host` may be a name under localhost, for browsers."""
        self._folder = tempfile.TemporaryDirectory(prefix="oidc-")
        start = {
            "port": port,
            "host": host,
            "people": [person.as_entry() for person in people],
            "clients": [],
            "jwks": _signing_keys(),
            "id_token_seconds": id_token_seconds,
        }
        self._log = Path(self._folder.name) / "log"
        self._server = ReadyServer(["node", "--no-deprecation", str(SCRIPT), json.dumps(start)], log=self._log)
        self.port: int = self._server.ready["port"]
        self.issuer: str = self._server.ready["issuer"]

    @property
    def url(self) -> str:
        """Return the base address that this process reaches the provider at."""
        return f"http://{LOOPBACK}:{self.port}"

    def register(
        self,
        client_id: str,
        *,
        secret: str = "",
        redirect_uris: Sequence[str],
        backchannel_logout_uri: str = "",
        post_logout_redirect_uris: Sequence[str] = (),
        **metadata: Any,
    ) -> None:
        """Add or replace a client; `metadata` takes any other word of OpenID Connect Registration 1.0, section 2."""
        client = {
            "client_id": client_id,
            "client_secret": secret or None,
            "redirect_uris": list(redirect_uris),
            "post_logout_redirect_uris": list(post_logout_redirect_uris),
            "backchannel_logout_uri": backchannel_logout_uri or None,
            "backchannel_logout_session_required": True if backchannel_logout_uri else None,
            "scope": "openid email profile",
            **metadata,
        }
        self._control("clients", {name: value for name, value in client.items() if value is not None})

    def add_people(self, *people: Person) -> None:
        """Let people sign in by typing their email."""
        self._control("people", [person.as_entry() for person in people])

    def login(self, person: Person, authorization_url: str, *, callback: str, jar: BrowserJar | None = None) -> str:
        """Return the callback URL, with code and state, that the provider sends the browser to; it is not opened.

        `callback` is the redirect URI, or the beginning of it, at which to stop.
        """
        with borrowed(jar) as browser:
            page = browser.follow(browser.get(authorization_url), stop_before=callback, or_end=True)
            if page.location:
                return page.location  # signed in already, or refused
            assert page.forms, f"no login form: {page.status} {page.url}\n{page.text}\n{self.log_text()}"
            answer = browser.submit(page.forms[0], person=person.as_json())
            return browser.follow(answer, stop_before=callback).location

    def logout(self, jar: BrowserJar) -> None:
        """End the provider's own session of a browser; clients are told over the back channel."""
        page = jar.get(f"{self.issuer}/session/end")
        jar.submit(page.forms[0], logout="yes")

    def log_text(self) -> str:
        """Return what the provider has written about errors."""
        return self._log.read_text(errors="replace")

    def close(self) -> None:
        """Stop the provider."""
        self._server.stop()
        self._folder.cleanup()

    def _control(self, what: str, body: Any) -> None:
        httpx2.post(f"{self.url}/control/{what}", json=body).raise_for_status()
