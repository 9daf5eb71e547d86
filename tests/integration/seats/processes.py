"""Processes of a gate beside this one, and what must be true whatever has happened to them."""

from __future__ import annotations

import json
import multiprocessing
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, select

import billing_core
from sso_gate.admission.reconcile import reconcile
from sso_gate.audit.event import Action
from sso_gate.organizations.organization import Organization
from sso_gate.storage.tables import audit_event, seat_entry
from tests.integration.seats.worker_process import serve
from tests.support.gates import Gate

# Children are forked from a process that has imported the product once: that takes longer than what they do.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.integration.seats.worker_process", "tests.soak.storm_process"])


class GateProcess:
    """One process; `ask` gives it an order and returns its answer, None when it died of it."""

    def __init__(self, database_url: str, redis_url: str, *, die_at: str = "") -> None:
        """Start it and wait until it is ready."""
        self._orders, theirs = FORKS.Pipe()
        self.process = FORKS.Process(target=serve, args=(theirs, database_url, redis_url, die_at), daemon=True)
        self.process.start()
        theirs.close()
        assert self.answer() == "ready"

    def tell(self, **order: Any) -> None:
        """Give an order; the answer is fetched later."""
        self._orders.send(order)

    def answer(self) -> Any:
        """Return the answer to the oldest order, None when the process died."""
        try:
            return self._orders.recv()
        except (EOFError, ConnectionResetError):
            return None

    def ask(self, **order: Any) -> Any:
        """Give an order and return the answer."""
        self.tell(**order)
        return self.answer()

    def ended_with(self) -> int | None:
        """Return the exit code, negative for a signal."""
        self.process.join(10)
        return self.process.exitcode

    def close(self) -> None:
        """End it."""
        self._orders.close()
        self.process.join(5)
        self.process.kill()
        self.process.join(5)


@contextmanager
def processes(database_url: str, redis_url: str, *, count: int = 1, die_at: str = "") -> Iterator[list[GateProcess]]:
    """Run some processes."""
    started = [GateProcess(database_url, redis_url, die_at=die_at) for _ in range(count)]
    try:
        yield started
    finally:
        for one in started:
            one.close()


async def assert_books_agree(gate: Gate, organization: Organization) -> None:
    """Fail unless nothing was oversold, lost or leaked: pool, members, entries and audit say the same."""
    assert await reconcile(gate.runtime) == []
    pool = await gate.pool(organization.id)
    assert 0 <= pool.used <= pool.purchased
    untold = await gate.runtime.database.read(lambda tx: (untold_entries(tx), untold_invoices(tx, organization.id)))
    assert untold == ([], []), f"grants and releases, and invoices, that are not on record: {untold}"


def untold_entries(tx: Connection) -> list[Any]:
    """Return the grants and releases without their event on the audit record."""
    told = select(audit_event.c.id)
    return list(tx.execute(select(seat_entry).where(seat_entry.c.event.not_in(told))).all())


def untold_invoices(tx: Connection, organization: str) -> list[str]:
    """Return the numbers of the invoices of which the audit record does not tell exactly once that their seats are
    there. The first one, of the first term, came with the contract.
    """
    changes = (audit_event.c.organization == organization) & (audit_event.c.action == Action.SEAT_LIMIT_CHANGE)
    bodies = tx.execute(select(audit_event.c.body).where(changes)).scalars()
    told = Counter(json.loads(body)["changes"]["invoice"] for body in bodies)
    *later, _ = billing_core.invoices(tx, customer=organization, limit=500)
    return [one.number for one in later if told[one.number] != 1]
