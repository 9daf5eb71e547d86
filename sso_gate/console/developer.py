"""S13: the tokens of programs. A secret is shown once, on the page that answers its making."""

from datetime import timedelta
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sso_gate.console.door import PREFIX, areas_of
from sso_gate.console.frame import Visit, visit
from sso_gate.errors import NotFound
from sso_gate.members.roles import Area
from sso_gate.tokens.manage import create_token, living_tokens, revoke_token
from sso_gate.tokens.token import Scope
from sso_gate.web.catalogues import translations
from sso_gate.web.limits import Field, read_form
from sso_gate.web.request_state import state_of
from sso_gate.web.templates import render

_ = str
_NO_SCOPE = _("Choose at least one thing that the token may do")
# How long a token lives, by what the form says; the shortest is the first choice.
LIFETIMES = {
    "90": timedelta(days=90),
    "30": timedelta(days=30),
    "365": timedelta(days=365),
    "never": None,
}
_SCOPES = {str(scope): Field(max_length=1) for scope in Scope}


async def listing(request: Request) -> Response:
    """Every token with its scopes, its end and its last use."""
    return await _page(request, await visit(request, Area.DEVELOPER))


async def create(request: Request) -> Response:
    """Make a token and show its secret, which cannot be shown again."""
    at = await visit(request, Area.DEVELOPER)
    form = await read_form(request, name=Field(max_length=100), lifetime=Field(max_length=8), **_SCOPES)
    scopes = frozenset(scope for scope in _given(at) if form[scope])
    if not scopes:
        text = translations(at.language.tag).gettext(_NO_SCOPE)
        return await _page(request, at, form, [{"field": "scopes", "text": text}])
    lifetime = LIFETIMES.get(form["lifetime"], LIFETIMES["90"])
    made = await create_token(
        at.runtime, at.organization.id, name=form["name"], scopes=scopes, lifetime=lifetime, by=at.actor
    )
    return render(
        request,
        "console/token_made.html",
        HTTPStatus.CREATED,
        frame=await at.frame(),
        token=made.token,
        secret=made.secret,
    )


async def revoke(request: Request) -> Response:
    """End a token; programs that use it are refused from now on."""
    at = await visit(request, Area.DEVELOPER)
    await read_form(request)
    await revoke_token(at.runtime, at.organization.id, request.path_params["token"], by=at.actor)
    return RedirectResponse("/settings/developer", HTTPStatus.SEE_OTHER)


async def first_area(request: Request) -> Response:
    """`/settings`: on to the first area that the visitor may open."""
    visitor = state_of(request.scope).get("visitor")
    if visitor is None:
        raise NotFound
    return RedirectResponse(f"{PREFIX}/{areas_of(visitor.member)[0]}", 302)


def _given(at: Visit) -> list[Scope]:
    """Return what a token may do that the visitor makes: who may not buy seats cannot have a program do it."""
    return [scope for scope in Scope if at.may_buy or scope is not Scope.SEATS_WRITE]


async def _page(
    request: Request, at: Visit, form: dict[str, str] | None = None, errors: list[dict[str, str]] | None = None
) -> Response:
    return render(
        request,
        "console/developer.html",
        HTTPStatus.UNPROCESSABLE_ENTITY if errors else HTTPStatus.OK,
        frame=await at.frame(),
        tokens=await living_tokens(at.runtime, at.organization.id),
        origin=at.runtime.settings.origin,
        scopes=[str(scope) for scope in _given(at)],
        form=form or {},
        errors=errors or [],
    )


def routes() -> list[Route]:
    """Return the routes of the developer's page, and of `/settings` itself."""
    return [
        Route("/settings", first_area),
        Route("/settings/developer", listing),
        Route("/settings/developer/tokens", create, methods=["POST"]),
        Route("/settings/developer/tokens/{token}/revoke", revoke, methods=["POST"]),
    ]
