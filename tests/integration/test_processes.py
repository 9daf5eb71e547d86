"""Several public processes under one supervisor: what happens when one of them dies, and when the supervisor does."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.integration.gate import RunningGate
from tests.support.valkey import ThrowAwayValkey

pytestmark = pytest.mark.soak  # five processes have to start


@pytest.fixture
def pair():
    valkey = ThrowAwayValkey()
    running = RunningGate(WORKERS="2", REDIS_URL=valkey.url)
    yield running
    running.close()
    valkey.close()


def public(gate: RunningGate) -> set[int]:
    """The public processes that live."""
    children = Path(f"/proc/{gate.process.pid}/task/{gate.process.pid}/children").read_text().split()
    return {int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()}


def eventually(holds) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.05)


def is_gone(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_process_that_dies_is_replaced_and_none_outlives_its_supervisor(pair):
    before = public(pair)
    assert len(before) == 2
    killed = min(before)
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: len(public(pair) - {killed}) == 2)
    assert f"public process {killed} ended with -9" in pair.log_text()
    after = public(pair)
    pair.process.kill()
    pair.process.wait()
    eventually(lambda: all(is_gone(process) for process in after))
    pair.start()  # nobody holds the address any more
    assert pair.is_ready()
