"""Logins of one organization that arrive while a decision is under way are decided together in the next transaction.

No timer: the first login starts at once, whoever comes meanwhile shares the next commit. That is what makes a storm
cheap.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from sso_gate.admission.facts import gather
from sso_gate.admission.settle import Allowed, Answer, Denied, Login, Settled, settle
from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Actor, Event, Via, new_reference
from sso_gate.audit.store import LoginAttempt
from sso_gate.clock import Clock
from sso_gate.errors import Reason, Unavailable
from sso_gate.identity import new_id
from sso_gate.members.member import Member
from sso_gate.seats import ledger
from sso_gate.seats.counter import Hint, SeatCounter
from sso_gate.storage.database import Database

_log = logging.getLogger(__name__)

BATCH = 32  # more would hardly cost less each
BATCH_AMONG_OTHERS = 8  # while other organizations wait too: SQLite has one writer, and they come next
QUEUE = 4096  # more would wait longer than a browser does


@dataclass(slots=True)
class _Waiting:
    login: Login
    hint: Hint
    answer: "asyncio.Future[Answer]"

    def tell(self, answer: Answer) -> None:
        if not self.answer.done():  # the browser may have gone away
            self.answer.set_result(answer)

    def fail(self, why: Unavailable) -> None:
        if not self.answer.done():
            self.answer.set_exception(why)


@dataclass(slots=True)
class Combiner:
    """The one place of a process in which logins are settled; `hold` is how long a seat is kept for who waits."""

    database: Database
    counter: SeatCounter
    clock: Clock
    hold: timedelta
    _queues: dict[str, deque[_Waiting]] = field(default_factory=dict)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    async def settle(self, login: Login, hint: Hint) -> Answer:
        """Return the answer to this login, committed; `Unavailable` when none can be had."""
        organization = login.identity.organization
        queue = self._queues.get(organization)
        if queue is not None and len(queue) >= QUEUE:
            raise Unavailable("too many logins are waiting", retry_after_seconds=5)
        waiting = _Waiting(login, hint, asyncio.get_running_loop().create_future())
        if queue is None:
            queue = self._queues[organization] = deque()
            self._begin(self._drain(organization, queue))
        queue.append(waiting)
        return await waiting.answer

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drain(self, organization: str, queue: deque[_Waiting]) -> None:
        batch: list[_Waiting] = []
        try:
            while queue:
                most = BATCH if len(self._queues) == 1 else BATCH_AMONG_OTHERS
                batch = [queue.popleft() for _ in range(min(most, len(queue)))]
                await self._decide(organization, batch)
                batch = []
        finally:
            self._queues.pop(organization, None)
            _fail([*batch, *queue], "the gate is stopping")  # nobody, but when this task was ended from outside

    async def _decide(self, organization: str, batch: Sequence[_Waiting], *, again: bool = True) -> None:
        """Answer every login of the batch; `again` says whether what was not decided may be tried once more."""
        try:
            settled = await self._settle(organization, batch)
        except Unavailable as trouble:
            await self._after_trouble(organization, batch, trouble, again=again)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one login, the others are told
            await self._after_error(organization, batch, error, again=again)
        else:
            for waiting, answer in zip(batch, settled.answers, strict=True):
                waiting.tell(answer)
            if settled.changed or any(waiting.hint == "unknown" for waiting in batch):
                self._begin(self._publish(organization, settled.pool))

    async def _settle(self, organization: str, batch: Sequence[_Waiting]) -> Settled:
        logins, hint = [waiting.login for waiting in batch], _shared_hint(batch)
        return await self.database.write(
            lambda tx: settle(tx, organization, logins, hint=hint, clock=self.clock, hold=self.hold)
        )

    async def _publish(self, organization: str, pool: ledger.Pool) -> None:
        # The commit stands without it; the counter follows by version with the next one.
        with contextlib.suppress(Unavailable):
            await self.counter.publish(organization, pool)

    async def _after_trouble(
        self, organization: str, batch: Sequence[_Waiting], trouble: Unavailable, *, again: bool
    ) -> None:
        """The commit may have arrived: look each login up by its proof, and try once more what is not there."""
        try:
            answers = await self.database.read(lambda tx: _answers(tx, organization, batch, self.clock))
        except Unavailable:
            _fail(batch, trouble.detail)
            return
        lost = []
        for waiting in batch:
            answer = answers.get(waiting.login.attempt)
            waiting.tell(answer) if answer else lost.append(waiting)
        if lost and again:
            await self._decide(organization, lost, again=False)
        else:
            _fail(lost, trouble.detail)

    async def _after_error(
        self, organization: str, batch: Sequence[_Waiting], error: Exception, *, again: bool
    ) -> None:
        """Nothing was committed: find the login that is at fault by halves, and answer that one by itself."""
        if len(batch) > 1:
            half = len(batch) // 2
            await self._decide(organization, batch[:half], again=again)
            await self._decide(organization, batch[half:], again=again)
            return
        try:
            await self._alone(organization, batch[0], error, again=again)
        except Unavailable as trouble:
            batch[0].fail(trouble)

    async def _alone(self, organization: str, waiting: _Waiting, error: Exception, *, again: bool) -> None:
        if not isinstance(error, IntegrityError):
            _log.error("a login could not be settled", exc_info=error)
            waiting.fail(Unavailable(f"login not settled: {error.__class__.__name__}"))
            return
        # Its own commit has arrived late, or somebody else used the proof, or a race for another row was lost.
        own = await self.database.read(lambda tx: _answers(tx, organization, [waiting], self.clock))
        proof = waiting.login.identity.login_id
        if own:
            waiting.tell(own[waiting.login.attempt])
        elif await self.database.read(lambda tx: audit.login_attempts(tx, [proof])):
            waiting.tell(await self.database.write(lambda tx: _replayed(tx, organization, waiting.login, self.clock)))
        elif again:
            await self._decide(organization, [waiting], again=False)
        else:
            waiting.fail(Unavailable("a race was lost twice"))


def _shared_hint(batch: Sequence[_Waiting]) -> Hint:
    return "free" if any(waiting.hint == "free" for waiting in batch) else "unknown"


def _fail(batch: Iterable[_Waiting], why: str) -> None:
    for waiting in batch:
        waiting.fail(Unavailable(why))


def _answers(tx: Connection, organization: str, batch: Sequence[_Waiting], clock: Clock) -> Mapping[str, Answer]:
    """Return, by attempt, the answers that these very attempts were given."""
    used = audit.login_attempts(tx, [waiting.login.identity.login_id for waiting in batch])
    known = gather(tx, organization, [waiting.login.identity for waiting in batch], now=clock.now())
    found: dict[str, Answer] = {}
    for waiting, person in zip(batch, known, strict=True):
        event = used.get(waiting.login.identity.login_id)
        if event is not None and event.attempt == waiting.login.attempt:
            version = ledger.read(tx, organization, now=clock.now()).version if _is_for_settings(event) else 0
            found[event.attempt] = _answer(event, person.member, person.slug, version)
    return found


def _answer(event: LoginAttempt, member: Member | None, slug: str, version: int) -> Answer:
    if event.reason or member is None:
        return Denied(Reason(event.reason or Reason.UNAVAILABLE), event.reference, member)
    if _is_for_settings(event):
        return Allowed(member, slug, "settings", version)
    return Allowed(member, slug, "seat", member.generation)


def _is_for_settings(event: LoginAttempt) -> bool:
    return event.changes.get("session") == "settings"


def _replayed(tx: Connection, organization: str, login: Login, clock: Clock) -> Denied:
    proved = login.identity
    event = Event(
        id=new_id("evt", clock),
        organization=organization,
        at=clock.now(),
        action=Action.LOGIN,
        actor=Actor("user", "", proved.email or "", proved.subject),
        reason=Reason.REPLAYED,
        reference=new_reference(),
        via=Via.of(proved),
        client=login.client,
        attempt=login.attempt,
    )
    audit.record(tx, [event])
    return Denied(Reason.REPLAYED, event.reference)
