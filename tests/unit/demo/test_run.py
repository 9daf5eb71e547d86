"""The demonstration as a program: who else may run in its folder, and what ends with it. What people do in it is told
by `tests/browser/test_story.py`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.demonstration import (
    STOP_SECONDS,
    Demonstration,
    facts_of,
    own_folder,
    processes_in,
    started,
    wait_for_guide,
)
from tests.support.servers import stop

START_SECONDS = 60


@pytest.fixture
def start(data_dir: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Start `sso-gate demo` on the test's data folder; whatever still runs after the test is ended."""
    running: list[subprocess.Popen[str]] = []

    def one() -> subprocess.Popen[str]:
        running.append(started(data_dir))
        return running[-1]

    yield one
    for process in running:
        stop(process, signal.SIGINT, STOP_SECONDS)


def gate_of(folder: Path) -> int:
    (number,) = (number for number, command in processes_in(folder).items() if "gate_process" in command)
    return number


def wait_until_gone(folder: Path, words: str) -> bool:
    """Return whether the processes of the folder with these words on their command line end in time."""
    deadline = time.monotonic() + STOP_SECONDS
    while any(words in command for command in processes_in(folder).values()):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with own_folder() as folder:
        yield folder


@pytest.fixture
def demonstration(data_dir: Path, start: Callable[[], subprocess.Popen[str]]) -> Demonstration:
    process = start()
    wait_for_guide(process)
    return Demonstration(process, data_dir, facts_of(data_dir))


def serve_ordinarily(folder: Path) -> subprocess.CompletedProcess[str]:
    """Return how `sso-gate serve` ended on what a demonstration has left."""
    settings = {"DATA_DIR": str(folder), "BIND": "127.0.0.1:0", "ADMIN_BIND": "127.0.0.1:0"}
    return subprocess.run(
        [sys.executable, "-m", "sso_gate", "serve"],
        env={**os.environ, **{f"SSO_GATE_{name}": value for name, value in settings.items()}},
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )


def ask(command: str) -> str:
    """Return what a shell that knows nothing of the virtual environment prints for a command."""
    shell = {"PATH": os.defpath, "HOME": os.environ["HOME"]}
    return subprocess.run(
        ["sh", "-c", command], env=shell, capture_output=True, text=True, timeout=START_SECONDS, check=True
    ).stdout


@pytest.mark.skipif(sys.platform != "linux", reason="the leash is a Linux one")
def test_a_demonstration_is_alone_in_its_folder_ends_with_its_gate_and_leaves_nothing_to_serve(demonstration, start):
    assert "purchased" in ask(f". '{demonstration.folder}/environment'; sso-gate seats show --org acme")
    second = start()
    said, _ = second.communicate(timeout=START_SECONDS)
    assert (second.returncode, "already running" in said) == (1, True)

    # Killed, it takes its gate with it; the next one begins the story anew.
    database = demonstration.folder / "sso-gate.db"
    before = database.stat().st_ino
    demonstration.process.kill()
    assert wait_until_gone(demonstration.folder, "gate_process")
    again = start()
    wait_for_guide(again)
    assert database.stat().st_ino != before

    # A killed gate ends its demonstration. What is left is nothing that an ordinary gate would serve.
    os.kill(gate_of(demonstration.folder), signal.SIGKILL)
    said, _ = again.communicate(timeout=STOP_SECONDS)
    assert (again.returncode, "the gate has ended" in said) == (1, True)
    assert wait_until_gone(demonstration.folder, "")
    refused = serve_ordinarily(demonstration.folder)
    assert refused.returncode == 5
    assert "made by `sso-gate demo`" in refused.stderr
    assert all(connection in refused.stderr for connection in ("acme-saml", "acme-oidc"))
