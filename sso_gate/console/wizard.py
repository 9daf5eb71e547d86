"""S8: a new connection, step by step: choose the provider, name it, exchange values, map attributes, test, turn on.

Nothing is stored before the provider's values are: the first steps are links. What is made here is off until a test
login with its very settings has passed.
"""

from http import HTTPStatus

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sso_gate.apply.file import RESERVED, Slug
from sso_gate.connections import store as connections
from sso_gate.connections.connection import Connection
from sso_gate.connections.manage import CONSOLE, create_connection
from sso_gate.console.connection_form import (
    OIDC_FIELDS,
    SAML_FIELDS,
    FormInvalid,
    Typed,
    Wrong,
    blank,
    connection_from,
    filled_in,
)
from sso_gate.console.frame import Visit, visit
from sso_gate.console.provider_guides import GUIDES, Guide, guides_by_provider, our_values
from sso_gate.errors import Conflict, NotFound
from sso_gate.members.roles import Area
from sso_gate.protocols.protocol import Endpoints
from sso_gate.web.catalogues import translations
from sso_gate.web.limits import Field, read_form, read_query, read_upload
from sso_gate.web.templates import render

_ = str
_BAD_ID = _("Use lower-case letters, digits and hyphens, such as acme-okta")
_TAKEN = _("This short name is taken. Choose another one.")
_NO_NAME = _("Enter a name")
_NAMED = {"name": Field(200), "id": Field(64)}
# A connection's id has no underscore, so that this is none.
NEW = "/settings/access/_new"


async def choose(request: Request) -> Response:
    """Step 1: which identity provider, and by which protocol."""
    at = await _manager(request)
    return render(request, "console/wizard_choose.html", frame=await at.frame(), providers=guides_by_provider())


async def name(request: Request) -> Response:
    """Step 2: what people call it, and the short name that its addresses have."""
    at, guide = await _manager(request), _guide(request)
    asked = read_query(request, **_NAMED)
    suggested = {"name": guide.name, "id": await _free_id(at, f"{at.organization.slug}-{guide.short_name}")}
    return await _name_page(request, at, guide, {key: asked[key] or suggested[key] for key in suggested}, [])


async def exchange(request: Request) -> Response:
    """Step 3: our values to be copied over there, and the form for theirs."""
    at, guide = await _manager(request), _guide(request)
    asked = read_query(request, **_NAMED)
    wrong = await _named_wrongly(at, asked)
    if wrong:
        return await _name_page(request, at, guide, asked, wrong)
    draft = blank(guide.protocol, connection_id=asked["id"], name=asked["name"], organization=at.organization.id)
    return await exchange_page(request, at, guide, draft, filled_in(draft.settings), [])


async def create(request: Request) -> Response:
    """Make the connection, off; or show the form again with what was typed and what is wrong with it."""
    at, guide = await visit(request, Area.ACCESS), _guide(request)
    typed = await read_typed(request, guide.protocol)
    named = {key: typed.form[key] for key in _NAMED}
    wrong = await _named_wrongly(at, named)
    if wrong:
        return await _name_page(request, at, guide, named, wrong)
    draft = blank(guide.protocol, connection_id=named["id"], name=named["name"], organization=at.organization.id)
    try:
        made = await connection_from(at.runtime, typed, draft)
        await create_connection(at.runtime, made, maker=CONSOLE, by=at.actor)
    except FormInvalid as error:
        return await exchange_page(request, at, guide, draft, typed.shown_again(), list(error.problems))
    except Conflict:
        return await _name_page(request, at, guide, named, [Wrong("id", _TAKEN)])
    return RedirectResponse(f"/settings/access/{made.id}/mapping?kind={guide.kind}", HTTPStatus.SEE_OTHER)


async def read_typed(request: Request, protocol: str) -> Typed:
    """Return what was sent with the form of this protocol's values, and the name of the connection."""
    if protocol == "saml":
        form, upload = await read_upload(request, file="metadata_file", **_NAMED, **SAML_FIELDS)
        return Typed(form, upload)
    return Typed(await read_form(request, **_NAMED, **OIDC_FIELDS))


async def exchange_page(
    request: Request,
    at: Visit,
    guide: Guide,
    about: Connection,
    form: dict[str, str],
    wrong: list[Wrong],
    *,
    held: tuple[str, ...] = (),
) -> Response:
    """Return the page with our values and the form for theirs; `held` are the changes that have to be approved."""
    return render(
        request,
        "console/wizard_exchange.html",
        HTTPStatus.UNPROCESSABLE_ENTITY if wrong or held else HTTPStatus.OK,
        frame=await at.frame(),
        guide=guide,
        connection=about,
        ours=our_values(Endpoints(at.runtime.settings.origin, about.id)),
        form={field: form.get(field, "") for field in (*SAML_FIELDS, *OIDC_FIELDS)},
        held=held,
        errors=told(at, wrong),
    )


def told(at: Visit, wrong: list[Wrong]) -> list[dict[str, str]]:
    """Return the problems in the visitor's language, as pages show them."""
    say = translations(at.language.tag).gettext
    return [{"field": one.field, "text": say(one.text), "detail": one.detail} for one in wrong]


async def _manager(request: Request) -> Visit:
    """Return the visit of somebody who may change connections; whoever may only look finds nothing here."""
    at = await visit(request, Area.ACCESS)
    if not at.may_manage:
        raise NotFound
    return at


def _guide(request: Request) -> Guide:
    found = GUIDES.get(request.path_params["kind"])
    if found is None:
        raise NotFound("no such kind of provider")
    return found


async def _name_page(request: Request, at: Visit, guide: Guide, form: dict[str, str], wrong: list[Wrong]) -> Response:
    status = HTTPStatus.UNPROCESSABLE_ENTITY if wrong else HTTPStatus.OK
    origin = at.runtime.settings.origin
    return render(
        request,
        "console/wizard_name.html",
        status,
        frame=await at.frame(),
        guide=guide,
        form=form,
        origin=origin,
        domains=at.organization.domains,
        errors=told(at, wrong),
    )


async def _named_wrongly(at: Visit, named: dict[str, str]) -> list[Wrong]:
    wrong = [] if named["name"] else [Wrong("name", _NO_NAME)]
    try:
        TypeAdapter(Slug).validate_python(named["id"])
    except ValidationError:
        return [*wrong, Wrong("id", _BAD_ID)]
    if named["id"] in RESERVED or await _is_taken(at, named["id"]):
        wrong.append(Wrong("id", _TAKEN))
    return wrong


async def _free_id(at: Visit, wanted: str) -> str:
    for number in range(1, 10):
        candidate = wanted[:60] if number == 1 else f"{wanted[:60]}-{number}"
        if not await _is_taken(at, candidate):
            return candidate
    return ""


async def _is_taken(at: Visit, connection_id: str) -> bool:
    keyring = at.runtime.keyring
    return await at.runtime.database.read(lambda tx: connections.get(tx, keyring, connection_id)) is not None


def routes() -> list[Route]:
    """Return the routes of the wizard; they come before those of connections."""
    return [
        Route(NEW, choose, methods=["GET"]),
        Route(f"{NEW}/{{kind}}", name, methods=["GET"]),
        Route(f"{NEW}/{{kind}}", create, methods=["POST"]),
        Route(f"{NEW}/{{kind}}/exchange", exchange, methods=["GET"]),
    ]
