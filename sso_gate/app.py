"""The application: opens what a process works with, wires the features, and nothing else.

`create_app` is the public application, `create_admin_app` the one for `/metrics` and the details of health, which
listens elsewhere.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from inspect import iscoroutinefunction
from typing import TypedDict

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from sso_gate.admission.admit import Door
from sso_gate.admission.recheck import Recheck, SignedIn
from sso_gate.api.routes import api_routes
from sso_gate.clock import Clock
from sso_gate.console.door import Door as SettingsDoor
from sso_gate.console.home import home_routes
from sso_gate.console.routes import console_routes
from sso_gate.console.stay import stay_routes
from sso_gate.errors import NotFound
from sso_gate.forward_auth.assertion import AssertionKeys, load_assertion_keys
from sso_gate.forward_auth.host import host_routes
from sso_gate.forward_auth.routes import forward_auth_routes
from sso_gate.health import admin_routes, health_routes
from sso_gate.login.flow import LoginFlow
from sso_gate.login.routes import login_routes
from sso_gate.refusals import REFUSALS
from sso_gate.scim.routes import scim_routes
from sso_gate.settings import Settings
from sso_gate.storage.open import open_runtime
from sso_gate.storage.runtime import Runtime
from sso_gate.waiting.routes import waiting_routes
from sso_gate.web.cross_origin import cross_origin_protection
from sso_gate.web.headers import SecurityHeaders
from sso_gate.web.language import Languages
from sso_gate.web.limits import UPLOAD_BYTES, BodyLimits
from sso_gate.web.logs import AccessLog
from sso_gate.web.problems import ProblemBoundary
from sso_gate.web.proxies import Proxies
from sso_gate.web.static import static_routes


class State(TypedDict):
    """What every request can reach: opened once for each process."""

    runtime: Runtime
    door: Door
    login_flow: LoginFlow
    assertion_keys: AssertionKeys


def create_app(settings: Settings, clock: Clock | None = None) -> ASGIApp:
    """Return the gate's public application for complete settings (database, Redis and secret keys named)."""
    runtime = open_runtime(settings, clock)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[State]:
        door = Door.of(runtime)
        flow = await LoginFlow.of(runtime, door)
        fresh = asyncio.create_task(flow.keys.keep_fresh())
        yield State(runtime=runtime, door=door, login_flow=flow, assertion_keys=await load_assertion_keys(runtime))
        fresh.cancel()
        await runtime.close()

    routes: list[BaseRoute] = [
        *login_routes(),  # first, because they are looked for in this order
        *home_routes(),
        *stay_routes(),
        *waiting_routes(),
        *forward_auth_routes(),
        *host_routes(),
        *console_routes(),
        *api_routes(),
        *scim_routes(),
        *health_routes(),
        *static_routes(),
    ]
    _answer_directly(routes)
    return _within(Router(routes, redirect_slashes=False, lifespan=lifespan), runtime)


class _Answering:
    """A handler as an application. The framework's own one handles exceptions besides, which is `ProblemBoundary`'s."""

    def __init__(self, handler: Callable[[Request], Awaitable[Response]]) -> None:
        self.handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self.handler(Request(scope, receive, send))
        await response(scope, receive, send)


def _answer_directly(routes: Iterable[BaseRoute]) -> None:
    for route in routes:
        if isinstance(route, Route) and iscoroutinefunction(route.endpoint):
            route.app = _Answering(route.endpoint)


class _Raising:
    """The router without the framework's own error pages: what is raised goes to `ProblemBoundary`, which answers.

    Nothing has a NUL in its name, and PostgreSQL cannot even be asked for it. Behind `/check` stands whatever the
    browser asked an application for.
    """

    def __init__(self, router: Router) -> None:
        self.router = router

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        path = scope.get("path", "")
        if "\0" in path and not path.startswith("/check"):
            raise NotFound("no such path")
        scope["app"] = self  # with it the router raises 404 and 405 instead of answering them itself
        return self.router(scope, receive, send)


_LOOKED_AT_NOWHERE = "/sso/"  # of any origin, and bounded where it is read


class _KnownPaths:
    """Says that a path does not exist before size and origin are looked at: they would tell it from a hidden one.

    Only where those are looked at; everything else is the router's own question.
    """

    def __init__(self, app: ASGIApp, router: Router) -> None:
        self.app = app
        self.routes = router.routes

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        looked_at = scope["type"] == "http" and scope["method"] not in {"GET", "HEAD"}
        if looked_at and not scope["path"].startswith(_LOOKED_AT_NOWHERE) and not self._knows(scope):
            raise NotFound("no such path")
        return self.app(scope, receive, send)

    def _knows(self, scope: Scope) -> bool:
        return any(route.matches(scope)[0] is not Match.NONE for route in self.routes)


def _within(router: Router, runtime: Runtime) -> ASGIApp:
    """Put the router behind its doors. The innermost comes first; `sso_gate.web` says the order."""
    settings = runtime.settings

    async def signed_in(cookie: str | None) -> SignedIn | None:
        return await Recheck.of(runtime).signed_in(cookie)

    # Behind these no handler reads more than its own bound, so that what is too large can be put on record.
    # A check reads none at all: what is uploaded to the application is not its own.
    limits = {"/sso/": None, "/scim/": None, "/check": None, "/settings/access/": UPLOAD_BYTES}
    app: ASGIApp = BodyLimits(_Raising(router), by_prefix=limits)
    app = cross_origin_protection(app, public_origin=settings.origin)
    app = _KnownPaths(app, router)
    app = SettingsDoor(app, signed_in=signed_in)
    app = ProblemBoundary(app, refusals=REFUSALS)
    app = Languages(app)
    app = Proxies(app, trusted=settings.trusted_proxies)
    app = SecurityHeaders(app, https=settings.origin.startswith("https:"))
    return AccessLog(app)


def create_admin_app(settings: Settings, clock: Clock | None = None) -> ASGIApp:
    """Return the application for the admin listener: metrics and the details of health. Never public."""
    runtime = open_runtime(settings, clock)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[dict[str, Runtime]]:
        yield {"runtime": runtime}
        await runtime.close()

    return Starlette(routes=[*admin_routes(), *health_routes()], lifespan=lifespan)
