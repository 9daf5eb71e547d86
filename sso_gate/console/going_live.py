"""S8, steps 5 and 7: the test login of a connection that is being made, and switching it on, each at its address."""

from dataclasses import replace
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sso_gate.connections import store as connections
from sso_gate.connections.connection import Connection
from sso_gate.connections.manage import change_connection
from sso_gate.console.access import asked_for, living_codes
from sso_gate.console.frame import Visit, visit
from sso_gate.errors import Conflict, NotFound
from sso_gate.login.trial import Trials
from sso_gate.members.directory import not_deactivated
from sso_gate.members.roles import Area
from sso_gate.web.limits import Field, read_form
from sso_gate.web.templates import render

ENOUGH_CODES = 2


async def trial_page(request: Request) -> Response:
    """Step 5: what a test login is, the button that asks for one, and what came of the last."""
    at, known = await _manager(request)
    trials = Trials.of(at.runtime)
    return render(
        request,
        "console/wizard_test.html",
        frame=await at.frame(),
        connection=known,
        tested=await trials.passed(known),
        last=await trials.last(known.id),
    )


async def switch_page(request: Request) -> Response:
    """Step 7: who can log in then, whether owners have a way in without it, and which other connections there are."""
    at, known = await _manager(request)
    return await _switch_page(request, at, known)


async def enable(request: Request) -> Response:
    """Let people log in by this connection, once a test login with these very settings has passed; where single sign-on
    is required to be this one, by no other any more. Never against the one by which the visitor came.
    """
    at = await visit(request, Area.ACCESS)
    form, known = await read_form(request, require=Field(1)), await asked_for(request, at)
    if not await Trials.of(at.runtime).passed(known):
        return await _switch_page(request, at, known, problem="untested")
    others = [one for one in await _others(at, known) if form["require"]]
    if any(one.id == at.came_by for one in others):
        return await _switch_page(request, at, known, problem="own")

    def switched(current: Connection) -> Connection:
        if current.revision != known.revision:
            raise Conflict("the connection was changed meanwhile")
        return replace(current, enabled=True)

    await change_connection(at.runtime, at.organization.id, known.id, switched, changes={"enabled": True}, by=at.actor)
    for other in others:
        await change_connection(
            at.runtime, at.organization.id, other.id, lambda current: replace(current, enabled=False),
            changes={"enabled": False, "required": known.id}, by=at.actor,
        )  # fmt: skip
    enough = len({one.email for one in await living_codes(at)}) >= ENOUGH_CODES
    onward = f"/settings/access/{known.id}" if enough else f"/settings/access/_codes?connection={known.id}"
    return RedirectResponse(onward, HTTPStatus.SEE_OTHER)


async def _manager(request: Request) -> tuple[Visit, Connection]:
    at = await visit(request, Area.ACCESS)
    if not at.may_manage:
        raise NotFound
    return at, await asked_for(request, at)


async def _switch_page(request: Request, at: Visit, known: Connection, *, problem: str = "") -> Response:
    affected = await at.runtime.database.read(lambda tx: not_deactivated(tx, at.organization.id))
    return render(
        request,
        "console/wizard_switch.html",
        HTTPStatus.CONFLICT if problem else HTTPStatus.OK,
        frame=await at.frame(),
        connection=known,
        tested=await Trials.of(at.runtime).passed(known),
        affected=affected,
        provisioning=at.organization.provisioning,
        codes=len(await living_codes(at)),
        others=await _others(at, known),
        came_by=at.came_by,
        problem=problem,
    )


async def _others(at: Visit, known: Connection) -> list[Connection]:
    """Return the other connections by which people log in now."""
    keyring = at.runtime.keyring
    found = await at.runtime.database.read(lambda tx: connections.of_organization(tx, keyring, at.organization.id))
    return [one for one in found if one.enabled and one.id != known.id]


def routes() -> list[Route]:
    """Return the routes of the last steps."""
    one = "/settings/access/{connection}"
    return [
        Route(f"{one}/tests", trial_page, methods=["GET"]),
        Route(f"{one}/enable", switch_page, methods=["GET"]),
        Route(f"{one}/enable", enable, methods=["POST"]),
    ]
