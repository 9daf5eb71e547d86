"""`sso-gate worker` beside gates that leave the duties to it: its numbers are on its own admin listener."""

import re
import subprocess
import sys
import time

import httpx2
import pytest

from tests.integration.gate import ROOT, RunningGate
from tests.support.servers import LOOPBACK, free_port, stop

CHECKED = re.compile(r"^sso_gate_seat_books_checked_timestamp_seconds ([\d.e+]+)$", re.MULTILINE)


@pytest.fixture
def metrics_of_worker(gate: RunningGate):
    """The address of the metrics of a worker beside the gate."""
    port = free_port()
    worker = subprocess.Popen(
        [sys.executable, "-m", "sso_gate", "worker"],
        cwd=ROOT,
        env=gate.environment(ADMIN_BIND=f"{LOOPBACK}:{port}"),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield f"http://{LOOPBACK}:{port}/metrics"
    stop(worker)
    assert worker.returncode == 0, "a signal ends it in good order"


def read(address: str) -> str:
    """Return the metrics once the books were looked at."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            text = httpx2.get(address).text
        except httpx2.TransportError:
            text = ""
        if (found := CHECKED.search(text)) and float(found[1]):
            return text
        time.sleep(0.1)
    raise AssertionError("the books were not looked at")


def test_a_worker_shows_whether_the_books_of_seats_agree(metrics_of_worker: str):
    text = read(metrics_of_worker)
    assert abs(float(CHECKED.search(text)[1]) - time.time()) < 120
    assert "sso_gate_seat_drift 0.0" in text
    assert "\nsso_gate_outbox_overdue " in text


def test_a_worker_whose_admin_address_is_taken_says_so(gate: RunningGate):
    ended = gate.run("worker")
    assert ended.code == 1
    assert f"{LOOPBACK}:{gate.admin_port}: Address already in use" in ended.err
