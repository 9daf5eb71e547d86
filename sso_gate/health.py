"""Whether a process lives and whether it can decide; the numbers for those on call stand on the admin
listener alone.
"""

import contextlib
import os
from datetime import datetime

from prometheus_client import REGISTRY, CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sso_gate.connections import store as connections
from sso_gate.connections.certificates import certificates_expiry
from sso_gate.connections.connection import SamlSettings
from sso_gate.errors import Unavailable
from sso_gate.notify.streams_gauges import audit_gauges
from sso_gate.organizations import store as organizations
from sso_gate.seats import ledger, waitlist
from sso_gate.storage import migrate, outbox
from sso_gate.storage.keyring import Keyring
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
    runtime, registry = runtime_of(request), CollectorRegistry()
    up = Gauge("sso_gate_database_up", "Whether SQL answered this scrape.", registry=registry)
    with contextlib.suppress(Unavailable):
        registry.register(await runtime.database.read(lambda tx: _gauges(tx, runtime)))
        registry.register(await runtime.database.read(audit_gauges))
        up.set(1)
    return PlainTextResponse(generate_latest(_counted()) + generate_latest(registry), media_type=_TEXT)


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

    def collect(self) -> list[GaugeMetricFamily]:
        held = GaugeMetricFamily("sso_gate_seats", "Seats by state.", labels=["org", "state"])
        waiting = GaugeMetricFamily("sso_gate_people_waiting", "People without a seat who wait.", labels=["org"])
        for slug, state, number in self.seats:
            if state == "waiting":
                waiting.add_metric([slug], number)
            else:
                held.add_metric([slug, state], number)
        expiry = GaugeMetricFamily(
            "sso_gate_idp_certificate_expiry_timestamp_seconds",
            "When the last pinned certificate of an identity provider expires.",
            labels=["org", "connection"],
        )
        for slug, connection, timestamp in self.expiries:
            expiry.add_metric([slug, connection], timestamp)
        return [held, waiting, expiry, self.late]


def _gauges(tx: Connection, runtime: Runtime) -> _Gauges:
    now = runtime.clock.now()
    seats, expiries = _seat_numbers(tx, now), _certificate_ends(tx, runtime.keyring, now)
    return _Gauges(seats, expiries, outbox.overdue(tx, now=now))


def _seat_numbers(tx: Connection, now: datetime) -> list[tuple[str, str, int]]:
    numbers = []
    for organization in organizations.every(tx):
        pool = ledger.read(tx, organization.id, now=now)
        states = {
            "purchased": pool.purchased,
            "in_use": pool.used,
            "reserved": pool.reserved,
            "available": pool.available,
            "waiting": waitlist.count(tx, organization.id, now=now),
        }
        numbers += [(organization.slug, state, number) for state, number in states.items()]
    return numbers


def _certificate_ends(tx: Connection, keyring: Keyring, now: datetime) -> list[tuple[str, str, float]]:
    ends = []
    for organization in organizations.every(tx):
        for one in connections.of_organization(tx, keyring, organization.id):
            if one.enabled and isinstance(one.settings, SamlSettings):
                last = certificates_expiry(one.settings.certificates, now=now)[-1:]
                ends += [(organization.slug, one.id, expiry.not_after.timestamp()) for expiry in last]
    return ends


def health_routes() -> list[Route]:
    """Return what load balancers ask."""
    return [Route("/health/live", live, methods=["GET"]), Route("/health/ready", ready, methods=["GET"])]


def admin_routes() -> list[Route]:
    """Return what only those on call may see."""
    return [Route("/metrics", metrics, methods=["GET"]), Route("/health", detail, methods=["GET"])]
