"""What the tests of `billing_core` need, so that they run beside the package alone, in any folder."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import settings
from sqlalchemy import Engine

ROOT = Path(__file__).resolve().parents[3]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tests.unit.billing_core import databases  # noqa: E402 - after the profile is loaded - after the profile is loaded # the root has to be known first
from tests.unit.billing_core.firm import Firm  # noqa: E402 - after the profile is loaded


def pytest_collection_modifyitems(config, items):
    """Beside the package alone there is no configuration that leaves the long programmes out."""
    if not config.getoption("markexpr"):
        for item in items:
            if item.get_closest_marker("soak"):
                item.add_marker(pytest.mark.skip(reason="long; ask for it with -m soak"))


# How long an example takes says nothing on a machine that others use as well. Fifty examples a run find what a hundred
# find a few runs later; `-m soak` lives the long lives.
settings.register_profile("billing_core", deadline=None, max_examples=50)
settings.load_profile("billing_core")


def pytest_configure(config):
    config.addinivalue_line("markers", "soak: a long programme, not part of the common run")


@pytest.fixture(scope="session")
def postgresql_engine() -> Iterator[Engine]:
    with databases.postgresql() as engine:
        yield engine
        engine.dispose()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("template")
    databases.sqlite(folder).dispose()
    return folder / "billing.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request, tmp_path, sqlite_template) -> Iterator[Engine]:
    """An empty database, once of each kind."""
    if request.param == "sqlite":
        made = databases.sqlite(tmp_path, sqlite_template)
        yield made
        made.dispose()
    else:
        made = request.getfixturevalue("postgresql_engine")
        databases.clear(made)
        yield made


@pytest.fixture
def sqlite_engine(tmp_path, sqlite_template) -> Iterator[Engine]:
    made = databases.sqlite(tmp_path, sqlite_template)
    yield made
    made.dispose()


@pytest.fixture
def firm(engine) -> Firm:
    """A customer who has just opened the contract of the published example."""
    return Firm(engine, now=datetime(2026, 1, 1, 15, tzinfo=UTC)).opened()


@pytest.fixture
def small_firm(sqlite_engine) -> Firm:
    """The same on SQLite alone, for what does not depend on the database."""
    return Firm(sqlite_engine, now=datetime(2026, 1, 1, 15, tzinfo=UTC)).opened()
