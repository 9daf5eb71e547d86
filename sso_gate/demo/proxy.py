"""A small reverse proxy in front of the sample application: what nginx, Traefik, Caddy and Envoy do with the gate.

Every request is put before the gate's `/check`; only its `200` opens the way, and what the gate says about the person
replaces whatever the client claimed. `/.sso-gate/` on the application's host belongs to the gate. Anything unexpected
closes.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import httpx2
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from sso_gate.demo.pages import page
from sso_gate.web.language import wishes_in

GATE_PREFIX = b"/.sso-gate/"
GATE_COOKIES = b"__Host-sso_gate"
IDENTITY_PREFIX = b"x-sso-gate-"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
LONGEST_BODY_BYTES = 1 << 20
SECONDS = 30.0
# What the check may answer instead of a pass; the browser gets it as it is (interface: forward auth).
ANSWERS = frozenset((302, 303, 401, 403, 429, 503))
# RFC 9110 7.6.1: these are between two neighbours.
_CONNECTION = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding"
    b" upgrade".split()
)
_OURS = frozenset(
    b"forwarded x-forwarded-for x-forwarded-host x-forwarded-proto x-forwarded-method x-forwarded-uri x-real-ip".split()
)
_BODY = frozenset(b"content-length content-type content-encoding expect".split())

Pairs = list[tuple[bytes, bytes]]


def create_proxy_app(*, gate: str, application: str, host: str) -> Starlette:
    """Return the proxy that serves `host` (with its port).

    `gate` and `application` are where the two listen, such as http://127.0.0.1:8080.
    """
    proxy = _Proxy(gate=gate, application=application, host=host)
    return Starlette(
        routes=[Route("/{path:path}", proxy.answer, methods=METHODS)],
        middleware=[Middleware(RequestBodyLimitMiddleware, max_body_size=LONGEST_BODY_BYTES)],
        lifespan=proxy.lifespan,
    )


class _Proxy:
    def __init__(self, *, gate: str, application: str, host: str) -> None:
        self._gate = gate
        self._application = application
        self._host = host
        self._client = httpx2.AsyncClient(timeout=SECONDS, follow_redirects=False, trust_env=False)

    @asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        async with self._client:
            yield

    async def answer(self, request: Request) -> Response:
        if request.headers.get("host", "").lower() != self._host:
            return Response("This proxy serves another host.\n", 421, media_type="text/plain")
        try:
            if request.scope["raw_path"].startswith(GATE_PREFIX):
                return await self._pass_on(request, self._gate, [*_from_client(request), *_forwarded(request)])
            return await self._guarded(request)
        except httpx2.HTTPError:
            return _unavailable(request)

    async def _guarded(self, request: Request) -> Response:
        verdict = await self._check(request)
        if verdict.status_code == 200:
            return await self._pass_on(request, self._application, _for_application(request, verdict))
        if verdict.status_code not in ANSWERS:
            return _unavailable(request)
        answer = Response(verdict.content, verdict.status_code)
        # The body was decoded on the way, so its length is our own.
        own = [pair for pair in answer.raw_headers if pair[0] == b"content-length"]
        answer.raw_headers = [*_came_with(verdict, without=(b"content-encoding", b"content-length")), *own]
        return answer

    async def _check(self, request: Request) -> httpx2.Response:
        headers = [(name, value) for name, value in _from_client(request) if name not in _BODY]
        return await self._client.get(f"{self._gate}/check", headers=[*headers, *_forwarded(request)])

    async def _pass_on(self, request: Request, upstream: str, headers: Pairs) -> Response:
        sent = self._client.build_request(
            request.method,
            upstream,
            headers=[(name, value) for name, value in headers if name != b"content-length"],
            content=await request.body(),
            # Byte for byte what was checked: a URL would be put in order first, and name another page.
            extensions={"target": _target(request)},
        )
        got = await self._client.send(sent, stream=True)
        answer = StreamingResponse(got.aiter_raw(), got.status_code, background=BackgroundTask(got.aclose))
        answer.raw_headers = _came_with(got)
        return answer


def _unavailable(request: Request) -> Response:
    request.state.language = wishes_in(request.scope["query_string"], request.headers).choose()
    answer = page(request, "unavailable.html", 503)
    answer.headers["Retry-After"] = "2"
    return answer


def _target(request: Request) -> bytes:
    path, query = request.scope["raw_path"], request.scope["query_string"]
    return bytes(path + (b"?" + query if query else b""))


def _from_client(request: Request) -> Pairs:
    """Return the client's own headers without those that speak for somebody else: a proxy, or the gate."""
    named = {name.strip().lower().encode("latin-1") for name in request.headers.get("connection", "").split(",")}
    dropped = _CONNECTION | _OURS | named
    return [
        (name, value)
        for name, value in request.headers.raw
        # Some servers hand `X_SSO_Gate_User` to an application under the same name as `X-SSO-Gate-User`.
        if name not in dropped and not name.replace(b"_", b"-").startswith(IDENTITY_PREFIX)
    ]


def _forwarded(request: Request) -> Pairs:
    return [
        (b"x-forwarded-for", (request.client.host if request.client else "").encode("ascii")),
        (b"x-forwarded-host", request.headers["host"].encode("latin-1")),
        (b"x-forwarded-proto", request.url.scheme.encode("ascii")),
        (b"x-forwarded-method", request.method.encode("ascii")),
        (b"x-forwarded-uri", _target(request)),
    ]


def _for_application(request: Request, verdict: httpx2.Response) -> Pairs:
    """Return the headers for the application: the client's without the gate's cookies, and who the gate says it is."""
    kept = [(name, value) for name, value in _from_client(request) if name != b"cookie"]
    cookies = b"; ".join(_foreign_cookies(value for name, value in request.headers.raw if name == b"cookie"))
    identity = [pair for pair in _came_with(verdict) if pair[0].startswith(IDENTITY_PREFIX)]
    return [*kept, *([(b"cookie", cookies)] if cookies else []), *_forwarded(request), *identity]


def _foreign_cookies(lines: Iterable[bytes]) -> Iterable[bytes]:
    parts = (part.strip() for line in lines for part in line.split(b";"))
    return (part for part in parts if part and not part.startswith(GATE_COOKIES))


def _came_with(got: httpx2.Response, *, without: Iterable[bytes] = ()) -> Pairs:
    """Return the headers of an answer, names in lower case, each as often as it came."""
    dropped = _CONNECTION.union(without)
    return [(name.lower(), value) for name, value in got.headers.raw if name.lower() not in dropped]
