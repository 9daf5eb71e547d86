"""Commands of `sso-gate` in processes that have loaded the program already: seconds of loading are paid once.

Each command is a process of its own, forked from one that has imported everything and run each common command once,
elsewhere: own arguments, environment, stdin, stdout and exit code, as a shell would start it. `python -m
tests.integration.prefork` is that one; nothing else imports the product here.
"""

from __future__ import annotations

import gc
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from tests.support import statements

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
            for name in ("out", "err"):
                files[name].write_text("")
            named = {name: str(path) for name, path in files.items()}
            code = self._ask(arguments=list(arguments), environment=dict(environment), **named, stays=False)
            return code, files["out"].read_text(), files["err"].read_text()

    def start(self, arguments: Sequence[str], *, environment: Mapping[str, str], log: Path) -> Started:
        """Return a command that goes on by itself, and writes to the end of `log`."""
        files = {"in": os.devnull, "out": str(log), "err": str(log)}
        with self._lock:
            pid = self._ask(arguments=list(arguments), environment=dict(environment), **files, stays=True)
        return Started(self, pid)

    def ended(self, pid: int) -> int | None:
        """Return the exit code of a command that went on by itself, None while it does."""
        with self._lock:
            code = self._ask(ended=pid)
        return None if code == _RUNS else code

    def _ask(self, **asked: Any) -> int:
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write(json.dumps(asked) + "\n")
        self._parent.stdin.flush()
        line = self._parent.stdout.readline()
        assert line, "the loaded program has ended"
        return int(line)

    def heard(self) -> str:
        """Return what the command that runs now, or ran last, has written to its stderr so far."""
        told = Path(self._folder.name) / "err"
        return told.read_text() if told.exists() else ""

    def close(self) -> None:
        """End the loaded program."""
        self._parent.communicate()
        self._folder.cleanup()


class Started:
    """A command that goes on until it is ended: as much of `subprocess.Popen` as a gate needs."""

    stdin = stdout = None

    def __init__(self, commands: Commands, pid: int) -> None:
        self._commands, self.pid, self.args, self.returncode = commands, pid, "sso-gate", None

    def poll(self) -> int | None:
        """Return its exit code, negative for a signal, or None while it runs."""
        if self.returncode is None:
            self.returncode = self._commands.ended(self.pid)
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Return its exit code once it has ended."""
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(self.args, timeout)
            time.sleep(0.02)
        return code

    def send_signal(self, how: int) -> None:
        """Send it a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, how)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


def _load() -> None:
    from importlib import import_module

    import sso_gate.server  # noqa: F401 - for `serve`, which imports it when it runs
    from sso_gate.cli.main import COMMANDS

    for place, _ in COMMANDS.values():
        import_module(f"sso_gate.cli.{place.partition(':')[0]}")


def _warm_up() -> None:
    """Run what tests run most, so that statements are compiled and locales are read before the first fork."""
    from tests.integration.gate import Organization

    with tempfile.TemporaryDirectory(prefix="gate-") as folder:
        organization = Organization()
        file = organization.write(Path(folder))
        os.environ.update(
            SSO_GATE_DATA_DIR=f"{folder}/var", SSO_GATE_SECRET_KEYS="a-key-for-one-warm-up-of-40-characters"
        )
        of = ("--org", organization.slug)
        for words in (("apply", str(file)), ("token", "create", *of, "--scope", "seats:read"), ("seats", "show", *of)):
            _run(words)


def _run(arguments: Sequence[str]) -> None:
    from sso_gate.cli.main import main

    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said), pytest.raises(SystemExit) as ended:
        main(list(arguments), prog_name="sso-gate")
    assert not ended.value.code, said.getvalue()


def _become(asked: dict[str, Any]) -> None:
    """Turn this forked process into the command."""
    from sso_gate.cli.main import main

    if not asked["stays"]:
        signal.alarm(COMMAND_SECONDS)
    os.environ.clear()
    os.environ.update(asked["environment"])
    for number, (name, flags) in enumerate((("in", os.O_RDONLY), ("out", _WRITTEN), ("err", _WRITTEN))):
        os.dup2(os.open(asked[name], flags, 0o600), number)
    sys.stdin = os.fdopen(0, "r")
    main(asked["arguments"], prog_name="sso-gate")


_WRITTEN = os.O_WRONLY | os.O_CREAT | os.O_APPEND
_RUNS = 1000  # no exit code


def _forked(asked: dict[str, Any]) -> int:
    """Return the process that is the command."""
    child = os.fork()
    if child:
        return child
    code: Any = 1
    try:
        _become(asked)
    except SystemExit as ended:
        code = ended.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0)


def _exit_code(pid: int, how: int = 0) -> int:
    ended, status = os.waitpid(pid, how)
    return os.waitstatus_to_exitcode(status) if ended else _RUNS


def _answer(asked: dict[str, Any]) -> int:
    if "ended" in asked:
        return _exit_code(asked["ended"], os.WNOHANG)
    pid = _forked(asked)
    return pid if asked["stays"] else _exit_code(pid)


def _serve() -> None:
    _load()
    with statements.shared():
        _warm_up()
        assert threading.active_count() == 1, "a process with threads cannot be forked"
        gc.freeze()
        for line in sys.stdin:
            print(_answer(json.loads(line)), flush=True)  # noqa: T201 - the answer to the line


if __name__ == "__main__":
    _serve()
