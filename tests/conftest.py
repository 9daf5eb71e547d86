"""Fixtures of the whole suite: real servers per session, an empty database or Valkey per test, loopback only.

A test that needs a program which is missing here (Node, Chromium, xmlsec1, …) is left out and named at the end; with
`CI=true` it fails instead. A fixture below says what it needs in `PROGRAMS_OF_FIXTURES`; a test can say it with
`@pytest.mark.needs("nginx")`.
"""

from __future__ import annotations

import gc
import os
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

from tests.support import loopback, statements
from tests.support.canaille_provisioner import OLDER_CLIENT
from tests.support.postgres import ThrowAwayPostgres
from tests.support.redis_kinds import ClusterValkey, SentinelValkey
from tests.support.servers import program
from tests.support.tls_redis import TlsRedis
from tests.support.valkey import ThrowAwayValkey

pytest_plugins = (
    "tests.support.providers", "tests.support.browsers", "tests.support.gates", "tests.support.two_gates",
)  # fmt: skip

PROGRAMS_OF_FIXTURES = {
    "samlp_idp": ("node",),
    "oidc_provider": ("node",),
    "pysaml2_idp": ("xmlsec1",),
    "chromium": ("chromium",),
    "axe_source": ("node",),
    "tls_redis": ("redis-server",),
    "canaille": ("canaille-scim",),
}
NODE_PACKAGES = Path(__file__).parent / "support" / "idp" / "node_modules"
FOLDERS_OF_MAKE = {"node": NODE_PACKAGES, "canaille-scim": OLDER_CLIENT}
LEFT_OUT = "leaves out what needs "
# What takes longest goes first, so that at the end no worker is alone with it; all else keeps its random order.
TELLS_FIRST = (
    "attacks/", "integration/", "browser/", "unit/demo/", "architecture/", "conformance/", "support/", "model/",
    "soak/", "unit/console/", "unit/scim/", "unit/billing_core/",
)  # fmt: skip
# One worker runs all tests that talk to the running gates: they are started once then.
WITH_RUNNING_GATES = re.compile(
    r"tests/(attacks/|integration/(scim/|sign_in/|test_|audit/test_(every_change|page|program)|seats/test_(beside|outages)))"
)


# Temporary folders: with room for them in memory, a new PostgreSQL database costs a tenth of what it does on a disk.
MEMORY = Path("/dev/shm")
ROOM_BYTES = 4 << 30


def pytest_configure(config: pytest.Config) -> None:
    """Keep temporary folders in memory, unless TMPDIR names a place; benches and soaks ask for a disk's answer."""
    is_suite = "not bench" in config.getoption("markexpr")
    if is_suite and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM_BYTES:
        os.environ.setdefault("TMPDIR", str(MEMORY))


def _is_here(name: str) -> bool:
    """Whether the program is installed, and what `make test` installs for it, or instead of it."""
    folder = FOLDERS_OF_MAKE.get(name)
    return (folder is None or folder.is_dir()) and (name == "canaille-scim" or program(name) is not None)


def _missing_programs(item: pytest.Item) -> list[str]:
    wanted = {name for mark in item.iter_markers("needs") for name in mark.args}
    for fixture in getattr(item, "fixturenames", ()):
        wanted.update(PROGRAMS_OF_FIXTURES.get(fixture, ()))
    return sorted(name for name in wanted if not _is_here(name))


def _turn(item: pytest.Item) -> int:
    path = item.path.relative_to(Path(__file__).parent).as_posix()
    return next((turn for turn, folder in enumerate(TELLS_FIRST) if path.startswith(folder)), len(TELLS_FIRST))


class _ByFile(LoadFileScheduling):  # type: ignore[misc]  # xdist says no types
    """Gives a worker whole files, and one of them every file that shares the running gates."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return "gates" if WITH_RUNNING_GATES.match(file) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _ByFile:
    """Say what goes to one worker together."""
    return _ByFile(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long files first."""
    items.sort(key=_turn)


def pytest_collection_finish() -> None:
    """Spare the garbage collector what is imported and collected: it stays to the end."""
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave a test out before its servers start; under CI nothing may be left out."""
    missing = ", ".join(_missing_programs(item))
    if missing and os.environ.get("CI") == "true":
        pytest.fail(f"needs {missing}, and CI=true leaves nothing out", pytrace=False)
    if missing:
        pytest.skip(f"{LEFT_OUT}{missing}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which tests were left out, how many, and for want of what."""
    left_out: dict[str, Counter[str]] = defaultdict(Counter)
    for report in terminalreporter.stats.get("skipped", []):
        _, _, reason = report.longrepr if isinstance(report.longrepr, tuple) else ("", 0, "")
        if LEFT_OUT in reason:
            left_out[reason.partition(LEFT_OUT)[2]][report.nodeid.partition("::")[0]] += 1
    for missing, files in sorted(left_out.items()):
        terminalreporter.write_line(
            f"LEFT OUT {files.total()} tests that need {missing}, which is not here:", yellow=True
        )
        for file, count in sorted(files.items()):
            terminalreporter.write_line(f"  {count:4} in {file}")


@pytest.fixture(scope="session", autouse=True)
def _sockets_only_to_loopback() -> Iterator[None]:
    with loopback.only():
        yield


@pytest.fixture(scope="session", autouse=True)
def _statements_compiled_once() -> Iterator[None]:
    with statements.shared():
        yield


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[ThrowAwayValkey]:
    """One Valkey for the session; tests take `valkey`, which is empty."""
    server = ThrowAwayValkey()
    yield server
    server.close()


@pytest.fixture
def valkey(valkey_server: ThrowAwayValkey) -> ThrowAwayValkey:
    """An empty Valkey; a test that stops it gets it started again after it."""
    valkey_server.ensure_running()
    valkey_server.flush()
    return valkey_server


@pytest.fixture(scope="session")
def tls_redis() -> Iterator[TlsRedis]:
    """A Redis that speaks TLS alone, for `rediss://`."""
    server = TlsRedis()
    yield server
    server.close()


@pytest.fixture(scope="module")
def sentinel_valkey() -> Iterator[SentinelValkey]:
    """One Valkey with a replica and a sentinel, for `redis+sentinel://`."""
    servers = SentinelValkey()
    yield servers
    servers.close()


@pytest.fixture(scope="module")
def cluster_valkey() -> Iterator[ClusterValkey]:
    """Three Valkeys that share the slots, for `redis+cluster://`."""
    servers = ClusterValkey()
    yield servers
    servers.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[ThrowAwayPostgres]:
    """One PostgreSQL for the session, without fsync; `create_database()` makes more databases."""
    server = ThrowAwayPostgres()
    yield server
    server.close()


@pytest.fixture
def postgres_url(postgres_server: ThrowAwayPostgres) -> Iterator[str]:
    """The URL of an empty PostgreSQL database, dropped after the test."""
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'gate.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database; a test that takes it runs on both kinds."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url
