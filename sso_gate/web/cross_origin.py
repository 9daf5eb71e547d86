"""Cross-origin protection: a request that changes something must come from our own pages, or from no browser at all.

The algorithm is Fetch Metadata with `Origin` behind it, by `asgi-cross-origin-protection` (the same as Go's
`net/http.CrossOriginProtection`). Exempt are exactly the doors that other sites and programs knock at; each has its
own proof.
"""

from asgi_cross_origin_protection import CrossOriginProtection
from starlette.types import ASGIApp, Receive, Scope, Send

from sso_gate.web.problems import problem_answer

EXEMPT_PREFIXES = ("/sso/", "/scim/", "/api/", "/check")


def cross_origin_protection(app: ASGIApp, *, public_origin: str) -> ASGIApp:
    """Return the application behind the protection; a refused request gets 403 and reaches nothing.

    The public origin counts as our own even where a proxy rewrites `Host`.
    """
    protected: ASGIApp = CrossOriginProtection(
        app, allowed_origins=(public_origin,), exempt_paths=EXEMPT_PREFIXES, deny_app=_deny
    )
    return protected


async def _deny(scope: Scope, receive: Receive, send: Send) -> None:
    await problem_answer(scope, 403, reason="cross_origin")(scope, receive, send)
