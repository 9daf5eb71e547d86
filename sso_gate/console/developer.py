"""S13: the tokens of programs. They are made and ended on the command line, which shows a secret once."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sso_gate.console.door import PREFIX, areas_of
from sso_gate.console.frame import visit
from sso_gate.errors import NotFound
from sso_gate.members.roles import Area
from sso_gate.tokens import store as tokens
from sso_gate.web.request_state import state_of
from sso_gate.web.templates import render


async def listing(request: Request) -> Response:
    """Every token with its scopes, its end and its last use."""
    at = await visit(request, Area.DEVELOPER)
    found = await at.runtime.database.read(lambda tx: tokens.of_organization(tx, at.organization.id))
    now = at.runtime.clock.now()
    living = [one for one in found if not one.revoked and not (one.expires and one.expires <= now)]
    return render(
        request,
        "console/developer.html",
        frame=await at.frame(),
        tokens=living,
        origin=at.runtime.settings.origin,
        slug=at.organization.slug,
    )


async def first_area(request: Request) -> Response:
    """`/settings`: on to the first area that the visitor may open."""
    visitor = state_of(request.scope).get("visitor")
    if visitor is None:
        raise NotFound
    return RedirectResponse(f"{PREFIX}/{areas_of(visitor.member)[0]}", 302)


def routes() -> list[Route]:
    """Return the routes of the developer's page, and of `/settings` itself."""
    return [Route("/settings", first_area), Route("/settings/developer", listing)]
