"""The gate's half of an OpenID login, as the login flow makes it, with a clock that stands still until it is moved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

import pytest

from sso_gate.connections.connection import AttributeMap, Connection, OidcSettings
from sso_gate.errors import Reason, Refused
from sso_gate.protocols.fetch import Fetcher, Limits
from sso_gate.protocols.oidc.callback import OidcProof, finish
from sso_gate.protocols.oidc.keys import ClientKey
from sso_gate.protocols.oidc.logout import LogoutToken, verify_logout_token
from sso_gate.protocols.oidc.provider import Providers
from sso_gate.protocols.oidc.request import begin
from sso_gate.protocols.protocol import Departure, Endpoints
from tests.support.oidc_forge import Forge

HANDLE = "handle-of-this-login-0123456789abcdef"
LOOPBACK_NETWORKS = (ip_network("127.0.0.0/8"),)


class SteadyClock:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.instant = datetime.now(UTC)

    def now(self) -> datetime:
        return self.instant

    def seconds(self) -> float:
        return self.instant.timestamp()

    def advance(self, **by: float) -> None:
        self.instant += timedelta(**by)


@dataclass(slots=True)
class Journey:
    """Begin and finish a login at a forge; `departure` is kept between the two."""

    forge: Forge
    connection: Connection
    providers: Providers
    clock: SteadyClock
    client_key: ClientKey | None = None
    passed: list[str] = field(default_factory=list)

    @property
    def endpoints(self) -> Endpoints:
        return Endpoints("http://localhost:8080", self.connection.id)

    def with_settings(self, **changes: Any) -> None:
        """Change the connection's settings, as an administrator does: the revision grows."""
        settings = self.connection.settings
        assert isinstance(settings, OidcSettings)
        changed = replace(settings, **changes)
        self.connection = replace(self.connection, settings=changed, revision=self.connection.revision + 1)

    async def begin(self, **options: Any) -> Departure:
        return await begin(
            self.connection,
            self.endpoints,
            self.providers,
            handle=options.pop("handle", HANDLE),
            now=self.clock.now(),
            client_key=self.client_key,
            **options,
        )

    async def finish(
        self, params: list[tuple[str, str]], expectations: Mapping[str, str], *, handle: str = HANDLE
    ) -> OidcProof:
        self.passed.clear()
        return await finish(
            params,
            connection=self.connection,
            endpoints=self.endpoints,
            providers=self.providers,
            expected_handle=handle,
            expected_nonce=expectations["nonce"],
            expected_issuer=expectations["issuer"],
            expected_fresh_since=expectations["fresh_since"],
            code_verifier=expectations["code_verifier"],
            client_key=self.client_key,
            now=self.clock.now(),
            passed=self.passed.append,
        )

    async def log_in(self, **options: Any) -> OidcProof:
        """Return the proof of a whole login."""
        departure = await self.begin(**options)
        return await self.finish(self.forge.log_in(departure.url), departure.expectations)

    async def refused(self, **options: Any) -> Reason:
        """Return the reason why a whole login is refused; a login that is not refused fails the test."""
        with pytest.raises(Refused) as refusal:
            await self.log_in(**options)
        return refusal.value.reason

    async def told_of_logout(self, token: str) -> LogoutToken:
        return await verify_logout_token(
            token,
            connection=self.connection,
            endpoints=self.endpoints,
            providers=self.providers,
            now=self.clock.now(),
        )

    async def logout_refused(self, token: str) -> Reason:
        with pytest.raises(Refused) as refusal:
            await self.told_of_logout(token)
        return refusal.value.reason


def new_journey(forge: Forge, **settings: Any) -> Journey:
    """Return a journey over a fresh cache, at a connection that fits the forge."""
    clock = SteadyClock()
    forge.now = clock.seconds
    limits = Limits(total_seconds=2.0, step_seconds=1.0)
    usual = {"issuer": forge.issuer, "client_id": forge.client_id, "client_secret": forge.client_secret}
    connection = Connection(
        id="acme-oidc",
        organization="org_acme",
        name="Acme",
        enabled=True,
        revision=1,
        attributes=AttributeMap(),
        roles={},
        settings=OidcSettings(**{**usual, **settings}),
    )
    return Journey(forge, connection, Providers(Fetcher(LOOPBACK_NETWORKS, limits=limits), clock), clock)
