"""Every page with words that are two fifths longer and full of accents: nothing may push a narrow page sideways."""

from __future__ import annotations

import re
from gettext import NullTranslations
from typing import TYPE_CHECKING

import pytest

from sso_gate.web import templates
from tests.browser.pages.gallery import SAMPLES, Gallery

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ACCENTED = str.maketrans("aeiouAEIOUcn", "áéîöúÁÉÎÖÚçñ")
PLACEHOLDER = re.compile(r"(%\(\w+\)s|%%)")
PADDING = " longerwords"


def longer(text: str) -> str:
    """The text with accents and 40 % more characters, its placeholders as they are."""
    parts = PLACEHOLDER.split(text)
    accented = "".join(part if PLACEHOLDER.fullmatch(part) else part.translate(ACCENTED) for part in parts)
    more = max(1, round(len(text) * 0.4))
    return f"{accented}{(PADDING * (more // len(PADDING) + 1))[:more]}"


class Longer(NullTranslations):
    """A language that has a long word for everything."""

    def gettext(self, message: str) -> str:
        return longer(message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return longer(msgid1 if n == 1 else msgid2)

    def pgettext(self, context: str, message: str) -> str:
        return longer(message)

    def npgettext(self, context: str, msgid1: str, msgid2: str, n: int) -> str:
        return self.ngettext(msgid1, msgid2, n)


def test_no_page_scrolls_sideways_when_all_words_are_longer(chromium: Browser, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(templates, "translations", lambda _tag: Longer())
    page = chromium.new_context(viewport={"width": 320, "height": 900}).new_page()
    too_wide = {}
    with Gallery().serving() as gallery:
        for name in SAMPLES:
            page.goto(f"{gallery.url}/page/{name}")
            over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            if over > 0:
                too_wide[name] = over
        assert "Dévélöpér" in page.content(), "the last page does speak that language"
    page.context.close()
    assert too_wide == {}
