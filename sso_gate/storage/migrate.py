"""Brings a database to the version of this release, in one transaction; two gates that start together take turns."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from sso_gate.errors import Conflict
from sso_gate.storage.database import Database

_FOLDER = Path(__file__).parent / "migrations"
_LOCK = 0x55_06_A7E  # any number that no other program takes as a PostgreSQL advisory lock here


def configuration() -> Config:
    """Return Alembic's configuration: where the steps lie, and nothing else."""
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    return config


def newest() -> str:
    """Return the version of this release."""
    head = ScriptDirectory.from_config(configuration()).get_current_head()
    if head is None:
        raise RuntimeError("this release has no migrations")
    return head


def can_serve(version: str | None) -> bool:
    """Return whether this release works on a database at this version: its own, or one that only a later release knows,
    whose steps leave what this one needs until the release after it.
    """
    return version is not None and (version == newest() or version not in _known())


def _known() -> set[str]:
    return {step.revision for step in ScriptDirectory.from_config(configuration()).walk_revisions()}


async def current(database: Database) -> str | None:
    """Return the version of the database, or None for an empty one."""
    return await database.read(_current)


def _current(tx: Connection) -> str | None:
    if not inspect(tx).has_table("alembic_version"):
        return None
    return tx.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


async def migrate(database: Database) -> str:
    """Bring the database to the newest version and return that. Nothing happens when it is there already.

    Raises:
        Conflict: the database belongs to a newer release.
    """
    return await database.write(_migrate)


def _migrate(tx: Connection) -> str:
    if tx.dialect.name == "postgresql":
        tx.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    present = _current(tx)
    if present is not None and present not in _known():
        raise Conflict(f"the database is at version {present}, which this release does not know: it is a newer one's")
    if present != newest():
        config = configuration()
        config.attributes["connection"] = tx
        command.upgrade(config, "head")
    return newest()
