"""The signed-in person's own page: who they are, whether they hold a seat, and the settings that they may open."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sso_gate.admission.recheck import Recheck
from sso_gate.console.door import areas_of
from sso_gate.console.frame import Frame
from sso_gate.console.stay import Stay
from sso_gate.organizations import store as organizations
from sso_gate.web.cookies import SESSION_COOKIE
from sso_gate.web.headers import login_policy
from sso_gate.web.request_state import runtime_of, speak
from sso_gate.web.templates import render


async def home(request: Request) -> Response:
    """GET /: the person's page; signed out: to the login."""
    runtime = runtime_of(request)
    signed_in = await Recheck.of(runtime).signed_in(SESSION_COOKIE.read(request))
    if signed_in is None:
        return RedirectResponse("/login", 302)
    member, session = signed_in.member, signed_in.session
    organization = await runtime.database.read(lambda tx: organizations.get(tx, member.organization))
    speak(request, saved=member.locale, default=organization.locale if organization else "")
    areas = tuple(str(area) for area in areas_of(member))
    name = organization.name if organization else ""
    return render(
        request,
        "console/home.html",
        headers={"content-security-policy": login_policy(runtime.settings.origin)},
        frame=Frame(
            organization_name=name,
            person_name=session.name,
            person_email=member.email,
            areas=areas,
            current="",
            stay=Stay.of(runtime, session),
        ),
        role=str(member.role),
        has_seat=session.kind == "seat",
        groups=session.groups,
        since=session.created_at,
    )


def home_routes() -> list[Route]:
    """Return the route of the person's page."""
    return [Route("/", home, methods=["GET"])]
