"""S9: a test login by one connection, and what came of it. Takes no seat, makes no session."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sso_gate.connections.connection import Connection, SamlSettings
from sso_gate.console.access import asked_for
from sso_gate.console.frame import Visit, visit
from sso_gate.errors import NotFound, Reason
from sso_gate.login.trial import Trial, Trials
from sso_gate.members.roles import Area
from sso_gate.web.limits import read_form
from sso_gate.web.templates import render

# A key that is not ours may have been published since: the metadata is worth another look.
_KEY_REASONS = frozenset({Reason.KEY_UNKNOWN, Reason.SIGNATURE_INVALID})


async def ask(request: Request) -> Response:
    """Make ready for a test login; the next page has the link that runs it."""
    at = await visit(request, Area.ACCESS)
    await read_form(request)
    known = await asked_for(request, at)
    name = await Trials(at.runtime.redis).ask(known.id)
    return RedirectResponse(f"/settings/access/{known.id}/tests/{name}", HTTPStatus.SEE_OTHER)


async def result(request: Request) -> Response:
    """The link of the test login until somebody came back from it, and then every check with its verdict."""
    at = await visit(request, Area.ACCESS)
    known, name = await asked_for(request, at), request.path_params["trial"]
    trials = Trials(at.runtime.redis)
    if not await trials.is_asked(known.id, name):
        raise NotFound("no such test login, or it was too long ago")
    link = f"{at.runtime.settings.origin}/login/{known.id}?trial={name}"
    return await _page(request, at, known, await trials.result(known.id, name), link=link)


async def _page(request: Request, at: Visit, known: Connection, trial: Trial | None, *, link: str) -> Response:
    metadata = isinstance(known.settings, SamlSettings) and known.settings.metadata_url
    return render(
        request,
        "console/trace.html",
        frame=await at.frame(),
        connection=known,
        trial=trial,
        link=link,
        may_manage=at.may_manage,
        published=bool(metadata and at.may_manage and trial and trial.reason in _KEY_REASONS),
    )


def routes() -> list[Route]:
    """Return the routes of test logins."""
    return [
        Route("/settings/access/{connection}/tests", ask, methods=["POST"]),
        Route("/settings/access/{connection}/tests/{trial}", result),
    ]
