"""The gate's cookies: `__Host-` names, so that a browser takes them only with Secure, Path=/ and without a Domain.

The value is opaque to this module. Source: RFC 6265bis 4.1.3 (cookie name prefixes).
"""

import re
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any, Literal

from starlette.requests import HTTPConnection
from starlette.responses import Response

MAX_VALUE_LENGTH = 1024
_PLAIN = re.compile(r"[A-Za-z0-9._~-]*")


@dataclass(frozen=True, slots=True)
class HostCookie:
    """One cookie by name, always Secure, HttpOnly and for the whole host."""

    name: str
    same_site: Literal["Lax", "None", "Strict"]

    def set(self, response: Response, value: str, *, max_age_seconds: int | None = None) -> None:
        """Give the browser the value, for so many seconds or until it closes."""
        if not _PLAIN.fullmatch(value):
            raise ValueError("a cookie's value needs no quotes here")
        lifetime = "" if max_age_seconds is None else f"; Max-Age={max_age_seconds}"
        # Written out: the standard library's cookie costs ten times as much, and a login sets two.
        cookie = f"{self.name}={value}; HttpOnly{lifetime}; Path=/; SameSite={self.same_site}; Secure"
        response.headers.append("set-cookie", cookie)

    def clear(self, response: Response) -> None:
        """Take the value from the browser."""
        response.delete_cookie(self.name, **self._attributes)

    @property
    def _attributes(self) -> dict[str, Any]:
        """The attributes, in the letters of RFC 6265bis 4.1.2.7: the library's type knows lower case alone."""
        return {"path": "/", "secure": True, "httponly": True, "samesite": self.same_site}

    def read(self, request: HTTPConnection) -> str | None:
        """Return the value that the browser sent; None without one, and for a value longer than we ever give."""
        return self.read_header("; ".join(request.headers.getlist("cookie")))

    def read_header(self, header: str) -> str | None:
        """Return the value in a `Cookie` header; None where it is absent, sent twice or too long."""
        values = [value.strip() for name, _, value in (part.partition("=") for part in header.split(";"))
                  if name.strip() == self.name]  # fmt: skip
        if len(values) != 1 or not 0 < len(values[0]) <= MAX_VALUE_LENGTH:
            return None
        return _unquoted(values[0])


def _unquoted(value: str) -> str | None:
    if not value.startswith('"'):
        return value
    try:
        morsels = SimpleCookie(f"v={value}")
    except CookieError:
        return None
    return morsels["v"].value if "v" in morsels else None


SESSION_COOKIE = HostCookie("__Host-sso_gate", "Lax")
"""The session (interface: Lax, because the page after an identity provider's redirect must have it)."""
LOGIN_COOKIE = HostCookie("__Host-sso_gate_login", "None")
"""The pending login: `None`, because it must arrive with the identity provider's cross-site POST; minutes only."""
WAITING_COOKIE = HostCookie("__Host-sso_gate_waiting", "Lax")
"""The browser's key to its waiting pages: stays on the gate's site, and lives as long as they do."""
LAST_COOKIE = HostCookie("__Host-sso_gate_last", "Lax")
"""The connection by which this browser logged in last, for the login page to offer; it opens nothing."""
