"""Whether a process lives and whether it can decide; the numbers for those on call stand on the admin
listener alone.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from prometheus_client import REGISTRY, CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric, Sample
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sso_gate.connections import store as connections
from sso_gate.connections.certificates import last_end
from sso_gate.errors import Unavailable
from sso_gate.notify.streams_gauges import audit_gauges
from sso_gate.organizations import store as organizations
from sso_gate.seats import ledger, waitlist
from sso_gate.storage import migrate, outbox
from sso_gate.storage.runtime import Runtime
from sso_gate.web.request_state import runtime_of

_TEXT = "text/plain; version=0.0.4; charset=utf-8"


async def live(_: Request) -> Response:
    """GET /health/live: the process answers."""
    return JSONResponse({"status": "live"})


async def ready(request: Request) -> Response:
    """GET /health/ready: a database that this release can serve, Redis answering; 503 otherwise. Says no more in
    public.
    """
    found = await _look(runtime_of(request))
    fine = all(word == "ok" for word in found.values())
    return JSONResponse({"status": "ready" if fine else "unavailable"}, 200 if fine else 503)


async def detail(request: Request) -> Response:
    """GET /health: what `ready` looked at, piece by piece."""
    found = await _look(runtime_of(request))
    return JSONResponse(found, 200 if all(word == "ok" for word in found.values()) else 503)


async def _look(runtime: Runtime) -> dict[str, str]:
    return {"database": await _database(runtime), "redis": await _redis(runtime)}


async def _database(runtime: Runtime) -> str:
    try:
        version = await migrate.current(runtime.database)
    except Unavailable:
        return "unavailable"
    return "ok" if migrate.can_serve(version) else f"at version {version}, this release needs {migrate.newest()}"


async def _redis(runtime: Runtime) -> str:
    try:
        await runtime.redis.ping()
    except Unavailable:
        return "unavailable"
    return "ok"


async def metrics(request: Request) -> Response:
    """GET /metrics: Prometheus text. Seats are read from SQL at each scrape, so every gate tells the same; while SQL is
    away, what was counted is told alone.
    """
    runtime = runtime_of(request)
    now = runtime.clock.now()
    try:
        # Written beside the event loop: there are several lines for each organization.
        told = await runtime.database.read_then(lambda tx: (_gauges(tx, now), audit_gauges(tx)), _text_of)
    except Unavailable:
        told = _text_of(())
    return PlainTextResponse(generate_latest(_counted()) + told, media_type=_TEXT)


def _text_of(gauges: Sequence[Collector]) -> bytes:
    """Return what SQL says as Prometheus text; no gauges mean that it does not answer."""
    registry = CollectorRegistry()
    up = Gauge("sso_gate_database_up", "Whether SQL answered this scrape.", registry=registry)
    up.set(1 if gauges else 0)
    for one in gauges:
        registry.register(one)
    return generate_latest(registry)


def _counted() -> CollectorRegistry:
    """Return what this process counted, or all public processes together where there are several."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    together = CollectorRegistry()
    MultiProcessCollector(together)  # type: ignore[no-untyped-call]  # the library has no types here
    return together


class _Gauges:
    """The gauges of one scrape."""

    def __init__(self, seats: list[tuple[str, str, int]], expiries: list[tuple[str, str, float]], late: int) -> None:
        self.seats = seats
        self.expiries = expiries
        self.late = GaugeMetricFamily("sso_gate_outbox_overdue", "Promises of 15 minutes ago not kept yet.", value=late)

    def collect(self) -> list[Metric]:
        held = (((slug, state), number) for slug, state, number in self.seats if state != "waiting")
        waiting = (((slug,), number) for slug, state, number in self.seats if state == "waiting")
        ends = (((slug, connection), timestamp) for slug, connection, timestamp in self.expiries)
        return [
            _gauge("sso_gate_seats", "Seats by state.", ("org", "state"), held),
            _gauge("sso_gate_people_waiting", "People without a seat who wait.", ("org",), waiting),
            _gauge(
                "sso_gate_idp_certificate_expiry_timestamp_seconds",
                "When the last pinned certificate of an identity provider expires.",
                ("org", "connection"),
                ends,
            ),
            self.late,
        ]


def _gauge(name: str, text: str, labels: Sequence[str], rows: Iterable[tuple[Sequence[str], float]]) -> Metric:
    """Return a gauge whose samples are made one by one while they are written: where all of them live at once, Python
    stops every thread to look through them for garbage.
    """
    made = Metric(name, text, "gauge")
    samples = (Sample(name, dict(zip(labels, words, strict=True)), value) for words, value in rows)
    made.samples = samples  # type: ignore[assignment]  # it is read once, from beginning to end
    return made


def _gauges(tx: Connection, now: datetime) -> _Gauges:
    slugs = organizations.slugs(tx)
    seats, expiries = _seat_numbers(tx, slugs, now), _certificate_ends(tx, slugs)
    return _Gauges(seats, expiries, outbox.overdue(tx, now=now))


def _seat_numbers(tx: Connection, slugs: Mapping[str, str], now: datetime) -> list[tuple[str, str, int]]:
    pools, waiting = ledger.every(tx, now=now), waitlist.counts(tx, now=now)
    numbers = []
    for organization, slug in slugs.items():
        pool = pools[organization]
        states = {
            "purchased": pool.purchased,
            "in_use": pool.used,
            "reserved": pool.reserved,
            "available": pool.available,
            "waiting": waiting.get(organization, 0),
        }
        numbers += [(slug, state, number) for state, number in states.items()]
    return numbers


def _certificate_ends(tx: Connection, slugs: Mapping[str, str]) -> list[tuple[str, str, float]]:
    ends = ((one, last_end(one.certificates)) for one in connections.pinned(tx))
    return [(slugs[one.organization], one.connection, end.timestamp()) for one, end in ends if end]


def health_routes() -> list[Route]:
    """Return what load balancers ask."""
    return [Route("/health/live", live, methods=["GET"]), Route("/health/ready", ready, methods=["GET"])]


def admin_routes() -> list[Route]:
    """Return what only those on call may see."""
    return [Route("/metrics", metrics, methods=["GET"]), Route("/health", detail, methods=["GET"])]
