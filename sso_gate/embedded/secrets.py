"""The secret keys of an installation that was given none: made once, on first start, and read ever after."""

import contextlib
import os
import secrets
import stat
from pathlib import Path

from sso_gate.embedded.folder import OTHERS, Unsafe, data_folder

FILE_NAME = "secret_keys"
KEY_BYTES = 32
MAXIMUM_FILE_BYTES = 16 * 1024


def secret_keys(data_dir: Path) -> tuple[str, ...]:
    """Return the keys in `data_dir/secret_keys`, newest first, one a line; a missing file is made with one new key.

    The file has mode 0600. Any number of processes that start at once get the same key. To roll over, put a new first
    line into the file.

    Raises:
        Unsafe: the file is not a plain file of ours, others can open it, or it holds nothing.
    """
    path = data_folder(data_dir) / FILE_NAME
    if not path.exists():
        _make(path)
    return _read(path)


def _make(path: Path) -> None:
    draft = path.with_name(f"{FILE_NAME}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        # A link appears whole or not at all, and never over a file that another process has just made.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path) -> tuple[str, ...]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, encoding="utf-8") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & OTHERS:
            raise Unsafe(f"{path} must be a plain file of user {os.geteuid()} with mode 0600")
        keys = tuple(file.read(MAXIMUM_FILE_BYTES).split())
    if not keys:
        raise Unsafe(f"{path} holds no key; put it back from a backup, or remove it if nothing was sealed yet")
    return keys
