"""S8, step 2: proving that a domain is the organization's, by a record in its DNS."""

from http import HTTPStatus

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sso_gate.apply.file import Domain
from sso_gate.connections.domains import Looked, give_up, prove, record_of
from sso_gate.console.frame import Visit, visit
from sso_gate.errors import Conflict, NotFound
from sso_gate.members.roles import Area
from sso_gate.organizations import store as organizations
from sso_gate.web.catalogues import translations
from sso_gate.web.limits import Field, read_form, read_query
from sso_gate.web.templates import render

_ = str
_BAD = _("Enter a domain name, such as acme.example")
_TAKEN = _("This domain is there already, or belongs to another organization.")
# A connection's id has no underscore, so that this is none.
_PATH = "/settings/access/_domains"
_DOMAIN = Field(253, required=True)


async def page(request: Request) -> Response:
    """Which domain, and then the record that proves it; the address is shareable and stores nothing."""
    at = await visit(request, Area.ACCESS)
    if not at.may_manage:
        raise NotFound
    asked = read_query(request, domain=Field(253))["domain"]
    if asked and _domain(asked) is None:
        return await _page(request, at, asked, wrong=_BAD)
    return await _page(request, at, asked)


async def check(request: Request) -> Response:
    """Look the record up now: the domain is the organization's from now on, or the page says what DNS answers."""
    at = await visit(request, Area.ACCESS)
    asked = (await read_form(request, domain=_DOMAIN))["domain"]
    domain = _domain(asked)
    if domain is None:
        return await _page(request, at, asked, wrong=_BAD)
    try:
        looked = await prove(at.runtime, at.organization.id, domain, by=at.actor)
    except Conflict:
        return await _page(request, at, asked, wrong=_TAKEN)
    if looked.proven:
        return RedirectResponse("/settings/access#domains", HTTPStatus.SEE_OTHER)
    return await _page(request, at, asked, looked=looked)


async def remove(request: Request) -> Response:
    """Take away a domain that was proven here."""
    at = await visit(request, Area.ACCESS)
    form = await read_form(request, domain=_DOMAIN)
    await give_up(at.runtime, at.organization.id, form["domain"], by=at.actor)
    return RedirectResponse(_PATH, HTTPStatus.SEE_OTHER)


def _domain(text: str) -> str | None:
    """Return the domain in lower case, as DNS knows it; None for what is none."""
    try:
        ascii_only = text.strip().rstrip(".").encode("idna").decode("ascii")
        found: str = TypeAdapter(Domain).validate_python(ascii_only)
    except (UnicodeError, ValidationError):
        return None
    return found


async def _page(request: Request, at: Visit, asked: str, *, wrong: str = "", looked: Looked | None = None) -> Response:
    domain = "" if wrong else _domain(asked) or ""
    text = translations(at.language.tag).gettext(wrong) if wrong else ""
    proven = await at.runtime.database.read(lambda tx: organizations.proven_domains(tx, at.organization.id))
    status = HTTPStatus.UNPROCESSABLE_ENTITY if wrong else HTTPStatus.CONFLICT if looked else HTTPStatus.OK
    return render(
        request,
        "console/domains.html",
        status,
        frame=await at.frame(),
        asked=asked,
        domain=domain,
        record=record_of(at.runtime, at.organization.id, domain) if domain else None,
        looked=looked,
        proven=proven,
        errors=[{"field": "domain", "text": text}] if wrong else [],
    )


def routes() -> list[Route]:
    """Return the routes of domains; they come before those of connections."""
    return [
        Route(_PATH, page, methods=["GET"]),
        Route(_PATH, check, methods=["POST"]),
        Route(f"{_PATH}/remove", remove, methods=["POST"]),
    ]
