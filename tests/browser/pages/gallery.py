"""Serves the sample pages with the gate's real middleware, style and scripts, so that browsers see them under the
real policy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from billing_core import invoice_css
from sso_gate.web.headers import SecurityHeaders
from sso_gate.web.language import Languages
from sso_gate.web.static import static_routes
from sso_gate.web.templates import render
from tests.browser.pages.billing_samples import billing_samples
from tests.browser.pages.connection_samples import connection_samples
from tests.browser.pages.samples import samples

SAMPLES = {sample.name: sample for sample in (*samples(), *billing_samples(), *connection_samples())}


def fullest() -> list[str]:
    """One sample of each template: the one with the most to show."""
    found: dict[str, str] = {}
    for name, sample in SAMPLES.items():
        best = found.setdefault(sample.template, name)
        if len(repr(sample.context)) > len(repr(SAMPLES[best].context)):
            found[sample.template] = name
    return list(found.values())


class Gallery:
    """The served pages; `state` is what the waiting page is told when it asks, `asked` how often it did."""

    def __init__(self) -> None:
        self.state = {"state": "blocked", "continue_url": "/arrived", "retry_after": 1}
        self.status = 200
        self.asked = 0
        self.stay = {"left": 28_800, "extends": True}
        self.url = ""

    async def page(self, request: Request) -> Response:
        sample = SAMPLES[request.path_params["name"]]
        return render(request, sample.template, sample.status, **sample.context)

    async def waiting_state(self, _request: Request) -> Response:
        self.asked += 1
        return JSONResponse(self.state, self.status)

    async def arrived(self, request: Request) -> Response:
        return render(request, "login/signed_out.html", provider_too=False)

    async def stays(self, _request: Request) -> Response:
        return JSONResponse(self.stay, 200 if self.stay else 404)

    async def price(self, request: Request) -> Response:
        return JSONResponse({"text": f"{request.query_params['add']} × $30.00"})

    async def document_style(self, _request: Request) -> Response:
        return Response(invoice_css(), media_type="text/css")

    @contextmanager
    def serving(self) -> Iterator[Gallery]:
        """Serve on a free loopback port until the block ends."""
        routes = [
            Route("/page/{name}", self.page),
            Route("/denied/{ticket}/state", self.waiting_state),
            Route("/settings/billing/seats/price", self.price),
            Route("/arrived", self.arrived),
            Route("/document.css", self.document_style),
            Route("/session", self.stays, methods=["POST"]),
            *static_routes(),
        ]
        app = Starlette(routes=routes, middleware=[Middleware(SecurityHeaders, https=False), Middleware(Languages)])
        server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off"))
        thread = Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            thread.join(0.02)
        self.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        yield self
        server.should_exit = True
        thread.join(10)
