"""Stops the clock of libraries that ask for the time themselves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from unittest.mock import patch

from freezegun import freeze_time


def _real_time(_loop: object, monotonic: Callable[[], float] = time.monotonic) -> float:
    return monotonic()  # an argument's default: freezegun replaces it in modules


@contextmanager
def frozen(at: datetime | str) -> Iterator[None]:
    """Stop every clock but those of event loops.

    freezegun's own `real_asyncio` spares them a tenth of a second late: a server in another thread that sets its
    alarm in between sleeps for ever.
    """
    with patch.object(asyncio.BaseEventLoop, "time", _real_time), freeze_time(at):
        yield
