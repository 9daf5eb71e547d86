"""The whole demonstration, from its first line to Ctrl-C, as whoever types `sso-gate demo` meets it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from urllib.parse import urljoin

import pytest

from sso_gate.demo.people import BRUNO, CARLA, DAVI, Person
from tests.support.browser_jar import BrowserJar, Page
from tests.support.demonstration import (
    STOP_SECONDS,
    Demonstration,
    facts_of,
    own_folder,
    started,
    wait_for_guide,
)
from tests.support.servers import stop

START_SECONDS = 60


def visit(demonstration: Demonstration, jar: BrowserJar, person: Person) -> Page:
    """Return where a person's visit to the application ends: the login is chosen, the provider answers."""
    page = jar.get(demonstration.facts["application"] + "/reports?year=2026", follow=True)
    links = [unescape(link) for link in re.findall(r'href="([^"]*/login/[^"]+)"', page.text)]
    connection = next(one["connection"] for one in demonstration.facts["people"] if one["email"] == person.email)
    (link,) = (link for link in links if f"/login/{connection}" in link)
    chooser = jar.get(urljoin(page.url, link), follow=True)
    page = jar.submit(chooser.forms[0], person=person.email)
    if person.protocol == "saml":
        page = jar.submit(page.forms[0])
    return jar.follow(page)


@pytest.fixture
def start(data_dir: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Start `sso-gate demo` on the test's data folder; whatever still runs after the test is ended."""
    running: list[subprocess.Popen[str]] = []

    def one() -> subprocess.Popen[str]:
        running.append(started(data_dir))
        return running[-1]

    yield one
    for process in running:
        stop(process, signal.SIGINT, STOP_SECONDS)


def processes_in(folder: Path) -> dict[int, str]:
    """Return the processes that name the folder on their command line: id and command line."""
    listed = subprocess.run(["ps", "-A", "-ww", "-o", "pid=,args="], capture_output=True, text=True, check=True).stdout
    lines = [line.strip().partition(" ") for line in listed.splitlines() if str(folder) in line]
    return {int(number): command for number, _, command in lines}


def gate_of(folder: Path) -> int:
    (number,) = (number for number, command in processes_in(folder).items() if "gate_process" in command)
    return number


def wait_until_gone(folder: Path, words: str) -> bool:
    """Return whether the processes of the folder with these words on their command line end in time."""
    deadline = time.monotonic() + STOP_SECONDS
    while any(words in command for command in processes_in(folder).values()):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with own_folder() as folder:
        yield folder


@pytest.fixture
def demonstration(data_dir: Path, start: Callable[[], subprocess.Popen[str]]) -> Demonstration:
    process = start()
    wait_for_guide(process)
    return Demonstration(process, data_dir, facts_of(data_dir))


def serve_ordinarily(folder: Path) -> subprocess.CompletedProcess[str]:
    """Return how `sso-gate serve` ended on what a demonstration has left."""
    settings = {"DATA_DIR": str(folder), "BIND": "127.0.0.1:0", "ADMIN_BIND": "127.0.0.1:0"}
    return subprocess.run(
        [sys.executable, "-m", "sso_gate", "serve"],
        env={**os.environ, **{f"SSO_GATE_{name}": value for name, value in settings.items()}},
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )


def ask(command: str) -> str:
    """Return what a shell that knows nothing of the virtual environment prints for a command."""
    shell = {"PATH": os.defpath, "HOME": os.environ["HOME"]}
    return subprocess.run(
        ["sh", "-c", command], env=shell, capture_output=True, text=True, timeout=START_SECONDS, check=True
    ).stdout


def test_people_reach_the_application_one_too_many_is_told_why_and_after_ctrl_c_nothing_serves_it_again(
    demonstration, start
):
    application = demonstration.facts["application"]
    for person in (BRUNO, CARLA):
        with BrowserJar() as jar:
            page = visit(demonstration, jar, person)
            assert (page.status, page.url) == (200, f"{application}/reports?year=2026")
            told = jar.get(f"{application}/api/me").json()
            assert (told["name"], told["email"], told["verified"]) == (person.name, person.email, True)
            assert told["cookies"] == []
    with BrowserJar(accept_language="pt-BR") as jar:
        page = visit(demonstration, jar, DAVI)
        assert page.status == 403
        assert page.url.startswith(demonstration.facts["gate"] + "/denied/")
        assert '<html lang="pt-BR"' in page.text
    assert "purchased" in ask(f". '{demonstration.folder}/environment'; sso-gate seats show --org acme")
    second = start()
    said, _ = second.communicate(timeout=START_SECONDS)
    assert (second.returncode, "already running" in said) == (1, True)
    demonstration.process.send_signal(signal.SIGINT)
    said, _ = demonstration.process.communicate(timeout=STOP_SECONDS)
    assert (demonstration.process.returncode, "Everything has stopped." in said) == (0, True)
    assert not processes_in(demonstration.folder)
    refused = serve_ordinarily(demonstration.folder)
    assert refused.returncode == 5
    assert "made by `sso-gate demo`" in refused.stderr
    assert all(connection in refused.stderr for connection in ("acme-saml", "acme-oidc"))


@pytest.mark.skipif(sys.platform != "linux", reason="the leash is a Linux one")
def test_a_killed_demonstration_takes_its_gate_with_it_and_a_killed_gate_its_demonstration(demonstration, start):
    database = demonstration.folder / "sso-gate.db"
    before = database.stat().st_ino
    demonstration.process.kill()
    assert wait_until_gone(demonstration.folder, "gate_process")
    again = start()
    wait_for_guide(again)
    assert database.stat().st_ino != before, "the story begins anew"
    os.kill(gate_of(demonstration.folder), signal.SIGKILL)
    said, _ = again.communicate(timeout=STOP_SECONDS)
    assert (again.returncode, "the gate has ended" in said) == (1, True)
    assert wait_until_gone(demonstration.folder, "")
