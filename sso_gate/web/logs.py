"""Structured logs: one JSON object a line (or coloured text on a terminal), and one line for each request.

`event` is a fixed dotted name, numbers carry their unit in the name. No email, token, assertion, cookie, query or
raw path is ever a field here: a path may hold a one-time ticket, so the route's template stands for it.
"""

import logging
import secrets
import sys
import time
from collections.abc import MutableMapping
from typing import Any, cast

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sso_gate.web.request_state import route_of

_access = structlog.get_logger("sso_gate.access")
_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
]


def configure_logs(*, log_format: str, level: str) -> None:
    """Send structlog's and the standard library's records to stderr in one form, from `level` upwards."""
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if log_format == "console" else structlog.processors.JSONRenderer()
    )
    # Not by way of the standard library's logging: its records and handlers cost six times what the line itself does.
    structlog.configure(
        processors=[*_SHARED, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("uvicorn.access", "httpcore2", "httpx2"):  # their lines hold addresses with queries in them
        logging.getLogger(noisy).setLevel(logging.WARNING)


class AccessLog:
    """Middleware, outermost: gives the request an id and writes one line when it has been answered."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        started, status = time.perf_counter(), 500

        async def watching(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, receive, watching)
            finally:
                _access.info("http.request", **_line(scope, status, time.perf_counter() - started))


def _line(scope: Scope, status: int, seconds: float) -> dict[str, Any]:
    state = cast(MutableMapping[str, Any], scope["state"])
    return {
        "http_method": scope["method"] if scope["method"] in _METHODS else "OTHER",
        "http_route": route_of(scope) or "unmatched",
        "http_status": status,
        "duration_s": round(seconds, 4),
        **{name: state[name] for name in ("org_id", "reason", "outcome") if name in state},
    }


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
