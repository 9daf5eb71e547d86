"""A gate as people run it: the `sso-gate` program, an organization file, and HTTP. Nothing here imports the product."""

from __future__ import annotations

import atexit
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx2

from tests.integration.prefork import Commands, Started
from tests.support.servers import LOOPBACK, ServerFailed, free_port, stop

ROOT = Path(__file__).parents[2]
READY_SECONDS = 60
SECRET_KEYS = "an-integration-test-key-of-40-characters"
APP_HOST = "app.localhost:8081"
STRANGER_ADDRESS = "127.0.0.9"  # a loopback address that no gate of the tests trusts as a proxy


@dataclass(frozen=True, slots=True)
class Ran:
    """How one command ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


class RunningGate:
    """One gate: `sso-gate serve` on a loopback port, with a data folder and settings of its own.

    Everything that connects from 127.0.0.1 is a trusted proxy to it; `stranger` connects from elsewhere.
    """

    command: Sequence[str] = ("serve",)

    def __init__(self, **settings: str) -> None:
        """Start it and wait until it is ready; `settings` are SSO_GATE_… variables without prefix, empty: unset."""
        self.folder = Path(tempfile.mkdtemp(prefix="gate-"))  # short: a unix socket's path may have 100 bytes
        self.port, self.admin_port = free_port(), free_port()
        self.host = f"gate.localhost:{self.port}"
        self.origin = f"http://{self.host}"
        self.address = f"http://{LOOPBACK}:{self.port}"
        self.settings = {
            "PUBLIC_URL": self.origin,
            "BIND": f"{LOOPBACK}:{self.port}",
            "ADMIN_BIND": f"{LOOPBACK}:{self.admin_port}",
            "DATA_DIR": str(self.folder / "var"),
            "TRUSTED_PROXIES": f"{LOOPBACK}/32",
            "RETURN_HOSTS": APP_HOST,
            "ALLOW_PRIVATE_NETWORKS": "127.0.0.0/8",
            "LOGIN_RATE": "100000/1m",
            "SECRET_KEYS": SECRET_KEYS,
            **settings,
        }
        self._log = self.folder / "log"
        self.client = httpx2.Client(base_url=self.address, timeout=30)
        self.stranger = httpx2.Client(
            base_url=self.address, timeout=30, transport=httpx2.HTTPTransport(local_address=STRANGER_ADDRESS)
        )
        self.start()

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of the gate's processes; nothing of the developer's own settings gets in."""
        others = {name: value for name, value in os.environ.items() if not name.startswith("SSO_GATE_")}
        ours = {**self.settings, **more}
        return {**others, **{f"SSO_GATE_{name}": value for name, value in ours.items() if value}}

    def start(self) -> None:
        """Start `sso-gate serve` and wait until it is ready."""
        self.process = self._started(self.command)
        deadline = time.monotonic() + READY_SECONDS
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise ServerFailed(f"the gate did not become ready:\n{self.log_text()[-4000:]}")
            time.sleep(0.05)

    def _started(self, arguments: Sequence[str]) -> subprocess.Popen[bytes] | Started:
        if self.settings.get("WORKERS", "1") == "1":
            return _commands().start(arguments, environment=self.environment(), log=self._log)
        # Processes that count together must know of it before they load the library that counts.
        command = [sys.executable, "-m", "sso_gate", *arguments]
        with self._log.open("ab") as log:
            return subprocess.Popen(
                command, cwd=ROOT, env=self.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def is_ready(self) -> bool:
        try:
            return self.client.get("/health/ready").status_code == 200
        except httpx2.HTTPError:
            return False

    def log_text(self) -> str:
        return self._log.read_text(errors="replace")

    def run(self, *arguments: str, said: str = "", settings: Mapping[str, str] | None = None) -> Ran:
        """Return how `sso-gate` ended with these arguments; `said` is typed on its stdin."""
        return Ran(*_commands().run(arguments, environment=self.environment(**(settings or {})), said=said))

    def heard(self) -> str:
        """Return what the command that another thread runs has said so far."""
        return _commands().heard()

    def apply(self, organization: Organization, *options: str) -> Ran:
        """Return how applying the organization's file ended."""
        return self.run("apply", str(organization.write(self.folder)), *options)

    def applied(self, organization: Organization) -> Organization:
        """Apply the organization, which must work, and return it."""
        ran = self.apply(organization)
        assert ran.code == 0, ran.err
        return organization

    def token(self, organization: Organization, *scopes: str) -> str:
        """Return the secret of a new token."""
        named = [word for scope in scopes for word in ("--scope", scope)]
        ran = self.run("token", "create", "--org", organization.slug, *named)
        assert ran.code == 0, ran.err
        return ran.out.strip()

    def close(self) -> None:
        """Stop the gate and remove its folder."""
        self.client.close()
        self.stranger.close()
        stop(self.process, timeout_seconds=30)
        shutil.rmtree(self.folder, ignore_errors=True)


@cache
def _commands() -> Commands:
    commands = Commands()
    atexit.register(commands.close)
    return commands


class Api:
    """A program with a token."""

    def __init__(self, gate: RunningGate, secret: str) -> None:
        """Speak as the owner of the secret."""
        self._client = gate.client
        self._bearer = {"Authorization": f"Bearer {secret}"}

    def get(self, path: str, **params: str) -> httpx2.Response:
        return self._client.get(f"/api/v1/{path}", params=params, headers=self._bearer)

    def post(self, path: str, body: Any, **headers: str) -> httpx2.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._client.post(f"/api/v1/{path}", json=body, headers={**self._bearer, **named})

    def seats(self) -> dict[str, Any]:
        numbers: dict[str, Any] = self.get("seats").raise_for_status().json()
        return numbers

    def events(self, **filters: str) -> list[dict[str, Any]]:
        """Return every event that the filters let through, oldest first, read page by page."""
        found: list[dict[str, Any]] = []
        after = ""
        while True:
            page = self.get("audit-events", after=after, limit="200", **filters).raise_for_status().json()
            found += page["data"]
            if not page["page"]["has_more"]:
                return found
            after = page["page"]["next"]

    def deeds(self) -> list[dict[str, Any]]:
        """Return every event but those of the gate's own duties, which are done at any time."""
        return [event for event in self.events() if event["actor"]["type"] != "system"]


_NUMBERS = itertools.count(1)
_FILE = """\
[organization]
slug = "{slug}"
name = "{name}"
domains = [{domains}]
locale = "pt-BR"

[contract]
kind = "annual_invoiced"
currency = "USD"
unit_price = "20.00"
price_per = "seat_month"
anchor_date = {anchor_date}
timezone = "America/Sao_Paulo"
seats = {seats}
minimum_seats = 1
auto_renew = true
proration = "started_month"
purchase_roles = ["owner", "primary_owner"]
payment_days = 30
tax = [{{ category = "S", rate_percent = "19" }}]

[seller]
name = "{seller}"
timezone = "Europe/Berlin"
"""


@dataclass
class Organization:
    """An organization file in the making; every one has a short name and a domain of its own."""

    seats: int = 5
    anchor_date: str = "2026-01-01"
    seller: str = "Example GmbH"
    members: list[str] = field(default_factory=list)
    connections: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    domains: list[str] = field(default_factory=list)
    more: str = ""

    def __post_init__(self) -> None:
        """Choose the names."""
        number = next(_NUMBERS)
        self.slug = f"acme-{number}"
        self.domain = f"acme-{number}.example"
        self.domains = self.domains or [self.domain]
        self.owner = self.email("owner")
        self.add_member("owner", role="primary_owner")

    @property
    def saml(self) -> str:
        """Return the id of the SAML connection."""
        return f"{self.slug}-saml"

    @property
    def oidc(self) -> str:
        """Return the id of the OIDC connection."""
        return f"{self.slug}-oidc"

    def email(self, name: str) -> str:
        return f"{name}@{self.domain}"

    def add_member(self, name: str, *, role: str = "user", grants: Sequence[str] = (), connection: str = "") -> None:
        lines = [f'email = "{self.email(name)}"', f'name = "{name.title()}"', f'role = "{role}"']
        lines += [f"grants = {json.dumps(list(grants))}"] if grants else []
        lines += [f'connection = "{connection}"'] if connection else []
        self.members.append("\n[[members]]\n" + "\n".join(lines) + "\n")

    def add_saml(self, metadata: str, *, lines: str = "", tables: str = "", identifier: str = "") -> str:
        """Add a SAML connection and return its id; `lines` are its keys, `tables` what follows them."""
        identifier = identifier or self.saml
        self.files[f"{identifier}.xml"] = metadata
        keys = f'id = "{identifier}"\nprotocol = "saml"\nmetadata_file = "{identifier}.xml"\n'
        self.connections.append(f"\n[[connections]]\n{keys}{lines}\n{tables}\n")
        return identifier

    def add_oidc(self, issuer: str, *, client_id: str, secret: str, lines: str = "", tables: str = "") -> str:
        """Add the OIDC connection and return its id."""
        self.files[f"{self.oidc}.txt"] = secret
        keys = f'id = "{self.oidc}"\nprotocol = "oidc"\nissuer = "{issuer}"\nclient_id = "{client_id}"\n'
        keys += f'client_secret_file = "{self.oidc}.txt"\n'
        self.connections.append(f"\n[[connections]]\n{keys}{lines}\n{tables}\n")
        return self.oidc

    def text(self) -> str:
        """Return the file."""
        head = _FILE.format(
            slug=self.slug,
            name=f"Organization {self.slug}",
            domains=", ".join(f'"{domain}"' for domain in self.domains),
            seats=self.seats,
            anchor_date=self.anchor_date,
            seller=self.seller,
        )
        return head + "".join(self.members) + "".join(self.connections) + self.more

    def write(self, folder: Path) -> Path:
        """Write the file and what it names into the folder and return its path."""
        place = folder / self.slug
        place.mkdir(exist_ok=True)
        for name, text in self.files.items():
            (place / name).write_text(text)
        path = place / f"{self.slug}.toml"
        path.write_text(self.text())
        return path
