"""The HTML checker of the W3C has nothing to say about any page."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from sso_gate.web.language import Language
from sso_gate.web.templates import page_text
from tests.browser.pages.gallery import SAMPLES

CHECKER = Path(__file__).parents[2] / "support" / "idp" / "node_modules" / "vnu-jar" / "build" / "dist" / "vnu.jar"
# What it warns of, and why it is right here.
ANSWERED = {
    # Safari takes the list out of a list without markers; these have markers of their own.
    "The “list” role is unnecessary for element “ul”.",
}


@pytest.mark.soak
@pytest.mark.needs("node", "java")
def test_the_html_checker_finds_nothing_on_any_page(tmp_path):
    for name, sample in SAMPLES.items():
        page = page_text(sample.template, Language("es", "es_MX"), **sample.context)
        (tmp_path / f"{name}.html").write_text(page)
    command = ["java", "-jar", str(CHECKER), "--format", "json", "--exit-zero-always", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    found = {
        f"{Path(one['url']).stem}:{one['lastLine']}: {one['message']}"
        for one in json.loads(ran.stderr)["messages"]
        if one["message"] not in ANSWERED
    }
    assert sorted(found) == []
