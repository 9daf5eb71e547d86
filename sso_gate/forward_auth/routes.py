"""The answers of /check, as `docs/architecture.md` tabulates them, and the published keys."""

import time
from collections.abc import Sequence
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sso_gate.admission.recheck import Alive, Ended, Recheck
from sso_gate.clock import to_micros
from sso_gate.errors import Reason, Refused, Unavailable
from sso_gate.forward_auth.assertion import AssertionKeys
from sso_gate.forward_auth.question import Question, read_question
from sso_gate.metrics import CHECK_SECONDS
from sso_gate.refusals import REFUSALS
from sso_gate.sessions.session import Session, SessionToken
from sso_gate.storage.runtime import Runtime
from sso_gate.waiting.ticket import Ticket, Tickets
from sso_gate.web.cookies import SESSION_COOKIE
from sso_gate.web.problems import problem_answer
from sso_gate.web.request_state import runtime_of

MAX_HEADER = 4096
OWN_COOKIES = "__Host-sso_gate"
IDENTITY_HEADERS = tuple(
    f"X-SSO-Gate-{name}" for name in ("User", "Email", "Name", "Organization", "Role", "Groups", "Assertion")
)
_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")
_PLAIN_IN_LIST = _PLAIN.replace(",", "")


async def check(request: Request) -> Response:
    """ANY /check and /check/{path}: 200 with the identity, or what the proxy's dialect has for no."""
    began = time.perf_counter()
    response = await _check(request)
    CHECK_SECONDS.labels("pass" if response.status_code == 200 else "no").observe(time.perf_counter() - began)
    return response


async def _check(request: Request) -> Response:
    runtime = runtime_of(request)
    try:
        question = read_question(request, runtime.settings)
    except Refused as refusal:
        return _refused_api(request, refusal.reason)
    try:
        return await _answer(request, runtime, question)
    except Unavailable as trouble:
        return _unavailable(request, question, trouble)


async def _answer(request: Request, runtime: Runtime, question: Question) -> Response:
    found = await _session(request, runtime, question)
    match found:
        case Alive(session) if session.kind == "seat":
            return _pass(request, runtime, question, session)
        case Alive(session):
            return await _refused(request, runtime, question, Ended(session, Reason.SEAT_UNAVAILABLE))
        case Ended():
            return await _refused(request, runtime, question, found)
        case None:
            return _not_signed_in(request, runtime, question)


async def _session(request: Request, runtime: Runtime, question: Question) -> Alive | Ended | None:
    cookie = SESSION_COOKIE.read(request)
    token = SessionToken.parse(cookie) if cookie else None
    found = await Recheck.of(runtime).session(token) if token else None
    # A cookie of one application's host is worth nothing on another.
    return None if found and found.session.host not in ("", question.host) else found


def _pass(request: Request, runtime: Runtime, question: Question, session: Session) -> Response:
    keys: AssertionKeys = request.state.assertion_keys
    audience = question.host or runtime.settings.public_host
    assertion = keys.sign(session, issuer=runtime.settings.origin, audience=audience, now=runtime.clock.now())
    headers = identity_headers(session, assertion)
    if question.dialect == "traefik":
        headers |= _cookies_for_application(request)
    return Response(b"", 200, headers=headers)


def _cookies_for_application(request: Request) -> dict[str, str]:
    """Return the request's cookies without the gate's own: Traefik cannot take one out, but copies this header."""
    pairs = [part.strip() for line in request.headers.getlist("cookie") for part in line.split(";")]
    kept = [pair for pair in pairs if pair and not pair.startswith(OWN_COOKIES)]
    return {"Cookie": "; ".join(kept)} if kept else {}


