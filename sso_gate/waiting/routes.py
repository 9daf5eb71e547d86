"""HTTP of the waiting page: the page itself, its state for the script, and asking."""

import contextlib
import hashlib
import re
import secrets
from urllib.parse import urlencode

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from sso_gate.audit.origin import client_of
from sso_gate.clock import from_micros
from sso_gate.errors import Conflict, NotFound, Reason
from sso_gate.members import store as members
from sso_gate.organizations import store as organizations
from sso_gate.refusals import REFUSALS
from sso_gate.storage.runtime import Runtime
from sso_gate.waiting.people import MESSAGE_LENGTH, ask, remind
from sso_gate.waiting.state import WaitingState, waiting_state
from sso_gate.waiting.ticket import LIFETIME_SECONDS, Ticket, Tickets
from sso_gate.web.catalogues import translations
from sso_gate.web.cookies import WAITING_COOKIE
from sso_gate.web.limits import Field, read_form
from sso_gate.web.request_state import runtime_of, speak
from sso_gate.web.templates import render

POLL_SECONDS = 3
_KEY = re.compile(r"[A-Za-z0-9_-]{43}")
# More than is kept, so that a message that is too long comes back to whoever typed it.
_TYPED = Field(4 * MESSAGE_LENGTH, multiline=True, free=True)
_KEPT = "\n\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"  # the second and third are parts of emoji and of words


async def denied(request: Request) -> Response:
    """GET /denied/{ticket}: 403 with why and what to do, in this person's browser alone."""
    runtime, text = runtime_of(request), request.path_params["ticket"]
    key = _key(request)
    ticket = await Tickets(runtime.redis).find(text, browser_key=key)
    if ticket is not None:
        return await _page(request, runtime, text, ticket)
    fresh = key or secrets.token_urlsafe(32)
    claimed = await Tickets(runtime.redis).claim(text, browser_key=fresh)
    if claimed is None:
        raise NotFound("no such ticket in this browser")
    response = await _page(request, runtime, text, claimed)
    WAITING_COOKIE.set(response, fresh, max_age_seconds=LIFETIME_SECONDS)
    return response


async def state(request: Request) -> Response:
    """GET /denied/{ticket}/state: what the page's script asks every few seconds."""
    runtime, ticket = runtime_of(request), await _own_ticket(request)
    now = runtime.clock.now()
    found = await runtime.database.read(lambda tx: waiting_state(tx, ticket, now=now))
    body = {
        "state": found.state,
        "continue_url": _continue_url(runtime, ticket),
        "retry_after": POLL_SECONDS,
    }
    etag = f'"{hashlib.sha256(repr(body).encode()).hexdigest()[:16]}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache", "Retry-After": str(POLL_SECONDS)}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return JSONResponse(body, headers=headers)


async def ask_for_seat(request: Request) -> Response:
    """POST /denied/{ticket}/ask: tell the owners, or remind them. The page says what came of it."""
    runtime, ticket = runtime_of(request), await _own_ticket(request)
    text = request.path_params["ticket"]
    form = await read_form(request, message=_TYPED, remind=Field(1))
    message = _readable(form["message"])
    if len(message) > MESSAGE_LENGTH:
        return await _page(request, runtime, text, ticket, status=422, typed=message)
    with contextlib.suppress(Conflict):  # the page says how things stand now
        client = client_of(request)
        if form["remind"]:
            await remind(runtime, ticket, client=client)
        else:
            await ask(runtime, ticket, message, client=client)
    return RedirectResponse(f"/denied/{text}", 303)


def _readable(text: str) -> str:
    """Return the text without what cannot be shown, such as a tab or a change of the writing's direction."""
    return "".join(letter if letter.isprintable() or letter in _KEPT else " " for letter in text)


async def _own_ticket(request: Request) -> Ticket:
    tickets = Tickets(runtime_of(request).redis)
    ticket = await tickets.find(request.path_params["ticket"], browser_key=_key(request))
    if ticket is None:
        raise NotFound("no such ticket in this browser")
    return ticket


def _key(request: Request) -> str:
    value = WAITING_COOKIE.read(request) or ""
    return value if _KEY.fullmatch(value) else ""


async def _page(
    request: Request, runtime: Runtime, text: str, ticket: Ticket, *, status: int = 403, typed: str = ""
) -> Response:
    now = runtime.clock.now()
    organization, found, owners = await runtime.database.read(
        lambda tx: (
            organizations.get(tx, ticket.organization),
            waiting_state(tx, ticket, now=now),
            _owners(tx, runtime, ticket),
        )
    )
    language = speak(request, default=organization.locale if organization else "")
    told = REFUSALS[Reason(ticket.reason)]
    return render(
        request,
        "waiting/denied.html",
        status,
        headers={"Retry-After": str(POLL_SECONDS), "Cache-Control": "no-store"},
        family=told.family.value,
        ticket=text,
        reference=ticket.reference,
        reason=ticket.reason,
        reason_text=translations(language.tag).gettext(told.sentence),
        person_email=ticket.email,
        organization_name=organization.name if organization else "",
        organization_slug=organization.slug if organization else "",
        refused_at=from_micros(ticket.refused_at),
        continue_url=_continue_url(runtime, ticket),
        can_mail=bool(runtime.settings.smtp_url),
        typed=typed,
        owners=owners,
        **_state_words(found),
    )


def _owners(tx: Connection, runtime: Runtime, ticket: Ticket) -> list[str]:
    """Return the names of the owners, where the installation shows them; never an address."""
    if runtime.settings.denied_show_owners == "none":
        return []
    return [owner.name for owner in members.owners(tx, ticket.organization) if owner.name]


def _state_words(found: WaitingState) -> dict[str, object]:
    return {
        "state": found.state,
        "message": found.message,
        "answer": found.answer,
        "asked_at": found.asked_at,
        "reminded_at": found.reminded_at,
        "held_until": found.held_until,
        "can_remind": found.can_remind,
        "can_ask": found.can_ask,
    }


def _continue_url(runtime: Runtime, ticket: Ticket) -> str:
    """Return the address of a new sign-in, which is what continuing is: nothing is opened from the old proof."""
    query = urlencode({"return_to": ticket.return_to, "email": ticket.email})
    return f"{runtime.settings.origin}/login/{ticket.connection}?{query}"


def waiting_routes() -> list[Route]:
    """Return the routes of the waiting page."""
    return [
        Route("/denied/{ticket}", denied, methods=["GET"]),
        Route("/denied/{ticket}/state", state, methods=["GET"]),
        Route("/denied/{ticket}/ask", ask_for_seat, methods=["POST"]),
    ]
