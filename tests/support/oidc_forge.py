"""A small OpenID provider that forges: it behaves well until a test bends one of its answers.

It runs in this process, in a thread, on a loopback port. `bend` replaces or changes a whole answer; `claims`, `header`
and `signing` shape the next ID token; everything it was asked is in `asked`. It logs everybody in without a page.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

import uvicorn
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from sso_gate.protocols.oidc.jwks import AsymmetricRegistry
from tests.support.servers import LOOPBACK

Bend = Callable[[dict[str, Any]], Any]
SigningKey = RSAKey | ECKey | OKPKey
_SERVER = ("port", "_server", "_thread")
DISCOVERY, JWKS, TOKEN, USERINFO, PAR = "/.well-known/openid-configuration", "/jwks", "/token", "/userinfo", "/par"


@cache
def usual_key() -> SigningKey:
    """Return the one RS256 key of this process: making one takes a tenth of a second."""
    return new_key("RS256", "rsa-1")


def new_key(algorithm: str, kid: str) -> SigningKey:
    """Return a new key for an algorithm, with its name, use and algorithm written into it."""
    parameters: Any = {"kid": kid, "use": "sig", "alg": algorithm}
    if algorithm.startswith(("RS", "PS")):
        return RSAKey.generate_key(2048, parameters)
    if algorithm.startswith("ES"):
        return ECKey.generate_key({"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}[algorithm], parameters)
    return OKPKey.generate_key("Ed25519", parameters)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that the forge got."""

    method: str
    path: str
    headers: Mapping[str, str]
    form: Mapping[str, str]


@dataclass(slots=True)
class _Code:
    request: dict[str, str]
    used: bool = False