def identity_headers(session: Session, assertion: str) -> dict[str, str]:
    """Return every identity header, empty where there is nothing to say: a proxy that forwards them overwrites forged
    ones.

    What is not plain ASCII, and the percent sign, is percent-encoded as UTF-8 (RFC 3986 2.1): header values are bytes
    of no known encoding. Groups are separated by commas, as many as fit; the assertion has all of them.
    """
    values = (
        session.member,
        _encoded(session.email),
        _encoded(session.name),
        session.slug,
        session.role,
        _listed(session.groups),
        assertion,
    )
    return dict(zip(IDENTITY_HEADERS, values, strict=True))


def _encoded(text: str) -> str:
    return quote(text, safe=_PLAIN)[:MAX_HEADER]


def _listed(groups: Sequence[str]) -> str:
    """Return whole names alone: half of one could be the name of another."""
    listed = ""
    for group in groups:
        longer = f"{listed},{quote(group, safe=_PLAIN_IN_LIST)}".removeprefix(",")
        if len(longer) > MAX_HEADER:
            break
        listed = longer
    return listed


def _not_signed_in(request: Request, runtime: Runtime, question: Question) -> Response:
    location = _login_url(runtime, question)
    if question.dialect == "nginx":
        headers = {"X-SSO-Gate-Location": location} if question.navigating else {}
        return Response(b"", 401, headers=headers)
    if question.navigating:
        return Response(b"", 302, headers={"Location": location})
    return problem_answer(request.scope, 401, reason="not_signed_in", members={"login": location})


def _login_url(runtime: Runtime, question: Question) -> str:
    if question.host:
        back = urlencode({"return_to": question.wanted})
        return f"{question.scheme}://{question.host}/.sso-gate/start?{back}"
    return f"{runtime.settings.origin}/login?{urlencode({'return_to': question.uri})}"


async def _refused(request: Request, runtime: Runtime, question: Question, ended: Ended) -> Response:
    if question.dialect != "nginx" and not question.navigating:
        return _refused_api(request, ended.reason)
    location = await _denied_url(runtime, question, ended)
    if question.dialect == "nginx":
        return Response(b"", 403, headers={"X-SSO-Gate-Location": location, "X-SSO-Gate-Reason": ended.reason})
    return Response(b"", 303, headers={"Location": location})


def _refused_api(request: Request, reason: Reason) -> Response:
    return problem_answer(request.scope, 403, reason=reason, detail=REFUSALS[reason].sentence)


async def _denied_url(runtime: Runtime, question: Question, ended: Ended) -> str:
    """Return a denied page for the browser whose session ended: no cookie can be set here, so its first look
    claims it.
    """
    session = ended.session
    text = await Tickets(runtime.redis).issue(
        Ticket(
            organization=session.organization,
            member=session.member,
            email=session.email,
            reason=ended.reason,
            reference=ended.reference,
            connection=session.connection,
            return_to=question.wanted or question.uri,
            refused_at=to_micros(runtime.clock.now()),
            browser="",
        )
    )
    return f"{runtime.settings.origin}/denied/{text}"


def _unavailable(request: Request, question: Question, trouble: Unavailable) -> Response:
    if question.dialect == "nginx":
        return Response(b"", 403, headers={"X-SSO-Gate-Reason": "unavailable"})
    return problem_answer(
        request.scope,
        503,
        reason=Reason.UNAVAILABLE,
        headers={"Retry-After": str(trouble.retry_after_seconds)},
    )


async def published_keys(request: Request) -> Response:
    """GET /.well-known/jwks.json."""
    keys: AssertionKeys = request.state.assertion_keys
    return JSONResponse(keys.published(), headers={"Cache-Control": "public, max-age=300"})


def forward_auth_routes() -> list[Route]:
    """Return the routes of forward auth on the gate's own host."""
    return [
        _for_any_method("/check"),
        _for_any_method("/check/{path:path}"),
        Route("/.well-known/jwks.json", published_keys, methods=["GET"]),
    ]


def _for_any_method(path: str) -> Route:
    route = Route(path, check)
    route.methods = None  # Envoy asks with the browser's own method, PROPFIND and whatever else there is
    return route
