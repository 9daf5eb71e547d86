"""The browser's own key: a cookie that belongs to the browser, not to one login, so that two tabs live side by side.

Two cookies carry the same key: one arrives with an identity provider's cross-site POST and lives for minutes, the other
is for waiting pages, stays on the same site and lives as long as they do. A third says by which connection somebody
logged in here last.
"""

import re
import secrets

from starlette.requests import Request
from starlette.responses import Response

from sso_gate.audit.origin import client_of
from sso_gate.login.flow import Browser
from sso_gate.login.pending import LIFETIME_SECONDS
from sso_gate.waiting.ticket import LIFETIME_SECONDS as TICKET_SECONDS
from sso_gate.web.cookies import LAST_COOKIE, LOGIN_COOKIE, WAITING_COOKIE

LAST_SECONDS = 180 * 24 * 3600
_CONNECTION = re.compile(r"[a-z0-9-]{1,64}")
_KEY = re.compile(r"[A-Za-z0-9_-]{43}")


def returning_browser(request: Request) -> Browser:
    """Return the browser as its login cookie names it; one that sent none gets a new key: no login is bound to it."""
    return Browser(_valid(LOGIN_COOKIE.read(request)) or secrets.token_urlsafe(32), client_of(request))


def departing_browser(request: Request) -> Browser:
    """Return the browser with the key that it has, or with a new one."""
    known = _valid(LOGIN_COOKIE.read(request)) or waiting_key(request)
    return Browser(known or secrets.token_urlsafe(32), client_of(request))


def waiting_key(request: Request) -> str:
    """Return the key with which this browser opens its waiting pages, or an empty text."""
    return _valid(WAITING_COOKIE.read(request))


def remember(response: Response, browser: Browser) -> None:
    """Let the browser come back from its identity provider with its key."""
    LOGIN_COOKIE.set(response, browser.key, max_age_seconds=LIFETIME_SECONDS)


def remember_waiting(response: Response, browser: Browser) -> None:
    """Let the browser open its waiting pages with its key."""
    WAITING_COOKIE.set(response, browser.key, max_age_seconds=TICKET_SECONDS)


def remember_connection(response: Response, connection: str) -> None:
    """Let the login page offer this connection in this browser."""
    LAST_COOKIE.set(response, connection, max_age_seconds=LAST_SECONDS)


def last_connection(request: Request) -> str:
    """Return the id of the connection by which this browser logged in last, or an empty text."""
    value = LAST_COOKIE.read(request) or ""
    return value if _CONNECTION.fullmatch(value) else ""


def _valid(value: str | None) -> str:
    return value if value and _KEY.fullmatch(value) else ""
