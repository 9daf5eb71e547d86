"""A second OpenID provider that nobody here wrote: Canaille, an identity management program.

Unlike npm `oidc-provider` it makes PKCE optional, takes clients by dynamic registration, asks for consent in a form,
offers `none` and no pushed requests, sends `auth_time` as a fraction, `aud` as a list, and no `email_verified`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests.support.browser_jar import BrowserJar
from tests.support.people import Person
from tests.support.servers import LOOPBACK, ReadyServer

PROGRAM = "tests.support.canaille_process"
PASSWORD = "correct horse battery"
MAX_PAGES = 5


@dataclass(frozen=True, slots=True)
class Client:
    """What the provider gave a client that registered itself."""

    id: str
    secret: str


class CanailleOp:
    """One provider on a loopback port, with these people; a person signs in by email address and password."""

    def __init__(self, *people: Person) -> None:
        """Start it."""
        self._folder = tempfile.TemporaryDirectory(prefix="canaille-")
        entries = [
            {
                "user": person.email,
                "name": person.name,
                "email": person.email,
                "password": PASSWORD,
                "groups": list(person.groups),
            }
            for person in people
        ]
        command = [sys.executable, "-m", PROGRAM, json.dumps(entries)]
        self._server = ReadyServer(command, log=Path(self._folder.name) / "log")
        self.issuer = f"http://{LOOPBACK}:{self._server.ready['port']}"

    def register(self, callback: str, **metadata: object) -> Client:
        """Register a client. Source: OpenID Connect Dynamic Client Registration 1.0, 3.1."""
        asked = {
            "client_name": "sso-gate",
            "redirect_uris": [callback],
            "grant_types": ["authorization_code"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "client_secret_basic",
            "scope": "openid email profile groups",
            **metadata,
        }
        answer = httpx2.post(f"{self.issuer}/oauth/register", json=asked).raise_for_status().json()
        return Client(answer["client_id"], answer["client_secret"])

    def login(self, person: Person, authorization_url: str, *, callback: str, jar: BrowserJar) -> str:
        """Return the callback URL that the provider sends the browser to after its three forms; it is not opened."""
        fields = {"login": person.email, "password": PASSWORD, "answer": "accept"}
        page = jar.follow(jar.get(authorization_url), stop_before=callback, or_end=True)
        for _ in range(MAX_PAGES):
            if page.location:
                return page.location
            form = page.forms[0]
            asked = {name: value for name, value in fields.items() if name in form.fields}
            answer = jar.submit(form, **(asked or {"answer": fields["answer"]}))
            page = jar.follow(answer, stop_before=callback, or_end=True)
        raise AssertionError(f"never sent back: {page.status} {page.url}\n{self._server.log_text()[-4000:]}")

    def close(self) -> None:
        """Stop the provider."""
        self._server.stop()
        self._folder.cleanup()
