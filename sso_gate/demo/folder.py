"""The demonstration's own folder: every demonstration starts from nothing, and only one at a time works in it."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sso_gate.embedded import valkey
from sso_gate.embedded.folder import data_folder, private_folder
from sso_gate.errors import SsoGateError

MARK = "this-folder-belongs-to-sso-gate-demo"


class DemoFailed(SsoGateError):
    """The demonstration cannot start or go on; the message says why."""


@contextmanager
def fresh_folder(folder: Path) -> Iterator[Path]:
    """Hand out the folder, absolute, ours alone and empty; what is in it at the end stays to be looked at.

    Raises:
        DemoFailed: another demonstration uses it, or it holds something that no demonstration has made.
    """
    folder = data_folder(folder.parent) / folder.name
    with folder.with_suffix(".lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoFailed(f"a demonstration is already running in {folder}") from None
        _clear(folder)
        private_folder(folder)
        (folder / MARK).touch()
        yield folder


def _clear(folder: Path) -> None:
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / MARK).exists():
        raise DemoFailed(f"{folder} holds files that no demonstration has made; choose another SSO_GATE_DATA_DIR")
    if valkey.find(folder):  # left by a demonstration that was killed
        valkey.start(folder).stop()
    shutil.rmtree(folder)
