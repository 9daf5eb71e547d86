"""Which language a page speaks, and by which region's habits it writes numbers and dates.

Words exist in three languages; numbers follow the region that the browser names (`es-MX` reads Spanish words and
Mexican numbers). The map is our own: Babel's negotiation finds nothing for `pt` or `pt-PT`.
"""

from collections.abc import Awaitable
from dataclasses import dataclass
from functools import lru_cache
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from babel import Locale, localedata
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LANGUAGE_COOKIE = "__Host-sso_gate_lang"
COOKIE_SECONDS = 365 * 24 * 3600
NAMES = {"en": "English", "pt-BR": "Português", "es": "Español"}
_REGIONS = {"en": "en_US", "pt-BR": "pt_BR", "es": "es"}
_ACCEPT_LIMIT = 1000
_ACCEPT_ENTRIES = 20


@dataclass(frozen=True, slots=True)
class Language:
    """`tag` names the words (`en`, `pt-BR`, `es`), `region` the Babel locale of numbers and dates (`es_MX`)."""

    tag: str
    region: str

    @property
    def locale(self) -> Locale:
        """The Babel locale of numbers and dates."""
        return _locale(self.region)


ENGLISH = Language("en", "en_US")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a request says about languages: `?lang=`, our cookie, and `Accept-Language` in order of preference."""

    asked: str = ""
    kept: str = ""
    accepted: tuple[str, ...] = ()

    def choose(self, *, saved: str = "", default: str = "") -> Language:
        """Return the first language that somebody named and that we have.

        `?lang=` and the cookie that it leaves are the person's own, newest choice in this browser; then what is
        `saved` for the person, what the browser accepts, and the organization's `default`; English at last.
        """
        return _chosen(self, saved, default)


@lru_cache(maxsize=256)
def _chosen(wishes: Wishes, saved: str, default: str) -> Language:
    for wish in (wishes.asked, wishes.kept, saved, *wishes.accepted, default):
        tag = words_for(wish)
        if tag:
            return Language(tag, _region(wishes, tag, wish))
    return ENGLISH


def _region(wishes: Wishes, tag: str, wish: str) -> str:
    for candidate in (*wishes.accepted, wish):
        if words_for(candidate) == tag and "-" in candidate and _known(candidate):
            return candidate.replace("-", "_")
    return _REGIONS[tag]


def words_for(wish: str) -> str:
    """Return the tag of the words that serve a language tag such as `pt-PT`, or an empty text for a language we
    lack.
    """
    base = wish.replace("_", "-").split("-", 1)[0].lower()
    return {"en": "en", "pt": "pt-BR", "es": "es"}.get(base, "")


def accepted_languages(header: str) -> tuple[str, ...]:
    """Return the tags of an `Accept-Language` header, dearest first. Source: RFC 9110 12.5.4."""
    return _accepted(header[:_ACCEPT_LIMIT])


@lru_cache(maxsize=256)
def _accepted(header: str) -> tuple[str, ...]:
    weighed = []
    for entry in header.split(",")[:_ACCEPT_ENTRIES]:
        tag, _, rest = entry.strip().partition(";")
        quality = _quality(rest)
        if tag and tag != "*" and quality > 0:
            weighed.append((quality, _normal(tag.strip())))
    return tuple(tag for _, tag in sorted(weighed, key=lambda pair: -pair[0]))


def wishes_in(query: bytes, headers: Headers) -> Wishes:
    """Return what the query, the cookie and the headers of a request wish for; anything odd wishes for nothing."""
    asked = parse_qs(query.decode("latin-1")[:4000], max_num_fields=100) if b"lang=" in query else {}
    return Wishes(
        asked=_exact((asked.get("lang") or [""])[0]),
        kept=_exact(_cookie(headers.get("cookie", ""))),
        accepted=accepted_languages(headers.get("accept-language", "")),
    )


class Languages:
    """Middleware: finds the request's language; a `?lang=` that we have is kept in a cookie for the next pages."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self.app(scope, receive, send)
        wishes = _wishes(scope)
        state = scope.setdefault("state", {})
        state["wishes"], state["language"] = wishes, wishes.choose()
        return self.app(scope, receive, _keeping(wishes.asked, send) if wishes.asked else send)


def _wishes(scope: Scope) -> Wishes:
    try:
        return wishes_in(scope.get("query_string", b""), Headers(scope=scope))
    except ValueError:
        return Wishes()


def _keeping(asked: str, send: Send) -> Send:
    async def send_with_cookie(message: Message) -> None:
        if message["type"] == "http.response.start":
            cookie = f"{LANGUAGE_COOKIE}={asked}; Max-Age={COOKIE_SECONDS}; Path=/; Secure; HttpOnly; SameSite=Lax"
            MutableHeaders(scope=message).append("set-cookie", cookie)
        await send(message)

    return send_with_cookie


def _exact(tag: str) -> str:
    return tag if tag in NAMES else ""


def _cookie(header: str) -> str:
    if LANGUAGE_COOKIE not in header:
        return ""
    try:
        morsel = SimpleCookie(header).get(LANGUAGE_COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _quality(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return min(float(value), 1.0)
    except ValueError:
        return 0.0


def _normal(tag: str) -> str:
    language, _, region = tag.replace("_", "-").partition("-")
    return f"{language.lower()}-{region.upper()}" if region.isalnum() and len(region) in {2, 3} else language.lower()


def _known(tag: str) -> bool:
    return bool(localedata.exists(tag.replace("-", "_")))


@lru_cache(maxsize=256)
def _locale(region: str) -> Locale:
    return Locale.parse(region)
