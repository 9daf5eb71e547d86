"""Where attacks happen: a running gate, two organizations with forged providers, and what an attack must leave alone.

An attack comes in the best position that its name allows: in the browser with a login under way, with the right
RelayState and the right request, so that only its own flaw can refuse it. Afterwards that login is finished.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import secrets
import sqlite3
import time
import zlib
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from lxml import etree

from tests.attacks.canary import Canary
from tests.attacks.left_alone import Keys, Record, Rows
from tests.integration.gate import Organization, RunningGate
from tests.support.browser_jar import BrowserJar, Page
from tests.support.keys import KeyPair, make_key_pair
from tests.support.oidc_forge import Forge
from tests.support.saml_forge import PERSISTENT, Message, encode

SESSION = "__Host-sso_gate"
LOGIN = "__Host-sso_gate_login"
MAX_CPU_SECONDS = 1.0
MAX_WALL_SECONDS = 10.0  # other work shares the machine; a gate that opens a pipe or an address waits longer
MAX_GROWTH_KIB = 32 * 1024
SHARED_SECONDS = 120.0  # of the ten minutes that a login may be under way
DEEP = "/settings/access?deep=1"
_ADDRESSES = itertools.count(1)
_KEYS = ("idp", "second", "stranger")


@dataclass(frozen=True, slots=True)
class OwnKey:
    """Our key as a provider sees it."""

    certificate_pem: str


@dataclass(frozen=True, slots=True)
class Pending:
    """A login under way: where the browser was sent, and what its answer must repeat."""

    connection: str
    url: str
    query: Mapping[str, str]
    request_id: str = ""

    @property
    def relay_state(self) -> str:
        return self.query.get("RelayState", "")


@dataclass
class World:
    """One connection with a login under way, in the words of the forging kit: what its messages must say to be good."""

    scene: Scene
    connection: str
    request_id: str | None
    idp: KeyPair
    issuer: str

    @property
    def own(self) -> OwnKey:
        return OwnKey(self.scene.own_certificate)

    @property
    def acs(self) -> str:
        return f"{self.scene.gate.origin}/sso/saml/{self.connection}/acs"

    @property
    def entity_id(self) -> str:
        return f"{self.scene.gate.origin}/sso/saml/{self.connection}/metadata"

    @property
    def slo(self) -> str:
        return f"{self.scene.gate.origin}/sso/saml/{self.connection}/slo"

    def message(self, **changes: Any) -> Message:
        """Return a response that is right in every respect but the changes."""
        now = datetime.now(UTC)
        right = Message(self.idp, self.issuer, self.acs, self.entity_id, in_response_to=self.request_id, now=now)
        return right.but(**changes)


@dataclass
class Scene:
    """A running gate, the organization under attack, a rival on the same gate, and everybody's providers."""

    gate: RunningGate
    forge: Forge
    keys: dict[str, KeyPair] = field(default_factory=lambda: {name: make_key_pair(name) for name in _KEYS})
    canary: Canary = field(default_factory=Canary)
    with_rival: bool = True

    def __post_init__(self) -> None:
        """Apply both organizations."""
        self.acme = Organization(seats=60, domains=["acme.example"])
        self.rival = Organization(seats=4, domains=["rival.example"])
        for organization in (self.acme, self.rival):
            organization.domains.append(organization.domain)
            organization.files |= {f"{name}.pem": pair.certificate for name, pair in self.keys.items()}
        self.saml = self.add_saml(self.acme, "saml", tables='[connections.roles]\n"gate-owners" = "owner"')
        self.second = self.add_saml(self.acme, "second", key="second", lines=f'name_id_format = "{PERSISTENT}"')
        self.restart = self.add_saml(self.acme, "restart", lines='accept_unsolicited = "restart"')
        self.accept = self.add_saml(self.acme, "accept", lines='accept_unsolicited = "accept"')
        self.doomed = self.add_saml(self.acme, "doomed")
        self.sealed = self.add_saml(self.acme, "sealed", lines='encrypted_assertions = "require"')
        self.rivals = self.add_saml(self.rival, "saml")  # the same provider: its messages differ by address alone
        self.oidc = self.acme.add_oidc(
            self.forge.issuer, client_id=self.forge.client_id, secret=self.forge.client_secret
        )
        self.rivals_oidc = self.rival.add_oidc(
            self.forge.issuer, client_id=self.forge.client_id, secret=self.forge.client_secret
        )
        for organization in (self.acme, self.rival) if self.with_rival else (self.acme,):
            self.gate.applied(organization)
        self.record = Record(self.gate)
        self.under_way = UnderWay(self)
        self.own_certificate = self._own_certificate()

    def add_saml(self, organization: Organization, name: str, *, key: str = "idp", lines: str = "", tables: str = ""):
        connection = f"{organization.slug}-{name}"
        host = f"https://{key}.acme.example"
        organization.connections.append(
            f'\n[[connections]]\nid = "{connection}"\nprotocol = "saml"\nidp_entity_id = "{host}/saml"\n'
            f'sso_url = "{host}/sso"\nslo_url = "{host}/slo"\ncertificates = ["{key}.pem"]\n{lines}\n{tables}\n'
        )
        return connection

    def _own_certificate(self) -> str:
        xml = self.gate.client.get(f"/sso/saml/{self.saml}/metadata", headers={"Host": self.gate.host}).content
        body = etree.fromstring(xml).find(".//{*}KeyDescriptor[@use='encryption']//{*}X509Certificate").text
        return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"

    def close(self) -> None:
        """Finish the logins under way, which must work, and stop listening."""
        try:
            self.under_way.finish_all()
        finally:
            self.record.close()
            self.canary.close()

    def well_behaved(self) -> None:
        """Have the OpenID provider do everything right from now on."""
        self.forge.reset()
        self.forge.person |= {"email": "eva@acme.example", "name": "Eva"}

    # --- what browsers do ---

    def begin(self, jar: BrowserJar, connection: str = "", **query: str) -> Pending:
        """Send the browser away to its provider."""
        connection = connection or self.saml
        asked = f"?{urlencode(query)}" if query else ""
        page = jar.get(f"{self.gate.origin}/login/{connection}{asked}", headers=new_address())
        assert page.status == 302, page.text
        return pending_of(connection, page.location)

    def world(self, pending: Pending | None = None, connection: str = "") -> World:
        """Return the words for messages that answer this login, or that nobody asked for."""
        connection = connection or (pending.connection if pending else self.saml)
        key = "second" if connection == self.second else "idp"
        request_id = pending.request_id if pending else None
        return World(self, connection, request_id, self.keys[key], f"https://{key}.acme.example/saml")

    def post(self, jar: BrowserJar, encoded: str, *, relay_state: str, connection: str = "", **fields: str) -> Page:
        """Return the gate's answer to a posted SAML response, as it comes from the provider's page."""
        acs = f"{self.gate.origin}/sso/saml/{connection or self.saml}/acs"
        form = {"SAMLResponse": encoded, "RelayState": relay_state, **fields}
        return jar.post(acs, form, initiator="https://idp.acme.example/", headers=new_address())

    def post_body(self, path: str, body: bytes, **headers: str) -> Page:
        """Return the gate's answer to bytes that no browser would send."""
        answer = self.gate.client.post(path, content=body, headers={"Host": self.gate.host, **new_address(), **headers})
        return Page(str(answer.url), answer.status_code, answer.headers, answer.content)

    def callback(self, jar: BrowserJar, params: list[tuple[str, str]], connection: str = "") -> Page:
        """Return the gate's answer to a provider's redirect."""
        address = f"{self.gate.origin}/sso/oidc/{connection or self.oidc}/callback?{urlencode(params)}"
        return jar.get(address, headers=new_address())

    def finish(self, jar: BrowserJar, pending: Pending, **changes: Any) -> Page:
        """Finish a login as its person would; it must work."""
        if pending.request_id:
            message = self.world(pending).message(**changes)
            sealed = pending.connection == self.sealed
            encoded = encode(message.encrypted(self.own_certificate)) if sealed else message.encoded()
            page = self.post(jar, encoded, relay_state=pending.relay_state, connection=pending.connection)
        else:
            page = self.callback(jar, self.forge.log_in(pending.url), pending.connection)
        assert page.status == 303, page.text
        assert jar.cookie(SESSION, "gate.localhost"), page.headers
        return page

    # --- what must not happen ---

    def counts(self) -> Rows:
        return self.record.rows()

    def events(self, **columns: str) -> list[dict[str, Any]]:
        """Return the rows of the audit log, oldest first."""
        where = " AND ".join(f"{name} = ?" for name in columns) or "1 = 1"
        with closing(self.record.connect()) as connection:
            connection.row_factory = sqlite3.Row
            query = f"SELECT * FROM audit_event WHERE {where} ORDER BY id"
            return [dict(row) for row in connection.execute(query, list(columns.values()))]

    def last_event(self) -> dict[str, Any]:
        """Return the newest row of the audit log."""
        with closing(self.record.connect()) as connection:
            connection.row_factory = sqlite3.Row
            return dict(connection.execute("SELECT * FROM audit_event ORDER BY id DESC LIMIT 1").fetchone())

    def member(self, email: str) -> dict[str, Any] | None:
        with closing(self.record.connect()) as connection:
            connection.row_factory = sqlite3.Row
            row = connection.execute("SELECT * FROM member WHERE email_key = ?", [email]).fetchone()
            return dict(row) if row else None

    @contextmanager
    def bounded(self) -> Iterator[None]:
        """Hold the gate's processor time, memory and outgoing connections to what a refusal may cost."""
        pid, hits = self.gate.process.pid, self.canary.hits
        cpu, began = cpu_seconds(pid), time.monotonic()
        with self.bounded_memory():
            yield
        assert cpu_seconds(pid) - cpu < MAX_CPU_SECONDS
        assert time.monotonic() - began < MAX_WALL_SECONDS
        assert self.canary.hits == hits, "the gate opened a connection that a message named"

    @contextmanager
    def bounded_memory(self) -> Iterator[None]:
        """Hold the gate's memory to what a refusal, or a flood of them, may cost."""
        pid = self.gate.process.pid
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak counts from here
        resident = _status(pid, "VmRSS")
        yield
        assert _status(pid, "VmHWM") - resident < MAX_GROWTH_KIB

    def refused(
        self,
        send: Callable[[], Page],
        reason: str,
        *,
        connection: str = "",
        action: str = "auth.login",
        statuses: range = range(400, 500),
    ) -> Page:
        """Return the page of a refusal, after looking at everything that a refusal must be.

        A redirect's own login may be used up by it: code and state are good for one try (RFC 6749 10.5).
        """
        before = self._seen()
        with self.bounded():
            page = send()
        assert page.status in statuses, (page.status, page.text[:2000])
        assert SESSION not in [line.partition("=")[0] for line in page.headers.get_list("set-cookie")]
        own = page.status == 403 or "/callback?" in page.url
        self._left_alone(before, events=1, used_up=own)
        event = self.last_event()
        assert (event["outcome"], event["reason"]) == ("denied", reason), event["body"]
        assert (event["action"], event["connection"]) == (action, connection or self.saml)
        assert event["reference"] in page.text or action == "auth.logout"
        return page

    @contextmanager
    def harmless(self, *, events: int = 0) -> Iterator[None]:
        """Hold what is no answer to a login to the same: nothing begins, ends or changes but so many audit events."""
        before = self._seen()
        with self.bounded():
            yield
        self._left_alone(before, events=events)

    def _seen(self) -> tuple[Rows, Keys]:
        return self.counts(), self.record.keys()

    def _left_alone(self, before: tuple[Rows, Keys], *, events: int, used_up: int = 0) -> None:
        (rows, keys), (rows_after, keys_after) = before, self._seen()
        expected = replace(rows, events=rows.events + events)
        assert rows_after == expected, f"{rows_after} instead of {expected}"
        assert keys_after.sessions == keys.sessions, "a session began or ended"
        assert keys.lost(keys_after) <= used_up, "a login under way was harmed"


