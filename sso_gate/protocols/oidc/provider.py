"""What is known of each OpenID provider: its discovery document and its keys, fetched seldom and checked always."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from sso_gate.clock import Clock
from sso_gate.connections.connection import Connection, OidcSettings
from sso_gate.errors import Reason, Refused
from sso_gate.protocols.fetch import JSON, Expected, Fetcher, parse_url
from sso_gate.protocols.oidc.jwks import VerificationKey, choose_key, import_keys
from sso_gate.protocols.oidc.strict_json import parse_object

DISCOVERY_LIFETIME = timedelta(hours=1)
KEYS_LIFETIME = timedelta(minutes=10)
# An unknown `kid` may mean that the provider has rotated, or that somebody makes up names to have us flood it.
KEYS_REFETCH_INTERVAL = timedelta(minutes=1)
# Those who wait for a dead provider get the first one's failure instead of a time-out each.
FAILURE_LIFETIME = timedelta(seconds=5)
MAX_PROVIDERS = 512
MAX_DOCUMENT_BYTES = 256 * 1024

T = TypeVar("T")
_Keys = tuple[VerificationKey, ...]


@dataclass(frozen=True, slots=True)
class Discovery:
    """The part of a provider's metadata that the gate uses; an endpoint that is not offered is empty.

    Source: OpenID Connect Discovery 1.0, section 3; RFC 8414 2; RFC 9126 5; RFC 9207 3.
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str
    end_session_endpoint: str
    pushed_authorization_request_endpoint: str
    issuer_in_response: bool


class _Remembered(Generic[T]):
    """One value that is fetched when needed, by one caller at a time, and kept for its lifetime."""

    def __init__(self, load: Callable[[], Awaitable[T]], clock: Clock, lifetime: timedelta) -> None:
        self._load = load
        self._clock = clock
        self._lifetime = lifetime
        self._lock = asyncio.Lock()
        self._value: T | None = None
        self._failure: Refused | None = None
        self._tried_at: datetime | None = None
        self._loaded_at: datetime | None = None

    async def get(self) -> T:
        """Return the value, no older than its lifetime; Refused when it cannot be had."""
        async with self._lock:
            if self._value is not None and self._younger(self._loaded_at, self._lifetime):
                return self._value
            if self._failure is not None and self._younger(self._tried_at, FAILURE_LIFETIME):
                raise Refused(self._failure.reason, self._failure.detail)
            return await self._try()

    async def newer(self, interval: timedelta) -> T:
        """Return the value fetched anew, or as it is where the last attempt is younger than `interval`.

        A failure is raised, and leaves the value that is there for the others.
        """
        async with self._lock:
            if self._value is not None and self._younger(self._tried_at, interval):
                return self._value
            return await self._try()

    async def _try(self) -> T:
        self._tried_at = self._clock.now()
        try:
            value = await self._load()
        except Refused as failure:
            # From its end on: a time-out takes longer than a failure is remembered.
            self._failure, self._tried_at = failure, self._clock.now()
            raise
        self._value, self._loaded_at, self._failure = value, self._tried_at, None
        return value

    def _younger(self, instant: datetime | None, period: timedelta) -> bool:
        return instant is not None and timedelta(0) <= self._clock.now() - instant < period


class _Provider:
    def __init__(self, settings: OidcSettings, fetcher: Fetcher, clock: Clock) -> None:
        self._settings = settings
        self._fetcher = fetcher
        self.discovery = _Remembered(self._fetch_discovery, clock, DISCOVERY_LIFETIME)
        self.keys = _Remembered(self._fetch_keys, clock, KEYS_LIFETIME)

    async def _fetch_discovery(self) -> Discovery:
        issuer = self._settings.issuer
        parse_url(issuer, Reason.DISCOVERY_REFUSED)
        if "?" in issuer:
            raise Refused(Reason.DISCOVERY_REFUSED, "an issuer has no query (OpenID Connect Discovery 1.0, 2)")
        document = await self._document(f"{issuer.rstrip('/')}/.well-known/openid-configuration", JSON)
        return read_discovery(document, issuer=issuer)

    async def _fetch_keys(self) -> _Keys:
        discovery = await self.discovery.get()
        document = await self._document(discovery.jwks_uri, (*JSON, "application/jwk-set+json"))
        published = document.get("keys")
        if not isinstance(published, list):
            raise Refused(Reason.DISCOVERY_REFUSED, "the JWKS holds no list of keys")
        return import_keys(published)

    async def _document(self, url: str, content_types: tuple[str, ...]) -> dict[str, Any]:
        expected = Expected(Reason.DISCOVERY_REFUSED, content_types=content_types, max_bytes=MAX_DOCUMENT_BYTES)
        fetched = await self._fetcher.get(url, expected=expected)
        return parse_object(fetched.body, refusal=Reason.DISCOVERY_REFUSED, what="the provider's document")


