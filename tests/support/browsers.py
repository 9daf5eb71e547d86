"""Fixtures that hand out browsers: a jar that speaks plain HTTP, and Chromium; a plugin of `tests/conftest.py`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.browser_jar import BrowserJar

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture
def browser_jar() -> Iterator[BrowserJar]:
    """A browser without a screen, with no cookies; make `BrowserJar()` for a second person."""
    with BrowserJar() as jar:
        yield jar


@pytest.fixture
def chromium() -> Iterator[Browser]:
    """The system's Chromium; `chromium.new_context(locale="pt-BR")` is one person's profile.

    One for each test: playwright's synchronous side keeps an event loop running in this thread until it is closed, and
    no asynchronous test can run beside it.
    """
    from tests.support.chromium import running_chromium  # playwright takes a while to import, for those who use it

    with running_chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def axe_source() -> str:
    """The script of the pinned axe-core, for `page.evaluate(axe_source)`."""
    from tests.support.chromium import AXE_SCRIPT

    return AXE_SCRIPT.read_text()
