"""The door of `/settings`: decides by the path's prefix, before routing, redirects, size and cross-origin checks.

Signed out: 302 to the login for every path and method, existing or not. Signed in but not permitted: the 404 of a
path that does not exist. What passes here is permitted; whether it exists is the router's question.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Protocol
from urllib.parse import quote, unquote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from sso_gate.members.member import Member
from sso_gate.members.roles import Area, Permission
from sso_gate.web.cookies import SESSION_COOKIE
from sso_gate.web.problems import not_found
from sso_gate.web.request_state import page_of_form, state_of

PREFIX = "/settings"
SAFE_METHODS = frozenset({"GET", "HEAD"})
MAX_RETURN_LENGTH = 1500
# What somebody who may only view an area gets to see of it; everything else there needs MANAGE.
_VIEWS = {
    Area.BILLING: re.compile(r"/settings/billing(/details|/invoices(/[^/]+)?)?"),
    Area.MEMBERS: re.compile(r"/settings/members(/export\.csv)?"),
    Area.ACCESS: re.compile(r"/settings/access(/[^/]+(/tests/[^/]+)?)?"),
    Area.AUDIT: re.compile(r"/settings/audit(/[^/]+)?|/settings/audit/exports/[^/]+(/file)?"),
}
# What they may ask for by a form besides: it changes nothing of the area.
_ASKED_FOR = {Area.AUDIT: re.compile(r"/settings/audit/exports")}


class Visitor(Protocol):
    """Somebody with a living session on the gate's own host."""

    @property
    def member(self) -> Member: ...


SignedIn = Callable[[str | None], Awaitable[Visitor | None]]
"""Tells who is behind the value of the session cookie; None for nobody."""


class Door:
    """Middleware: nothing under `/settings` is reached but by a member who may; the visitor is put on the request."""

    def __init__(self, app: ASGIApp, *, signed_in: SignedIn) -> None:
        self.app = app
        self.signed_in = signed_in

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        known = scope["type"] in {"http", "websocket"} and is_inside(scope["path"])
        return (self._guarded if known else self.app)(scope, receive, send)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        visitor = await self.signed_in(SESSION_COOKIE.read(Request(scope)))
        if visitor is None:
            await RedirectResponse(login_address(scope), 302)(scope, receive, send)
        elif not may_pass(visitor.member, scope["method"], scope["path"]):
            await not_found(scope)(scope, receive, send)
        else:
            state_of(scope)["visitor"] = visitor
            await self.app(scope, receive, send)


def is_inside(path: str) -> bool:
    """Return whether the path is behind this door."""
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def may_pass(member: Member, method: str, path: str) -> bool:
    """Return whether the member may ask for this path by this method; False for every area that nobody knows."""
    if path == PREFIX:
        return bool(areas_of(member)) and method in SAFE_METHODS
    name = path.split("/")[2]
    if name not in set(Area):
        return False
    area = Area(name)
    match member.may(area):
        case Permission.MANAGE:
            return True
        case Permission.VIEW:
            allowed = _VIEWS if method in SAFE_METHODS else _ASKED_FOR if method == "POST" else {}
            return area in allowed and bool(allowed[area].fullmatch(path))
        case _:
            return False


def areas_of(member: Member) -> tuple[Area, ...]:
    """Return the areas that the member may open, in the order of the navigation."""
    order = (Area.MEMBERS, Area.BILLING, Area.ACCESS, Area.AUDIT, Area.NOTIFICATIONS, Area.DEVELOPER)
    return tuple(area for area in order if member.may(area) is not Permission.NONE)


def login_address(scope: Scope) -> str:
    """Return the login's address that comes back to this page; a form that was sent comes back to the page with it."""
    path, query = scope["path"], scope.get("query_string", b"").decode("latin-1")
    if scope["method"] not in SAFE_METHODS:
        page, query = page_of_form(Request(scope))
        path = unquote(page) or path
    target = quote(path, safe="/-._~") + (f"?{query}" if query else "")
    return "/login?" + urlencode({"return_to": target if len(target) <= MAX_RETURN_LENGTH else PREFIX})
