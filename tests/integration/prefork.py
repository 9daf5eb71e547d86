"""Commands of `sso-gate` in processes that have loaded the program already: a second of loading is paid once.

Each command is a process of its own, forked from one that has only imported: own arguments, environment, stdin, stdout
and exit code, as a shell would start it. `python -m tests.integration.prefork` is that one; nothing else imports the
product here.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
COMMAND_SECONDS = 60


class Commands:
    """Starts commands, one after the other; close it at the end."""

    def __init__(self) -> None:
        """Load the program."""
        self._folder = tempfile.TemporaryDirectory(prefix="commands-")
        self._lock = threading.Lock()
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.prefork"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, arguments: Sequence[str], *, environment: Mapping[str, str], said: str) -> tuple[int, str, str]:
        """Return exit code, stdout and stderr; a command that takes a minute is killed."""
        with self._lock:
            files = {name: Path(self._folder.name) / name for name in ("in", "out", "err")}
            files["in"].write_text(said)
            asked = {"arguments": list(arguments), "environment": dict(environment)}
            assert self._parent.stdin is not None
            assert self._parent.stdout is not None
            self._parent.stdin.write(json.dumps({**asked, **{name: str(path) for name, path in files.items()}}) + "\n")
            self._parent.stdin.flush()
            line = self._parent.stdout.readline()
            assert line, "the loaded program has ended"
            return int(line), files["out"].read_text(), files["err"].read_text()

    def heard(self) -> str:
        """Return what the command that runs now, or ran last, has written to its stderr so far."""
        told = Path(self._folder.name) / "err"
        return told.read_text() if told.exists() else ""

    def close(self) -> None:
        """End the loaded program."""
        self._parent.communicate()
        self._folder.cleanup()


def _load() -> None:
    from importlib import import_module

    from sso_gate.cli.main import COMMANDS

    for place, _ in COMMANDS.values():
        import_module(f"sso_gate.cli.{place.partition(':')[0]}")


def _become(asked: dict[str, Any]) -> None:
    """Turn this forked process into the command."""
    from sso_gate.cli.main import main

    signal.alarm(COMMAND_SECONDS)
    os.environ.clear()
    os.environ.update(asked["environment"])
    for number, (name, flags) in enumerate((("in", os.O_RDONLY), ("out", _WRITTEN), ("err", _WRITTEN))):
        os.dup2(os.open(asked[name], flags, 0o600), number)
    sys.stdin = os.fdopen(0, "r")
    main(asked["arguments"], prog_name="sso-gate")


_WRITTEN = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


def _exit_code(asked: dict[str, Any]) -> int:
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code: Any = 1
    try:
        _become(asked)
    except SystemExit as ended:
        code = ended.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0)


def _serve() -> None:
    _load()
    for line in sys.stdin:
        answer = _exit_code(json.loads(line))
        print(answer, flush=True)  # noqa: T201 - the answer to the line


if __name__ == "__main__":
    _serve()
