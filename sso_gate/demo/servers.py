"""Web applications served in one event loop, on loopback sockets that listen before anybody is told about them."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator, Sequence

import uvicorn
from starlette.applications import Starlette

LOOPBACK = "127.0.0.1"


def bind(preferred_port: int) -> socket.socket:
    """Return a socket that listens on this loopback port, or on a free one where somebody else does."""
    try:
        return socket.create_server((LOOPBACK, preferred_port))
    except OSError:
        return socket.create_server((LOOPBACK, 0))


def port_of(bound: socket.socket) -> int:
    """Return the port that `bind` got."""
    return int(bound.getsockname()[1])


class _Quiet(uvicorn.Server):
    """A server that leaves signals to whoever started it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(apps: Sequence[tuple[Starlette, socket.socket]]) -> AsyncIterator[None]:
    """Serve each application on its socket while the block runs; returns into it once all of them answer."""
    servers = [_Quiet(_configuration(app)) for app, _ in apps]
    tasks = [
        asyncio.create_task(server.serve(sockets=[bound])) for server, (_, bound) in zip(servers, apps, strict=True)
    ]
    try:
        while not all(server.started for server in servers):
            if any(task.done() for task in tasks):
                raise RuntimeError("a server of the demonstration did not start")
            await asyncio.sleep(0.01)
        yield
    finally:
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*tasks, return_exceptions=True)


def _configuration(app: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_graceful_shutdown=2,
    )
