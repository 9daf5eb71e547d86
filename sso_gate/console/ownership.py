"""S7: handing primary ownership to another owner. Its pages exist for the primary owner alone."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sso_gate.admission.ownership import hand_over_ownership, may_receive
from sso_gate.console.frame import Visit, visit
from sso_gate.errors import NotFound
from sso_gate.members import store as members
from sso_gate.members.member import Member
from sso_gate.members.roles import Area, Role
from sso_gate.web.limits import read_form
from sso_gate.web.templates import render

_PATH = "/settings/members/{member}/primary"


async def confirm(request: Request) -> Response:
    """What handing it over would do, before it is done."""
    at, taker = await _both(request)
    return render(request, "console/member_primary.html", frame=await at.frame(), member=taker)


async def hand_over(request: Request) -> Response:
    """Make this owner the primary owner."""
    at, taker = await _both(request)
    await read_form(request)
    await hand_over_ownership(at.runtime, at.organization.id, taker.id, by=at.actor)
    return RedirectResponse("/settings/members?done=primary", HTTPStatus.SEE_OTHER)


async def _both(request: Request) -> tuple[Visit, Member]:
    at = await visit(request, Area.MEMBERS)
    if at.member.role is not Role.PRIMARY_OWNER:
        raise NotFound
    name = request.path_params["member"]
    taker = await at.runtime.database.read(lambda tx: members.get(tx, at.organization.id, name))
    if taker is None or not may_receive(taker):
        raise NotFound
    return at, taker


def routes() -> list[Route]:
    """Return the routes of primary ownership."""
    return [Route(_PATH, confirm, methods=["GET"]), Route(_PATH, hand_over, methods=["POST"])]
