"""Logins of one organization that arrive while a decision is under way are decided together in the next transaction.

No timer: the first login starts at once, whoever comes meanwhile shares the next commit. That is what makes a storm
cheap.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from sso_gate.admission.facts import gather
from sso_gate.admission.settle import Allowed, Answer, Denied, Login, Settled, settle
from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Actor, Event, Via, new_reference
from sso_gate.clock import Clock
from sso_gate.errors import Reason, Unavailable
from sso_gate.identity import new_id
from sso_gate.seats import ledger
from sso_gate.seats.counter import Hint, SeatCounter
from sso_gate.storage.database import Database

_log = logging.getLogger(__name__)

BATCH = 256
QUEUE = 4096  # more would wait longer than a browser does


@dataclass(slots=True)
class _Waiting:
    login: Login
    hint: Hint
    answer: "asyncio.Future[Answer]"


@dataclass(slots=True)
class Combiner:
    """The one place of a process in which logins are settled."""

    database: Database
    counter: SeatCounter
    clock: Clock
    _queues: dict[str, deque[_Waiting]] = field(default_factory=dict)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    async def settle(self, login: Login, hint: Hint) -> Answer:
        """Return the answer to this login, committed; `Unavailable` when none can be had."""
        organization = login.identity.organization
        queue = self._queues.get(organization)
        if queue is not None and len(queue) >= QUEUE:
            raise Unavailable("too many logins are waiting", retry_after_seconds=5)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        if queue is None:
            queue = self._queues[organization] = deque()
            task = asyncio.create_task(self._drain(organization, queue))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        queue.append(_Waiting(login, hint, answer))
        return await answer

    async def _drain(self, organization: str, queue: deque[_Waiting]) -> None:
        try:
            while queue:
                batch = [queue.popleft() for _ in range(min(BATCH, len(queue)))]
                await self._decide(organization, batch)
        finally:
            self._queues.pop(organization, None)
            for waiting in queue:
                waiting.answer.set_exception(Unavailable("the gate is stopping"))

    async def _decide(self, organization: str, batch: Sequence[_Waiting]) -> None:
        try:
            settled = await self._settle(organization, [waiting.login for waiting in batch], _shared_hint(batch))
        except Exception as error:  # whatever went wrong, each login is told, alone where the batch may be at fault
            await self._one_by_one(organization, batch, error)
            return
        for waiting, answer in zip(batch, settled.answers, strict=True):
            _tell(waiting, answer)
        if settled.pool:
            await self._publish(organization, settled.pool)

    async def _settle(self, organization: str, logins: Sequence[Login], hint: Hint) -> Settled:
        return await self.database.write(lambda tx: settle(tx, organization, logins, hint=hint, clock=self.clock))

    async def _publish(self, organization: str, pool: ledger.Pool) -> None:
        try:
            await self.counter.publish(organization, pool)
        except Unavailable:
            pass  # the commit stands; the counter follows by version with the next one

    async def _one_by_one(self, organization: str, batch: Sequence[_Waiting], error: Exception) -> None:
        if len(batch) > 1 and not isinstance(error, Unavailable):
            for waiting in batch:
                await self._decide(organization, [waiting])
            return
        for waiting in batch:
            try:
                _tell(waiting, await self._after_failure(organization, waiting.login, error))
            except Exception as final:
                _log.exception("a login could not be settled")
                if not waiting.answer.done():
                    waiting.answer.set_exception(Unavailable(f"login not settled: {final.__class__.__name__}"))

    async def _after_failure(self, organization: str, login: Login, error: Exception) -> Answer:
        """Return what a commit of unknown outcome did, run a login again that lost a race, or pass the error on."""
        if not isinstance(error, Unavailable | IntegrityError):
            raise error
        found = await self.database.read(lambda tx: _own_answer(tx, organization, login, self.clock))
        if found is not None:
            return found
        if isinstance(error, Unavailable):
            raise error
        if await self.database.read(lambda tx: audit.login_attempt(tx, login.identity.login_id)):
            return await self.database.write(lambda tx: _replayed(tx, organization, login, self.clock))
        return (await self._settle(organization, [login], "unknown")).answers[0]


def _shared_hint(batch: Sequence[_Waiting]) -> Hint:
    return "full" if all(waiting.hint == "full" for waiting in batch) else "unknown"


def _tell(waiting: _Waiting, answer: Answer) -> None:
    if not waiting.answer.done():  # the browser may have gone away
        waiting.answer.set_result(answer)


def _own_answer(tx: Connection, organization: str, login: Login, clock: Clock) -> Answer | None:
    """Return the answer that this very attempt was given, or None when it was given none."""
    event = audit.login_attempt(tx, login.identity.login_id)
    if event is None or event.attempt != login.attempt:
        return None
    known = gather(tx, organization, [login.identity], now=clock.now())[0]
    if event.reason:
        return Denied(Reason(event.reason), event.reference, known.member)
    if known.member is None:
        return None
    if event.changes.get("session") == "settings":
        return Allowed(known.member, known.slug, "settings", ledger.read(tx, organization, now=clock.now()).version)
    return Allowed(known.member, known.slug, "seat", known.member.generation)


def _replayed(tx: Connection, organization: str, login: Login, clock: Clock) -> Denied:
    proved = login.identity
    event = Event(
        id=new_id("evt", clock),
        organization=organization,
        at=clock.now(),
        action=Action.LOGIN,
        actor=Actor("user", "", proved.email or ""),
        reason=Reason.REPLAYED,
        reference=new_reference(),
        via=Via(proved.connection, proved.protocol),
        client=login.client,
        attempt=login.attempt,
    )
    audit.record(tx, [event])
    return Denied(Reason.REPLAYED, event.reference)
