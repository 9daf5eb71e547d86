"""What hangs on a request: the runtime, its id, whom it comes from and the language it is answered in.

The runtime arrives by the lifespan's state (`{"runtime": runtime}`), the rest is put there by this package's
middleware.
"""

from collections.abc import MutableMapping
from typing import Any, cast
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.types import Scope

from sso_gate.storage.runtime import Runtime
from sso_gate.web.language import ENGLISH, Language, Wishes
from sso_gate.web.proxies import Forwarded


def state_of(scope: Scope) -> MutableMapping[str, Any]:
    """Return the request's own state, made where the server gave none."""
    return cast(MutableMapping[str, Any], scope.setdefault("state", {}))


def runtime_of(request: HTTPConnection) -> Runtime:
    """Return what the process was started with."""
    return cast(Runtime, state_of(request.scope)["runtime"])


def request_id(request: HTTPConnection) -> str:
    """Return the id that the access log names this request by; empty outside of `AccessLog`."""
    return cast(str, state_of(request.scope).get("request_id", ""))


def route_of(scope: Scope) -> str:
    """Return the pattern that the request's path fits, never the path itself: a path may hold a one-time ticket."""
    return cast(str, getattr(scope.get("route"), "path", ""))


def forwarded_of(request: HTTPConnection) -> Forwarded:
    """Return what a trusted proxy said about the original request; nothing of it where the peer is not trusted."""
    return cast(Forwarded, state_of(request.scope).get("forwarded", Forwarded()))


def client_address(request: HTTPConnection) -> str:
    """Return the address that the request came from: the peer's, or a trusted proxy's word for it."""
    return forwarded_of(request).client_address


def page_of_form(request: HTTPConnection) -> tuple[str, str]:
    """Return path and query of the page of ours whose form was sent, where the browser tells it; else empty texts."""
    try:
        form = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return "", ""
    ours = form.netloc and form.netloc == request.headers.get("host") and form.path[:1] == "/" != form.path[1:2]
    return (form.path, form.query) if ours else ("", "")


def wishes_of(request: HTTPConnection) -> Wishes:
    """Return what the request itself says about languages."""
    return cast(Wishes, state_of(request.scope).get("wishes", Wishes()))


def language_of(request: HTTPConnection) -> Language:
    """Return the language that this request is answered in."""
    return cast(Language, state_of(request.scope).get("language", ENGLISH))


def speak(request: HTTPConnection, *, saved: str = "", default: str = "") -> Language:
    """Choose the language again, now that the person's saved one or the organization's own is known, and return it."""
    language = wishes_of(request).choose(saved=saved, default=default)
    state_of(request.scope)["language"] = language
    return language
