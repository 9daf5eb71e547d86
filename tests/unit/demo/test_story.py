"""The story's file is an ordinary organization file, and its words exist in every language."""

import re
import tomllib
from datetime import date
from pathlib import Path

import pytest

from sso_gate.demo import pages
from sso_gate.demo.people import PEOPLE
from sso_gate.demo.story import first_day, months_after, write_story
from sso_gate.demo.words import SENTENCES, translate
from sso_gate.protocols.saml.metadata import parse_identity_provider

TEMPLATES = Path(pages.__file__).parent / "templates"


def test_the_file_names_the_organization_its_contract_people_and_connections(world, tmp_path):
    path = write_story(tmp_path, world.provider, today=date(2026, 11, 22))
    file = tomllib.loads(path.read_text())
    assert file["organization"]["slug"] == "acme"
    assert file["contract"]["anchor_date"] == date(2025, 10, 1) == first_day(date(2026, 11, 22))
    assert [member["role"] for member in file["members"]] == ["primary_owner"]
    assert [connection["protocol"] for connection in file["connections"]] == ["saml", "oidc"]


def test_what_the_file_refers_to_lies_beside_it(world, tmp_path):
    write_story(tmp_path, world.provider, today=date(2026, 11, 22))
    published = parse_identity_provider((tmp_path / "identity-provider.xml").read_bytes(), now=world.clock.now())
    assert published.entity_id == world.provider.entity_id
    secret = tmp_path / "client-secret.txt"
    assert secret.read_text() == world.client.client_secret
    assert secret.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("day", "months", "first"),
    [
        (date(2026, 11, 30), -3, date(2026, 8, 1)),
        (date(2026, 3, 31), -3, date(2025, 12, 1)),
        (date(2026, 1, 1), -13, date(2024, 12, 1)),
        (date(2025, 12, 31), 12, date(2026, 12, 1)),
    ],
)
def test_months_are_counted_from_first_to_first(day, months, first):
    assert months_after(day, months) == first


def sentences_in_templates():
    found = set()
    for template in TEMPLATES.glob("*.html"):
        found |= {sentence for _, sentence in re.findall(r"""say\((["'])(.+?)\1\)""", template.read_text())}
    return found


def test_every_sentence_exists_in_every_language_and_none_is_left_over():
    assert sentences_in_templates() | {person.note for person in PEOPLE} == set(SENTENCES)
    assert all(set(sentence) == {"pt-BR", "es"} for sentence in SENTENCES.values())


def test_a_sentence_that_nobody_translated_is_an_error_not_english():
    with pytest.raises(KeyError):
        translate("Nobody wrote this down", "es")


def test_nothing_in_the_product_imports_the_demonstration():
    package = Path(pages.__file__).parent.parent
    importers = [
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if not path.is_relative_to(package / "demo")
        and re.search(r"sso_gate\.demo|sso_gate import demo", path.read_text())
    ]
    assert all(path.startswith("cli/") for path in importers), importers
