"""A test whose program is missing is named at the end, and fails where nothing may be left out."""

import re
import subprocess
import sys

import pytest

from tests import conftest
from tests.architecture.tree import ROOT


def test_a_machine_without_node_is_told_which_tests_are_left_out_and_how_many():
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/support/test_identity_providers.py"],
        cwd=ROOT,
        env={"PATH": "/nonexistent", "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"LEFT OUT \d+ tests that need node, which is not here:\n +\d+ in tests/support/", done.stdout)
    assert "passed" in done.stdout.splitlines()[-1] or "skipped" in done.stdout.splitlines()[-1]


def test_under_ci_that_is_a_failure(request, monkeypatch):
    request.applymarker(pytest.mark.needs("a program that nobody has"))
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="needs a program that nobody has, and CI=true leaves nothing out"):
        conftest.pytest_runtest_setup(request.node)
