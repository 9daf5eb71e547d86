"""One gate for all attacks, and a second one with two server processes for those that need another worker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.attacks.scene import Scene
from tests.integration.gate import RunningGate
from tests.support.browser_jar import BrowserJar
from tests.support.oidc_forge import Forge
from tests.support.valkey import ThrowAwayValkey


@pytest.fixture(scope="session")
def _forge() -> Iterator[Forge]:
    with Forge() as forge:
        yield forge


@pytest.fixture(scope="session")
def _scene(_forge: Forge) -> Iterator[Scene]:
    with closing(RunningGate()) as gate, closing(Scene(gate, _forge)) as scene:
        yield scene


@pytest.fixture(scope="module")
def _finished(_scene: Scene) -> Iterator[None]:
    """Finish the logins under way with the file that began them: a pending login lives for minutes."""
    yield
    _scene.under_way.finish_all()


@pytest.fixture
def scene(_scene: Scene, _finished: None) -> Scene:
    """Return the running gate with its organizations; the OpenID provider behaves well until a test bends it."""
    _scene.well_behaved()
    return _scene


@pytest.fixture(scope="module")
def attack_valkey() -> Iterator[ThrowAwayValkey]:
    server = ThrowAwayValkey()
    yield server
    server.close()


@pytest.fixture(scope="module")
def _two_workers(_forge: Forge, attack_valkey: ThrowAwayValkey) -> Iterator[Scene]:
    with (
        closing(RunningGate(WORKERS="2", REDIS_URL=attack_valkey.url, LOGIN_RATE="5/30m")) as gate,
        closing(Scene(gate, _forge, with_rival=False)) as scene,
    ):
        yield scene


@pytest.fixture
def two_workers(_two_workers: Scene) -> Scene:
    """Return a gate of two server processes with a Valkey that a test may empty."""
    _two_workers.well_behaved()
    return _two_workers


@pytest.fixture
def jar() -> Iterator[BrowserJar]:
    """Return the victim's browser."""
    with BrowserJar() as browser:
        yield browser


@pytest.fixture
def other_jar() -> Iterator[BrowserJar]:
    """Return another browser: the attacker's."""
    with BrowserJar() as browser:
        yield browser