class Providers:
    """The process's knowledge of providers, per connection and revision: a changed connection starts anew."""

    def __init__(self, fetcher: Fetcher, clock: Clock) -> None:
        self.fetcher = fetcher
        self._clock = clock
        self._known: OrderedDict[tuple[str, int], _Provider] = OrderedDict()

    async def discovery(self, connection: Connection) -> Discovery:
        """Return the provider's metadata, at most an hour old.

        Raises:
            Refused: `discovery_refused` or `provider_unreachable`.
        """
        return await self._provider(connection).discovery.get()

    async def verification_key(self, connection: Connection, *, kid: str | None, algorithm: str) -> VerificationKey:
        """Return the one key that a signature's header means; keys are at most ten minutes old.

        An unknown name has them fetched anew, at most once a minute.

        Raises:
            Refused: `key_unknown`, or as `discovery`.
        """
        keys = self._provider(connection).keys
        found = choose_key(await keys.get(), kid=kid, algorithm=algorithm)
        if found is None:
            found = choose_key(await keys.newer(KEYS_REFETCH_INTERVAL), kid=kid, algorithm=algorithm)
        if found is None:
            raise Refused(Reason.KEY_UNKNOWN, f"no single {algorithm} key is named {kid!r}"[:200])
        return found

    async def inspect(self, connection: Connection) -> tuple[Discovery, int]:
        """Return the metadata fetched now and the number of usable keys: for "checked when saved" and connection tests.

        Raises:
            Refused: as `discovery`; also when an endpoint that the gate would call may not be reached.
        """
        provider = _Provider(oidc_settings(connection), self.fetcher, self._clock)
        discovery = await provider.discovery.get()
        called = (
            discovery.token_endpoint,
            discovery.userinfo_endpoint,
            discovery.pushed_authorization_request_endpoint,
        )
        for url in called:
            if url:
                await self.fetcher.check_url(url, refusal=Reason.DISCOVERY_REFUSED)
        return discovery, len(await provider.keys.get())

    def _provider(self, connection: Connection) -> _Provider:
        name = (connection.id, connection.revision)
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = _Provider(oidc_settings(connection), self.fetcher, self._clock)
            if len(self._known) > MAX_PROVIDERS:
                self._known.popitem(last=False)
        self._known.move_to_end(name)
        return found


def oidc_settings(connection: Connection) -> OidcSettings:
    """Return the connection's OpenID settings.

    Raises:
        Refused: `connection_mismatch`, it speaks SAML.
    """
    if not isinstance(connection.settings, OidcSettings):
        raise Refused(Reason.CONNECTION_MISMATCH, "the connection does not speak OpenID Connect")
    return connection.settings


def read_discovery(document: Mapping[str, Any], *, issuer: str) -> Discovery:
    """Return the metadata of exactly this issuer.

    Raises:
        Refused: `discovery_refused`, the document is another issuer's or an endpoint is missing or not https.
    """
    if document.get("issuer") != issuer:
        raise Refused(Reason.DISCOVERY_REFUSED, "the document names another issuer (OpenID Connect Discovery 1.0, 4.3)")
    return Discovery(
        issuer=issuer,
        authorization_endpoint=_endpoint(document, "authorization_endpoint", issuer),
        token_endpoint=_endpoint(document, "token_endpoint", issuer),
        jwks_uri=_endpoint(document, "jwks_uri", issuer),
        userinfo_endpoint=_endpoint(document, "userinfo_endpoint", issuer, required=False),
        end_session_endpoint=_endpoint(document, "end_session_endpoint", issuer, required=False),
        pushed_authorization_request_endpoint=_endpoint(
            document, "pushed_authorization_request_endpoint", issuer, required=False
        ),
        issuer_in_response=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _endpoint(document: Mapping[str, Any], name: str, issuer: str, *, required: bool = True) -> str:
    value = document.get(name)
    if value is None and not required:
        return ""
    if not isinstance(value, str):
        raise Refused(Reason.DISCOVERY_REFUSED, f"{name} is missing")
    # Plain http only where the issuer itself is: in a demonstration or an allowed private network.
    if parse_url(value, Reason.DISCOVERY_REFUSED).scheme not in ("https", issuer.partition(":")[0]):
        raise Refused(Reason.DISCOVERY_REFUSED, f"{name} is not https")
    return value
