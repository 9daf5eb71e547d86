"""Security headers on every answer; a handler that sets one of them itself keeps its own.

The policy lets a page load from the gate alone: no inline script or style, no other host, no frame. Only the login
page may send its form on to other origins, because an identity provider may itself redirect to a third one and
browsers apply `form-action` to redirects.
"""

from collections.abc import Awaitable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action {form_action}; base-uri 'none'; frame-ancestors 'none'"
)
CONTENT_POLICY = _POLICY.format(form_action="'self'")
HSTS_SECONDS = 365 * 24 * 3600


def login_policy(public_url: str) -> str:
    """Return the content policy of the two pages whose form may end at an identity provider: logging in, and out.

    A gate that is itself reached over plain HTTP (on loopback) may have identity providers there too.
    """
    schemes = "'self' https:" if public_url.startswith("https:") else "'self' https: http:"
    return _POLICY.format(form_action=schemes)


def security_headers(*, https: bool) -> dict[str, str]:
    """Return the headers that every answer carries; `https` is whether the gate's public URL says so."""
    headers = {
        "content-security-policy": CONTENT_POLICY,
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        # Not `no-referrer`: with it browsers send `Origin: null` with our own forms
        # (Fetch standard, "append a request Origin header").
        "referrer-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        # Nearly everything here is about one person or carries a one-time value; what may be kept says so itself.
        "cache-control": "no-store",
    }
    return headers | ({"strict-transport-security": f"max-age={HSTS_SECONDS}"} if https else {})


class SecurityHeaders:
    """Middleware: adds the security headers that an answer does not have yet."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self.app = app
        self.headers = [(name.encode(), value.encode()) for name, value in security_headers(https=https).items()]

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = [*message.get("headers", ())]
                names = {name.lower() for name, _ in present}
                message["headers"] = present + [pair for pair in self.headers if pair[0] not in names]
            await send(message)

        return self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)
