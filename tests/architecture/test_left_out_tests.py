"""A test whose program is missing is named at the end, and fails where nothing may be left out."""

import re
import subprocess
import sys

from tests.architecture.tree import ROOT


def run_on_a_machine_without_programs(**environment):
    """Run the identity providers' tests with a PATH that holds nothing."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/support/test_identity_providers.py"]
    return subprocess.run(
        command,
        cwd=ROOT,
        env={"PATH": "/nonexistent", "HOME": "/nonexistent", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_machine_without_node_is_told_which_tests_are_left_out_and_how_many():
    done = run_on_a_machine_without_programs()
    assert done.returncode == 0, done.stdout
    assert re.search(r"LEFT OUT \d+ tests that need node, which is not here:\n +\d+ in tests/support/", done.stdout)
    assert "passed" in done.stdout.splitlines()[-1] or "skipped" in done.stdout.splitlines()[-1]


def test_under_ci_that_is_a_failure():
    done = run_on_a_machine_without_programs(CI="true")
    assert done.returncode == 1, done.stdout
    assert "CI=true leaves nothing out" in done.stdout
