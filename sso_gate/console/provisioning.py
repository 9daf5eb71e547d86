"""S8, step 6: how people become members of the organization, by whatever connection they come."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sso_gate.connections.connection import Connection
from sso_gate.connections.manage import connection_of
from sso_gate.connections.provisioning import change_provisioning
from sso_gate.console.frame import Visit, visit
from sso_gate.errors import NotFound
from sso_gate.members.roles import Area
from sso_gate.tokens.manage import living_tokens
from sso_gate.tokens.token import Scope
from sso_gate.web.limits import Field, read_form, read_query
from sso_gate.web.templates import render

# A connection's id has no underscore, so that this is none.
_PATH = "/settings/access/_provisioning"
_CONNECTION = Field(64)


async def page(request: Request) -> Response:
    """What is chosen now; `connection` names the one that is being made, whose next step follows."""
    at = await visit(request, Area.ACCESS)
    if not at.may_manage:
        raise NotFound
    draft = await _draft(at, read_query(request, connection=_CONNECTION)["connection"])
    tokens = await living_tokens(at.runtime, at.organization.id)
    return render(
        request,
        "console/provisioning.html",
        frame=await at.frame(),
        provisioning=at.organization.provisioning,
        when_full=at.organization.scim_when_full,
        has_token=any(Scope.SCIM in one.scopes for one in tokens),
        base=f"{at.runtime.settings.origin}/scim/v2",
        draft=draft,
    )


async def choose(request: Request) -> Response:
    """Let it count from now on, and go on with the connection that is being made."""
    at = await visit(request, Area.ACCESS)
    form = await read_form(
        request, provisioning=Field(16, required=True), when_full=Field(16, required=True), connection=_CONNECTION
    )
    draft = await _draft(at, form["connection"])
    await change_provisioning(
        at.runtime,
        at.organization.id,
        provisioning=form["provisioning"],
        when_full=form["when_full"],
        by=at.actor,
    )
    onward = f"/settings/access/{draft.id}/enable" if draft else "/settings/access#provisioning"
    return RedirectResponse(onward, HTTPStatus.SEE_OTHER)


async def _draft(at: Visit, connection_id: str) -> Connection | None:
    return await connection_of(at.runtime, at.organization.id, connection_id) if connection_id else None


def routes() -> list[Route]:
    """Return the routes of the choice; they come before those of connections."""
    return [Route(_PATH, page, methods=["GET"]), Route(_PATH, choose, methods=["POST"])]
