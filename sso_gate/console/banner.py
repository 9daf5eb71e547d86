"""Putting the banner away; what it says is `notify.banner`'s."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sso_gate.clock import from_micros, to_micros
from sso_gate.console.door import PREFIX, areas_of
from sso_gate.console.frame import visit
from sso_gate.errors import NotFound
from sso_gate.members.roles import Area
from sso_gate.notify.banner import put_banner_away
from sso_gate.web.limits import Field, read_form


async def put_away(request: Request) -> Response:
    """Show nothing more of what was there when the page was made; back to the area from which it was asked."""
    at = await visit(request, Area.BILLING)
    if not at.may_buy:
        raise NotFound
    form = await read_form(request, seen=Field(20, required=True), back=Field(32))
    now = to_micros(at.runtime.clock.now())
    seen = from_micros(min(int(form["seen"]), now) if form["seen"].isdecimal() else now)
    await at.runtime.database.write(lambda tx: put_banner_away(tx, at.organization.id, at.member.id, seen=seen))
    area = form["back"] if form["back"] in set(areas_of(at.member)) else Area.BILLING
    return RedirectResponse(f"{PREFIX}/{area}", HTTPStatus.SEE_OTHER)


def routes() -> list[Route]:
    """Return the route of the banner."""
    return [Route("/settings/billing/banner", put_away, methods=["POST"])]
