"""Errors as people and programs meet them: a page, or RFC 9457 problem+json. Never an exception's own text.

`ProblemBoundary` turns whatever an inner layer raises into an answer, so it stands outside of the router and of the
doors. The table of sentences for refusals comes from outside.
"""

import math
import traceback
from collections.abc import Mapping
from typing import Any, Protocol

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sso_gate.errors import Conflict, InvalidInput, NotFound, Reason, Refused, Unavailable
from sso_gate.web.catalogues import translations
from sso_gate.web.request_state import language_of, request_id, speak, state_of
from sso_gate.web.templates import render


class Told(Protocol):
    """How a refusal is told: an English sentence of the catalogues, and the HTTP status of its page."""

    @property
    def sentence(self) -> str: ...
    @property
    def status(self) -> int: ...


JSON_PREFIXES = ("/api/", "/scim/", "/check", "/.well-known/", "/health/", "/metrics")
PROBLEM_JSON = "application/problem+json"
_TITLES = {
    400: "Bad request",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Content too large",
    415: "Unsupported media type",
    422: "Invalid input",
    429: "Too many requests",
    500: "Internal error",
    503: "Unavailable",
}
RATE_LIMIT_RETRY_SECONDS = 30
_REASONS = frozenset(Reason)
_log = structlog.get_logger("sso_gate.problems")


def wants_page(scope: Scope) -> bool:
    """Return whether the answer is for a person: everything but the machines' paths and whoever asks for JSON alone."""
    if scope["path"].startswith(JSON_PREFIXES):
        return False
    accept = ",".join(Request(scope).headers.getlist("accept"))
    return "json" not in accept or "text/html" in accept


def problem_answer(
    scope: Scope,
    status: int,
    *,
    reason: str = "",
    detail: str = "",
    text: str = "",
    headers: Mapping[str, str] | None = None,
    members: Mapping[str, Any] | None = None,
) -> Response:
    """Return the error as a page or as problem+json, whichever the request is for.

    `reason` is one of the closed list, which programs find under that name; any other word they find under `code`.
    `detail` is for programs, `text` the translated sentence for people, `members` are further JSON members.
    Source: RFC 9457 3 (members of a problem details object).
    """
    if wants_page(scope):
        request = Request(scope)
        reference = request_id(request) if status >= 500 else ""
        return render(
            request,
            "web/problem.html",
            status,
            headers=headers,
            status=status,
            problem=reason,
            text=text,
            reference=reference,
        )
    body: dict[str, Any] = {
        "type": f"urn:sso-gate:problem:{reason.replace('_', '-')}" if reason else "about:blank",
        "title": _TITLES.get(status, "Error"),
        "status": status,
        **({"detail": detail} if detail else {}),
        **({"reason" if reason in _REASONS else "code": reason} if reason else {}),
        **({"request_id": request_id(Request(scope))} if status >= 500 else {}),
        **(members or {}),
    }
    return JSONResponse(body, status, headers=dict(headers or {}), media_type=PROBLEM_JSON)


def not_found(scope: Scope) -> Response:
    """Return the one 404 of the gate.

    The same bytes and headers for a path that does not exist and for one that the visitor may not open: nothing of
    the path, of the visitor or of the request goes into it but the language that the request itself asks for, and
    whether a page or JSON was asked for.
    """
    if wants_page(scope):
        request = Request(scope)
        speak(request)  # a page that was found out not to exist late has chosen the visitor's own language already
        return render(request, "web/not_found.html", 404)
    return problem_answer(scope, 404)


def refused_answer(scope: Scope, error: Refused, *, refusals: Mapping[Reason, Told]) -> Response:
    """Return the answer to a refusal: its reason for programs, its sentence for people, its detail for nobody."""
    told = refusals[error.reason]
    headers = {429: {"retry-after": str(RATE_LIMIT_RETRY_SECONDS)}, 401: {"www-authenticate": "Bearer"}}
    return problem_answer(
        scope,
        told.status,
        reason=error.reason,
        detail=told.sentence,
        text=translations(language_of(Request(scope)).tag).gettext(told.sentence),
        headers=headers.get(told.status),
    )


def unavailable_answer(scope: Scope, error: Unavailable) -> Response:
    """Return 503 with the time after which another try makes sense."""
    seconds = str(max(1, math.ceil(error.retry_after_seconds)))
    return problem_answer(scope, 503, reason=Reason.UNAVAILABLE, headers={"retry-after": seconds})


def answer_for(scope: Scope, error: Exception, *, refusals: Mapping[Reason, Told]) -> Response:
    """Return the answer for anything that was raised; an error that nobody expected says nothing but a reference."""
    match error:
        case Refused():
            return refused_answer(scope, error, refusals=refusals)
        case Unavailable():
            return unavailable_answer(scope, error)
        case NotFound():
            return not_found(scope)
        case InvalidInput():
            members = {"field": error.field}
            return problem_answer(scope, 422, reason="invalid_input", detail=str(error), members=members)
        case Conflict():
            return problem_answer(scope, 409, reason=Reason.CONFLICT)
        case HTTPException():
            if error.status_code == 404:
                return not_found(scope)
            return problem_answer(scope, error.status_code, headers=error.headers)
        case _:
            return problem_answer(scope, 500)


class ProblemBoundary:
    """Middleware: no exception passes outwards without an answer; what was not expected is logged with its
    traceback.
    """

    def __init__(self, app: ASGIApp, *, refusals: Mapping[Reason, Told]) -> None:
        self.app = app
        self.refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def watching(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watching)
        except Exception as error:
            _note(scope, error)
            if started:
                raise
            await answer_for(scope, error, refusals=self.refusals)(scope, receive, send)


def _note(scope: Scope, error: Exception) -> None:
    state = state_of(scope)
    match error:
        case Refused():
            state["reason"], state["outcome"] = str(error.reason), "denied"
            _log.info("http.refused", reason=str(error.reason), detail=error.detail)
        case Unavailable():
            state["reason"], state["outcome"] = "unavailable", "error"
            _log.warning("http.unavailable", detail=error.detail)
        case NotFound() | InvalidInput() | Conflict() | HTTPException():
            state["outcome"] = "denied"
        case _:
            state["outcome"] = "error"
            # As text, whatever the logs are set to: renderers for terminals write every local value, for seconds.
            _log.error("http.failed", exception="".join(traceback.format_exception(error)))
