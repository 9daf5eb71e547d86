"""The resources of the JSON API: seats, quotes, orders, invoices, members, audit events."""

import json
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sso_gate.api.caller import Caller, caller_with
from sso_gate.api.description import read_description
from sso_gate.audit import reading
from sso_gate.audit import store as audit
from sso_gate.audit.store import AuditFilter
from sso_gate.billing import documents, purchase
from sso_gate.clock import iso
from sso_gate.errors import InvalidInput
from sso_gate.members import store as members
from sso_gate.tokens.token import Scope
from sso_gate.web.limits import Field, read_query
from sso_gate.web.problems import problem_answer

MAX_BODY = 64 * 1024
MAX_KEY = 128
DEFAULT_PAGE = 50
MAX_PAGE = 200


async def seats(request: Request) -> Response:
    """GET /api/v1/seats."""
    caller = await caller_with(request, Scope.SEATS_READ)
    found = await purchase.seats_overview(caller.runtime, caller.organization.id)
    return JSONResponse(
        {
            "purchased": found.purchased,
            "in_use": found.in_use,
            "reserved": found.reserved,
            "available": found.available,
            "waiting": found.waiting,
            "as_of": iso(found.as_of),
        }
    )


async def make_quote(request: Request) -> Response:
    """POST /api/v1/seat-quotes: an exact price, held for a while. Buys nothing."""
    caller = await caller_with(request, Scope.SEATS_WRITE)
    body = await _body(request, {"add": int}, required=("add",))
    try:
        quote = await purchase.review(caller.runtime, organization=caller.organization, add=body["add"])
    except purchase.BillingError as error:
        return _billing_problem(request, error)
    return JSONResponse(quote.to_json(), 201)


async def place_order(request: Request) -> Response:
    """POST /api/v1/seat-orders: orders exactly what was quoted, once for each Idempotency-Key."""
    caller = await caller_with(request, Scope.SEATS_WRITE)
    key = request.headers.get("idempotency-key", "").strip()
    if not key or len(key) > MAX_KEY or not key.isprintable():
        raise InvalidInput("Idempotency-Key", f"a header of 1 to {MAX_KEY} characters is needed")
    body = await _body(request, {"quote_id": str, "digest": str, "po_number": str}, required=("quote_id",))
    try:
        outcome = await purchase.order(
            caller.runtime,
            organization=caller.organization,
            by=caller.actor,
            via=caller.via,
            quote_id=body["quote_id"],
            digest=body.get("digest"),
            po_number=body.get("po_number"),
            idempotency_key=key,
        )
    except purchase.BillingError as error:
        return _billing_problem(request, error)
    return _ordered(request, caller, outcome)


def _ordered(request: Request, caller: Caller, outcome: purchase.Outcome) -> Response:
    match outcome:
        case purchase.Ordered():
            order = {
                "id": outcome.order.id,
                "quote_id": outcome.order.quote_id,
                "seats_before": outcome.order.seats_before,
                "seats_after": outcome.order.seats_after,
                "ordered_at": iso(outcome.order.ordered_at),
            }
            return JSONResponse({**outcome.invoice.to_json(caller.runtime.clock.now()), "order": order}, 201)
        case purchase.Stale():
            fresh = {"why": outcome.why, "quote": outcome.fresh_quote.to_json()}
            said = "The allocation or the price changed. Nothing was ordered; a fresh quote is enclosed."
            return problem_answer(request.scope, 409, reason="quote-stale", detail=said, members=fresh)
        case purchase.KeyReused():
            said = "This Idempotency-Key was used with another body."
            return problem_answer(request.scope, 422, reason="idempotency-key-reused", detail=said)


def _billing_problem(request: Request, error: purchase.BillingError) -> Response:
    status = {"QUOTE_UNKNOWN": 404, "QUANTITY_INVALID": 422, "ORDER_INVALID": 422, "PO_NUMBER_REQUIRED": 422}
    code = error.code
    return problem_answer(
        request.scope,
        status.get(code, 409),
        reason=code.lower(),
        detail=str(error),
        members={"code": code},
    )


async def invoices(request: Request) -> Response:
    """GET /api/v1/invoices: newest first."""
    caller = await caller_with(request, Scope.BILLING_READ)
    asked, limit = _paging(request)
    found = await documents.invoices(caller.runtime, caller.organization, asked["after"] or None, limit + 1)
    now = caller.runtime.clock.now()
    return _page([one.to_json(now) for one in found], limit, "number")


