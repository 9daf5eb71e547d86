"""A language whose words are two fifths longer than English ones, and full of accents."""

from __future__ import annotations

import re
from gettext import NullTranslations

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
