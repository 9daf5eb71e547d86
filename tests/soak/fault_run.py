"""Two processes of a gate on PostgreSQL and Valkey in a storm of logins, while everything that can break does.

`FaultRun` starts and breaks things and gathers what was reported; `violations` says, from SQL and those reports, which
promises were broken.
"""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from sso_gate.admission.recheck import Alive, Recheck
from sso_gate.admission.reconcile import reconcile
from sso_gate.clock import SystemClock
from sso_gate.organizations.organization import Organization
from sso_gate.storage.tables import audit_event, member, outbox, seat_pool
from sso_gate.worker import keep_promises
from tests.integration.seats.processes import FORKS, untold_entries, untold_invoices
from tests.soak.storm_process import HOLDERS, Bought, Came, Noted, storm
from tests.support.gates import Gate
from tests.support.postgres import ThrowAwayPostgres
from tests.support.valkey import ThrowAwayValkey

PROCESSES = 2
CALM_SECONDS = (0.3, 1.5)
PATIENCE_SECONDS = 60
_SEEDS = itertools.count(1)


class LaterClock:
    """The machine's clock, set forward: every lease and every retry of the outbox is due."""

    def now(self) -> datetime:
        """Return an instant two hours from now."""
        return SystemClock().now().astimezone(UTC) + timedelta(hours=2)


@dataclass
class FaultRun:
    """The servers, the processes of the gate, and what they have reported."""

    database_url: str
    postgres: ThrowAwayPostgres
    valkey: ThrowAwayValkey
    organization: Organization
    dice: random.Random
    came: list[Came] = field(default_factory=list)
    bought: set[str] = field(default_factory=set)
    noted: Counter[str] = field(default_factory=Counter)
    accidents: Counter[str] = field(default_factory=Counter)
    _running: list[tuple[Any, threading.Thread]] = field(default_factory=list)
    _copy: list[tuple[str, bytes, int]] = field(default_factory=list)

    def start_process(self) -> None:
        """Start one more process of the gate, and listen to it."""
        reports, theirs = FORKS.Pipe(duplex=False)
        arguments = (theirs, self.database_url, self.valkey.socket_url, self.organization, next(_SEEDS))
        process = FORKS.Process(target=storm, args=arguments, daemon=True)
        process.start()
        theirs.close()
        listener = threading.Thread(target=self._listen, args=(reports,))
        listener.start()
        self._running.append((process, listener))

    def _listen(self, reports: Any) -> None:
        try:
            while True:
                self._note(reports.recv())
        except (EOFError, ConnectionResetError):
            reports.close()

    def _note(self, report: Came | Bought | Noted) -> None:
        match report:
            case Came():
                self.came.append(report)
            case Bought(order):
                self.bought.add(order)
            case Noted(what):
                self.noted[what] += 1

    def stop_process(self) -> None:
        """End the oldest process by SIGKILL."""
        process, listener = self._running.pop(0)
        process.kill()
        process.join()
        listener.join()

    def go_on(self, seconds: float, *, logins: int) -> None:
        """Let accidents happen for so long, and until so many logins were answered: each kind in turn, in an order that
        chance decides.
        """
        ends = time.monotonic() + seconds
        kinds = [self.kill_a_gate, self.flush, self.copy, self.put_copy_back, self.crash_postgres, self.restart_valkey]
        while True:
            for accident in self.dice.sample(kinds, len(kinds)):
                time.sleep(self.dice.uniform(*CALM_SECONDS))
                if time.monotonic() > ends and len(self.came) >= logins:
                    return
                assert time.monotonic() < ends + PATIENCE_SECONDS, "hardly anybody was answered"
                accident()
                self.accidents[accident.__name__] += 1

    def kill_a_gate(self) -> None:
        """SIGKILL, and another process takes its place."""
        self.stop_process()
        self.start_process()

    def flush(self) -> None:
        """FLUSHALL."""
        self.valkey.flush()

    def copy(self) -> None:
        """Remember everything that Redis holds now."""
        with self.valkey.bytes_client() as client:
            found = [(key.decode(), client.dump(key), client.pttl(key)) for key in client.scan_iter(count=1000)]
        self._copy = [(key, value, max(0, left)) for key, value, left in found if value is not None]

    def put_copy_back(self) -> None:
        """Put an old copy back, in place of everything."""
        self.valkey.flush()
        with self.valkey.bytes_client() as client, client.pipeline(transaction=True) as together:
            for key, value, milliseconds in self._copy:
                together.restore(key, milliseconds, value, replace=True)
            together.execute()

    def crash_postgres(self) -> None:
        """`pg_ctl stop -m immediate`, and start."""
        self.postgres.stop(kill=True)
        self.postgres.start()

    def restart_valkey(self) -> None:
        """SIGKILL, and start with what the append-only file holds."""
        self.valkey.restart(kill=True)


