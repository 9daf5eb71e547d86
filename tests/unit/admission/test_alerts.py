from pathlib import Path
from re import findall

import yaml

from sso_gate import health, metrics

ROOT = Path(__file__).parents[3]


def test_every_alert_is_about_a_metric_that_exists():
    rules = yaml.safe_load((ROOT / "deploy" / "alerts.yml").read_text())["groups"][0]["rules"]
    source = "".join(Path(module.__file__ or "").read_text() for module in (health, metrics))
    named = {name for rule in rules for name in findall(r"sso_gate_\w+", rule["expr"])}
    assert len(rules) == 4
    assert all(f'"{name}"' in source for name in named)
