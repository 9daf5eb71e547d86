"""`sso-gate demo` as whoever types it meets it: a process that prints its guide and ends with Ctrl-C."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sso_gate.embedded import valkey
from tests.support.servers import stop

STOP_SECONDS = 30


@dataclass(frozen=True)
class Demonstration:
    """A running demonstration: `facts` are its `demo.json`."""

    process: subprocess.Popen[str]
    data_dir: Path
    facts: dict[str, Any]

    @property
    def folder(self) -> Path:
        return self.data_dir / "demo"


def started(data_dir: Path) -> subprocess.Popen[str]:
    """Return the process of a demonstration that is about to start in this folder."""
    return subprocess.Popen(
        [sys.executable, "-m", "sso_gate", "demo"],
        env={**os.environ, "SSO_GATE_DATA_DIR": str(data_dir)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for_guide(process: subprocess.Popen[str]) -> str:
    """Return what it printed, its guide to the end."""
    said = ""
    assert process.stdout is not None
    while "Ctrl-C" not in said:
        line = process.stdout.readline()
        assert line, f"the demonstration ended early:\n{said}"
        said += line
    return said


def facts_of(data_dir: Path) -> dict[str, Any]:
    """Return what the demonstration in this folder says to programs."""
    facts: dict[str, Any] = json.loads((data_dir / "demo" / "demo.json").read_text())
    return facts


def processes_in(folder: Path) -> dict[int, str]:
    """Return the processes that name the folder on their command line: id and command line."""
    listed = subprocess.run(["ps", "-A", "-ww", "-o", "pid=,args="], capture_output=True, text=True, check=True).stdout
    lines = [line.strip().partition(" ") for line in listed.splitlines() if str(folder) in line]
    return {int(number): command for number, _, command in lines}


@contextmanager
def own_folder() -> Iterator[Path]:
    """Give a new folder for a demonstration, and remove it with whatever a killed one has left running."""
    folder = Path(tempfile.mkdtemp(prefix="demo-"))
    try:
        yield folder
    finally:
        if valkey.find(folder / "demo"):
            valkey.start(folder / "demo").stop()
        shutil.rmtree(folder)


@contextmanager
def running_demonstration() -> Iterator[Demonstration]:
    """Give a demonstration that has printed its guide, and end it with Ctrl-C: nothing of it may be left then."""
    with own_folder() as data_dir:
        process = started(data_dir)
        try:
            wait_for_guide(process)
            yield Demonstration(process, data_dir, facts_of(data_dir))
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=STOP_SECONDS)
            assert (process.returncode, "Everything has stopped." in said) == (0, True)
            assert not processes_in(data_dir)
        finally:
            stop(process, signal.SIGINT, STOP_SECONDS)
