"""Pages: one Jinja environment over the `templates` folder of every feature, in the language of the request.

A template is named by its feature: `login/login.html`, `console/billing.html`, `web/not_found.html`. Undefined names
are errors, everything is escaped. What a template wants is written at its top.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from jinja2 import (
    BaseLoader,
    Environment,
    FileSystemLoader,
    PrefixLoader,
    StrictUndefined,
    pass_context,
    select_autoescape,
)
from jinja2.runtime import Context
from starlette.requests import Request
from starlette.responses import HTMLResponse

from sso_gate.clock import from_micros, iso
from sso_gate.web import charts, format  # noqa: A004 - the module's name; the builtin is not used here
from sso_gate.web.catalogues import translations
from sso_gate.web.language import NAMES, Language
from sso_gate.web.request_state import language_of, page_of_form
from sso_gate.web.static import static_url

_PACKAGE = Path(__file__).parent.parent
_QUERY_LIMIT = 1000


def render(
    request: Request, name: str, status: int = 200, /, *, headers: Mapping[str, str] | None = None, **context: Any
) -> HTMLResponse:
    """Return the page `name` with this context, in the language of the request.

    Beside the context a template sees `language` (a `Language`) and `languages`, the links that switch it.
    """
    place = ("", b"") if name == "web/not_found.html" else _place(request)
    page = page_text(name, language_of(request), place=place, **context)
    return HTMLResponse(page, status, headers=dict(headers or {}))


def page_text(name: str, language: Language, /, *, place: tuple[str, bytes] | None = ("", b""), **context: Any) -> str:
    """Return the page as text, outside of any request; mail and tests use it too. `place` is where it can be had in
    another language.
    """
    links = language_links(language, *place) if place else []
    return environment().get_template(name).render(language=language, languages=links, **context)


def language_links(language: Language, path: str, query: bytes) -> list[dict[str, str | bool]]:
    """Return tag, name, address and whether it is the current one, for each language that we have; without a path
    the addresses are relative.
    """
    return [
        {"tag": tag, "name": name, "href": f"{path}?{_with_language(query, tag)}", "current": tag == language.tag}
        for tag, name in NAMES.items()
    ]


def _place(request: Request) -> tuple[str, bytes] | None:
    """Return path and query at which the page is there in another language: the answer to a form is not, the page
    with the form is, where the browser says which one of ours that was.
    """
    if request.method != "POST":
        return "", request.scope.get("query_string", b"")
    path, query = page_of_form(request)
    return (path, query.encode()) if path else None


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Return the environment of every page of the process."""
    made = Environment(
        loader=_loader(),
        autoescape=select_autoescape(disabled_extensions=("txt",), default=True),  # letters are plain text
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.install_gettext_callables(  # type: ignore[attr-defined]  # added by the i18n extension
        _gettext, _ngettext, newstyle=True, pgettext=_pgettext, npgettext=_npgettext
    )
    made.globals.update(static_url=static_url, seat_bar=charts.seat_bar, line_chart=charts.line_chart)
    made.filters["hours_later"] = lambda instant, hours: instant + timedelta(hours=hours)
    made.filters["iso"] = _valid_time
    made.filters["from_micros"] = from_micros
    made.filters["from_iso"] = date.fromisoformat
    made.filters["numbers"] = _in_language(format.numbers_in)
    for filter_name in (
        "money",
        "money_with_code",
        "number",
        "months",
        "day",
        "price",
        "instant",
        "clock_time",
        "to_the_second",
    ):
        made.filters[filter_name] = _in_language(getattr(format, filter_name))
    return made


def _valid_time(instant: datetime) -> str:
    """Return the instant for an attribute: HTML has no more than milliseconds (HTML, 2.3.5.4)."""
    return f"{iso(instant)[:23]}Z"


def _loader() -> BaseLoader:
    folders = sorted(folder for folder in _PACKAGE.glob("*/templates") if folder.is_dir())
    return PrefixLoader({folder.parent.name: FileSystemLoader(folder) for folder in folders})


def _with_language(query: bytes, tag: str) -> str:
    try:
        kept = parse_qsl(query.decode("ascii"), max_num_fields=20) if len(query) <= _QUERY_LIMIT else []
    except ValueError:
        kept = []
    return urlencode([*((name, value) for name, value in kept if name != "lang"), ("lang", tag)])


def _in_language(function: Any) -> Any:
    @pass_context
    def filtered(context: Context, value: Any, *arguments: Any) -> str:
        text: str = function(context["language"], value, *arguments)
        return text

    return filtered


@pass_context
def _gettext(context: Context, message: str) -> str:
    return translations(context["language"].tag).gettext(message)


@pass_context
def _ngettext(context: Context, singular: str, plural: str, count: int) -> str:
    return translations(context["language"].tag).ngettext(singular, plural, count)


@pass_context
def _pgettext(context: Context, kind: str, message: str) -> str:
    return translations(context["language"].tag).pgettext(kind, message)


@pass_context
def _npgettext(context: Context, kind: str, singular: str, plural: str, count: int) -> str:
    return translations(context["language"].tag).npgettext(kind, singular, plural, count)
