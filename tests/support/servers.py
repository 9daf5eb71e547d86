"""A child process that serves on loopback: started, awaited until it says it is ready, stopped by its pid."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LOOPBACK = "127.0.0.1"
# The first that is there. The headless shell is the same browser without windows, for half of the CPU.
_NAMES = {
    "chromium": ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
}


class ServerFailed(RuntimeError):
    """A server did not start; the message carries what it wrote."""


def free_port() -> int:
    """Return a TCP port that nobody listened on a moment ago; whoever uses it must bind it soon."""
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        return int(listener.getsockname()[1])


def program(name: str) -> str | None:
    """Return the path of an installed program; None when it is missing.

    Also found: what a wheel of the virtual environment brought, and what lies outside of a user's PATH (`/usr/sbin`).
    """
    folders = [str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]
    found = (shutil.which(each, path=os.pathsep.join(folders)) for each in _NAMES.get(name, (name,)))
    return next(filter(None, found), None)


def wait_for_port(port: int, process: subprocess.Popen[Any] | None = None, timeout_seconds: float = 20) -> None:
    """Return once something accepts connections on a loopback port.

    Raises ServerFailed when `process` ends before, or after `timeout_seconds`.
    """
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        if process is not None and process.poll() is not None:
            raise ServerFailed(f"{process.args!r} ended with {process.returncode} before it listened on {port}")
        try:
            socket.create_connection((LOOPBACK, port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise ServerFailed(f"nothing listened on port {port} after {timeout_seconds} s")


def stop(process: Any, how: signal.Signals = signal.SIGTERM, timeout_seconds: float = 10) -> None:
    """End one process that we started, first politely; returns when it is gone."""
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout_seconds)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


class ReadyServer:
    """A child that prints one line of JSON when it serves, and ends when its stdin closes (so it never outlives us)."""

    def __init__(
        self, command: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None, timeout_seconds: float = 30
    ) -> None:
        """Start the command and wait for its line; everything it writes to stderr goes to `log`."""
        self._log = log
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env={**os.environ, **(env or {})}
            )
        try:
            self.ready: dict[str, Any] = self._first_line(timeout_seconds)
        except BaseException:
            self.stop()
            raise

    def _first_line(self, timeout_seconds: float) -> dict[str, Any]:
        assert self.process.stdout is not None
        # A timer instead of select(): the pipe is buffered, and a killed child ends readline() at once.
        deadline = time.monotonic() + timeout_seconds
        os.set_blocking(self.process.stdout.fileno(), False)
        line = b""
        while not line.endswith(b"\n"):
            line += self.process.stdout.readline() or b""
            ended = self.process.poll() is not None
            if not line.endswith(b"\n") and (ended or time.monotonic() > deadline):
                raise ServerFailed(f"{self.process.args!r} did not become ready:\n{self.log_text()}")
            time.sleep(0.01)
        ready: dict[str, Any] = json.loads(line)
        return ready

    def log_text(self) -> str:
        """Return what the server has written to stderr so far."""
        return self._log.read_text(errors="replace")

    def stop(self) -> None:
        """End the server."""
        stop(self.process)
