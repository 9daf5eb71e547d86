"""Where a request comes from: as the audit record keeps it, and as other programs are told of it."""

from contextlib import suppress
from ipaddress import ip_address

from starlette.requests import Request

from sso_gate.audit.event import MAX_TEXT, Client
from sso_gate.web.request_state import client_address, request_id, route_of

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def client_of(request: Request) -> Client:
    """Return where the request comes from: the address by a trusted proxy's word, the program, and which request it is.

    The status of its answer is not there: an event is committed before there is an answer.
    """
    return Client(
        address=client_address(request),
        user_agent=request.headers.get("user-agent", "")[:MAX_TEXT],
        request_id=request_id(request),
        method=request.method if request.method in _METHODS else "OTHER",
        route=route_of(request.scope),
    )


def plain_address(text: str) -> str:
    """Return the address in its usual form; empty for what is none, such as a unix socket, or was erased."""
    with suppress(ValueError):
        return str(ip_address(text))
    return ""
