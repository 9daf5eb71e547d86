"""Serves the demonstration's applications from a thread of the test, as `run.py` does from its own loop."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from starlette.applications import Starlette

from sso_gate.demo.servers import serving


@contextmanager
def served(apps: Sequence[tuple[Starlette, socket.socket]]) -> Iterator[None]:
    """Serve while the block runs."""
    ready, stop = threading.Event(), threading.Event()
    failed: list[Exception] = []

    async def serve() -> None:
        async with serving(apps):
            ready.set()
            await asyncio.to_thread(stop.wait)

    def run() -> None:
        try:
            asyncio.run(serve())
        except Exception as error:
            failed.append(error)
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait(20)
    try:
        assert not failed, failed
        yield
    finally:
        stop.set()
        thread.join(20)
    assert not failed, failed
