"""What happens when a gate commits, for tests and benches that count flushes or make them dearer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

from sqlalchemy import Connection

from sso_gate.storage.database import Database


@contextmanager
def before_each_commit(database: Database, do: Callable[[], object]) -> Iterator[None]:
    """Do this before every commit of a writing transaction, in its thread."""
    commit = database._writers._commit

    def committing(tx: Connection) -> None:
        do()
        commit(tx)

    with patch.object(database._writers, "_commit", committing):
        yield
