"""S8: changing a connection that was made in the settings: its provider's values, attributes and roles, and metadata
that waits for an approval. What an organization's file describes is changed in the file.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sso_gate.apply.metadata_refresh import forget_look, published_change
from sso_gate.connections.connection import AttributeMap, Connection, SamlSettings
from sso_gate.connections.manage import CONSOLE, change_connection, made_in_console
from sso_gate.console.access import asked_for
from sso_gate.console.connection_form import FormInvalid, Wrong, connection_from, filled_in
from sso_gate.console.frame import Visit, visit
from sso_gate.console.provider_guides import GUIDES, guide_of
from sso_gate.console.rotation import seen_of
from sso_gate.console.wizard import exchange_page, read_typed, told
from sso_gate.errors import Conflict, InvalidInput, NotFound, Refused
from sso_gate.login.trial import Trials
from sso_gate.members.roles import Area, Role
from sso_gate.protocols.saml.metadata import IdentityProviderMetadata, MetadataChange, compare
from sso_gate.web.limits import Field, read_form, read_query
from sso_gate.web.templates import render

_ = str
_TWICE = _("This group is there twice")
_NO_ROLE = _("Choose a role for this group")
ROWS = 20
SPARE_ROWS = 3
MAPPED = (Role.ADMIN, Role.OWNER)
_ATTRIBUTES = ("email", "name", "groups", "subject")
_MAPPING = (
    {name: Field(256) for name in _ATTRIBUTES}
    | {f"group_{row}": Field(256) for row in range(ROWS)}
    | {f"role_{row}": Field(16) for row in range(ROWS)}
    | {"kind": Field(32)}
)


async def edit(request: Request) -> Response:
    """The form of the provider's values as they are; a secret is never shown."""
    at, known = await _own(request)
    return await exchange_page(request, at, guide_of("", known.protocol), known, filled_in(known.settings), [])


async def save(request: Request) -> Response:
    """Store the values; other keys or hosts of a provider only with the approval that the page then asks for."""
    at, known = await _own(request)
    typed = await read_typed(request, known.protocol)
    about = replace(known, name=typed.form["name"] or known.name)
    guide = guide_of("", known.protocol)
    try:
        wanted = await connection_from(at.runtime, typed, about)
    except FormInvalid as error:
        return await exchange_page(request, at, guide, about, typed.shown_again(), list(error.problems))
    held = _held(known, wanted)
    if held and not typed.form["approve"]:
        return await exchange_page(request, at, guide, about, typed.shown_again(), [], held=held)
    await _store(at, known, wanted, {"changed": _differing(known, wanted)})
    return RedirectResponse(f"/settings/access/{known.id}", HTTPStatus.SEE_OTHER)


async def mapping(request: Request) -> Response:
    """Which attributes are read, and which groups bring which role."""
    at, known = await _own(request)
    rows = [(group, role) for group, role in sorted(known.roles.items())]
    kind = read_query(request, kind=Field(32))["kind"]
    return await _mapping_page(request, at, known, asdict(known.attributes), rows, [], kind=kind)


async def save_mapping(request: Request) -> Response:
    """Store attributes and roles. An owner decides here, so that a group may bring the role of one; never of the
    primary owner.
    """
    at, known = await _own(request)
    form = await read_form(request, **_MAPPING)
    rows = [(form[f"group_{row}"], form[f"role_{row}"]) for row in range(ROWS)]
    rows = [(group, role) for group, role in rows if group]
    wrong = _wrong_rows(rows)
    attributes = {name: form[name] for name in _ATTRIBUTES}
    if wrong:
        return await _mapping_page(request, at, known, attributes, rows, wrong, kind=form["kind"])
    wanted = replace(known, attributes=AttributeMap(**attributes), roles=dict(rows))
    await _store(at, known, wanted, {"attributes": attributes, "roles": dict(rows)})
    onward = f"/settings/access/{known.id}" + ("/tests" if form["kind"] else "")
    return RedirectResponse(onward, HTTPStatus.SEE_OTHER)


async def published(request: Request) -> Response:
    """What the provider publishes now, beside what we have: to be approved, or not."""
    at = await visit(request, Area.ACCESS)
    known = await asked_for(request, at)
    settings = known.settings
    if not at.may_manage or not isinstance(settings, SamlSettings) or not settings.metadata_url:
        raise NotFound
    return await _published_page(request, at, known, settings)


async def approve(request: Request) -> Response:
    """Take over what was shown, if it is still what the provider publishes; or show what it is now."""
    at = await visit(request, Area.ACCESS)
    known = await asked_for(request, at)
    form = await read_form(request, seen=Field(64, required=True))
    if not isinstance(known.settings, SamlSettings) or not known.settings.metadata_url:
        raise NotFound
    change, _problem = await _published(at, known.settings)
    if change is None or seen_of(change) != form["seen"]:
        return await _published_page(request, at, known, known.settings, changed=True)
    wanted = replace(known, settings=change.settings)
    await change_connection(
        at.runtime, at.organization.id, known.id, _unless_changed(known, wanted),
        changes={"metadata": list(change.changes)}, by=at.actor,
    )  # fmt: skip
    await forget_look(at.runtime, known.id)
    return RedirectResponse(f"/settings/access/{known.id}", HTTPStatus.SEE_OTHER)


