"""Finds every text for people in the code and templates, as `pybabel extract` would; the catalogues are checked
against it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir

PACKAGE = Path(__file__).parents[3] / "sso_gate"
METHODS = [("**.py", "python"), ("**/templates/**.html", "jinja2"), ("**/templates/**.txt", "jinja2")]
OPTIONS = {
    pattern: {"extensions": "jinja2.ext.i18n", "newstyle_gettext": "true", "silent": "false"}
    for pattern, kind in METHODS
    if kind == "jinja2"
}
KEYWORDS = {
    "_": None,
    "gettext": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
}


@cache
def extracted() -> Catalog:
    """Every text of the package, with the places where it stands."""
    catalogue = Catalog(project="sso-gate", charset="utf-8")
    found = extract_from_dir(
        PACKAGE,
        method_map=METHODS,
        options_map=OPTIONS,
        keywords=KEYWORDS,
        comment_tags=(),
        directory_filter=lambda path: "demo" not in path,
    )
    for file, line, message, _comments, context in found:
        catalogue.add(message, locations=[(file, line)], context=context)
    return catalogue