class UnderWay:
    """Logins under way in victims' browsers, which attacks share: `refused` looks that each leaves them as they were,
    and each is finished after a while, which must work.
    """

    def __init__(self, scene: Scene) -> None:
        """Begin with none."""
        self._scene = scene
        self._open: dict[str, tuple[float, BrowserJar, Pending]] = {}
        self._sessions: dict[str, BrowserJar] = {}

    def login(self, connection: str = "") -> tuple[BrowserJar, Pending]:
        """Return a browser that is on its way to this connection's provider."""
        connection = connection or self._scene.saml
        if connection in self._open and time.monotonic() - self._open[connection][0] > SHARED_SECONDS:
            self._finish(connection)
        if connection not in self._open:
            jar, known = BrowserJar(), len(self._scene.record.keys().pending)
            pending = self._scene.begin(jar, connection, return_to=DEEP)
            assert len(self._scene.record.keys().pending) > known, "logins under way are not where this looks for them"
            self._open[connection] = (time.monotonic(), jar, pending)
        return self._open[connection][1:]

    def signed_in(self, connection: str = "") -> BrowserJar:
        """Return the browser of somebody who has come in by this connection and whose session lives."""
        connection = connection or self._scene.saml
        jar = self._sessions.get(connection)
        if jar is None or not self._lives(jar):
            if jar:
                jar.close()
            jar = self._sessions[connection] = BrowserJar()
            self._scene.finish(jar, self._scene.begin(jar, connection))
            assert self._lives(jar), "sessions are not where this looks for them"
        return jar

    def _lives(self, jar: BrowserJar) -> bool:
        cookie = jar.cookie(SESSION, "gate.localhost")
        digest = hashlib.sha256(cookie.value.partition(".")[2].encode()).hexdigest() if cookie else ""
        return any(key.endswith(f":{digest}") for key in self._scene.record.keys().sessions)

    def finish_all(self) -> None:
        """Finish every login that is left."""
        self._scene.well_behaved()
        for connection in list(self._sessions):
            self._sessions.pop(connection).close()
        for connection in list(self._open):
            self._finish(connection)

    def _finish(self, connection: str) -> None:
        _, jar, pending = self._open.pop(connection)
        email = f"{connection}@acme.example"
        person = {} if connection == self._scene.saml else {"name_id": email, "attributes": {"mail": [email]}}
        with jar:
            assert self._scene.finish(jar, pending, **person).location.endswith(DEEP)


def new_address() -> dict[str, str]:
    """Return headers of the trusted proxy that name a client of its own: equal refusals of one client are counted."""
    number = next(_ADDRESSES)
    return {"X-Forwarded-For": f"10.{number // 65536 % 256}.{number // 256 % 256}.{number % 256}"}


def pending_of(connection: str, url: str) -> Pending:
    """Return the login that an address of a provider belongs to."""
    fields = dict(parse_qsl(urlsplit(url).query))
    return Pending(connection, url, fields, _request_id(fields))


def _request_id(fields: Mapping[str, str]) -> str:
    if "SAMLRequest" not in fields:
        return ""
    return str(etree.fromstring(zlib.decompress(b64decode(fields["SAMLRequest"]), -15)).get("ID"))


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / 100


def _status(pid: int, name: str) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"{name}:\s+(\d+) kB", text)
    assert found, name
    return int(found[1])


def unique(name: str) -> str:
    """Return an address in the organization's domain that nobody had before."""
    return f"{name}-{secrets.token_hex(4)}@acme.example"
