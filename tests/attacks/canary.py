"""Who opens a connection that only a message names, is heard here."""

from __future__ import annotations

import socket
import threading

from tests.support.servers import LOOPBACK


class Canary:
    """A listener that nobody may ever reach."""

    def __init__(self) -> None:
        """Listen on a free loopback port."""
        self._listener = socket.create_server((LOOPBACK, 0))
        self.url = f"http://{LOOPBACK}:{self._listener.getsockname()[1]}/canary"
        self.hits = 0
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.hits += 1
            connection.close()

    def close(self) -> None:
        self._listener.close()
