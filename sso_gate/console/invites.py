"""Invites on the members' pages: who was invited, until when a seat is kept for them, inviting and taking it back."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sso_gate.admission.invites import INVITED_FOR, invite, invites, withdraw
from sso_gate.billing import purchase
from sso_gate.console.frame import ZONE, Visit, visit
from sso_gate.console.members import member_tabs
from sso_gate.console.members_words import invite_problem
from sso_gate.errors import Conflict, InvalidInput
from sso_gate.members.roles import Area
from sso_gate.web.limits import Field, read_form, read_query
from sso_gate.web.templates import render

PAGE = "/settings/members/invites"


async def listing(request: Request) -> Response:
    """The people who were invited and have not come yet, and the form for one more."""
    at = await visit(request, Area.MEMBERS)
    done = read_query(request, done=Field(max_length=20))["done"]
    return await _page(request, at, done=done if done in {"invited", "withdrawn"} else "")


async def add(request: Request) -> Response:
    """Keep a free seat for an address, and tell its person."""
    at = await visit(request, Area.MEMBERS)
    email = (await read_form(request, email=Field(max_length=320)))["email"].strip()
    try:
        await invite(at.runtime, at.organization.id, email, by=at.actor)
    except (Conflict, InvalidInput) as error:
        none_free = (await purchase.seats_overview(at.runtime, at.organization.id)).available == 0
        return await _page(request, at, email=email, errors=[invite_problem(error, none_free, at.language)])
    return RedirectResponse(f"{PAGE}?done=invited", HTTPStatus.SEE_OTHER)


async def take_back(request: Request) -> Response:
    """Withdraw an invite; its seat is free, or the next one's in line."""
    at = await visit(request, Area.MEMBERS)
    form = await read_form(request, email=Field(max_length=320, required=True))
    await withdraw(at.runtime, at.organization.id, form["email"], by=at.actor)
    return RedirectResponse(f"{PAGE}?done=withdrawn", HTTPStatus.SEE_OTHER)


async def _page(
    request: Request, at: Visit, *, email: str = "", done: str = "", errors: list[dict[str, str]] | None = None
) -> Response:
    seats = await purchase.seats_overview(at.runtime, at.organization.id)
    return render(
        request,
        "console/invites.html",
        HTTPStatus.UNPROCESSABLE_ENTITY if errors else HTTPStatus.OK,
        frame=await at.frame(),
        zone=ZONE,
        invites=await invites(at.runtime, at.organization.id),
        tabs=await member_tabs(at),
        available=seats.available,
        days=INVITED_FOR.days,
        can_mail=bool(at.runtime.settings.smtp_url),
        may_buy=at.may_buy,
        email=email,
        done=done,
        errors=errors or [],
    )


def routes() -> list[Route]:
    """Return the routes of the invites' pages."""
    return [
        Route(PAGE, listing, methods=["GET"]),
        Route(PAGE, add, methods=["POST"]),
        Route(f"{PAGE}/withdraw", take_back, methods=["POST"]),
    ]
