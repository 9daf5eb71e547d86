"""Who sits at this browser: chosen from a list once, remembered by a cookie afterwards, as real providers do."""

import secrets
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from sso_gate.demo.pages import page
from sso_gate.demo.people import person_by_email
from sso_gate.demo.provider.memory import SignedIn
from sso_gate.demo.provider.registry import CannotAnswer, Provider

# Neither Secure nor __Host-: this provider speaks plain HTTP on loopback and guards nothing.
COOKIE = "demo_provider_session"


def remembered(provider: Provider, request: Request) -> SignedIn | None:
    """Return who signed in at this browser before, or None."""
    return provider.sessions.get(request.cookies.get(COOKIE, ""))


def choose(provider: Provider, request: Request, *, protocol: str, action: str, fields: Mapping[str, str]) -> Response:
    """Return the page that asks who is there; its form posts `fields` and `person` (an email) to `action`."""
    people = [person for person in provider.people if person.protocol == protocol]
    return page(request, "choose.html", people=people, action=action, fields=fields)


def chosen(provider: Provider, email: str, *, protocol: str) -> SignedIn:
    """Return a new sign-in of the person who was chosen, or raise `CannotAnswer`."""
    person = person_by_email(provider.people, email, protocol=protocol)
    if person is None:
        raise CannotAnswer(f"nobody with the address {email!r} uses {protocol} here")
    return SignedIn(person, provider.clock.now(), secrets.token_hex(16))


def remember(provider: Provider, signed_in: SignedIn, response: Response) -> Response:
    """Return the response, which now has the browser remember who signed in."""
    response.set_cookie(COOKIE, provider.sessions.keep(signed_in), httponly=True, samesite="lax", path="/")
    return response


def forget(provider: Provider, request: Request, response: Response) -> Response:
    """Return the response, which ends the sign-in of this browser."""
    provider.sessions.take(request.cookies.get(COOKIE, ""))
    response.delete_cookie(COOKIE, httponly=True, samesite="lax", path="/")
    return response
