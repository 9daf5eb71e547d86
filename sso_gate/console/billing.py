"""Billing Settings: the seats, the pencil, the review, Update, and what was bought. The story of S3 to S6, top to
bottom.
"""

import secrets
from datetime import date
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from sso_gate.billing import documents, purchase
from sso_gate.console.billing_words import Problem, order_problem, price_problem
from sso_gate.console.frame import ZONE, Visit, visit
from sso_gate.console.invoices import rows_of
from sso_gate.console.waiting import WaitingPerson, waiting_rows
from sso_gate.errors import Conflict, InvalidInput, NotFound
from sso_gate.members.directory import UNUSED_FOR, idle
from sso_gate.members.roles import Area
from sso_gate.seats.forecast import Forecast
from sso_gate.waiting.holding import hold_for_waiting
from sso_gate.waiting.people import waiting_people
from sso_gate.web import format as written
from sso_gate.web.limits import Field, read_form, read_query
from sso_gate.web.templates import render

LAST_INVOICES = 5
FIRST_WAITING = 10
_KEY = Field(max_length=64, required=True)
_PRICE_PROBLEMS = (purchase.BillingError, InvalidInput)


async def home(request: Request) -> Response:
    """S3: the seats, who waits for one, and the last invoices."""
    at = await visit(request, Area.BILLING)
    seats = await purchase.seats_overview(at.runtime, at.organization.id)
    outlook = await purchase.seats_outlook(at.runtime, at.organization.id)
    issued = await documents.invoices(at.runtime, at.organization, None, LAST_INVOICES)
    return render(
        request,
        "console/billing.html",
        frame=await at.frame(),
        zone=ZONE,
        seats=seats,
        people=await _first_in_line(at, FIRST_WAITING),
        invoices=rows_of(issued, at.runtime.clock.now()),
        may_buy=at.may_buy,
        hold_for_waiting=at.organization.hold_for_waiting,
        history=outlook.history,
        forecast=outlook.forecast,
        with_more=await _with_more(at, seats, outlook.forecast),
        idle=await _idle(at),
        idle_days=UNUSED_FOR.days,
        what_if=await _what_if(request, at),
    )


async def _with_more(at: Visit, seats: purchase.SeatsOverview, expected: Forecast | None) -> purchase.WithMore | None:
    """Return how long seats would last for those who wait and as many as came lately; None while some are free."""
    if seats.available or expected is None or expected.change <= 0:
        return None
    return await purchase.outlook_with(at.runtime, at.organization.id, seats.waiting + expected.change)


async def _idle(at: Visit) -> int:
    since = at.runtime.clock.now() - UNUSED_FOR
    return await at.runtime.database.read(lambda tx: idle(tx, at.organization.id, since=since))


async def _what_if(request: Request, at: Visit) -> dict[str, object]:
    """Return what so many seats from some day would cost, if the address asks for it; nothing is bought by asking."""
    asked = read_query(request, add=Field(max_length=12), on=Field(max_length=10))
    today = at.runtime.clock.now().date()
    what: dict[str, object] = {
        "add": asked["add"],
        "on": asked["on"] or today.isoformat(),
        "preview": None,
        "outlook": None,
        "problem": None,
    }
    if not asked["add"] or not at.may_buy:
        return what
    try:
        on = _day(asked["on"]) if asked["on"] else today
        what["preview"] = await purchase.preview(
            at.runtime, organization=at.organization, add=_whole(asked["add"]), on=on
        )
        what["outlook"] = await _outlook(at, asked["add"])
    except _PRICE_PROBLEMS as error:
        what["problem"] = price_problem(error, at.language)
    return what


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput("on", "a day such as 2027-06-15") from error


async def edit(request: Request) -> Response:
    """S4: how many seats; filled in with the number of people who wait, where the address does not say another."""
    at = await _buyer(request)
    asked = read_query(request, add=Field(max_length=12))["add"]
    return await _edit_page(request, at, asked, [])


async def price(request: Request) -> Response:
    """The price of so many seats as one line of text, for the edit page while somebody types. Buys and stores
    nothing.
    """
    at = await _buyer(request)
    try:
        add = _whole(read_query(request, add=Field(max_length=12))["add"])
        preview = await purchase.preview(at.runtime, organization=at.organization, add=add)
    except _PRICE_PROBLEMS:
        return JSONResponse({"text": ""}, HTTPStatus.UNPROCESSABLE_ENTITY)
    return JSONResponse({"text": written_price(at, preview)})


async def review(request: Request) -> Response:
    """S5: the exact price, held for a while. Makes a quote and buys nothing, so it may be reloaded and bookmarked."""
    at = await _buyer(request)
    query = read_query(request, add=Field(max_length=12), po_number=Field(max_length=60))
    asked = query["add"]
    try:
        quote = await purchase.review(at.runtime, organization=at.organization, add=_whole(asked))
    except _PRICE_PROBLEMS as error:
        return await _edit_page(request, at, asked, [price_problem(error, at.language)])
    return await _review_page(request, at, quote, po_number=query["po_number"])