async def invoice(request: Request) -> Response:
    """GET /api/v1/invoices/{number}."""
    caller = await caller_with(request, Scope.BILLING_READ)
    found = await documents.invoice(caller.runtime, caller.organization, request.path_params["number"])
    if found is None:
        return problem_answer(request.scope, 404)
    return JSONResponse(found.to_json(caller.runtime.clock.now()))


async def list_members(request: Request) -> Response:
    """GET /api/v1/members: by address."""
    caller = await caller_with(request, Scope.MEMBERS_READ)
    asked, limit = _paging(request)
    organization = caller.organization.id
    found = await caller.runtime.database.read(
        lambda tx: members.page(tx, organization, after=asked["after"], limit=limit + 1)
    )
    rows = [{"id": one.id, "email": one.email, "name": one.name, "role": one.role, "state": one.state} for one in found]
    return _page(rows, limit, "email")


async def audit_events(request: Request) -> Response:
    """GET /api/v1/audit-events: oldest first; `after` is the position (`chain.pos`) or id of the last event read.

    With `Accept: application/x-ndjson` one event a line, in the bytes that streams deliver.
    """
    caller = await caller_with(request, Scope.AUDIT_READ)
    asked, limit = _paging(request)
    words = read_query(request, since=Field(40), until=Field(40), **dict.fromkeys(audit.FILTERED, Field(320)))
    chosen = AuditFilter(after=asked["after"], since=_instant(words, "since"), until=_instant(words, "until"))
    page = await reading.read(
        caller.runtime, caller.organization.id, chosen.narrowed(words), limit=limit, by=caller.actor, via=caller.via
    )
    if "application/x-ndjson" in request.headers.get("accept", ""):
        return Response("".join(f"{line}\n" for line in page.events), media_type="application/x-ndjson")
    data = [json.loads(line) for line in page.events]
    return JSONResponse({"data": data, "page": {"next": page.next_after or None, "has_more": bool(page.next_after)}})


def _instant(words: dict[str, str], name: str) -> datetime | None:
    if not words[name]:
        return None
    try:
        found = datetime.fromisoformat(words[name])
    except ValueError as error:
        raise InvalidInput(name, "expected a date or an instant of RFC 3339") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _paging(request: Request) -> tuple[dict[str, str], int]:
    asked = read_query(request, after=Field(320), limit=Field(4))
    text = asked["limit"] or str(DEFAULT_PAGE)
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= MAX_PAGE):
        raise InvalidInput("limit", f"a whole number from 1 to {MAX_PAGE}")
    return asked, int(text)


def _page(rows: list[dict[str, Any]], limit: int, cursor: str) -> Response:
    more = len(rows) > limit
    shown = rows[:limit]
    return JSONResponse({"data": shown, "page": {"next": shown[-1][cursor] if more else None, "has_more": more}})


async def _body(request: Request, fields: dict[str, type], *, required: tuple[str, ...]) -> dict[str, Any]:
    """Return the JSON object of the request; every field known and of its type.

    Raises:
        InvalidInput: it is no such object.
    """
    raw = await request.body()
    try:
        body = json.loads(raw[: MAX_BODY + 1])
    except (ValueError, RecursionError) as error:
        raise InvalidInput("body", "expected JSON") from error
    if not isinstance(body, dict):
        raise InvalidInput("body", "expected a JSON object")
    for name, value in body.items():
        if name not in fields:
            raise InvalidInput(name, "is not known")
        if type(value) is not fields[name]:  # not isinstance: True is not a number of seats
            raise InvalidInput(name, f"expected {fields[name].__name__}")
        if isinstance(value, str) and not value.isprintable():
            raise InvalidInput(name, "has characters that cannot be shown")
    for name in required:
        if name not in body:
            raise InvalidInput(name, "is missing")
    return body


def api_routes() -> list[Route]:
    """Return the routes of the API."""
    return [
        Route("/api/v1/openapi.json", read_description, methods=["GET"]),
        Route("/api/v1/seats", seats, methods=["GET"]),
        Route("/api/v1/seat-quotes", make_quote, methods=["POST"]),
        Route("/api/v1/seat-orders", place_order, methods=["POST"]),
        Route("/api/v1/invoices", invoices, methods=["GET"]),
        Route("/api/v1/invoices/{number}", invoice, methods=["GET"]),
        Route("/api/v1/members", list_members, methods=["GET"]),
        Route("/api/v1/audit-events", audit_events, methods=["GET"]),
    ]
