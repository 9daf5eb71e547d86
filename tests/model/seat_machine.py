"""The whole gate's seats as a machine that hypothesis drives: real use cases on a real database and Valkey, in any
order, with faults at any call to a driver; after every step SQL must show what the reference model says.

A step that was cut short must have happened as a whole or not at all. Which of the two depends on what the drivers
have kept open and cached, so nothing that hypothesis draws may depend on it: there are no preconditions. Sessions are
looked at through the re-check, as `/check` does.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import Connection, Table, insert, select

import billing_core
from billing_core import Ordered
from sso_gate.admission.admit import Admission
from sso_gate.admission.invites import invite, withdraw
from sso_gate.admission.recheck import Alive, Recheck
from sso_gate.admission.reconcile import reconcile
from sso_gate.admission.revoke import Revoker
from sso_gate.admission.settle import Denied, Login
from sso_gate.audit import store as audit
from sso_gate.audit.export import lines
from sso_gate.audit.sealer import seal
from sso_gate.audit.store import AuditFilter
from sso_gate.audit.verify import verify
from sso_gate.billing import purchase
from sso_gate.billing.renewal import renew_due
from sso_gate.clock import from_micros, to_micros
from sso_gate.errors import SsoGateError, Unavailable
from sso_gate.identity import new_id
from sso_gate.members import store as members
from sso_gate.members.member import Member
from sso_gate.seats import ledger
from sso_gate.sessions.session import Session, SessionToken
from sso_gate.storage.tables import audit_event, connection, hold, member, waiting
from sso_gate.waiting import people
from sso_gate.waiting.ticket import Ticket
from sso_gate.worker import keep_promises, pass_on_holds
from tests.model import reference
from tests.model.reference import HOUR, OWNER, House, Outcome, Outcomes, View, view
from tests.support.faults import Died, Drivers, Fault, Kind
from tests.support.gates import OPERATOR, Gate, MovingClock, address, fresh_login, make_organization, open_gate, person
from tests.support.valkey import ThrowAwayValkey
from tests.unit.scim.client import Client, client_of

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
YEARS_END = datetime(2027, 1, 1, tzinfo=UTC)
FIRST_SEATS, MOST_SEATS = 3, 9
SESSION = 24 * HOUR
CUT_SHORT = "cut short"
_NUMBERS = itertools.count(1)
T = TypeVar("T")

names = st.sampled_from(["ana", "bob", "cyd", "dan", "eve"])
anybody = st.sampled_from([OWNER, "ana", "bob", "cyd", "dan", "eve"])
faults = st.none() | st.none() | st.builds(Fault, st.sampled_from(Kind), st.integers(1, 24))


@dataclass(frozen=True, slots=True)
class Stage:
    """Where organizations live, one after the other: a gate, its clock and its drivers."""

    runner: asyncio.Runner
    gate: Gate
    clock: MovingClock
    drivers: Drivers
    valkey: ThrowAwayValkey


@contextmanager
def stage_on(database_url: str, valkey: ThrowAwayValkey) -> Iterator[Stage]:
    """Open a gate on a migrated database and an empty Valkey."""
    clock, stack = MovingClock(START), AsyncExitStack()
    with asyncio.Runner() as runner:
        opened = open_gate(database_url, valkey.socket_url, clock=clock)
        gate = runner.run(stack.enter_async_context(opened))
        yield Stage(runner, gate, clock, Drivers(gate.runtime), valkey)
        runner.run(stack.aclose())


@dataclass
class Kept:
    """A session that somebody was given: `is_lost` once Redis may have forgotten it, or its time was once over."""

    name: str
    token: SessionToken
    session: Session
    since: int
    is_lost: bool = False


class SeatMachine(RuleBasedStateMachine):
    """People, owners, a directory, operators and accidents."""

    stage: Stage

    def __init__(self) -> None:
        """Begin with an empty Valkey at the same instant as every other life."""
        super().__init__()
        self.gate, self.runtime = self.stage.gate, self.stage.gate.runtime
        self.clock, self.drivers, self.valkey = self.stage.clock, self.stage.drivers, self.stage.valkey
        self.stack = AsyncExitStack()
        self.clock.instant = START
        self.valkey.flush()
        self.house = House(FIRST_SEATS)
        self.sessions: list[Kept] = []
        self.generations: dict[str, int] = {}
        self.used_proofs: list[Login] = []
        self.snapshot: list[tuple[str, bytes, int]] = []
        self.earliest = self.latest = 0
        self.may_outlive = False  # an ended session may live on until its lease is over

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what the work came to; a death that nobody has arranged for is a failure like any other."""
        try:
            return self.stage.runner.run(work)
        except (Died, asyncio.CancelledError) as error:
            raise AssertionError(f"{error.__class__.__name__} came out of it") from error

    @initialize()
    def open(self) -> None:
        self.run(self._open())

    async def _open(self) -> None:
        self.organization = await make_organization(self.runtime, seats=FIRST_SEATS, slug=f"m{next(_NUMBERS)}")
        await self.runtime.database.write(self._add_saml)
        self.scim: Client = await self.stack.enter_async_context(client_of(self.gate, self.organization))

    def _add_saml(self, tx: Connection) -> None:
        row = tx.execute(select(connection).where(connection.c.organization == self.organization.id)).one()._asdict()
        tx.execute(insert(connection).values({**row, "id": f"{self.organization.slug}-saml", "protocol": "saml"}))

    def teardown(self) -> None:
        """Nothing of what ended is alive when every lease is over; then close."""
        try:
            self.run(self._end())
        finally:
            self.run(self.stack.aclose())

    async def _end(self) -> None:
        self._move_away()
        self.may_outlive = False
        for kept in self.sessions:
            await self._look_at(kept)
        await self._prove_the_log()

    # What people do

    @rule(name=anybody, fault=faults)
    def somebody_comes(self, name: str, fault: Fault | None) -> None:
        login = self._login(name)
        self._step(lambda: self._come(name, login), reference.login(self.house, name), fault)
        self.used_proofs += [] if fault else [login]

    @rule(who=st.lists(anybody, min_size=2, max_size=3))
    def several_come_at_once(self, who: list[str]) -> None:
        logins = [(name, self._login(name)) for name in who]

        async def come() -> str:
            told = await asyncio.gather(*(self._come(name, login) for name, login in logins))
            return ", ".join(told)

        self._step(come, _in_any_order(self.house, who), None)

    @rule(which=st.integers(0, 50))
    def a_proof_comes_again(self, which: int) -> None:
        if not self.used_proofs:
            return
        login = self.used_proofs[which % len(self.used_proofs)]
        told = self.run(self._tell(lambda: self._replay(login)))
        assert told in ("replayed", "member_deactivated"), told
        self._see([self.house])

    @rule(name=names, fault=faults)
    def somebody_asks_for_a_seat(self, name: str, fault: Fault | None) -> None:
        self._step(lambda: self._ask(name), reference.ask(self.house, name), fault)

    @rule(which=st.integers(0, 50), back=st.booleans())
    def a_session_is_looked_at(self, which: int, *, back: bool) -> None:
        if self.sessions:
            self.run(self._look_at(self.sessions[which % len(self.sessions)], back=back))

    # What owners, operators and directories do

    @rule(name=anybody, fault=faults)
    def a_seat_is_released(self, name: str, fault: Fault | None) -> None:
        self._step(lambda: self._revoke("release", name), reference.release(self.house, name), fault)

    @rule(name=names, fault=faults)
    def somebody_is_blocked(self, name: str, fault: Fault | None) -> None:
        self._step(lambda: self._revoke("block", name), reference.block(self.house, name), fault)

    @rule(giver=names, taker=names, fault=faults)
    def a_seat_is_passed_on(self, giver: str, taker: str, fault: Fault | None) -> None:
        outcomes = reference.reassign(self.house, giver, taker)
        self._step(lambda: self._revoke("reassign", giver, taker), outcomes, fault)

    @rule(seats=st.integers(1, 2), fault=faults, early=faults)
    def seats_are_bought(self, seats: int, fault: Fault | None, early: Fault | None) -> None:
        if self.house.purchased >= MOST_SEATS:
            return
        if self._step(lambda: self._review(seats), reference.renew(self.house), early) == CUT_SHORT:
            return
        key, quote, before = f"order-{next(_NUMBERS)}", self.quote, self.house
        told = self._step(lambda: self._buy(quote, key), reference.buy(before, seats), fault)
        if told == CUT_SHORT:  # the browser sends the same order again: one order, one invoice
            outcomes = [Outcome("Ordered", self.house)] if self.house != before else reference.buy(before, seats)
            self._step(lambda: self._buy(quote, key), outcomes, None)

    @rule(name=names, fault=faults)
    def a_seat_is_kept(self, name: str, fault: Fault | None) -> None:
        self._step(lambda: self._hold(name), reference.hold(self.house, name), fault)

    @rule(name=names, fault=faults)
    def somebody_is_declined(self, name: str, fault: Fault | None) -> None:
        self._step(lambda: self._decline(name), reference.decline(self.house, name), fault)

    @rule(name=names, fault=faults)
    def somebody_is_invited(self, name: str, fault: Fault | None) -> None:
        self._step(lambda: self._invite(name), reference.invite(self.house, name), fault)

    @rule(name=names, fault=faults)
    def an_invite_is_withdrawn(self, name: str, fault: Fault | None) -> None:
        self._step(lambda: self._withdraw(name), reference.withdraw(self.house, name), fault)

    @rule(name=names, fault=faults)
    def a_directory_creates(self, name: str, fault: Fault | None) -> None:
        self._step(lambda: self._create(name), reference.create(self.house, name), fault)

    @rule(name=names, fault=faults)
    def a_directory_deactivates(self, name: str, fault: Fault | None) -> None:
        if name in self.house.known:
            self._step(lambda: self._set_active(name, False), reference.deactivate(self.house, name), fault)

    @rule(name=names, fault=faults)
    def a_directory_activates(self, name: str, fault: Fault | None) -> None:
        if name in self.house.known:
            self._step(lambda: self._set_active(name, True), reference.activate(self.house, name), fault)

    # What time brings

    @rule(hours=st.sampled_from([1, 25, 71, 72, 73, 170, 336]), fault=faults)
    def hours_pass(self, hours: int, fault: Fault | None) -> None:
        self._move(hours * HOUR)
        self._step(lambda: self._duty(pass_on_holds), [Outcome("done", reference.offer(self.house))], fault)

    @rule(hours=st.sampled_from([1, 72]))
    def hours_pass_and_nobody_works(self, hours: int) -> None:
        self._move(hours * HOUR)

    @rule(seconds=st.sampled_from([1, 90, HOUR, 26 * HOUR, 80 * HOUR]))
    def the_clock_is_set_back(self, seconds: int) -> None:
        if self.clock.instant - timedelta(seconds=seconds) >= YEARS_END or self.clock.instant < YEARS_END:
            self.run(seal(self.runtime))
            self._move(-seconds)

    @rule()
    def a_year_is_over(self) -> None:
        if self.house.due or self.clock.instant >= YEARS_END:
            return
        boundary = _second(to_micros(YEARS_END))
        self.house = replace(self.house, due=(boundary, len(self.house.holders)))
        self._move(boundary + HOUR - self.house.now)

    @rule(fault=faults)
    def the_contract_is_renewed(self, fault: Fault | None) -> None:
        self._step(lambda: self._duty(renew_due), reference.renew(self.house), fault)

    @rule(fault=faults)
    def promises_are_kept(self, fault: Fault | None) -> None:
        self._step(lambda: self._duty(keep_promises), [Outcome("done", self.house)], fault)

    # What happens to Redis

    @rule()
    def redis_is_flushed(self) -> None:
        self.valkey.flush()
        self._redis_was_lost()

    @rule()
    def redis_is_copied(self) -> None:
        with self.valkey.bytes_client() as client:
            keys = [key.decode() for key in client.scan_iter()]
            self.snapshot = [(key, client.dump(key), max(0, client.pttl(key))) for key in keys]

    @rule()
    def an_old_copy_of_redis_is_put_back(self) -> None:
        self.valkey.flush()
        with self.valkey.bytes_client() as client:
            for key, value, milliseconds in self.snapshot:
                client.restore(key, milliseconds, value)
        self._redis_was_lost()
        self.may_outlive = True

    @rule(version=st.sampled_from([0, 1, 10**9]), seats=st.integers(0, 9), used=st.integers(0, 9))
    def the_counter_is_wrong(self, version: int, seats: int, used: int) -> None:
        numbers: dict[Any, Any] = {"version": version, "purchased": seats, "used": used, "reserved": 0}
        with self.valkey.client() as client:
            client.hset(f"sso:{{{self.organization.id}}}:seats", mapping=numbers)

    # What is always true

    @invariant()
    def nobody_holds_a_seat_that_was_not_bought(self) -> None:
        assert len(self.house.holders) + len(self.house.kept) <= self.house.purchased

    # How a step is taken

    def _step(self, act: Callable[[], Awaitable[str]], outcomes: Outcomes, fault: Fault | None) -> str:
        """Act, and compare what was told and what SQL shows with what is right; return what was told."""
        self.drivers.arm(fault)
        told = self.run(self._tell(act))
        struck = self.drivers.fired
        self.drivers.arm(None)
        if struck:
            self._after_a_fault()
        cut_short = told == CUT_SHORT
        assert struck or not cut_short, "unavailable, and nothing was wrong"
        right = [one.house for one in outcomes if cut_short or one.told == told]
        assert right, f"told {told!r}, expected one of {[one.told for one in outcomes]}"
        self._see([*right, self.house] if cut_short else right)
        return told

    async def _tell(self, act: Callable[[], Awaitable[str]]) -> str:
        try:
            return await act()
        except (Died, Unavailable):
            return CUT_SHORT
        except SsoGateError as error:
            return error.__class__.__name__

    def _after_a_fault(self) -> None:
        """Go on as another process would; what the one before had promised may still have to be done."""
        self.gate.door = type(self.gate.door).of(self.runtime)
        self.may_outlive = True

    def _see(self, right: list[House]) -> None:
        """Take the house that SQL shows, which must be one of these."""
        seen = self.run(self._look())
        found = [house for house in right if view(house) == seen]
        assert found, f"\nseen  {seen}\nright " + "\nor    ".join(str(view(house)) for house in right)
        self.house = found[0]

    async def _look(self) -> View:
        seen = await self.runtime.database.read(self._read)
        assert await reconcile(self.runtime, slug=self.organization.slug) == []
        return seen

    def _read(self, tx: Connection) -> View:
        pool = ledger.read(tx, self.organization.id, now=self.clock.now())
        everybody = {row.id: row for row in self._rows(tx, member)}
        for row in everybody.values():
            self._note_generation(row)
        holds = {row.member: row.until_at for row in self._rows(tx, hold)}
        lapsed = {row.member: row.lapsed_at is not None for row in self._rows(tx, waiting)}
        ordered = people.waitlist.in_order(tx, self.organization.id, now=self.clock.now())
        assert {row.member for row in ordered} == set(lapsed), "who waits and who is in line differ"
        return View(
            pool.purchased,
            pool.used,
            tuple(sorted((_name(row.email), row.state) for row in everybody.values())),
            tuple(
                (_name(row.email), row.tries, row.asked is not None, row.declined is not None, lapsed[row.member])
                for row in ordered
            ),
            tuple(sorted((_name(everybody[who].email), _second(until)) for who, until in holds.items())),
            len(billing_core.invoices(tx, customer=self.organization.id, limit=200)),
        )

    def _rows(self, tx: Connection, table: Table) -> Sequence[Any]:
        return tx.execute(select(table).where(table.c.organization == self.organization.id)).all()

    def _note_generation(self, row: Any) -> None:
        """A seat's generation never comes again, and never goes down."""
        name = _name(row.email)
        assert row.generation >= self.generations.get(name, 0)
        self.generations[name] = row.generation

    def _move(self, seconds: int) -> None:
        self.clock.move(timedelta(seconds=seconds))
        self.house = replace(self.house, now=self.house.now + seconds)
        self.earliest, self.latest = min(self.earliest, self.house.now), max(self.latest, self.house.now)
        for kept in self.sessions:
            kept.is_lost |= self.house.now - kept.since >= SESSION

    def _move_away(self, *, back: bool = False) -> None:
        """Go to where the clock has never been: every lease is over there."""
        goes_back = back and self.clock.instant < YEARS_END
        self._move((self.earliest - HOUR if goes_back else self.latest + HOUR) - self.house.now)

    def _redis_was_lost(self) -> None:
        for kept in self.sessions:
            kept.is_lost = True

    # The use cases

    def _login(self, name: str) -> Login:
        """Return a login with a proof of this person's protocol."""
        proved = person(self.organization, name)
        if len(name) == 3 and name < "cyd":
            proved = replace(proved, protocol="saml", connection=f"{self.organization.slug}-saml")
        return fresh_login(proved, self.clock)

    async def _come(self, name: str, login: Login) -> str:
        answer = await self.gate.door.admit(login)
        proof = login.identity.login_id
        noted = await self.runtime.database.read(lambda tx: audit.login_attempts(tx, [proof]))
        if isinstance(answer, Denied):
            assert noted[proof].reason == answer.reason
            return str(answer.reason)
        assert not noted[proof].reason, "let in, and the audit record says otherwise"
        self.sessions.append(Kept(name, answer.token, answer.session, self.house.now))
        return "in"

    async def _replay(self, login: Login) -> str:
        answer = await self.gate.door.admit(replace(login, attempt=new_id("att", self.clock)))
        assert not isinstance(answer, Admission), "a proof opened the door twice"
        return str(answer.reason)

    async def _look_at(self, kept: Kept, *, back: bool = False) -> None:
        """A session opens something while its seat is held, and never afterwards."""
        now = await self.runtime.database.read(lambda tx: members.get(tx, self.organization.id, kept.session.member))
        assert now is not None
        is_his = now.state == "held" and now.generation == kept.session.generation
        if self.may_outlive and not is_his:
            self._move_away(back=back)
        is_alive = isinstance(await Recheck.of(self.runtime).session(kept.token), Alive)
        assert not is_alive or is_his, "a session outlived its seat"
        assert is_alive or not is_his or kept.is_lost, "a holder's session was ended"

    async def _prove_the_log(self) -> None:
        """Every event has its place on the log, and the log is whole, whatever the clock said."""
        await seal(self.runtime)
        _, blocks = await lines(self.runtime, self.organization.id, AuditFilter(), form="jsonl")
        report = verify("".join([block async for block in blocks]).splitlines(keepends=True))
        assert report.is_whole, report.findings
        assert report.rows == len(await self.runtime.database.read(lambda tx: self._rows(tx, audit_event)))

    async def _member(self, name: str) -> Member | None:
        where = address(self.organization, name)
        return await self.runtime.database.read(lambda tx: members.find(tx, self.organization.id, where))

    async def _ask(self, name: str) -> str:
        found = await self._member(name)
        ticket = Ticket(self.organization.id, found.id if found else "mem_none", "", "", "", "", "", 0, "")
        await people.ask(self.runtime, ticket, "please")
        return "done"

    async def _revoke(self, what: str, *who: str) -> str:
        addresses = [address(self.organization, name) for name in who]
        await getattr(Revoker.of(self.runtime), what)(self.organization.id, *addresses, by=OPERATOR)
        return "done"

    async def _review(self, seats: int) -> str:
        self.quote = (await purchase.review(self.runtime, organization=self.organization, add=seats)).id
        return "done"

    async def _buy(self, quote: str, key: str) -> str:
        outcome = await purchase.order(
            self.runtime, organization=self.organization, by=OPERATOR, quote_id=quote, idempotency_key=key
        )
        assert isinstance(outcome, Ordered)
        return "Ordered"

    async def _hold(self, name: str) -> str:
        await people.hold_seat(self.runtime, self.organization.id, address(self.organization, name), by=OPERATOR)
        return "done"

    async def _decline(self, name: str) -> str:
        where = address(self.organization, name)
        await people.decline(self.runtime, self.organization.id, where, "no", by=OPERATOR)
        return "done"

    async def _invite(self, name: str) -> str:
        await invite(self.runtime, self.organization.id, address(self.organization, name), by=OPERATOR)
        return "done"

    async def _withdraw(self, name: str) -> str:
        await withdraw(self.runtime, self.organization.id, address(self.organization, name), by=OPERATOR)
        return "done"

    async def _create(self, name: str) -> str:
        return self._status(await self.scim.create(name))

    async def _set_active(self, name: str, active: bool) -> str:
        found = await self._member(name)
        return self._status(await self.scim.activate(found.id if found else "mem_none", active))

    def _status(self, response: Any) -> str:
        if response.status_code == 500 and self.drivers.has_died:
            raise Died  # an error that came of dying: a dead process answers nobody
        return CUT_SHORT if response.status_code == 503 else str(response.status_code)

    async def _duty(self, duty: Callable[..., Awaitable[object]]) -> str:
        await duty(self.runtime)
        return "done"


def _in_any_order(house: House, who: list[str]) -> Outcomes:
    """Return the outcomes of all orders in which they may be decided; what is told follows `who`."""
    found = []
    for order in set(itertools.permutations(range(len(who)))):
        paths: list[tuple[dict[int, str], House]] = [({}, house)]
        for place in order:
            paths = [
                ({**told, place: one.told}, one.house)
                for told, before in paths
                for one in reference.login(before, who[place])
            ]
        found += [Outcome(", ".join(told[at] for at in range(len(who))), after) for told, after in paths]
    return found


def _name(email: str) -> str:
    return email.partition("@")[0]


def _second(micros: int) -> int:
    return (from_micros(micros) - START) // timedelta(seconds=1)
