"""The linters and the import contracts have nothing to say; `make lint` asks mypy as well, which takes longer."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT

BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "check", "--quiet", "."),
        ("ruff", "format", "--quiet", "--check", "."),
        ("lint-imports", "--no-cache"),
    ],
    ids=["ruff check", "ruff format", "import contracts"],
)
def test_clean(command):
    done = subprocess.run([BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
