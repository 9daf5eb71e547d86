"""Runs the listeners of a gate: public and admin in one event loop, or many public processes under one supervisor.

The supervisor owns the sockets and the embedded Valkey, listens for the admins and does the worker's duties; the
processes under it share the public socket and are stateless.
"""

import asyncio
import contextlib
import logging
import multiprocessing
import signal
import socket
from collections.abc import AsyncIterator, Coroutine, Sequence
from multiprocessing.process import BaseProcess
from typing import TypeVar

import uvicorn
from starlette.types import ASGIApp
from uvicorn.loops.auto import auto_loop_factory

from sso_gate.app import create_admin_app, create_app
from sso_gate.settings import Address, Settings
from sso_gate.storage.open import open_runtime
from sso_gate.web.logs import configure_logs
from sso_gate.worker import work

BACKLOG = 2048
DRAIN_SECONDS = 20
_WATCH_SECONDS = 0.5
_CLOSE_SECONDS = 5  # after the last request: connections, threads
T = TypeVar("T")
_log = logging.getLogger(__name__)


def serve(settings: Settings, *, with_worker: bool) -> int:
    """Serve until a signal ends it; return the exit code."""
    with _listening(settings.bind) as public, _listening(settings.admin_bind) as admin:
        return serve_on(public, admin, settings=settings, with_worker=with_worker)


def serve_on(public: socket.socket, admin: socket.socket, *, settings: Settings, with_worker: bool) -> int:
    """Serve on sockets that listen already."""
    configure_logs(log_format=settings.log_format, level=settings.log_level)
    return _run(_supervise(settings, public, admin, with_worker=with_worker))


async def run_worker(settings: Settings) -> None:
    """Do the worker's duties alone, until a signal ends it; what they count stands on the admin listener."""
    configure_logs(log_format=settings.log_format, level=settings.log_level)
    stop = _stop_event()
    with _listening(settings.admin_bind) as admin:
        async with _duties(settings, with_worker=True), _server(create_admin_app(settings), admin):
            await stop.wait()


async def _supervise(settings: Settings, public: socket.socket, admin: socket.socket, *, with_worker: bool) -> int:
    stop = _stop_event()
    async with _duties(settings, with_worker=with_worker), _server(create_admin_app(settings), admin):
        if settings.workers == 1:
            async with _server(create_app(settings), public) as serving:
                await _first(stop.wait(), serving.wait())
                return 0 if stop.is_set() else 1
        return await _watch(settings, public, stop)


async def _watch(settings: Settings, public: socket.socket, stop: asyncio.Event) -> int:
    """Keep the public processes running; one that dies is replaced."""
    spawn = multiprocessing.get_context("spawn")

    def start() -> BaseProcess:
        process = spawn.Process(target=_public_process, args=(settings, public), daemon=True)
        process.start()
        return process

    processes = [start() for _ in range(settings.workers)]
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _WATCH_SECONDS)
        if not stop.is_set():
            processes = [_living(process) or start() for process in processes]
    await _end(processes)
    return 0


def _living(process: BaseProcess) -> BaseProcess | None:
    if process.is_alive():
        return process
    _log.error("public process %s ended with %s, another one takes its place", process.pid, process.exitcode)
    return None


async def _end(processes: Sequence[BaseProcess]) -> None:
    """Let every process finish what it has begun; one that takes longer than it may is killed."""
    for process in processes:
        process.terminate()
    for process in processes:
        await asyncio.to_thread(process.join, DRAIN_SECONDS + _CLOSE_SECONDS)
        process.kill()


def _public_process(settings: Settings, public: socket.socket) -> None:
    configure_logs(log_format=settings.log_format, level=settings.log_level)
    _run(_serve_alone(settings, public))


def _run(work: Coroutine[None, None, T]) -> T:
    """Return what `work` came to, on the quickest event loop that is installed."""
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        return runner.run(work)


async def _serve_alone(settings: Settings, public: socket.socket) -> None:
    stop, supervisor = _stop_event(), multiprocessing.parent_process()
    if supervisor is not None:  # whoever holds the socket after it was killed would keep the next one from starting
        asyncio.get_running_loop().add_reader(supervisor.sentinel, _stop_once, supervisor.sentinel, stop)
    async with _server(create_app(settings), public) as serving:
        await _first(stop.wait(), serving.wait())


@contextlib.asynccontextmanager
async def _server(app: ASGIApp, listener: socket.socket) -> AsyncIterator[asyncio.Event]:
    """Serve the application; hands out an event that says that it has ended by itself."""
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=DRAIN_SECONDS,
        h11_max_incomplete_event_size=64 * 1024,
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]  # the supervisor listens for them
    # Connections inherit it. Head and body are written apart: without it the body waits 40 ms for the head's ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    ended = asyncio.Event()
    task = asyncio.create_task(server.serve(sockets=[listener]))
    task.add_done_callback(lambda _: ended.set())
    try:
        yield ended
    finally:
        server.should_exit = True
        await task


@contextlib.asynccontextmanager
async def _duties(settings: Settings, *, with_worker: bool) -> AsyncIterator[None]:
    if not with_worker:
        yield
        return
    runtime = open_runtime(settings)
    task = asyncio.create_task(work(runtime))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await runtime.close()


def _stop_event() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _stop_once(sentinel: int, stop: asyncio.Event) -> None:
    asyncio.get_running_loop().remove_reader(sentinel)  # it stays readable
    stop.set()


async def _first(*waits: Coroutine[None, None, object]) -> None:
    tasks = [asyncio.create_task(wait) for wait in waits]
    _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()


def _listening(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address.host, address.port))
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"{address.host}:{address.port}: {error.strerror}") from error
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener
