"""S8: emergency codes for owners. A code is shown once, on the page that answers its issuing; all owners are told."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sso_gate.breakglass.manage import NotAnOwner, issue_code, revoke_code
from sso_gate.connections.connection import Connection
from sso_gate.connections.manage import connection_of
from sso_gate.console.access import living_codes
from sso_gate.console.frame import Visit, visit
from sso_gate.errors import NotFound
from sso_gate.members import store as members
from sso_gate.members.roles import Area
from sso_gate.web.limits import Field, read_form, read_query
from sso_gate.web.templates import render

# A connection's id has no underscore, so that this is none.
_PATH = "/settings/access/_codes"
_CONNECTION = Field(64)


async def choose(request: Request) -> Response:
    """Ask for which owner."""
    at = await visit(request, Area.ACCESS)
    if not at.may_manage:
        raise NotFound
    return await _page(request, at, connection=await _draft(at, read_query(request, connection=_CONNECTION)))


async def issue(request: Request) -> Response:
    """Issue a code and show it, which cannot be done again."""
    at = await visit(request, Area.ACCESS)
    form = await read_form(request, email=Field(max_length=320, required=True), connection=_CONNECTION)
    connection = await _draft(at, form)  # first: behind the code nothing may fail, nobody would see it
    try:
        code = await issue_code(at.runtime, at.organization.id, form["email"], by=at.actor)
    except NotAnOwner as error:
        raise NotFound from error
    return await _page(request, at, HTTPStatus.CREATED, email=form["email"], code=code, connection=connection)


async def revoke(request: Request) -> Response:
    """End a code that was not used."""
    at = await visit(request, Area.ACCESS)
    await read_form(request)
    await revoke_code(at.runtime, at.organization.id, request.path_params["code"], by=at.actor)
    return RedirectResponse("/settings/access", HTTPStatus.SEE_OTHER)


async def _draft(at: Visit, asked: dict[str, str]) -> Connection | None:
    """Return the connection whose last step this is, if it is one."""
    named = asked["connection"]
    return await connection_of(at.runtime, at.organization.id, named) if named else None


async def _page(
    request: Request,
    at: Visit,
    status: int = 200,
    *,
    email: str = "",
    code: str = "",
    connection: Connection | None,
) -> Response:
    owners = await at.runtime.database.read(lambda tx: members.owners(tx, at.organization.id))
    return render(
        request,
        "console/emergency_code.html",
        status,
        frame=await at.frame(),
        owners=owners,
        email=email,
        code=code,
        draft=connection,
        having=sorted({one.email for one in await living_codes(at)}),
        address=f"{at.runtime.settings.origin}/login/break-glass",
    )


def routes() -> list[Route]:
    """Return the routes of emergency codes; they come before those of connections."""
    return [
        Route(_PATH, choose, methods=["GET"]),
        Route(_PATH, issue, methods=["POST"]),
        Route(f"{_PATH}/{{code}}/revoke", revoke, methods=["POST"]),
    ]
