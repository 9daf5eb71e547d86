"""Lets the databases of one process share what SQLAlchemy has compiled: each test has a database, and so an engine, of
its own, and compiling the same statements for each took a third of such a test's time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.util import LRUCache

STATEMENTS = 5000


class _ByDialect(LRUCache[Any, Any]):
    """Compiled statements by the kind of their dialect, where an engine's own has its one dialect in the key."""

    def get(self, key: tuple[Any, ...], default: Any = None) -> Any:
        return super().get((type(key[0]), *key[1:]), default)

    def __setitem__(self, key: tuple[Any, ...], value: Any) -> None:
        super().__setitem__((type(key[0]), *key[1:]), value)


@contextmanager
def shared() -> Iterator[None]:
    """Give every engine that is made while the block runs the same compiled statements."""
    make, compiled = Engine.__init__, _ByDialect(STATEMENTS)

    def make_sharing(self: Engine, *arguments: Any, **options: Any) -> None:
        make(self, *arguments, **options)
        self._compiled_cache = compiled

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "__init__", make_sharing)
        yield
