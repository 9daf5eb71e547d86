"""Pages of the demonstration: its own templates, style sheet and content policy, in the language of the visitor."""

from functools import cache, partial
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from sso_gate.demo.words import translate
from sso_gate.web.language import NAMES
from sso_gate.web.request_state import language_of

_FOLDER = Path(__file__).parent
# A provider's form goes to the gate, which sends the browser on to an application: browsers apply form-action to the
# whole chain of redirects, so only schemes can be named.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self' http: https:; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def static_files() -> Mount:
    """Return the route of the style sheet and the script."""
    return Mount("/static", StaticFiles(directory=_FOLDER / "static"), name="static")


def page(request: Request, name: str, status: int = 200, /, **context: object) -> HTMLResponse:
    """Return the page `name`; a template sees `say` (a translation), `tag` (the language) and `languages` (links)."""
    tag = language_of(request).tag
    text = (
        _environment()
        .get_template(name)
        .render(say=partial(translate, language=tag), tag=tag, languages=_language_links(request), **context)
    )
    return HTMLResponse(text, status, headers=HEADERS)


@cache
def _environment() -> Environment:
    loader = FileSystemLoader(_FOLDER / "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def _language_links(request: Request) -> list[tuple[str, str, str]]:
    """Return tag, name and address of this page in each language; none for the answer to a form."""
    if request.method != "GET":
        return []
    kept = [pair for pair in parse_qsl(request.url.query, keep_blank_values=True) if pair[0] != "lang"]
    return [(tag, name, f"?{urlencode([*kept, ('lang', tag)])}") for tag, name in NAMES.items()]
