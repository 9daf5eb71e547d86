"""S9: a test login by one connection, and what came of it. Takes no seat, makes no session."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sso_gate.connections.connection import Connection
from sso_gate.console.access import asked_for
from sso_gate.console.frame import Visit, visit
from sso_gate.console.rotation import KEY_REASONS, Rotated, rotated
from sso_gate.errors import NotFound
from sso_gate.login.answer import kept_answer
from sso_gate.login.flow import flow_of
from sso_gate.login.trace import ANSWERED
from sso_gate.login.trial import Trial, Trials
from sso_gate.members.roles import Area
from sso_gate.web.limits import read_form
from sso_gate.web.templates import render


async def ask(request: Request) -> Response:
    """Make ready for a test login; the next page has the link that runs it."""
    at = await visit(request, Area.ACCESS)
    await read_form(request)
    known = await asked_for(request, at)
    name = await Trials.of(at.runtime).ask(known.id)
    return RedirectResponse(f"/settings/access/{known.id}/tests/{name}", HTTPStatus.SEE_OTHER)


async def result(request: Request) -> Response:
    """The link of the test login until somebody came back from it, and then every check with its verdict."""
    at = await visit(request, Area.ACCESS)
    known, name = await asked_for(request, at), request.path_params["trial"]
    trials = Trials.of(at.runtime)
    trial = await trials.result(known.id, name)
    if trial is None and not await trials.is_asked(known.id, name):
        raise NotFound("no such test login, or it was too long ago")
    answer = await kept_answer(at.runtime, at.organization.id, name) if trial and at.may_manage else ""
    return render(
        request,
        "console/trace.html",
        frame=await at.frame(),
        connection=known,
        trial=trial,
        link=f"{at.runtime.settings.origin}/login/{known.id}?trial={name}",
        may_manage=at.may_manage,
        answer=answer,
        rotated=await _rotated(request, at, known, trial, answer),
    )


async def _rotated(request: Request, at: Visit, known: Connection, trial: Trial | None, answer: str) -> Rotated | None:
    """Look, for whoever may change the connection, whether the provider publishes the key that we do not have."""
    if trial is None or trial.reason not in KEY_REASONS or not at.may_manage:
        return None
    answered = next((step.at for step in trial.steps if step.name == ANSWERED), None)
    return await rotated(flow_of(request), known, answer, answered=answered or at.runtime.clock.now())


def routes() -> list[Route]:
    """Return the routes of test logins."""
    return [
        Route("/settings/access/{connection}/tests", ask, methods=["POST"]),
        Route("/settings/access/{connection}/tests/{trial}", result),
    ]
