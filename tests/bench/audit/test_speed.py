"""What the audit log costs: writing on the way of a login, sealing behind it, proving it afterwards.

`pytest -m bench tests/bench/audit` and, for a million rows, `-m soak`.
"""

import json
import os
import sys
import time
from datetime import UTC, datetime
from statistics import median

import pytest

from sso_gate.audit import store
from sso_gate.audit.canonical import canonical_form, readable_text
from sso_gate.audit.chain import GENESIS, link
from sso_gate.audit.checkpoint import Signer, _new_key
from sso_gate.audit.event import Action, Actor, Client, Event, SeatCount, Via, new_reference
from sso_gate.audit.merkle import Tree
from sso_gate.audit.sealer import seal
from sso_gate.audit.verify import verify
from sso_gate.clock import SystemClock
from sso_gate.identity import new_id
from tests.integration.audit.conftest import log  # noqa: F401 - a fixture

AT = datetime(2026, 11, 20, 8, tzinfo=UTC)
ROWS = int(os.environ.get("AUDIT_ROWS", "1000000"))


def event(organization="org_1"):
    return Event(
        id=new_id("evt", SystemClock()),
        organization=organization,
        at=AT,
        action=Action.LOGIN,
        actor=Actor("user", "mem_1", "ana@acme.example", "subject-of-ana"),
        reference=new_reference(),
        via=Via("acme-okta", "saml"),
        client=Client("198.51.100.7", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", "req_1"),
        seat=SeatCount(100, 96),
    )


@pytest.mark.bench
def test_what_an_event_adds_to_a_login():
    made = [event() for _ in range(5000)]
    times = []
    for one in made:
        begin = time.perf_counter()
        store._row(one)
        times.append(time.perf_counter() - begin)
    sys.stdout.write(f"\none event as a row: {median(times) * 1e6:.1f} µs of CPU")
    assert median(times) < 0.001


@pytest.mark.bench
async def test_events_sealed_in_a_second(log):  # noqa: F811 - the fixture
    written = 0
    begin = time.perf_counter()
    for _ in range(20):
        batch = [event(log.organization) for _ in range(500)]
        await log.runtime.database.write(lambda tx, events=batch: store.record(tx, events))
        written += len(batch)
    wrote = time.perf_counter() - begin
    begin = time.perf_counter()
    sealed = await seal(log.runtime)
    took = time.perf_counter() - begin
    kind = "SQLite" if log.runtime.database.is_sqlite else "PostgreSQL"
    sys.stdout.write(f"\n{kind}: {written / wrote:.0f} events written and {sealed / took:.0f} sealed in a second")
    assert sealed == written


def lines(rows):
    """An export of so many rows, made without a database."""
    key = _new_key()
    head, tree = GENESIS, Tree()
    yield json.dumps(
        {
            "export": {
                "v": 1, "organization": "org_1", "first": 1, "last": rows, "prev": GENESIS, "roots": [],
                "filter": None, "time": "", "keys": [key.public],
            }
        }
    )  # fmt: skip
    one = event()
    body, personal = canonical_form(one)
    for position in range(1, rows + 1):
        canonical = body.replace(one.id, f"evt_{position}")
        own = link(head, canonical)
        values = json.loads(personal)
        shown, salted = readable_text(canonical, values), json.dumps(list(values.values()))
        place = f'"pos":{position},"prev":"{head}","hash":"{own}"'
        yield f'{shown[:-1]},"chain":{{{place},"canonical":{json.dumps(canonical)},"personal":{salted}}}}}'
        head = own
        tree.push(bytes.fromhex(own))
    closing = Signer(key).sign(organization="org_1", size=rows, head=head, root=tree.root(), at=AT)
    yield json.dumps({"checkpoint": closing.to_json()})


@pytest.mark.bench
def test_rows_proved_in_a_second():
    made = list(lines(20_000))
    begin = time.perf_counter()
    report = verify(made)
    took = time.perf_counter() - begin
    sys.stdout.write(f"\n{20_000 / took:.0f} rows proved in a second")
    assert report.is_whole


@pytest.mark.soak
def test_a_million_rows_are_proved(tmp_path):
    path = tmp_path / "export.jsonl"
    with path.open("w") as file:
        for line in lines(ROWS):
            file.write(line + "\n")
    begin = time.perf_counter()
    with path.open() as file:
        report = verify(file, processes=os.cpu_count() or 1)
    took = time.perf_counter() - begin
    sys.stdout.write(f"\n{ROWS} rows, {path.stat().st_size / 1e6:.0f} MB, proved in {took:.1f} s")
    assert report.is_whole
    assert report.rows == ROWS