@contextmanager
def fault_run(run: FaultRun) -> Iterator[FaultRun]:
    """Run the processes while the block lasts."""
    for _ in range(PROCESSES):
        run.start_process()
    try:
        yield run
    finally:
        for _ in range(PROCESSES):
            run.stop_process()


async def settle_down(gate: Gate, *, attempts: int = 20) -> int:
    """Keep what was promised, as the worker does within its bounded window; return how many promises there were."""
    kept = 0
    for _ in range(attempts):
        fresh = await keep_promises(gate.runtime)
        kept += fresh
        if not fresh:
            break
    return kept


async def violations(gate: Gate, run: FaultRun) -> dict[str, list[Any]]:
    """Return every broken promise by its name; `gate` has a clock that is two hours ahead, and promises are kept."""
    read = gate.runtime.database.read
    found: dict[str, list[Any]] = {
        name: await read(lambda tx, look=look: look(tx, run)) for name, look in _BY_SQL.items()
    }
    found["the books disagree"] = await reconcile(gate.runtime)
    found["a session outlived its seat"] = await _outlived(gate, run)
    holders = [one for one in run.came if one.name in HOLDERS and one.told != "in"]
    found["a holder was refused"] = holders
    proofs = Counter(one.proof for one in run.came if one.told == "in")
    found["a proof opened twice"] = [proof for proof, times in proofs.items() if times > 1]
    return {name: broken for name, broken in found.items() if broken}


async def _outlived(gate: Gate, run: FaultRun) -> list[Came]:
    now = {row.id: row for row in await gate.runtime.database.read(lambda tx: tx.execute(select(member)).all())}
    recheck = Recheck.of(gate.runtime)
    alive = []
    for came in run.came:
        seat = now[came.member] if came.member else None
        if came.token and seat and not (seat.state == "held" and seat.generation == came.generation):
            alive += [came] if isinstance(await recheck.session(came.token), Alive) else []
    return alive


def _oversold(tx: Connection, run: FaultRun) -> list[Any]:
    """Every pool, and every count of seats that was ever put on record."""
    pools = tx.execute(select(seat_pool)).all()
    told = [seat for seat in _seats_on_record(tx) if seat["used"] > seat["limit"]]
    return [pool for pool in pools if not 0 <= pool.used <= pool.purchased] + told


def _seats_on_record(tx: Connection, **columns: str) -> list[dict[str, int]]:
    query = select(audit_event.c.body)
    for name, value in columns.items():
        query = query.where(audit_event.c[name] == value)
    bodies = [json.loads(body) for body in tx.execute(query).scalars()]
    return [body["seat"] for body in bodies if body.get("seat")]


def _refused_while_free(tx: Connection, run: FaultRun) -> list[Any]:
    """Nothing is kept for anybody in this organization: a refusal is right when all seats are used, and only then."""
    return [seat for seat in _seats_on_record(tx, reason="seat_unavailable") if seat["used"] != seat["limit"]]


def _not_on_record(tx: Connection, run: FaultRun) -> list[Any]:
    """Every login that was answered has its own row with that answer."""
    rows = tx.execute(select(audit_event.c.login_id, audit_event.c.reason).where(audit_event.c.login_id.is_not(None)))
    reasons = {row.login_id: row.reason for row in rows}
    wanted = {came: "" if came.told == "in" else came.told for came in run.came}
    return [came for came, reason in wanted.items() if reasons.get(came.proof) != reason]


def _invoices(tx: Connection, run: FaultRun) -> list[Any]:
    """One invoice for each order and one for the first term; every confirmed order is there."""
    orders = {row[0] for row in tx.exec_driver_sql("SELECT id FROM billing_orders")}
    invoices = tx.exec_driver_sql("SELECT count(*) FROM billing_invoices").scalar_one()
    wrong = [] if invoices == 1 + len(orders) else [f"{invoices} invoices for {len(orders)} orders"]
    return wrong + sorted(run.bought - orders)


def _promises(tx: Connection, run: FaultRun) -> list[Any]:
    ends = outbox.c.done_at.is_(None) & (outbox.c.kind == "session.purge")
    return [left] if (left := tx.execute(select(func.count()).select_from(outbox).where(ends)).scalar_one()) else []


_BY_SQL: dict[str, Callable[[Connection, FaultRun], list[Any]]] = {
    "oversold": _oversold,
    "refused while a seat was free": _refused_while_free,
    "an answer that is not on record": _not_on_record,
    "orders and invoices differ": _invoices,
    "a grant or release without its event": lambda tx, _: untold_entries(tx),
    "an invoice without its event": lambda tx, run: untold_invoices(tx, run.organization.id),
    "a promise that was not kept": _promises,
}
