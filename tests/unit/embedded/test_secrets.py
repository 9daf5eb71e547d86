"""Secret keys are made once, for everybody who starts at the same time, and nobody else can read them."""

import multiprocessing
import os
import secrets

import pytest

from sso_gate.embedded.folder import Unsafe
from sso_gate.embedded.secrets import secret_keys
from sso_gate.settings import MINIMUM_SECRET_LENGTH
from sso_gate.storage.keyring import Keyring


def _keys_in_a_process(folder, results):
    results.put(secret_keys(folder))


def test_the_first_start_makes_one_key_that_only_we_can_read_and_that_is_long_enough(tmp_path):
    keys = secret_keys(tmp_path / "var")
    assert len(keys) == 1
    assert len(keys[0]) >= MINIMUM_SECRET_LENGTH
    assert (tmp_path / "var" / "secret_keys").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "var").stat().st_mode & 0o777 == 0o700


def test_a_wide_umask_does_not_open_the_file(tmp_path):
    before = os.umask(0)
    try:
        secret_keys(tmp_path)
    finally:
        os.umask(before)
    assert (tmp_path / "secret_keys").stat().st_mode & 0o777 == 0o600


def test_later_starts_read_the_same_key_and_leave_no_draft(tmp_path):
    assert secret_keys(tmp_path) == secret_keys(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["secret_keys"]


def test_processes_that_start_at_once_agree_on_one_key(tmp_path):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    starters = [context.Process(target=_keys_in_a_process, args=(tmp_path, results)) for _ in range(4)]
    for starter in starters:
        starter.start()
    keys = {results.get(timeout=60) for _ in starters}
    for starter in starters:
        starter.join()
    assert len(keys) == 1
    assert keys == {secret_keys(tmp_path)}


def test_a_new_first_line_seals_and_the_old_one_still_opens(tmp_path):
    old = secret_keys(tmp_path)
    sealed = Keyring(old).seal("the assertion key")
    path = tmp_path / "secret_keys"
    new = secrets.token_urlsafe(32)
    path.write_text(f"{new}\n{path.read_text()}")
    assert secret_keys(tmp_path) == (new, *old)
    assert Keyring(secret_keys(tmp_path)).unseal(sealed) == "the assertion key"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_file_that_others_can_open_is_refused(tmp_path, mode):
    secret_keys(tmp_path)
    (tmp_path / "secret_keys").chmod(mode)
    with pytest.raises(Unsafe, match="mode 0600"):
        secret_keys(tmp_path)


def test_a_link_is_refused(tmp_path):
    secret_keys(tmp_path / "elsewhere")
    (tmp_path / "secret_keys").symlink_to(tmp_path / "elsewhere" / "secret_keys")
    with pytest.raises((Unsafe, OSError)):
        secret_keys(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(tmp_path):
    secret_keys(tmp_path)
    os.chown(tmp_path / "secret_keys", 65534, 65534)
    with pytest.raises(Unsafe, match="plain file of user 0"):
        secret_keys(tmp_path)


def test_an_empty_file_is_refused_and_not_filled_since_something_may_be_sealed_already(tmp_path):
    (tmp_path / "secret_keys").touch(mode=0o600)
    with pytest.raises(Unsafe, match="holds no key"):
        secret_keys(tmp_path)
    assert (tmp_path / "secret_keys").read_text() == ""
