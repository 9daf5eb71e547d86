"""Fills in what the settings leave out: the one-command default is a gate like any other, on servers of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sso_gate.embedded import valkey
from sso_gate.embedded.folder import data_folder
from sso_gate.embedded.secrets import secret_keys
from sso_gate.settings import Settings

DATABASE_NAME = "sso-gate.db"


def default_database_url(data_dir: Path) -> str:
    """Return the URL of the SQLite file in the data folder, which is made when it is missing."""
    return f"sqlite:///{data_folder(data_dir) / DATABASE_NAME}"


def with_own_keys(settings: Settings) -> Settings:
    """Return settings that name a database and hold secret keys: those given, else those of the data folder.

    Raises:
        Unsafe: the data folder's keys cannot be trusted.
    """
    return settings.model_copy(
        update={
            "database_url": settings.database_url or default_database_url(settings.data_dir),
            "secret_keys": settings.secret_keys or secret_keys(settings.data_dir),
        }
    )


@contextmanager
def with_own_servers(settings: Settings) -> Iterator[Settings]:
    """Hand out settings in which nothing is missing, Redis included; the embedded Valkey, where needed, lives as long.

    For the supervising process of `serve` and `worker`, and for commands that run beside it: they share one server.

    Raises:
        Unsafe, ValkeyFailed: as `valkey.start` does.
    """
    complete = with_own_keys(settings)
    if complete.redis_url:
        yield complete
        return
    with valkey.start(settings.data_dir) as running:
        yield complete.model_copy(update={"redis_url": running.redis_url})
