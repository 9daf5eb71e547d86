"""S8: the organization's connections, what each identity provider has to be told, and switching them on and off."""

from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sso_gate.apply.metadata_refresh import last_look
from sso_gate.breakglass.code import IssuedCode
from sso_gate.breakglass.manage import issued_codes
from sso_gate.connections import store as connections
from sso_gate.connections.certificates import CertificateExpiry, certificates_expiry
from sso_gate.connections.connection import Connection, SamlSettings
from sso_gate.connections.contact import change_it_contact
from sso_gate.connections.manage import change_connection, connection_of, made_in_console, remove_connection
from sso_gate.console.frame import ZONE, Visit, visit
from sso_gate.login.trial import Trials
from sso_gate.members.directory import not_deactivated
from sso_gate.members.roles import Area
from sso_gate.protocols.protocol import Endpoints
from sso_gate.web.limits import Field, read_form
from sso_gate.web.templates import render

SOON_DAYS = 30


def certificates_of(at: Visit, connection: Connection) -> tuple[CertificateExpiry, ...]:
    """Return the certificates that may sign for this connection; none for OpenID Connect, which publishes keys."""
    if not isinstance(connection.settings, SamlSettings):
        return ()
    return certificates_expiry(connection.settings.certificates, now=at.runtime.clock.now())


def ending_soon(found: Sequence[CertificateExpiry]) -> int | None:
    """Return the days until the last certificate ends, when that is soon; None when nothing needs to be done."""
    left = max((one.days_left for one in found), default=SOON_DAYS + 1)
    return max(left, 0) if left <= SOON_DAYS else None


async def living_codes(at: Visit) -> list[IssuedCode]:
    """Return the emergency codes that work now, newest first."""
    now, codes = at.runtime.clock.now(), await issued_codes(at.runtime, at.organization.id)
    return [one for one in reversed(codes) if not one.used and not one.revoked and one.expires > now]


async def listing(request: Request) -> Response:
    """Every connection with its state, and the emergency codes."""
    at = await visit(request, Area.ACCESS)
    keyring = at.runtime.keyring
    found = await at.runtime.database.read(lambda tx: connections.of_organization(tx, keyring, at.organization.id))
    return render(
        request,
        "console/access.html",
        frame=await at.frame(),
        zone=ZONE,
        rows=[(one, ending_soon(certificates_of(at, one))) for one in found],
        domains=at.organization.domains,
        it_contact=at.organization.it_contact,
        provisioning=at.organization.provisioning,
        when_full=at.organization.scim_when_full,
        codes=await living_codes(at),
        may_manage=at.may_manage,
    )


async def contact(request: Request) -> Response:
    """Say whom people ask who have trouble logging in."""
    at = await visit(request, Area.ACCESS)
    form = await read_form(request, it_contact=Field(max_length=200))
    await change_it_contact(at.runtime, at.organization.id, form["it_contact"], by=at.actor)
    return RedirectResponse("/settings/access#contact", HTTPStatus.SEE_OTHER)


async def one(request: Request) -> Response:
    """One connection: our values to be copied, theirs as we have them, and whether people may log in by it."""
    at = await visit(request, Area.ACCESS)
    return await connection_page(request, at, await asked_for(request, at))


async def disable(request: Request) -> Response:
    """Let nobody log in by this connection; sessions that came by it end within a minute. Never one's own."""
    at = await visit(request, Area.ACCESS)
    await read_form(request)
    known = await asked_for(request, at)
    if known.id == at.came_by:
        return await connection_page(request, at, known, problem="own")
    await change_connection(
        at.runtime, at.organization.id, known.id, lambda current: replace(current, enabled=False),
        changes={"enabled": False}, by=at.actor,
    )  # fmt: skip
    return RedirectResponse(f"/settings/access/{known.id}", HTTPStatus.SEE_OTHER)


async def answers(request: Request) -> Response:
    """Keep what the provider answered in refused logins, sealed and for a day; or stop that."""
    at = await visit(request, Area.ACCESS)
    form = await read_form(request, keep=Field(3))
    keep, known = form["keep"] == "on", await asked_for(request, at)
    await change_connection(
        at.runtime, at.organization.id, known.id, lambda current: replace(current, keep_answers=keep),
        changes={"keep_answers": keep}, by=at.actor,
    )  # fmt: skip
    return RedirectResponse(f"/settings/access/{known.id}#answers", HTTPStatus.SEE_OTHER)


async def remove(request: Request) -> Response:
    """Take away a connection that was made in the settings and is switched off."""
    at = await visit(request, Area.ACCESS)
    await read_form(request)
    await remove_connection(at.runtime, at.organization.id, request.path_params["connection"], by=at.actor)
    return RedirectResponse("/settings/access", HTTPStatus.SEE_OTHER)


async def asked_for(request: Request, at: Visit) -> Connection:
    """Return the organization's connection that the path names."""
    return await connection_of(at.runtime, at.organization.id, request.path_params["connection"])


async def connection_page(request: Request, at: Visit, known: Connection, *, problem: str = "") -> Response:
    """Return the page of one connection; `problem` says why it was not switched."""
    codes = await living_codes(at)
    affected = await at.runtime.database.read(lambda tx: not_deactivated(tx, at.organization.id))
    return render(
        request,
        "console/connection.html",
        HTTPStatus.CONFLICT if problem else HTTPStatus.OK,
        frame=await at.frame(),
        connection=known,
        ours=Endpoints(at.runtime.settings.origin, known.id),
        certificates=certificates_of(at, known),
        look=await last_look(at.runtime, known.id),
        may_manage=at.may_manage,
        tested=await Trials.of(at.runtime).passed(known),
        affected=affected,
        codes=len(codes),
        own=known.id == at.came_by,
        editable=await made_in_console(at.runtime, known.id),
        problem=problem,
    )


def routes() -> list[Route]:
    """Return the routes of the connections' pages."""
    return [
        Route("/settings/access", listing),
        Route("/settings/access/_contact", contact, methods=["POST"]),
        Route("/settings/access/{connection}", one),
        Route("/settings/access/{connection}/disable", disable, methods=["POST"]),
        Route("/settings/access/{connection}/answers", answers, methods=["POST"]),
        Route("/settings/access/{connection}/remove", remove, methods=["POST"]),
    ]
