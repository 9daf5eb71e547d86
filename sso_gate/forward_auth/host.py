"""`/.sso-gate/` on an application's host: gives the browser a key, and later exchanges a single-use ticket for a cookie
of that host.

Recipes route this path of every application's host to the gate. The ticket is bound to host and browser, so a ticket
that somebody else puts under a victim's nose signs nobody in.
"""

import re
import secrets
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sso_gate.admission.admit import Door
from sso_gate.errors import NotFound, Reason, Refused
from sso_gate.sessions.host_ticket import HostTickets, key_hash
from sso_gate.sessions.session import SessionToken
from sso_gate.sessions.store import SessionStore
from sso_gate.settings import Settings
from sso_gate.web.cookies import SESSION_COOKIE, HostCookie
from sso_gate.web.limits import Field, read_query
from sso_gate.web.request_state import forwarded_of, runtime_of
from sso_gate.web.return_to import ReturnTo

START_COOKIE = HostCookie("__Host-sso_gate_start", "Lax")
START_SECONDS = 900
_KEY = re.compile(r"[A-Za-z0-9_-]{43}")


async def start(request: Request) -> Response:
    """GET /.sso-gate/start: the browser gets a key on this host and goes to the gate to sign in."""
    settings = runtime_of(request).settings
    host, origin = _application(request, settings)
    wanted = ReturnTo.checked(read_query(request, return_to=Field(2000))["return_to"], settings)
    return_to = wanted.url if wanted.host == host else f"{origin}/"
    known = START_COOKIE.read(request) or ""
    key = known if _KEY.fullmatch(known) else secrets.token_urlsafe(32)
    query = urlencode({"return_to": return_to, "bind": key_hash(key)})
    response = RedirectResponse(f"{settings.origin}/login?{query}", 302)
    START_COOKIE.set(response, key, max_age_seconds=START_SECONDS)
    return response


async def finish(request: Request) -> Response:
    """GET /.sso-gate/finish: the ticket becomes a cookie of this host. No redirect when it is no good: that could go
    round for ever.
    """
    runtime = runtime_of(request)
    host, _ = _application(request, runtime.settings)
    text = read_query(request, ticket=Field(64))["ticket"]
    key = START_COOKIE.read(request) or ""
    ticket = await HostTickets(runtime.redis).redeem(text, host=host, browser_key=key) if text and key else None
    sessions = SessionStore.of(runtime)
    parent = (
        await sessions.find_digest(ticket.organization, ticket.session, now=runtime.clock.now()) if ticket else None
    )
    if ticket is None or parent is None or parent.kind != "seat":
        raise Refused(Reason.REQUEST_UNKNOWN, "host ticket")
    door: Door = request.state.door
    admission = await door.admit_on_host(parent, host)
    response = RedirectResponse(ticket.return_to, 303)
    SESSION_COOKIE.set(response, admission.token.text)
    return response


async def leave(request: Request) -> Response:
    """POST /.sso-gate/logout: end the session on this host and everywhere it stems from."""
    runtime = runtime_of(request)
    host, _ = _application(request, runtime.settings)
    cookie = SESSION_COOKIE.read(request)
    token = SessionToken.parse(cookie) if cookie else None
    sessions = SessionStore.of(runtime)
    session = await sessions.find(token, now=runtime.clock.now()) if token else None
    if session and session.host == host:
        await sessions.end_family(session)
    response = RedirectResponse(f"{runtime.settings.origin}/signed-out", 303)
    SESSION_COOKIE.clear(response)
    return response


def _application(request: Request, settings: Settings) -> tuple[str, str]:
    """Return host and origin of the application that this request came through; `NotFound` for any other host."""
    forwarded = forwarded_of(request)
    host = forwarded.host or request.headers.get("host", "").lower()
    if host == settings.public_host or host not in settings.allowed_return_hosts:
        raise NotFound("not an application's host")
    scheme = forwarded.scheme if forwarded.scheme in ("http", "https") else settings.origin.partition(":")[0]
    return host, f"{scheme}://{host}"


def host_routes() -> list[Route]:
    """Return the routes on application hosts."""
    return [
        Route("/.sso-gate/start", start, methods=["GET"]),
        Route("/.sso-gate/finish", finish, methods=["GET"]),
        Route("/.sso-gate/logout", leave, methods=["POST"]),
    ]
