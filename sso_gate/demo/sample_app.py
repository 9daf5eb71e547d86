"""The sample application: has no login, shows who the gate says is there, and verifies the gate's signed word for it.

What a real application would do to trust nobody on the way: take the keys from the gate's `/.well-known/jwks.json`
and demand issuer, audience, time and subject of the assertion.
"""

import copy
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import httpx2
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sso_gate.clock import Clock
from sso_gate.demo.pages import page, static_files
from sso_gate.web.language import Languages

ALGORITHM = "EdDSA"
LONGEST_LIFETIME_SECONDS = 60
SKEW_SECONDS = 5
SECONDS = 5.0


class EdDsaOnly(JWSRegistry):
    """A JOSE registry with one algorithm: no header can ask for another."""

    algorithms = {ALGORITHM: copy.copy(JWSRegistry.algorithms[ALGORITHM])}  # noqa: RUF012 - as the base class has it


# joserfc warns of this name (RFC 9864 prefers "Ed25519"), which is the one that JWT libraries know.
EdDsaOnly.algorithms[ALGORITHM].security_warning = None


class NotVerified(Exception):
    """The gate's word does not hold; the message says why."""


@dataclass(frozen=True, slots=True)
class Who:
    """The person, as the gate's headers have them; empty where it said nothing."""

    user: str
    email: str
    name: str
    organization: str
    role: str
    groups: str

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> "Who":
        """Return what the headers say; the gate percent-encodes what is not ASCII."""
        return cls(**{name: unquote(headers.get(f"x-sso-gate-{name}", "")) for name in cls.__slots__})


class Assertions:
    """Verifies the gate's assertions for one application by the gate's published keys, fetched when unknown."""

    def __init__(self, *, gate: str, issuer: str, audience: str, clock: Clock) -> None:
        """`gate` is where the gate listens, `issuer` its public URL, `audience` this application's host."""
        self._address = f"{gate}/.well-known/jwks.json"
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self._keys: KeySet | None = None
        self.client = httpx2.AsyncClient(timeout=SECONDS, follow_redirects=False, trust_env=False)

    async def verify(self, assertion: str, *, user: str) -> Mapping[str, Any]:
        """Return the claims of an assertion about `user`.

        Raises:
            NotVerified: the signature, issuer, audience, times or subject do not hold.
        """
        try:
            claims = await self._signed_claims(assertion)
        except (JoseError, ValueError, httpx2.HTTPError) as error:
            raise NotVerified(f"{type(error).__name__}: {error}") from error
        self._check(claims, user)
        return claims

    async def _signed_claims(self, assertion: str) -> Mapping[str, Any]:
        try:
            return _decoded(assertion, self._keys or await self._fetch())
        except (JoseError, ValueError):
            return _decoded(assertion, await self._fetch())  # the gate's key may be new

    async def _fetch(self) -> KeySet:
        answer = await self.client.get(self._address)
        answer.raise_for_status()
        self._keys = KeySet.import_key_set(json.loads(answer.content))
        return self._keys

    def _check(self, claims: Mapping[str, Any], user: str) -> None:
        now = self._clock.now().timestamp()
        expires, issued = claims.get("exp"), claims.get("iat")
        if claims.get("iss") != self._issuer or claims.get("aud") not in (self._audience, [self._audience]):
            raise NotVerified(f"from {claims.get('iss')} for {claims.get('aud')}")
        if not isinstance(expires, int) or not isinstance(issued, int) or expires - issued > LONGEST_LIFETIME_SECONDS:
            raise NotVerified("no short lifetime")
        if not issued - SKEW_SECONDS <= now < expires + SKEW_SECONDS:
            raise NotVerified("expired, or not yet valid")
        if not user or claims.get("sub") != user:
            raise NotVerified("about somebody else")


def _decoded(assertion: str, keys: KeySet) -> Mapping[str, Any]:
    return jwt.decode(assertion, keys, registry=EdDsaOnly(algorithms=[ALGORITHM])).claims


def create_sample_app(assertions: Assertions, *, gate_origin: str) -> Starlette:
    """Return the application; `gate_origin` is the gate's public URL, for links."""

    async def home(request: Request) -> Response:
        who = Who.of(request.headers)
        problem = await _problem(assertions, request, who)
        return page(request, "app.html", who=who, verified=not problem, problem=problem, gate=gate_origin)

    async def me(request: Request) -> Response:
        who = Who.of(request.headers)
        problem = await _problem(assertions, request, who)
        facts = {name: getattr(who, name) for name in Who.__slots__}
        return JSONResponse({**facts, "verified": not problem, "problem": problem, "cookies": sorted(request.cookies)})

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with assertions.client:
            yield

    return Starlette(
        routes=[Route("/api/me", me), static_files(), Route("/{path:path}", home)],
        middleware=[Middleware(Languages)],
        lifespan=lifespan,
    )


async def _problem(assertions: Assertions, request: Request, who: Who) -> str:
    try:
        await assertions.verify(request.headers.get("x-sso-gate-assertion", ""), user=who.user)
    except NotVerified as error:
        return str(error)
    return ""