async def _own(request: Request) -> tuple[Visit, Connection]:
    """Return the visit and the connection, where the visitor may change it here.

    Raises:
        NotFound: they may only look, or there is none. Conflict: a file says what it is.
    """
    at = await visit(request, Area.ACCESS)
    if not at.may_manage:
        raise NotFound
    known = await asked_for(request, at)
    if not await made_in_console(at.runtime, known.id):
        raise Conflict(f"{known.id} is what its file says")
    return at, known


def _unless_changed(known: Connection, wanted: Connection) -> Any:
    def changed(current: Connection) -> Connection:
        if current.revision != known.revision:
            raise Conflict("the connection was changed meanwhile")
        return wanted

    return changed


async def _store(at: Visit, known: Connection, wanted: Connection, changes: Mapping[str, object]) -> None:
    if wanted != known:
        await change_connection(
            at.runtime, at.organization.id, known.id, _unless_changed(known, wanted),
            changes=changes, by=at.actor, only_if_made_by=CONSOLE,
        )  # fmt: skip


def _held(known: Connection, wanted: Connection) -> tuple[str, ...]:
    """Return what somebody has to look at before it counts: another provider, another host, another key."""
    old, new = known.settings, wanted.settings
    if not isinstance(old, SamlSettings) or not isinstance(new, SamlSettings):
        return ()
    said = IdentityProviderMetadata(
        new.idp_entity_id, new.sso_url, new.slo_url, new.slo_response_url, new.certificates,
        valid_until=None, name_id_formats=(), wants_requests_signed=False, signed_by_pinned=False,
    )  # fmt: skip
    return compare(old, said).held


def _differing(known: Connection, wanted: Connection) -> list[str]:
    """Return the names of what differs; the audit log gets no secret, and no certificate in full."""
    old, new = asdict(known.settings), asdict(wanted.settings)
    names = [name for name in new if old.get(name) != new[name]]
    return names + (["name"] if known.name != wanted.name else [])


def _wrong_rows(rows: list[tuple[str, str]]) -> list[Wrong]:
    groups = [group for group, _role in rows]
    wrong = []
    for number, (group, role) in enumerate(rows):
        if groups.index(group) != number:
            wrong.append(Wrong(f"group_{number}", _TWICE))
        elif role not in MAPPED:
            wrong.append(Wrong(f"role_{number}", _NO_ROLE))
    return wrong


async def _mapping_page(
    request: Request,
    at: Visit,
    known: Connection,
    attributes: dict[str, str],
    rows: list[tuple[str, str]],
    wrong: list[Wrong],
    *,
    kind: str,
) -> Response:
    empty = [("", "")] * max(0, min(SPARE_ROWS, ROWS - len(rows)))
    return render(
        request,
        "console/wizard_mapping.html",
        HTTPStatus.UNPROCESSABLE_ENTITY if wrong else HTTPStatus.OK,
        frame=await at.frame(),
        connection=known,
        attributes=attributes,
        rows=[*rows, *empty],
        roles=[str(role) for role in MAPPED],
        seen=await Trials.of(at.runtime).last(known.id),
        kind=kind if kind in GUIDES else "",
        errors=told(at, wrong),
    )


async def _published(at: Visit, settings: SamlSettings) -> tuple[MetadataChange | None, str]:
    try:
        return await published_change(at.runtime, settings), ""
    except Refused as error:
        return None, str(error.reason)
    except InvalidInput as error:
        return None, error.message


async def _published_page(
    request: Request, at: Visit, known: Connection, settings: SamlSettings, *, changed: bool = False
) -> Response:
    change, problem = await _published(at, settings)
    return render(
        request,
        "console/connection_metadata.html",
        HTTPStatus.CONFLICT if changed else HTTPStatus.OK,
        frame=await at.frame(),
        connection=known,
        change=change,
        seen=seen_of(change) if change else "",
        problem=problem,
        changed=changed,
    )


def routes() -> list[Route]:
    """Return the routes of changing connections."""
    one = "/settings/access/{connection}"
    return [
        Route(f"{one}/edit", edit, methods=["GET"]),
        Route(f"{one}/edit", save, methods=["POST"]),
        Route(f"{one}/mapping", mapping, methods=["GET"]),
        Route(f"{one}/mapping", save_mapping, methods=["POST"]),
        Route(f"{one}/metadata", published, methods=["GET"]),
        Route(f"{one}/metadata", approve, methods=["POST"]),
    ]
