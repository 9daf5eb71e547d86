"""Folders that belong to us alone. What lies in them is believed, so whoever could write there could be us."""

import os
import stat
from pathlib import Path

from sso_gate.errors import SsoGateError
from sso_gate.settings import SettingsInvalid

OTHERS = 0o077


class Unsafe(SsoGateError):
    """A file, folder or socket that somebody else made or can open; the message names it and says what to do."""


def data_folder(path: Path) -> Path:
    """Return the absolute path of the data folder, made with mode 0700 where it was missing; else as it is.

    Raises:
        SettingsInvalid: it cannot be made, or is no folder.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsInvalid([f"SSO_GATE_DATA_DIR: {path}: {error.strerror}"]) from error
    return path.resolve()


def private_folder(path: Path) -> Path:
    """Return the path, which is now a folder of ours with mode 0700.

    Raises:
        Unsafe: it exists and is a link, not a folder, or another user's.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.lstat()  # not stat: a link that somebody planted in /tmp must not be followed
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise Unsafe(f"{path} is not a folder of user {os.geteuid()}; remove it or choose another SSO_GATE_DATA_DIR")
    if found.st_mode & OTHERS:
        path.chmod(0o700)
    return path


def belongs_to_us_alone(path: Path) -> bool:
    """Return whether the path is a folder of ours that nobody else can open (false where there is none)."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & OTHERS