@dataclass(slots=True)
class Forge:
    """The provider. Attributes may be changed at any time; `with Forge() as forge` starts and stops it."""

    client_id: str = "gate"
    client_secret: str = "a secret of thirty-two letters.."
    claims: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    person: dict[str, Any] = field(
        default_factory=lambda: {
            "sub": "subject-1",
            "email": "ana@acme.example",
            "email_verified": True,
            "name": "Ana Souza",
            "groups": ["staff", "gate-owners"],
        }
    )
    userinfo_only: tuple[str, ...] = ()
    clock_offset_seconds: float = 0
    with_par: bool = False
    with_iss: bool = True
    signing: SigningKey = field(default_factory=usual_key)
    published: list[dict[str, Any]] = field(default_factory=list)
    bends: dict[str, Bend] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    codes: dict[str, _Code] = field(default_factory=dict)
    pushed: dict[str, dict[str, str]] = field(default_factory=dict)
    now: Callable[[], float] = time.time
    port: int = 0
    _server: uvicorn.Server | None = None
    _thread: threading.Thread | None = None

    def reset(self) -> None:
        """Behave well again and forget everything; the server stays."""
        for item in fields(self):
            if item.name not in _SERVER:
                made = item.default if item.default_factory is MISSING else item.default_factory()
                setattr(self, item.name, made)
        self.published = [self.signing.as_dict(private=False)]

    def __enter__(self) -> Self:
        """Start serving."""
        self.published = self.published or [self.signing.as_dict(private=False)]
        listener = socket.socket()
        listener.bind((LOOPBACK, 0))
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(self._app(), log_config=None, lifespan="off", ws="none", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.005)
        return self

    def __exit__(self, *error: object) -> None:
        """Stop serving."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(5)

    @property
    def issuer(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def bend(self, path: str, how: Bend | Mapping[str, Any] | Response) -> None:
        """Bend the answer of a path: changed members (None removes), a whole Response, or a function of the answer."""
        if isinstance(how, Response):
            self.bends[path] = lambda _: how
        elif callable(how):
            self.bends[path] = how
        else:
            changes = dict(how)
            self.bends[path] = lambda answer: _changed(answer, changes)

    def count(self, path: str) -> int:
        """Return how often a path was asked for."""
        return sum(1 for request in self.asked if request.path == path)

    def last(self, path: str) -> Asked:
        """Return the latest request for a path."""
        return next(request for request in reversed(self.asked) if request.path == path)

    def log_in(self, url: str) -> list[tuple[str, str]]:
        """Return the parameters with which the provider sends the browser back, for an authorization URL."""
        request = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
        if "request_uri" in request:
            request = self.pushed.pop(request["request_uri"])
        code = secrets.token_urlsafe(16)
        self.codes[code] = _Code(request)
        back = [("code", code), ("state", request["state"])]
        return [*back, ("iss", self.issuer)] if self.with_iss else back

    def id_token(self, nonce: str | None, *, access_token: str = "", **changes: Any) -> str:
        """Return a signed ID token for the person, with `claims` and then `changes` applied; None removes a claim."""
        now = int(self.now() + self.clock_offset_seconds)
        shown = {name: value for name, value in self.person.items() if name not in self.userinfo_only}
        usual = {
            "iss": self.issuer,
            "aud": self.client_id,
            "iat": now,
            "exp": now + 300,
            "auth_time": now,
            "sid": "s-1",
            **shown,
            "nonce": nonce,
            "at_hash": _half(access_token, str(self.signing.alg)) if access_token else None,
        }
        return self.sign(_changed(_changed(usual, self.claims), changes))

    def logout_token(self, *, kind: str = "logout+jwt", **changes: Any) -> str:
        """Return a signed logout token with `changes` applied; None removes a claim."""
        now = int(self.now() + self.clock_offset_seconds)
        usual = {
            "iss": self.issuer,
            "aud": self.client_id,
            "iat": now,
            "exp": now + 120,
            "jti": secrets.token_hex(8),
            "sub": self.person["sub"],
            "sid": "s-1",
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        }
        return self.sign(_changed(usual, changes), typ=kind)

    def sign(self, claims: Mapping[str, Any], **header: Any) -> str:
        """Return a compact JWS of these claims by `signing`; `header` and then the arguments shape its header."""
        algorithm = str(self.signing.alg or "RS256")
        shaped = _changed({"typ": "JWT", "alg": algorithm, "kid": self.signing.kid}, {**self.header, **header})
        registry = AsymmetricRegistry(algorithms=[algorithm], strict_check_header=False)
        signed = jws.serialize_compact(
            {**shaped, "alg": algorithm}, json.dumps(claims), self.signing, registry=registry
        )
        if shaped.get("alg") == algorithm:
            return signed
        return with_signature(shaped, claims, b"")

    def _app(self) -> Starlette:
        answers: dict[str, Callable[[Mapping[str, str]], dict[str, Any]]] = {
            DISCOVERY: self._discovery,
            JWKS: lambda _: {"keys": self.published},
            TOKEN: self._token,
            USERINFO: lambda _: dict(self.person),
            PAR: self._par,
        }
        routes = [
            Route(path, self._endpoint(path, answer), methods=["GET", "POST"]) for path, answer in answers.items()
        ]
        return Starlette(routes=[*routes, Route("/authorize", self._authorize)])

    def _endpoint(self, path: str, answer: Callable[[Mapping[str, str]], dict[str, Any]]) -> Callable[..., Any]:
        async def endpoint(request: Request) -> Response:
            async with request.form() as sent:
                form = {name: str(value) for name, value in sent.multi_items()}
                twice = len(form) != len(sent.multi_items())
            self.asked.append(Asked(request.method, path, dict(request.headers), form))
            body = {"error": "invalid_request"} if twice else answer(form)
            bend = self.bends.get(path)
            bent = bend(body) if bend else body
            if isinstance(bent, Response):
                return bent
            return JSONResponse(bent, 400 if "error" in bent else 201 if path == PAR else 200)

        return endpoint

    async def _authorize(self, request: Request) -> Response:
        self.asked.append(Asked("GET", "/authorize", dict(request.headers), dict(request.query_params)))
        query = dict(request.query_params)
        asked = self.pushed.get(query.get("request_uri", ""), query)
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(self.log_in(str(request.url)))}", 302)

    def _discovery(self, _form: Mapping[str, str]) -> dict[str, Any]:
        at = self.issuer
        pushing = {"pushed_authorization_request_endpoint": at + PAR} if self.with_par else {}
        return {
            "issuer": at,
            "authorization_endpoint": f"{at}/authorize",
            "token_endpoint": at + TOKEN,
            "jwks_uri": at + JWKS,
            "userinfo_endpoint": at + USERINFO,
            "end_session_endpoint": f"{at}/end",
            "authorization_response_iss_parameter_supported": self.with_iss,
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
            **pushing,
        }

    def _token(self, form: Mapping[str, str]) -> dict[str, Any]:
        code = self.codes.get(form.get("code", ""))
        if code is None or code.used or form.get("redirect_uri") != code.request["redirect_uri"]:
            return {"error": "invalid_grant", "error_description": "unknown or used code"}
        code.used = True
        challenge = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if _base64url(challenge) != code.request["code_challenge"]:
            return {"error": "invalid_grant", "error_description": "PKCE"}
        access_token = secrets.token_urlsafe(16)
        token = self.id_token(code.request["nonce"], access_token=access_token)
        return {"access_token": access_token, "token_type": "Bearer", "expires_in": 300, "id_token": token}

    def _par(self, form: Mapping[str, str]) -> dict[str, Any]:
        uri = f"urn:ietf:params:oauth:request_uri:{secrets.token_hex(8)}"
        self.pushed[uri] = dict(form)
        return {"request_uri": uri, "expires_in": 60}


def with_signature(header: Mapping[str, Any], claims: Mapping[str, Any], signature: bytes) -> str:
    """Return a compact JWS put together by hand, with any signature."""
    parts = (_base64url(json.dumps(part).encode()) for part in (header, claims))
    return ".".join((*parts, _base64url(signature)))


def hmac_signed(header: Mapping[str, Any], claims: Mapping[str, Any], secret: bytes) -> str:
    """Return a compact JWS with HMAC-SHA256 over any bytes as the key: what an algorithm confusion sends."""
    unsigned = with_signature({**header, "alg": "HS256"}, claims, b"").rpartition(".")[0]
    return f"{unsigned}.{_base64url(hmac.digest(secret, unsigned.encode(), 'sha256'))}"


def symmetric_jwk(secret: bytes, kid: str) -> dict[str, Any]:
    """Return a symmetric key as it would stand in a JWKS."""
    return dict(OctKey.import_key(secret, {"kid": kid, "alg": "HS256"}).as_dict(private=True))


def _changed(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**values, **changes}.items() if value is not None}


def _half(access_token: str, algorithm: str) -> str:
    name = "sha512" if algorithm == "EdDSA" else f"sha{algorithm[-3:]}"
    digest = hashlib.new(name, access_token.encode()).digest()
    return _base64url(digest[: len(digest) // 2])


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
