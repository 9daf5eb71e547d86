"""A process of a gate for storms and crashes: does what it is told through a pipe, and says how it went. With `die_at`
it ends itself by SIGKILL at a named step, by wrapping the product's own functions from outside.
"""

import asyncio
import os
import signal
from collections.abc import Callable
from datetime import datetime
from multiprocessing.connection import Connection
from typing import Any

from sqlalchemy import Connection as Transaction

from sso_gate.admission.admit import Admission
from sso_gate.admission.revoke import Revoker
from sso_gate.billing import purchase
from sso_gate.billing.renewal import renew
from sso_gate.errors import SsoGateError
from sso_gate.organizations import store as organizations
from sso_gate.seats.counter import SeatCounter
from sso_gate.sessions.store import SessionStore
from sso_gate.storage.database import Database
from tests.support.gates import OPERATOR, Gate, address, open_gate, person

# Where to die: the function after which, or before which, or the event of the database at which.
AFTER: dict[str, tuple[type, str]] = {
    "A pending session, B counter asked": (SeatCounter, "ask"),
    "D counter told": (SeatCounter, "publish"),
    "E session active": (SessionStore, "activate"),
    "purge": (SessionStore, "purge"),
}
BEFORE: dict[str, tuple[type, str]] = {"D counter not told": (SeatCounter, "publish")}
BEFORE_COMMIT, AFTER_COMMIT = "before the commit", "after the commit"


def die() -> None:
    """End at once, as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(step: str) -> None:
    """Arrange to die at this step of the next order."""
    if step == BEFORE_COMMIT:
        _die_before_commit(Database.write)
    elif step == AFTER_COMMIT:
        _wrap(Database, "write")
    elif step in BEFORE:
        _die_instead(*BEFORE[step])
    elif step:
        _wrap(*AFTER[step])


def _die_before_commit(write: Callable[..., Any]) -> None:
    async def write_and_die(self: Database, work: Callable[[Transaction], Any]) -> Any:
        def work_and_die(tx: Transaction) -> None:
            work(tx)
            tx.exec_driver_sql("SELECT 1")  # so that the server has seen everything but the commit
            die()

        return await write(self, work_and_die)

    setattr(Database, "write", write_and_die)  # noqa: B010 - mypy forbids the assignment


def _die_instead(owner: type, name: str) -> None:
    async def dying(*_arguments: Any, **_options: Any) -> None:
        die()

    setattr(owner, name, dying)


def _wrap(owner: type, name: str) -> None:
    original = getattr(owner, name)

    async def and_die(*arguments: Any, **options: Any) -> Any:
        await original(*arguments, **options)
        die()

    setattr(owner, name, and_die)


async def do(gate: Gate, order: dict[str, Any]) -> Any:
    """Do one order and return what came of it."""
    organization = await gate.runtime.database.read(lambda tx: organizations.by_slug(tx, order["slug"]))
    assert organization is not None
    match order["do"]:
        case "storm":
            people = [person(organization, name) for name in order["names"]]
            told = await asyncio.gather(*(gate.tries(one) for one in people))
            return [isinstance(one, Admission) for one in told]
        case "login":
            return isinstance(await gate.login(person(organization, order["name"])), Admission)
        case "release":
            await Revoker.of(gate.runtime).release(organization.id, address(organization, order["name"]), by=OPERATOR)
        case "reassign":
            giver, taker = (address(organization, order[word]) for word in ("name", "to"))
            await Revoker.of(gate.runtime).reassign(organization.id, giver, taker, by=OPERATOR)
        case "purchase":
            await purchase.order(
                gate.runtime,
                organization=organization,
                by=OPERATOR,
                quote_id=order["quote"],
                idempotency_key=order["key"],
            )
        case "renewal":
            await renew(gate.runtime, organization.id, now=datetime.fromisoformat(order["now"]))
    return True


def serve(orders: Connection, database_url: str, redis_url: str, step: str) -> None:
    """Take orders from the pipe until it is closed."""
    die_at(step)
    asyncio.run(_serve(orders, database_url, redis_url))


async def _serve(orders: Connection, database_url: str, redis_url: str) -> None:
    async with open_gate(database_url, redis_url) as gate:
        orders.send("ready")
        while order := await asyncio.to_thread(_received, orders):
            try:
                orders.send(await do(gate, order))
            except SsoGateError as error:
                orders.send(error.__class__.__name__)


def _received(orders: Connection) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = orders.recv()
    except EOFError:
        return None
    return found
