"""A served gate, and Ana, its primary owner, in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from httpx2 import Client as Browser

from sso_gate.settings import Settings
from tests.support.gates import Migrated
from tests.support.valkey import ThrowAwayValkey
from tests.unit.console.gate import Gate


@pytest.fixture
def gate(valkey: ThrowAwayValkey, migrated: Migrated, tmp_path: Path) -> Iterator[Gate]:
    settings = Settings(
        public_url="https://gate.example",
        database_url=migrated.sqlite(tmp_path),
        redis_url=valkey.url,
        secret_keys=("k" * 43,),
    )
    with Gate(settings, tmp_path).serving() as served:
        yield served


@pytest.fixture
def ana(gate: Gate) -> Iterator[Browser]:
    with gate.browser("ana") as browser:
        yield browser
