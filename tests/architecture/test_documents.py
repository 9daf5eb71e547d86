"""What the documents promise is what the code has."""

import re

import pytest

from sso_gate.errors import Reason
from sso_gate.refusals import REFUSALS
from sso_gate.settings import PREFIX, Settings
from tests.architecture.tree import ROOT

REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")


def test_every_setting_is_in_the_reference_and_no_other():
    documented = set(re.findall(rf"^\| `{PREFIX}([A-Z_]+)` \|", REFERENCE, re.MULTILINE))
    assert documented == {name.upper() for name in Settings.model_fields}


def test_every_reason_is_in_the_reference_with_its_status_and_its_sentence():
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| (\d{3} \| \w+ \| .+) \|$", REFERENCE, re.MULTILINE))
    assert rows == {
        str(reason): f"{REFUSALS[reason].status} | {REFUSALS[reason].severity} | {REFUSALS[reason].sentence}"
        for reason in Reason
    }


@pytest.mark.parametrize("page", [*sorted(ROOT.glob("docs/**/*.md")), ROOT / "README.md"], ids=lambda path: path.name)
def test_every_link_between_pages_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_every_command_in_the_readme_is_one():
    readme, makefile = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "Makefile"))
    for target in re.findall(r"^make (\w+)", readme, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
