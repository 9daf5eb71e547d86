"""How the audit log is doing, for those on call: how far each destination is behind, what is not sealed, what is not
whole.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily
from sqlalchemy import Connection, func, select

from sso_gate.storage.tables import audit_chain, audit_event, audit_proof, audit_stream, organization


@dataclass(frozen=True, slots=True)
class Standing:
    """One destination: how many events it is behind, failed attempts in a row, and whether it is switched on."""

    organization: str
    stream: str
    kind: str
    behind: int
    failures: int
    enabled: bool


@dataclass(frozen=True, slots=True)
class AuditGauges:
    """The gauges of one scrape."""

    streams: tuple[Standing, ...]
    unsealed: int
    broken: tuple[tuple[str, bool], ...]

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return them by their Prometheus names."""
        labels = ["org", "stream", "kind"]
        behind = GaugeMetricFamily("sso_gate_audit_stream_lag_events", "Events not delivered yet.", labels=labels)
        failures = GaugeMetricFamily("sso_gate_audit_stream_failures", "Failed attempts in a row.", labels=labels)
        enabled = GaugeMetricFamily("sso_gate_audit_stream_enabled", "1 while it is delivered to.", labels=labels)
        for one in self.streams:
            names = [one.organization, one.stream, one.kind]
            behind.add_metric(names, one.behind)
            failures.add_metric(names, one.failures)
            enabled.add_metric(names, one.enabled)
        broken = GaugeMetricFamily("sso_gate_audit_log_broken", "1 where the chain is not whole.", labels=["org"])
        for slug, is_broken in self.broken:
            broken.add_metric([slug], is_broken)
        unsealed = GaugeMetricFamily("sso_gate_audit_unsealed_events", "Events that have no position yet.")
        unsealed.add_metric([], self.unsealed)
        return [behind, failures, enabled, broken, unsealed]


def audit_gauges(tx: Connection) -> AuditGauges:
    """Return the numbers as they are now."""
    table, end = audit_stream.c, audit_chain.c
    columns = (organization.c.slug, table.id, table.kind, end.size, table.position, table.attempts, table.enabled)
    joined = audit_stream.join(organization, organization.c.id == table.organization)
    query = select(*columns).select_from(joined.outerjoin(audit_chain, end.organization == table.organization))
    standings = tuple(
        Standing(slug, stream, kind, max(0, (size or 0) - position), attempts, enabled)
        for slug, stream, kind, size, position, attempts, enabled in tx.execute(query)
    )
    unsealed = tx.execute(select(func.count()).where(audit_event.c.position.is_(None))).scalar_one()
    proofs = select(organization.c.slug, audit_proof.c.problem).join(
        audit_proof, audit_proof.c.organization == organization.c.id
    )
    broken = tuple((slug, bool(problem)) for slug, problem in tx.execute(proofs))
    return AuditGauges(standings, unsealed, broken)
