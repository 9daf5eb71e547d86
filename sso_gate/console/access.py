"""S8: the organization's connections, and for each what the identity provider has to be told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_pem_x509_certificate
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sso_gate.connections import store as connections
from sso_gate.connections.connection import Connection, SamlSettings
from sso_gate.console.frame import visit
from sso_gate.errors import NotFound
from sso_gate.members.roles import Area
from sso_gate.protocols.protocol import Endpoints
from sso_gate.web.templates import render

SOON_DAYS = 30


@dataclass(frozen=True, slots=True)
class Certificate:
    """One signing certificate of the identity provider: its SHA-256 fingerprint, its end, and the days until then."""

    fingerprint: str
    ends_at: datetime
    days_left: int


def certificates_of(connection: Connection, *, now: datetime) -> list[Certificate]:
    """Return the certificates that may sign for this connection; none for OpenID Connect, which publishes keys."""
    if not isinstance(connection.settings, SamlSettings):
        return []
    return [_certificate(pem, now) for pem in connection.settings.certificates]


def _certificate(pem: str, now: datetime) -> Certificate:
    loaded = load_pem_x509_certificate(pem.encode())
    ends = loaded.not_valid_after_utc
    return Certificate(loaded.fingerprint(SHA256()).hex(":"), ends, (ends - now).days)


def ending_soon(found: Sequence[Certificate]) -> int | None:
    """Return the days until the last certificate ends, when that is soon; None when nothing needs to be done."""
    left = max((one.days_left for one in found), default=SOON_DAYS + 1)
    return max(left, 0) if left <= SOON_DAYS else None


async def listing(request: Request) -> Response:
    """Every connection with its state."""
    at = await visit(request, Area.ACCESS)
    keyring, now = at.runtime.keyring, at.runtime.clock.now()
    found = await at.runtime.database.read(lambda tx: connections.of_organization(tx, keyring, at.organization.id))
    rows = [(one, ending_soon(certificates_of(one, now=now))) for one in found]
    return render(request, "console/access.html", frame=await at.frame(), rows=rows, domains=at.organization.domains)


async def one(request: Request) -> Response:
    """One connection: our values to be copied, theirs as we have them."""
    at = await visit(request, Area.ACCESS)
    keyring, wanted = at.runtime.keyring, request.path_params["connection"]
    found = await at.runtime.database.read(lambda tx: connections.get(tx, keyring, wanted))
    if found is None or found.organization != at.organization.id:
        raise NotFound
    return render(
        request,
        "console/connection.html",
        frame=await at.frame(),
        connection=found,
        ours=Endpoints(at.runtime.settings.origin, found.id),
        certificates=certificates_of(found, now=at.runtime.clock.now()),
    )


def routes() -> list[Route]:
    """Return the routes of the connections' pages."""
    return [Route("/settings/access", listing), Route("/settings/access/{connection}", one)]
