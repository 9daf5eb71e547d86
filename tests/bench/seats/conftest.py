"""The seat benches run on the event loop that the gate is served on."""

from asyncio import AbstractEventLoop
from collections.abc import Callable, Mapping

import pytest
from uvicorn.loops.auto import auto_loop_factory


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], AbstractEventLoop]]:
    """Return the one that `uvicorn` chooses."""
    return {"served": auto_loop_factory()}
