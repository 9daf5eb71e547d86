"""The whole application with one organization, on a real database and Valkey, and browsers that are signed in."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar, TypeVar

import uvicorn
from httpx2 import Client as Browser
from redis import Redis

from sso_gate.admission.admit import Admission, Door
from sso_gate.admission.settle import Denied, Login
from sso_gate.app import create_app
from sso_gate.apply.apply import apply
from sso_gate.apply.file import read_file
from sso_gate.audit.event import Client
from sso_gate.connections import store as connections
from sso_gate.identity import Identity
from sso_gate.login.keys import load_login_keys
from sso_gate.login.trace import steps_passed
from sso_gate.login.trial import Trial, Trials
from sso_gate.organizations import store as organizations
from sso_gate.settings import Settings
from sso_gate.storage.open import open_runtime
from sso_gate.storage.runtime import Runtime

T = TypeVar("T")
FILE = """
[organization]
slug = "acme"
name = "Acme Ltda."
domains = ["acme.example"]
locale = "pt-BR"

[contract]
kind = "annual_invoiced"
currency = "USD"
unit_price = "20.00"
price_per = "seat_month"
anchor_date = 2026-01-01
timezone = "America/Sao_Paulo"
seats = 3
auto_renew = true
purchase_roles = ["owner", "primary_owner"]

[seller]
name = "Example GmbH"
timezone = "Europe/Berlin"

[[members]]
email = "ana@acme.example"
name = "Ana Souza"
role = "primary_owner"

[[members]]
email = "olga@acme.example"
name = "Olga"
role = "owner"

[[members]]
email = "leo@acme.example"
name = "Leo"
role = "user"

[[members]]
email = "finance@acme.example"
role = "user"
grants = ["billing_viewer"]

[[connections]]
id = "acme-oidc"
protocol = "oidc"
issuer = "https://login.acme.example"
client_id = "sso-gate"
client_secret = "not-a-real-secret"
"""


def finished(work: Coroutine[Any, Any, T]) -> T:
    """What the work returns, done in a thread of its own: a browser's driver may have a loop running in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


class Standing:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.instant = datetime(2026, 3, 1, 15, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.instant


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a gate has in SQL and in Redis once its people are signed in: made once, and copied for every other gate."""

    database: bytes
    redis: list[tuple[bytes, int, bytes]]
    cookies: Mapping[str, str]

    @staticmethod
    def of(settings: Settings, cookies: Mapping[str, str]) -> Beginning:
        with Redis.from_url(settings.redis_url) as redis:
            names = redis.keys()
            kept = [(name, max(0, redis.pttl(name)), redis.dump(name)) for name in names]
        return Beginning(_file_of(settings).read_bytes(), kept, cookies)

    def copy_to(self, settings: Settings) -> None:
        _file_of(settings).write_bytes(self.database)
        with Redis.from_url(settings.redis_url) as redis, redis.pipeline() as pipe:
            for name, milliseconds, value in self.redis:
                pipe.restore(name, milliseconds, value)
            pipe.execute()


def _file_of(settings: Settings) -> Path:
    return Path(settings.database_url.removeprefix("sqlite:///"))


class Gate:
    """One gate with one organization on a migrated database, and browsers that are signed in to it."""

    beginning: ClassVar[Beginning | None] = None

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self.clock = settings, Standing()
        self.file = folder / "acme.toml"
        self.file.write_text(FILE)
        if Gate.beginning is None:
            Gate.beginning = Beginning.of(settings, finished(self._prepare()))
        else:
            Gate.beginning.copy_to(settings)
        self.cookies = dict(Gate.beginning.cookies)
        self.app = create_app(settings, self.clock)
        self.url = ""

    async def _prepare(self) -> dict[str, str]:
        runtime = open_runtime(self.settings, self.clock)
        wanted, text = read_file(self.file)
        await apply(runtime, wanted, folder=self.file.parent, text=text, name="acme.toml")
        cookies = {}
        for name in ("ana", "leo", "finance", "olga"):
            admitted = await self._sign_in(runtime, name)
            assert isinstance(admitted, Admission), admitted
            cookies[name] = admitted.token.text
        await load_login_keys(runtime)
        await runtime.close()
        return cookies

    async def _sign_in(self, runtime: Runtime, name: str) -> Admission | Denied:
        organization = await runtime.database.read(lambda tx: organizations.by_slug(tx, "acme"))
        assert organization is not None
        identity = Identity(
            connection="acme-oidc",
            organization=organization.id,
            protocol="oidc",
            subject=name,
            email=f"{name}@acme.example",
            email_verified=True,
            name=name.title(),
            groups=(),
            authenticated_at=self.clock.now(),
            session_index=None,
            login_id=secrets.token_hex(32),
        )
        return await Door.of(runtime).admit(Login(identity=identity, attempt=secrets.token_hex(8), client=Client()))

    def waits(self, name: str) -> None:
        """Let somebody be refused for want of a seat."""

        async def work() -> None:
            runtime = open_runtime(self.settings, self.clock)
            assert isinstance(await self._sign_in(runtime, name), Denied)
            await runtime.close()

        finished(work())

    def comes_again(self, name: str) -> None:
        """Let somebody log in anew, as after a session that has ended."""

        async def work() -> None:
            runtime = open_runtime(self.settings, self.clock)
            admitted = await self._sign_in(runtime, name)
            assert isinstance(admitted, Admission), admitted
            self.cookies[name] = admitted.token.text
            await runtime.close()

        finished(work())

    def passed_trial(self, connection: str, name: str = "trial") -> None:
        """Keep a test login of this connection that passed, as a login that comes back from the provider does."""

        async def work() -> None:
            runtime = open_runtime(self.settings, self.clock)
            found = await runtime.database.read(lambda tx: connections.get(tx, runtime.keyring, connection))
            assert found is not None
            await Trials.of(runtime).keep(found, name, Trial(steps_passed("would take a seat"), {"email": ""}))
            await runtime.close()

        finished(work())

    def browser(self, name: str = "") -> Browser:
        """A browser in which this person is signed in, or nobody."""
        headers = {"accept-language": "en-US"} | ({"cookie": f"__Host-sso_gate={self.cookies[name]}"} if name else {})
        return Browser(base_url=self.url, headers=headers, timeout=30)

    @contextmanager
    def serving(self) -> Iterator[Gate]:
        """Serve on a free loopback port until the block ends."""
        config = uvicorn.Config(self.app, host="127.0.0.1", port=0, log_level="error", lifespan="on")
        server = uvicorn.Server(config)
        thread = Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            thread.join(0.02)
        self.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        yield self
        server.should_exit = True
        thread.join(10)


def hidden(page: str, name: str) -> str:
    found = re.search(f'name="{name}" value="([^"]*)"', page)
    assert found, name
    return found[1]


def plain(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", page.replace("\N{NO-BREAK SPACE}", " ")))
