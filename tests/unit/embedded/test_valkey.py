"""The embedded Valkey is one server for a data folder, shared by everybody of one user, and keeps its data."""

import contextlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from redis import Redis

from sso_gate.embedded import valkey
from sso_gate.embedded.endpoint import LONGEST_SOCKET_PATH, answer_of, usual_socket
from sso_gate.embedded.folder import Unsafe
from tests.support.servers import stop

STARTER = """
import sys, time, pathlib
from sso_gate.embedded import valkey
running = valkey.start(pathlib.Path(sys.argv[1]))
print(running.adopted, running.redis_url, flush=True)
sys.stdin.read()
running.stop()
"""


def client(url):
    return Redis.from_url(url, decode_responses=True, retry=None)


def server_pid(url):
    with client(url) as redis:
        return int(redis.info("server")["process_id"])


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def data_dir():
    """A short folder: a unix socket's path may have about 100 bytes, pytest's folders are longer."""
    folder = Path(tempfile.mkdtemp(prefix="gate-"))
    yield folder
    with contextlib.suppress(Exception), valkey.start(folder):
        pass  # ends what a failed test has left
    shutil.rmtree(folder)


@pytest.fixture
def other_process(data_dir):
    """Start the server in another process; yields that process and what it said."""
    started = []

    def start():
        process = subprocess.Popen(
            [sys.executable, "-c", STARTER, str(data_dir)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        adopted, url = process.stdout.readline().split()
        return process, adopted == "True", url

    yield start
    for process in started:
        stop(process, signal.SIGKILL)


def test_data_outlives_a_restart(data_dir):
    with valkey.start(data_dir) as running, client(running.redis_url) as redis:
        redis.set("kept", "yes")
    with valkey.start(data_dir) as running, client(running.redis_url) as redis:
        assert redis.get("kept") == "yes"


def test_it_listens_on_a_unix_socket_alone_never_evicts_and_writes_everything_down(data_dir):
    with valkey.start(data_dir) as running, client(running.redis_url) as redis:
        assert running.redis_url == f"unix://{data_dir}/valkey/kv.sock"
        wanted = {"port": "0", "appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction"}
        assert {name: redis.config_get(name)[name] for name in wanted} == wanted


def test_nobody_else_can_open_its_folder_its_socket_or_its_data(data_dir):
    (data_dir / "valkey").mkdir(mode=0o755)
    with valkey.start(data_dir) as running, client(running.redis_url) as redis:
        redis.set("written", "down")
        files = [data_dir / "valkey", *(data_dir / "valkey").rglob("*")]
        opened = {path.name: stat.filemode(path.stat().st_mode) for path in files if path.stat().st_mode & 0o077}
        assert {path.name: path.stat().st_mode & 0o777 for path in files[:1]} == {"valkey": 0o700}
        assert all("lock" in name or "log" in name for name in opened), opened


def test_the_second_start_adopts_the_living_server_and_the_last_one_out_ends_it(data_dir):
    first = valkey.start(data_dir)
    second = valkey.start(data_dir)
    assert (first.adopted, second.adopted) == (False, True)
    assert second.redis_url == first.redis_url
    first.stop()
    assert valkey.find(data_dir) == second.redis_url, "who started it must not take it from who still uses it"
    second.stop()
    assert valkey.find(data_dir) is None


def test_stopping_twice_ends_one_use_only(data_dir):
    with valkey.start(data_dir) as kept:
        other = valkey.start(data_dir)
        other.stop()
        other.stop()
        assert valkey.find(data_dir) == kept.redis_url


def test_find_makes_and_starts_nothing(data_dir):
    assert valkey.find(data_dir / "not-there") is None
    assert not (data_dir / "not-there").exists()


def test_a_start_in_another_process_adopts_and_its_end_leaves_ours_alone(data_dir, other_process):
    with valkey.start(data_dir) as running:
        process, adopted, url = other_process()
        assert (adopted, url) == (True, running.redis_url)
        process.stdin.close()
        assert process.wait(20) == 0
        assert valkey.find(data_dir) == running.redis_url


def test_what_a_killed_process_left_running_is_adopted_with_its_data_and_ended_at_last(data_dir, other_process):
    process, _, url = other_process()
    with client(url) as redis:
        redis.set("counted", "7")
    pid = server_pid(url)
    process.kill()
    process.wait()
    with valkey.start(data_dir) as running, client(running.redis_url) as redis:
        assert running.adopted
        assert server_pid(running.redis_url) == pid
        assert redis.get("counted") == "7"
    assert not is_alive(pid)


def test_a_socket_that_a_killed_server_left_is_replaced_and_the_data_is_back(data_dir):
    running = valkey.start(data_dir)
    with client(running.redis_url) as redis:
        redis.set("kept", "yes")
    os.kill(server_pid(running.redis_url), signal.SIGKILL)
    while answer_of(data_dir / "valkey" / "kv.sock") is not None:
        time.sleep(0.01)
    assert (data_dir / "valkey" / "kv.sock").exists()
    with valkey.start(data_dir) as again, client(again.redis_url) as redis:
        assert not again.adopted
        assert redis.get("kept") == "yes"
    running.stop()


def test_of_many_starts_at_once_one_starts_and_the_others_adopt(data_dir, other_process):
    with ThreadPoolExecutor(4) as pool:
        found = [future.result() for future in [pool.submit(other_process) for _ in range(4)]]
    assert sorted(adopted for _, adopted, _ in found) == [False, True, True, True]
    assert len({server_pid(url) for _, _, url in found}) == 1


def test_a_second_server_never_writes_to_the_data_of_one_whose_socket_was_removed(data_dir, monkeypatch):
    monkeypatch.setattr(valkey, "STOP_SECONDS", 0.2)
    with valkey.start(data_dir) as running:
        pid = server_pid(running.redis_url)
        (data_dir / "valkey" / "kv.sock").unlink()
        with pytest.raises(valkey.ValkeyFailed, match="end that process first"):
            valkey.start(data_dir)
        assert is_alive(pid)


def test_a_server_that_cannot_start_says_why_and_is_not_left_running(data_dir):
    (data_dir / "valkey").mkdir(mode=0o700)
    (data_dir / "valkey" / "appendonlydir").write_text("a file where Valkey wants a folder")
    with pytest.raises(valkey.ValkeyFailed, match="Can't open or create append-only dir"):
        valkey.start(data_dir)
    assert valkey.find(data_dir) is None


def test_ctrl_c_at_the_terminal_does_not_reach_the_server(data_dir):
    with valkey.start(data_dir) as running:
        assert os.getsid(server_pid(running.redis_url)) != os.getsid(0)


@pytest.fixture
def long_data_dir(data_dir, monkeypatch):
    """A data folder whose path is too long for a socket, and a runtime folder of ours."""
    runtime = data_dir / "runtime"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    long = data_dir / ("deep" * 30)
    yield long
    with valkey.start(long):
        pass
    for made in Path("/tmp").glob(f"sso-gate-{os.geteuid()}-*"):
        with contextlib.suppress(OSError):
            made.rmdir()


def test_a_data_folder_with_a_long_path_gets_a_short_private_folder_for_its_socket(long_data_dir, data_dir):
    with valkey.start(long_data_dir) as running, client(running.redis_url) as redis:
        assert redis.ping()
        path = Path(running.redis_url.removeprefix("unix://"))
        assert path.parent.parent == data_dir / "runtime"
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert len(os.fsencode(path)) <= LONGEST_SOCKET_PATH
        assert redis.config_get("dir")["dir"] == str(long_data_dir / "valkey")


def test_the_server_of_a_long_path_is_found_by_a_process_with_another_runtime_folder(long_data_dir, monkeypatch):
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    with valkey.start(long_data_dir) as running:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(long_data_dir.parent / "runtime"))
        assert valkey.find(long_data_dir) == running.redis_url


def test_a_link_planted_where_the_short_folder_should_be_is_refused(long_data_dir, data_dir):
    planted = usual_socket(long_data_dir.resolve() / "valkey").parent
    planted.rmdir()
    (data_dir / "elsewhere").mkdir()
    planted.symlink_to(data_dir / "elsewhere")
    with pytest.raises(Unsafe, match="is not a folder of user"):
        valkey.start(long_data_dir)
    planted.unlink()


LISTENER = """
import contextlib, os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o777)
if len(sys.argv) > 2:
    os.setuid(int(sys.argv[2]))
listener.listen()
print("listening", flush=True)
while True:
    connection, _ = listener.accept()
    with contextlib.suppress(OSError), connection:  # who sees whose it is hangs up
        connection.recv(64)
        connection.sendall(sys.argv[3].encode() if len(sys.argv) > 3 else b"HTTP/1.1 400 Bad Request\\r\\n")
"""


@contextlib.contextmanager
def listening(*arguments):
    process = subprocess.Popen([sys.executable, "-c", LISTENER, *arguments], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"listening\n"
        yield
    finally:
        process.kill()
        process.communicate()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can listen as somebody else")
def test_a_socket_on_which_another_user_listens_is_refused_although_it_answers_like_valkey(data_dir):
    (data_dir / "valkey").mkdir(mode=0o700)
    with listening(str(data_dir / "valkey" / "kv.sock"), "65534", "+PONG\r\n"):
        with pytest.raises(Unsafe, match="user 65534 listens"):
            valkey.start(data_dir)
        with pytest.raises(Unsafe, match="user 65534 listens"):
            valkey.find(data_dir)


def test_a_socket_on_which_something_else_listens_is_refused(data_dir):
    (data_dir / "valkey").mkdir(mode=0o700)
    with listening(str(data_dir / "valkey" / "kv.sock")), pytest.raises(Unsafe, match="is not Valkey"):
        valkey.start(data_dir)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused(data_dir):
    (data_dir / "valkey").mkdir(mode=0o700)
    os.chown(data_dir / "valkey", 65534, 65534)
    with pytest.raises(Unsafe, match="is not a folder of user 0"):
        valkey.start(data_dir)
    os.chown(data_dir / "valkey", 0, 0)


def test_a_start_waits_for_a_server_that_still_loads_its_data(data_dir):
    (data_dir / "valkey").mkdir(mode=0o700)
    answers = iter([b"-LOADING Valkey is loading the dataset in memory\r\n"] * 3 + [b"+PONG\r\n"] * 2)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(data_dir / "valkey" / "kv.sock"))
        listener.listen()

        def serve():
            for answer in answers:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(64)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        assert valkey.find(data_dir) is not None
        assert answer_of(data_dir / "valkey" / "kv.sock") is not None
        thread.join(5)
    (data_dir / "valkey" / "kv.sock").unlink()
