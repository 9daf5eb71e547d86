"""Unix sockets: where ours lies, who listens on it, and whether it answers like Valkey."""

import hashlib
import os
import socket
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

from sso_gate.embedded.folder import Unsafe, belongs_to_us_alone, private_folder

SOCKET_NAME = "kv.sock"
# sun_path has 104 bytes on macOS and 108 on Linux, with the closing NUL.
LONGEST_SOCKET_PATH = 100
ANSWER_SECONDS = 2.0
_LOCAL_PEERCRED = 1  # <sys/un.h> on macOS
_XUCRED = "IIhh16I"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a living server said: `ready` is false while it still loads its data."""

    ready: bool


def usual_socket(folder: Path) -> Path:
    """Return where a server on `folder` is to listen; the folder it lies in is ours, mode 0700.

    That is `folder` itself, unless the path is too long for a unix socket: then a short folder named by a hash.
    """
    inside = folder / SOCKET_NAME
    if _fits(inside):
        return inside
    return private_folder(_short_folders(folder)[0]) / SOCKET_NAME


def possible_sockets(folder: Path) -> list[Path]:
    """Return every place where a server on `folder` may listen, whatever XDG_RUNTIME_DIR said when it was started."""
    inside = folder / SOCKET_NAME
    if _fits(inside):
        return [inside]
    return [short / SOCKET_NAME for short in _short_folders(folder) if belongs_to_us_alone(short)]


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= LONGEST_SOCKET_PATH


def _short_folders(folder: Path) -> list[Path]:
    user = os.geteuid()
    name = f"sso-gate-{user}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    bases = [Path(runtime)] if runtime else []
    bases += [Path("/run/user") / str(user), Path("/tmp")]  # noqa: S108 - a 0700 folder of ours in it, checked by lstat
    usable = [base for base in bases if base.is_dir() and os.access(base, os.W_OK) and _fits(base / name / SOCKET_NAME)]
    return list(dict.fromkeys(base / name for base in usable))


def answer_of(path: Path) -> Answer | None:
    """Return what listens on the socket said to PING, or None when nothing listens there.

    Raises:
        Unsafe: another user listens, or it does not answer like Valkey.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_SECONDS)
        try:
            connection.connect(os.fspath(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        _refuse_another_user(connection, path)
        line = _ask(connection, b"PING\r\n")
    if line.startswith((b"+PONG", b"-LOADING")):
        return Answer(ready=line.startswith(b"+PONG"))
    if not line:  # it ends while we ask
        return None
    raise Unsafe(f"what listens on {path} is not Valkey; stop it or choose another SSO_GATE_DATA_DIR")


def shut_down(path: Path) -> None:
    """Ask the server on the socket to write everything down and end; returns when it has closed the connection."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_SECONDS)
        try:
            connection.connect(os.fspath(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return
        _refuse_another_user(connection, path)
        _ask(connection, b"SHUTDOWN NOSAVE\r\n")  # no snapshot; the append-only file is written and synced all the same


def _ask(connection: socket.socket, command: bytes) -> bytes:
    try:
        connection.sendall(command)
        return connection.recv(256)
    except (ConnectionError, TimeoutError):
        return b""


def _refuse_another_user(connection: socket.socket, path: Path) -> None:
    listener = _peer_user(connection)
    if listener != os.geteuid():
        raise Unsafe(f"user {listener} listens on {path}, not user {os.geteuid()}; it is not used")


def _peer_user(connection: socket.socket) -> int:
    """Return the user that called listen(), as the kernel noted it (unix(7) SO_PEERCRED; on macOS LOCAL_PEERCRED)."""
    if sys.platform == "linux":
        _, user, _ = struct.unpack("iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return int(user)
    else:  # noqa: RET505 - so that mypy sees one platform's branch at a time
        credentials = struct.unpack(_XUCRED, connection.getsockopt(0, _LOCAL_PEERCRED, struct.calcsize(_XUCRED)))
        return int(credentials[1])
