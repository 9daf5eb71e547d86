"""A demonstration works in a folder of its own, alone, and never clears anybody else's."""

import shutil
import tempfile
from pathlib import Path

import pytest

from sso_gate.demo.folder import DemoFailed, fresh_folder
from sso_gate.embedded import valkey


@pytest.fixture
def folder():
    parent = Path(tempfile.mkdtemp(prefix="demo-"))
    yield parent / "demo"
    shutil.rmtree(parent)


def test_every_demonstration_starts_from_nothing_and_leaves_what_it_made(folder):
    with fresh_folder(folder) as first:
        (first / "sso-gate.db").write_text("old")
        assert first.stat().st_mode & 0o777 == 0o700
    assert (folder / "sso-gate.db").exists()
    with fresh_folder(folder) as second:
        assert not (second / "sso-gate.db").exists()


def test_a_folder_with_other_files_is_not_touched(folder):
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(DemoFailed, match="no demonstration has made"), fresh_folder(folder):
        pass
    assert (folder / "thesis.txt").read_text() == "years of work"


def test_a_second_demonstration_in_the_same_folder_is_refused_and_harms_nothing(folder):
    with fresh_folder(folder) as first:
        (first / "sso-gate.db").write_text("in use")
        with pytest.raises(DemoFailed, match="already running"), fresh_folder(folder):
            pass
        assert (first / "sso-gate.db").read_text() == "in use"


def test_a_valkey_that_a_killed_demonstration_left_is_ended(folder):
    with fresh_folder(folder) as first:
        left = valkey.start(first)
    left._users.close()  # as when the process is killed: the server stays, nobody holds it
    with fresh_folder(folder) as second:
        assert valkey.find(second) is None
        assert not (second / "valkey").exists()
