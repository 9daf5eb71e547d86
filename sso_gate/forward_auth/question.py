"""What a proxy asks: which host and page the browser wanted, and in which dialect the answer is expected."""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from starlette.requests import Request

from sso_gate.errors import Reason, Refused
from sso_gate.settings import Settings
from sso_gate.web.request_state import forwarded_of

MAX_URI = 2000

Dialect = Literal["plain", "nginx", "traefik"]


@dataclass(frozen=True, slots=True)
class Question:
    """`host` is empty when nobody forwarded anything: the question is then about the gate's own host."""

    scheme: str
    host: str
    uri: str
    navigating: bool
    dialect: Dialect

    @property
    def wanted(self) -> str:
        """The page that the browser wanted, as an absolute URL, or an empty text when that is not known."""
        return f"{self.scheme}://{self.host}{self.uri}" if self.host else ""


def read_question(request: Request, settings: Settings) -> Question:
    """Return what is asked, from the `X-Forwarded-*` of a trusted proxy alone.

    Raises:
        Refused: `proxy_untrusted`: the host is not among SSO_GATE_RETURN_HOSTS.
    """
    forwarded = forwarded_of(request)
    host = forwarded.host
    if host and host not in settings.allowed_return_hosts:
        raise Refused(Reason.PROXY_UNTRUSTED, f"host {host[:100]}")
    scheme = forwarded.scheme if forwarded.scheme in ("http", "https") else settings.origin.partition(":")[0]
    return Question(
        scheme=scheme,
        host="" if host == settings.public_host else host,
        uri=_uri(request, forwarded.uri),
        navigating=_is_navigating(request),
        dialect=_dialect(request),
    )


def _dialect(request: Request) -> Dialect:
    # Envoy appends the browser's own path and query to /check: there the browser must not choose.
    asked = request.query_params.get("mode", "") if request.url.path == "/check" else ""
    match asked:
        case "nginx" | "traefik":
            return asked
        case _:
            return "plain"


def _uri(request: Request, forwarded: str) -> str:
    uri = forwarded or _appended(request)
    if not uri.startswith("/") or uri.startswith("//") or len(uri) > MAX_URI or not uri.isprintable():
        return "/"
    return uri


def _appended(request: Request) -> str:
    """Return the path and query that Envoy has put behind /check; it sends no X-Forwarded-Uri."""
    if "path" not in request.path_params:
        return "/"
    query = request.url.query
    return quote(f"/{request.path_params['path']}", safe="/:@!$&'()*+,;=-._~") + (f"?{query}" if query else "")


def _is_navigating(request: Request) -> bool:
    mode = request.headers.get("sec-fetch-mode")
    if mode:
        return mode == "navigate"
    return "text/html" in request.headers.get("accept", "")
