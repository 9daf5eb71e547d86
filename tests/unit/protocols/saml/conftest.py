"""The connection that every test here signs in through."""

import pytest

from tests.unit.protocols.saml.world import World


@pytest.fixture(scope="session")
def world() -> World:
    """A SAML connection with one pinned key; frozen, so that one serves all."""
    return World.new()
