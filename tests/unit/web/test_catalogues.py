"""Every text for people exists in all three languages, and says the same things with the same placeholders."""

import re

import pytest
from babel.messages.catalog import Message

from sso_gate.web.catalogues import read_catalogue, translations
from sso_gate.web.language import NAMES
from tests.unit.web.extraction import extracted

TRANSLATED = [tag for tag in NAMES if tag != "en"]
PLACEHOLDER = re.compile(r"%\(\w+\)s")


def every_message() -> list[Message]:
    return [message for message in extracted() if message.id]


def forms(text: str | tuple[str, ...] | list[str] | None) -> list[str]:
    return [text] if isinstance(text, str) else list(text or [""])


def test_the_extraction_finds_the_texts_of_templates_and_of_code():
    found = {forms(message.id)[0]: [file for file, _ in message.locations] for message in every_message()}
    assert set(found["Page not found"]) == {"web/templates/not_found.html"}
    assert any(file.endswith("billing_words.py") for file in found["This could not be ordered. Nothing was charged."])
    assert len(found) > 200


@pytest.mark.parametrize("tag", TRANSLATED)
def test_no_text_is_missing_or_fuzzy(tag):
    catalogue = read_catalogue(tag)
    missing = []
    for wanted in every_message():
        found = catalogue.get(wanted.id, wanted.context)
        if found is None or found.fuzzy or not all(forms(found.string)):
            missing.append(wanted.id)
    assert missing == []


@pytest.mark.parametrize("tag", TRANSLATED)
def test_no_translation_is_left_over(tag):
    wanted = {(message.context, forms(message.id)[0]) for message in every_message()}
    kept = {(message.context, forms(message.id)[0]) for message in read_catalogue(tag) if message.id}
    assert kept - wanted == set()


@pytest.mark.parametrize("tag", TRANSLATED)
def test_placeholders_are_the_same_in_every_form(tag):
    for message in read_catalogue(tag):
        if message.id:
            wanted = set(PLACEHOLDER.findall(forms(message.id)[-1]))
            for form in forms(message.string):
                assert set(PLACEHOLDER.findall(form)) == wanted, form


@pytest.mark.parametrize("tag", TRANSLATED)
def test_a_translation_keeps_the_percent_signs_and_the_absence_of_exclamation_marks(tag):
    for message in read_catalogue(tag):
        for form in forms(message.string) if message.id else []:
            assert "%" not in PLACEHOLDER.sub("", form).replace("%%", "")
            assert "!" not in form
            assert "¡" not in form


@pytest.mark.parametrize(
    ("tag", "one", "many"),
    [("pt-BR", "1 assento adicionado", "2 assentos adicionados"), ("es", "1 asiento agregado", "2 asientos agregados")],
)
def test_plurals_are_those_of_the_language(tag, one, many):
    said = translations(tag).ngettext
    text = lambda n: said("%(n)s seat added", "%(n)s seats added", n) % {"n": n}  # noqa: E731 - said twice below
    assert (text(1), text(2)) == (one, many)


def test_zero_is_plural_in_spanish_and_singular_in_portuguese():
    said = {tag: translations(tag).ngettext("%(n)s seat added", "%(n)s seats added", 0) for tag in TRANSLATED}
    assert said == {"pt-BR": "%(n)s assento adicionado", "es": "%(n)s asientos agregados"}


def test_english_and_unknown_languages_answer_with_the_source():
    assert translations("en").gettext("Page not found") == "Page not found"
    assert translations("xx").gettext("Page not found") == "Page not found"
