"""The provider as a web application."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sso_gate.demo.pages import page, static_files
from sso_gate.demo.provider.oidc import OidcEndpoints
from sso_gate.demo.provider.registry import CannotAnswer, Provider
from sso_gate.demo.provider.saml import SamlEndpoints
from sso_gate.demo.provider.sign_in import forget, remembered
from sso_gate.web.language import Languages

LONGEST_FORM_BYTES = 256 * 1024


def create_provider_app(provider: Provider) -> Starlette:
    """Return the application that answers for `provider`; it may listen on loopback only."""

    async def home(request: Request) -> Response:
        known = remembered(provider, request)
        gone = "signed_out" in request.query_params
        return page(request, "provider_home.html", person=known.person if known else None, signed_out=gone)

    async def sign_out(request: Request) -> Response:
        return forget(provider, request, RedirectResponse("/?signed_out", 303))

    return Starlette(
        routes=[
            Route("/", home, methods=["GET"]),
            Route("/sign-out", sign_out, methods=["POST"]),
            *SamlEndpoints(provider).routes(),
            *OidcEndpoints(provider).routes(),
            static_files(),
        ],
        middleware=[
            Middleware(Languages),
            Middleware(RequestBodyLimitMiddleware, max_body_size=LONGEST_FORM_BYTES),
        ],
        exception_handlers={CannotAnswer: _cannot_answer},
    )


async def _cannot_answer(request: Request, error: Exception) -> Response:
    return page(request, "provider_problem.html", 400, problem=str(error))
