"""A listener that keeps what is posted to it: the receiving end of back-channel messages and webhooks."""

from __future__ import annotations

import contextlib
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from tests.support.servers import LOOPBACK


class Listener:
    """Answers every POST with 200 and an empty body; a context manager. Where `together` is more than one, nobody is
    answered before so many have come; `everybody` is broken where they did not within ten seconds.
    """

    def __init__(self, *, together: int = 1) -> None:
        """Bind a free loopback port; nothing is served before the block begins."""
        self.everybody = everybody = threading.Barrier(together, timeout=10)
        received: queue.Queue[tuple[str, dict[str, str]]] = queue.Queue(maxsize=1000)
        self._received = received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                received.put((body.decode(), {name.lower(): value for name, value in self.headers.items()}))
                with contextlib.suppress(threading.BrokenBarrierError):
                    everybody.wait()
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: Any) -> None:
                """Say nothing: the test's own report is enough."""

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="listener")
        self.url = f"http://{LOOPBACK}:{self._server.server_port}"

    def received(self, timeout_seconds: float = 10) -> str:
        """Return the oldest body that was not returned yet; queue.Empty when none comes in time."""
        return self.message(timeout_seconds)[0]

    def message(self, timeout_seconds: float = 10) -> tuple[str, dict[str, str]]:
        """Return the oldest body as `received` does, with its headers by lower-case name."""
        return self._received.get(timeout=timeout_seconds)

    def __enter__(self) -> Self:
        """Serve."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
