"""A browser without a screen: cookies, redirects, forms and fetch metadata as a browser has them, over plain HTTP.

It differs from an HTTP client's own jar where browsers do: `Secure` cookies are kept for and sent to loopback names
(Secure Contexts 3.1), `__Host-` is checked (RFC 6265bis 4.1.3), and a cross-site POST carries `SameSite=None` cookies
alone (RFC 6265bis 5.6.7.2). Names under `localhost` are 127.0.0.1 and sites of their own for each label before it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from http.cookies import SimpleCookie
from types import TracebackType
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

import httpx2

from tests.support.forms import Form, forms_of
from tests.support.loopback import is_local_name

MAXIMUM_REDIRECTS = 20


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie as the jar keeps it; host-only unless `domain` is set."""

    name: str
    value: str
    host: str
    path: str
    domain: str
    secure: bool
    http_only: bool
    same_site: str


@dataclass(frozen=True, slots=True)
class Page:
    """What came back from one request."""

    url: str
    status: int
    headers: httpx2.Headers
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode(errors="replace")

    @property
    def location(self) -> str:
        """Return the absolute URL of the redirect, empty when there is none."""
        location = self.headers.get("location", "")
        return urljoin(self.url, location) if location else ""

    @property
    def forms(self) -> list[Form]:
        return forms_of(self.text, self.url)

    def json(self) -> Any:
        return json.loads(self.content)


def _site(url: str) -> str:
    """Return scheme and registrable name: `gate.localhost` and `app.localhost` are two sites, ports do not count."""
    parts = urlsplit(url)
    labels = (parts.hostname or "").split(".")
    name = parts.hostname or "" if labels[-1].isdigit() else ".".join(labels[-2:])
    return f"{parts.scheme}://{name}"


def borrowed(jar: BrowserJar | None) -> AbstractContextManager[BrowserJar]:
    """Return the caller's browser, left open after the block, or a new one that the block closes."""
    return BrowserJar() if jar is None else nullcontext(jar)


class BrowserJar:
    """One browser profile: keeps cookies over requests; close it, or use it as a context manager."""

    def __init__(self, *, accept_language: str = "en", timeout_seconds: float = 20) -> None:
        """Start an empty profile."""
        self.cookies: dict[tuple[str, str, str], Cookie] = {}
        self._headers = {
            "Accept": "text/html,application/xhtml+xml,*/*;q=0.8",
            "Accept-Language": accept_language,
            "Sec-Fetch-Dest": "document",
            "Sec-Fetch-Mode": "navigate",
            "Sec-Fetch-User": "?1",
        }
        self._client = httpx2.Client(timeout=timeout_seconds, headers={"User-Agent": "browser-jar"})

    def __enter__(self) -> Self:
        """Return the jar itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        self._client.close()

    def get(self, url: str, *, follow: bool = False, headers: Mapping[str, str] | None = None) -> Page:
        """Return the page of a typed address or a followed link; with `follow`, what the redirects end in."""
        page = self._send("GET", url, initiator="", data=None, headers=headers)
        return self.follow(page) if follow else page

    def post(
        self, url: str, data: Mapping[str, str], *, initiator: str = "", headers: Mapping[str, str] | None = None
    ) -> Page:
        """Return the answer to a form's POST; `initiator` is the page that holds the form, by default `url` itself."""
        return self._send("POST", url, initiator=initiator or url, data=data, headers=headers)

    def submit(self, form: Form, **fields: str) -> Page:
        """Return the answer to a form that was filled in; hidden fields keep what the page gave them."""
        if form.method == "post":
            return self.post(form.action, {**form.fields, **fields}, initiator=form.page_url)
        return self.get(str(httpx2.URL(form.action, params={**form.fields, **fields})))

    def follow(self, page: Page, *, stop_before: str = "", or_end: bool = False) -> Page:
        """Return the end of the redirects, or the redirect whose target begins with `stop_before`, not followed.

        Raises:
            AssertionError: more than 20 redirects, or, unless `or_end`, none led to `stop_before`.
        """
        for _ in range(MAXIMUM_REDIRECTS):
            if stop_before and page.location.startswith(stop_before):
                return page
            if not page.location:
                assert or_end or not stop_before, f"never sent to {stop_before}: {page.status} {page.url}\n{page.text}"
                return page
            page = self._send("GET", page.location, initiator="", data=None, headers=None)
        raise AssertionError(f"more than {MAXIMUM_REDIRECTS} redirects, last to {page.location}")

    def cookie(self, name: str, host: str) -> Cookie | None:
        """Return the cookie that a host has set under a name."""
        return next((c for c in self.cookies.values() if c.name == name and c.host == host), None)

    def _send(
        self,
        method: str,
        url: str,
        *,
        initiator: str,
        data: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
    ) -> Page:
        parts = urlsplit(url)
        sent = {
            **self._headers,
            "Host": parts.netloc,
            **self._fetch_metadata(method, url, initiator),
            **(headers or {}),
        }
        if cookies := self._cookie_header(method, url, initiator):
            sent["Cookie"] = cookies
        local = is_local_name(parts.hostname or "")
        target = httpx2.URL(url).copy_with(host="127.0.0.1", fragment=None) if local else url
        response = self._client.request(method, target, data=dict(data) if data is not None else None, headers=sent)
        self._client.cookies.clear()  # the client's own jar must not answer beside this one
        for line in response.headers.get_list("set-cookie"):
            self._keep(line, parts.hostname or "")
        return Page(url, response.status_code, response.headers, response.content)

    def _fetch_metadata(self, method: str, url: str, initiator: str) -> dict[str, str]:
        if not initiator:
            return {"Sec-Fetch-Site": "none"}
        origin = "://".join(urlsplit(initiator)[:2])
        same_origin = origin == "://".join(urlsplit(url)[:2])
        same_site = "same-site" if _site(initiator) == _site(url) else "cross-site"
        return {"Origin": origin, "Sec-Fetch-Site": "same-origin" if same_origin else same_site}

    def _cookie_header(self, method: str, url: str, initiator: str) -> str:
        cross_site_post = method != "GET" and initiator != "" and _site(initiator) != _site(url)
        sendable = [
            cookie
            for cookie in self.cookies.values()
            if self._reaches(cookie, url) and (cookie.same_site == "none" or not cross_site_post)
        ]
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in sendable)

    def _reaches(self, cookie: Cookie, url: str) -> bool:
        parts = urlsplit(url)
        host, path = parts.hostname or "", parts.path or "/"
        of_host = host == cookie.host or (cookie.domain != "" and f".{host}".endswith(f".{cookie.domain}"))
        of_path = path == cookie.path or path.startswith(cookie.path.rstrip("/") + "/")
        trustworthy = parts.scheme == "https" or is_local_name(host) or host.startswith("127.")
        return of_host and of_path and (trustworthy or not cookie.secure)

    def _keep(self, line: str, host: str) -> None:
        for name, morsel in SimpleCookie(line).items():
            path = morsel["path"] if morsel["path"].startswith("/") else "/"
            domain = morsel["domain"].lstrip(".")
            secure = bool(morsel["secure"])
            if name.startswith("__Host-") and (not secure or domain or path != "/"):
                continue  # a browser refuses it
            same_site = (morsel["samesite"] or "lax").lower()
            if same_site == "none" and not secure:
                continue
            key = (domain or host, path, name)
            if morsel["max-age"] == "0" or morsel["expires"].find("1970") > 0:
                self.cookies.pop(key, None)
                continue
            http_only = bool(morsel["httponly"])
            self.cookies[key] = Cookie(name, morsel.value, host, path, domain, secure, http_only, same_site)
