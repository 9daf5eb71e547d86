"""The forms of a page, as a browser would submit them."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin


@dataclass(slots=True)
class Form:
    """One form: where it goes, how, and its fields with the values the page gave them."""

    action: str
    method: str
    page_url: str
    fields: dict[str, str] = field(default_factory=dict)


class _FormReader(HTMLParser):
    def __init__(self, page_url: str) -> None:
        super().__init__()
        self._page_url = page_url
        self.forms: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            action = urljoin(self._page_url, values.get("action", ""))
            self.forms.append(Form(action, values.get("method", "get").lower(), self._page_url))
        elif tag in ("input", "textarea", "select") and self.forms and values.get("name"):
            unchecked = values.get("type") in ("checkbox", "radio") and "checked" not in values
            if not unchecked:
                self.forms[-1].fields.setdefault(values["name"], values.get("value", ""))


def forms_of(html: str, page_url: str) -> list[Form]:
    """Return the forms of a page in its order; actions are absolute."""
    reader = _FormReader(page_url)
    reader.feed(html)
    return reader.forms