async def update(request: Request) -> Response:
    """Update: order exactly what was reviewed, or nothing. A second press of the same page shows the first one's
    answer.
    """
    at = await _buyer(request)
    form = await read_form(request, quote_id=_KEY, digest=_KEY, idempotency_key=_KEY, po_number=Field(max_length=60))
    try:
        outcome = await purchase.order(
            at.runtime,
            organization=at.organization,
            by=at.actor,
            quote_id=form["quote_id"],
            digest=form["digest"],
            idempotency_key=form["idempotency_key"],
            po_number=form["po_number"] or None,
        )
    except _PRICE_PROBLEMS as error:
        return await _again(request, at, form, order_problem(error, at.language))
    match outcome:
        case purchase.Ordered():
            return RedirectResponse(f"/settings/billing/seats/done/{outcome.order.id}", HTTPStatus.SEE_OTHER)
        case purchase.Stale():
            return await _stale_page(request, at, outcome, form["po_number"])
        case _:
            raise Conflict("the form was used before for another order")


async def hold(request: Request) -> Response:
    """Whether seats that become free are kept for whoever waits: switched on or off."""
    at = await _buyer(request)
    form = await read_form(request, hold=Field(max_length=3))
    await hold_for_waiting(at.runtime, at.organization.id, on=form["hold"] == "on", by=at.actor)
    return RedirectResponse("/settings/billing#waiting", HTTPStatus.SEE_OTHER)


async def done(request: Request) -> Response:
    """S6: what was bought, its invoice, and who can log in now."""
    at = await _buyer(request)
    placed = await purchase.placed(at.runtime, organization=at.organization, order_id=request.path_params["order"])
    if placed is None:
        raise NotFound
    return render(
        request,
        "console/seats_done.html",
        frame=await at.frame(),
        zone=ZONE,
        order=placed.order,
        invoice=placed.invoice,
        people=await purchase.helped_by(at.runtime, at.organization.id, placed.order.id),
    )


def written_price(at: Visit, preview: purchase.Preview) -> str:
    """Return what the seats cost before tax, as one sentence of numbers."""
    line = preview.line
    left = f"{written.number(at.language, line.seats)} × {written.price(at.language, line.unit_price, line.currency)}"
    months = f"{written.months(at.language, line.months)}" + ("" if line.price_per == "seat_month" else "/12")
    return f"{left} × {months} = {written.money_with_code(at.language, line.amount)}"


async def _first_in_line(at: Visit, number: int) -> list[WaitingPerson]:
    people = await waiting_people(at.runtime, at.organization.id, limit=number)
    return waiting_rows(people, at.runtime.clock.now())


async def _buyer(request: Request) -> Visit:
    at = await visit(request, Area.BILLING)
    if not at.may_buy:
        raise NotFound
    return at


def _whole(text: str) -> int:
    digits = text.strip()
    if not (digits.isascii() and digits.isdecimal() and 1 <= int(digits) <= purchase.MAX_SEATS_PER_ORDER):
        raise InvalidInput("add", f"a whole number from 1 to {purchase.MAX_SEATS_PER_ORDER}")
    return int(digits)


async def _edit_page(request: Request, at: Visit, asked: str, errors: list[Problem]) -> Response:
    seats = await purchase.seats_overview(at.runtime, at.organization.id)
    filled = asked or str(seats.waiting or 1)
    return render(
        request,
        "console/seats_edit.html",
        HTTPStatus.UNPROCESSABLE_ENTITY if errors else HTTPStatus.OK,
        frame=await at.frame(),
        seats=seats,
        add=filled,
        errors=errors,
        prefilled=bool(seats.waiting) and filled == str(seats.waiting),
        outlook=await _outlook(at, filled),
    )


async def _outlook(at: Visit, asked: str) -> purchase.WithMore | None:
    """Return how long that many more seats would last; None for what is no number of seats."""
    try:
        return await purchase.outlook_with(at.runtime, at.organization.id, _whole(asked))
    except InvalidInput:
        return None


async def _review_page(
    request: Request, at: Visit, quote: purchase.Quote, status: int = 200, **changed: Any
) -> Response:
    terms = await purchase.invoice_terms(at.runtime, at.organization)
    told: dict[str, Any] = {"po_number": "", "stale": "", "changed_by": None, "errors": [], **changed}
    return render(
        request,
        "console/seats_review.html",
        status,
        frame=await at.frame(),
        zone=ZONE,
        quote=quote,
        idempotency_key=secrets.token_urlsafe(16),
        po_required=terms.po_required,
        details=terms.details,
        mail=bool(at.runtime.settings.smtp_url),
        **told,
    )


async def _stale_page(request: Request, at: Visit, outcome: purchase.Stale, po_number: str) -> Response:
    stale = {"QUOTE_EXPIRED": "expired", "CONTRACT_CHANGED": "details"}.get(outcome.why, "changed")
    return await _review_page(
        request,
        at,
        outcome.fresh_quote,
        HTTPStatus.CONFLICT,
        stale=stale,
        changed_by=outcome.last_order if stale == "changed" else None,
        po_number=po_number,
    )


async def _again(request: Request, at: Visit, form: dict[str, str], problem: Problem) -> Response:
    quote = await purchase.quoted(at.runtime, organization=at.organization, quote_id=form["quote_id"])
    if quote is None:
        raise NotFound
    return await _review_page(
        request, at, quote, HTTPStatus.UNPROCESSABLE_ENTITY, po_number=form["po_number"], errors=[problem]
    )


def routes() -> list[Route]:
    """Return the routes of the seats' pages."""
    return [
        Route("/settings/billing", home),
        Route("/settings/billing/hold", hold, methods=["POST"]),
        Route("/settings/billing/seats/edit", edit),
        Route("/settings/billing/seats/price", price),
        Route("/settings/billing/seats/review", review, methods=["GET"]),
        Route("/settings/billing/seats/review", update, methods=["POST"]),
        Route("/settings/billing/seats/done/{order}", done),
    ]
