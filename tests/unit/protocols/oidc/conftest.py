"""A forge per session, well-behaved again for each test, and the gate's side of a login at it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.oidc_forge import Forge
from tests.unit.protocols.oidc.journey import Journey, new_journey


@pytest.fixture(scope="session")
def _forge_server() -> Iterator[Forge]:
    with Forge() as made:
        yield made


@pytest.fixture
def forge(_forge_server: Forge) -> Forge:
    """A provider that behaves well until the test bends it."""
    _forge_server.reset()
    return _forge_server


@pytest.fixture
def journey(forge: Forge) -> Journey:
    """The gate's side of a login at the forge."""
    return new_journey(forge)
