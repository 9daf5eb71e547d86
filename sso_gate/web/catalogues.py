"""The gettext catalogues: `locales/<language>/LC_MESSAGES/messages.po`, compiled in memory when first asked for.

English is the source: a text without a translation is its own English. That none is missing is a test, not a hope.
"""

import io
from functools import lru_cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

FOLDER = Path(__file__).parent / "locales"
_DIRECTORIES = {"pt-BR": "pt_BR", "es": "es"}


def catalogue_file(tag: str) -> Path:
    """Return where the texts of a language other than English are kept."""
    return FOLDER / _DIRECTORIES[tag] / "LC_MESSAGES" / "messages.po"


def read_catalogue(tag: str) -> Catalog:
    """Return the texts of a language other than English as its file has them."""
    with catalogue_file(tag).open("rb") as file:
        return read_po(file, locale=_DIRECTORIES[tag])


@lru_cache(maxsize=len(_DIRECTORIES) + 1)
def translations(tag: str) -> NullTranslations:
    """Return the translations of a language; English, and anything that we have not, answers with the text itself."""
    if tag not in _DIRECTORIES:
        return NullTranslations()
    compiled = io.BytesIO()
    write_mo(compiled, read_catalogue(tag))
    compiled.seek(0)
    return GNUTranslations(compiled)
