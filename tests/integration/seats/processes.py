"""Processes of a gate beside this one, and what must be true whatever has happened to them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sso_gate.admission.reconcile import reconcile
from sso_gate.organizations.organization import Organization
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
    numbers = await gate.runtime.database.read(
        lambda tx: tx.exec_driver_sql(
            "SELECT (SELECT count(*) FROM audit_event WHERE login_id IS NOT NULL),"
            " (SELECT count(DISTINCT login_id) FROM audit_event), (SELECT count(*) FROM identity)"
        ).one()
    )
    assert numbers[0] == numbers[1]
