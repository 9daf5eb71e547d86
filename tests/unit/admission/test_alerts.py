"""The alert rules are about numbers that the program shows, and every number about seats' books is watched."""

from pathlib import Path
from re import findall

import yaml

from sso_gate import health, metrics
from sso_gate.notify import streams_gauges

ROOT = Path(__file__).parents[3]
WATCHED = {"sso_gate_seat_drift", "sso_gate_seat_books_checked_timestamp_seconds", "sso_gate_outbox_overdue"}


def metrics_in_rules() -> set[str]:
    rules = yaml.safe_load((ROOT / "deploy" / "alerts.yml").read_text())["groups"][0]["rules"]
    return {name for rule in rules for name in findall(r"sso_gate_\w+", rule["expr"])}


def test_every_alert_is_about_a_metric_that_exists():
    source = "".join(Path(module.__file__ or "").read_text() for module in (health, metrics, streams_gauges))
    named = metrics_in_rules()
    assert named
    assert {name for name in named if f'"{name}"' not in source} == set()


def test_the_books_of_seats_are_watched():
    assert metrics_in_rules() >= WATCHED
