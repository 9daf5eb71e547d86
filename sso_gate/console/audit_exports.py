"""S11: exports of more events than anybody waits for: asked for by a form, made in the background, taken from here."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from sso_gate.audit import reading, stored_exports
from sso_gate.audit.stored_exports import StoredExport
from sso_gate.console.audit import FILES, FILTERS, file_headers, list_page, wanted_by
from sso_gate.console.frame import Visit, visit
from sso_gate.errors import Conflict, InvalidInput, NotFound
from sso_gate.members.roles import Area
from sso_gate.web.catalogues import translations
from sso_gate.web.limits import Field, read_form
from sso_gate.web.templates import render

_ = str
_NO_MORE = _(
    "No further file can be made now: three are being made, twenty are kept, or more than two million events fit."
    " A file is kept for seven days."
)
PATH = "/settings/audit/exports"
_MEDIA_TYPES = dict(FILES.values())


async def ask(request: Request) -> Response:
    """Promise the file of what the filters show, and lead to its page."""
    at = await visit(request, Area.AUDIT)
    form = await read_form(request, form=Field(max_length=8, required=True), **FILTERS)
    if form["form"] not in _MEDIA_TYPES:
        raise InvalidInput("form", "expected jsonl, csv or ocsf")
    asked = {name: form.get(name, "") for name in (*FILTERS, "after", "times")}
    wanted = wanted_by(asked, at.runtime.clock.now())
    try:
        made = await stored_exports.ask(at.runtime, at.organization.id, wanted, form=form["form"], by=at.actor)
    except Conflict:
        return await list_page(request, at, asked, problem=translations(at.language.tag).gettext(_NO_MORE))
    return RedirectResponse(f"{PATH}/{made}", HTTPStatus.SEE_OTHER)


async def one(request: Request) -> Response:
    """How far the file is, and once it is there, where it is taken."""
    at = await visit(request, Area.AUDIT)
    found = await _asked_for(request, at)
    mail = bool(at.runtime.settings.smtp_url)
    return render(request, "console/audit_export.html", frame=await at.frame(), export=found, mail=mail)


async def take(request: Request) -> Response:
    """The file, in the parts in which it is kept. That the log was read is on record."""
    at = await visit(request, Area.AUDIT)
    found = await _asked_for(request, at)
    if found.state != "ready":
        raise NotFound
    await reading.note_read(at.runtime, at.organization.id, by=at.actor)
    text = stored_exports.text_of(at.runtime, found.id)
    headers = file_headers(at, found.form, found.name)
    return StreamingResponse(text, media_type=_MEDIA_TYPES[found.form], headers=headers)


async def _asked_for(request: Request, at: Visit) -> StoredExport:
    found = await stored_exports.export_of(at.runtime, at.organization.id, request.path_params["export"])
    if found is None:
        raise NotFound
    return found


def routes() -> list[Route]:
    """Return the routes of stored exports."""
    return [
        Route(PATH, ask, methods=["POST"]),
        Route(f"{PATH}/{{export}}", one, methods=["GET"]),
        Route(f"{PATH}/{{export}}/file", take, methods=["GET"]),
    ]
