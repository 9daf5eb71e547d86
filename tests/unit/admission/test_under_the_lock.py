"""What is known under the lock is what counts, and what is told of the seats is what is committed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import Connection, insert, update

from sso_gate.admission.invites import invite, invited_member
from sso_gate.admission.revoke import Revoker
from sso_gate.admission.settle import Allowed, Denied, Settled, settle
from sso_gate.errors import Reason
from sso_gate.identity import Identity
from sso_gate.members import store as members
from sso_gate.members.member import MemberState
from sso_gate.organizations.organization import Organization
from sso_gate.seats import ledger
from sso_gate.seats.ledger import Pool
from sso_gate.storage import tables
from sso_gate.storage.postgres_line import Line
from sso_gate.waiting.people import hold_seat
from tests.support.gates import OPERATOR, Gate, MovingClock, address, fresh_login, make_organization, person
from tests.support.two_gates import TwoGates, one_behind_the_other


async def invited(gate: Gate, organization: Organization, *names: str) -> None:
    for name in names:
        await invite(gate.runtime, organization.id, address(organization, name), by=OPERATOR)


def name_in_directory(tx: Connection, member_id: str, organization: Organization, subject: str) -> None:
    values = {"member": member_id, "organization": organization.id, "external_id": subject}
    tx.execute(insert(tables.scim_user).values(**values, wanted=True, attributes="{}", changed_at=1))


async def settled(gate: Gate, organization: Organization, *people: Identity) -> tuple[Settled, Pool]:
    """Return what these logins come to in one transaction, and the pool as SQL has it there."""
    clock = gate.runtime.clock
    logins = [fresh_login(one, clock) for one in people]

    def work(tx: Connection) -> tuple[Settled, Pool]:
        found = settle(tx, organization.id, logins, hint="unknown", clock=clock, hold=timedelta(days=3))
        return found, ledger.read(tx, organization.id, now=clock.now())

    return await gate.runtime.database.write(work)


@pytest.mark.parametrize("who", ["bob", "ana", "ana bob", "bob ana bob owner cyd"])
async def test_the_pool_that_is_told_is_the_one_that_is_committed(inside: Gate, who: str):
    organization = await make_organization(inside.runtime, seats=3)
    await invited(inside, organization, "ana")
    found, pool = await settled(inside, organization, *(person(organization, name) for name in who.split()))
    assert found.pool == pool == await inside.pool(organization.id)


async def test_who_was_deactivated_before_the_first_login_stays_out(inside: Gate):
    organization = await make_organization(inside.runtime, seats=3)
    await invited(inside, organization, "ana")
    blocked = update(tables.member).where(tables.member.c.email == address(organization, "ana")).values(state="blocked")
    await inside.runtime.database.write(lambda tx: tx.execute(blocked))
    answer = await inside.settle(person(organization, "ana"), "free")
    assert isinstance(answer, Denied)
    assert answer.reason is Reason.MEMBER_DEACTIVATED


async def test_a_name_in_the_directory_counts_where_the_address_is_somebody_elses_and_not_trusted(inside: Gate):
    organization = await make_organization(inside.runtime, seats=9)
    await invited(inside, organization, "ana", "bob")
    ana = person(organization, "ana")

    def provision(tx: Connection) -> None:
        member = members.find(tx, organization.id, address(organization, "ana"))
        assert member
        name_in_directory(tx, member.id, organization, ana.subject)

    await inside.runtime.database.write(provision)
    comes = replace(ana, email=address(organization, "bob"), email_verified=False)
    answer = await inside.settle(comes, "free")
    assert isinstance(answer, Allowed)
    assert answer.member.email == address(organization, "ana")


def after_the_first_look(monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object]) -> None:
    """Let this happen when PostgreSQL has answered the next question."""
    ways, send = list[int](), Line.send

    def and_meanwhile(line: Line) -> None:
        send(line)
        ways.append(1)
        if len(ways) == 1:
            meanwhile()

    monkeypatch.setattr(Line, "send", and_meanwhile)


async def pass_a_seat_on(gate: Gate, organization: Organization, *names: str) -> None:
    """Turn these people away, and keep a seat that somebody gives back for the first of them."""
    for name in ("somebody", *names):
        await gate.settle(person(organization, name))
    await Revoker.of(gate.runtime).release(organization.id, address(organization, "somebody"), by=OPERATOR)


async def test_who_comes_in_by_another_tab_is_not_refused_in_this_one(
    two_gates: TwoGates, monkeypatch: pytest.MonkeyPatch
):
    here, there = two_gates
    organization = await make_organization(here.runtime, seats=2)
    await pass_a_seat_on(here, organization, "ana")
    ana, loop = person(organization, "ana"), asyncio.get_running_loop()
    answers = list[Allowed | Denied]()

    def comes_in_there() -> None:
        answers.append(asyncio.run_coroutine_threadsafe(there.settle(ana), loop).result(20))

    after_the_first_look(monkeypatch, comes_in_there)
    answers.append(await here.settle(ana, "full"))
    assert [type(answer) for answer in answers] == [Allowed, Allowed]


async def test_a_seat_whose_hold_runs_out_while_its_person_comes_is_not_kept_for_another_too(
    two_gates: TwoGates, moving_clock: MovingClock, monkeypatch: pytest.MonkeyPatch
):
    here, there = two_gates
    organization = await make_organization(here.runtime, seats=2)
    await pass_a_seat_on(here, organization, "ana", "bob")
    moving_clock.move(here.runtime.settings.seat_hold - timedelta(seconds=1))
    loop = asyncio.get_running_loop()

    def kept_for_bob() -> None:
        moving_clock.move(timedelta(seconds=1))
        keeps = hold_seat(there.runtime, organization.id, address(organization, "bob"), by=OPERATOR)
        asyncio.run_coroutine_threadsafe(keeps, loop).result(20)

    after_the_first_look(monkeypatch, kept_for_bob)
    ana = await here.settle(person(organization, "ana"), "free")
    bob = await there.settle(person(organization, "bob"), "free")
    assert (type(ana), type(bob)) == (Denied, Allowed)


async def test_a_domain_that_goes_between_the_look_and_the_lock_takes_its_addresses_with_it(
    two_gates: TwoGates, monkeypatch: pytest.MonkeyPatch
):
    here, _ = two_gates
    organization = await make_organization(here.runtime, seats=3)
    await invited(here, organization, "ana")

    def the_domain_goes() -> None:
        with psycopg.connect(here.runtime.settings.database_url, autocommit=True) as other:
            other.execute("DELETE FROM organization_domain")

    after_the_first_look(monkeypatch, the_domain_goes)
    answer = await here.settle(person(organization, "ana"), "free")
    assert isinstance(answer, Denied)
    assert answer.reason is Reason.DOMAIN_NOT_ALLOWED


class Elsewhere:
    """What another gate does under the lock while a person waits for it here: a new member, or a change."""

    def __init__(self, tx: Connection, gate: Gate, organization: Organization, ana: Identity) -> None:
        self.tx, self.organization, self.ana = tx, organization, ana
        self.clock = gate.runtime.clock

    def member(self, name: str, *, state: MemberState = MemberState.RELEASED) -> str:
        made = invited_member(self.tx, self.organization.id, address(self.organization, name), clock=self.clock)
        members.set_state(self.tx, made.id, state)
        return made.id

    def bind(self, member_id: str, proved: Identity) -> None:
        members.bind(self.tx, [(member_id, proved)], at=self.clock.now())

    def deactivated(self) -> None:
        self.member("ana", state=MemberState.BLOCKED)

    def deactivated_in_the_directory(self) -> None:
        who = self.member("zed", state=MemberState.BLOCKED)
        name_in_directory(self.tx, who, self.organization, self.ana.subject)

    def last_seat_kept(self) -> None:
        now = self.clock.now()
        ledger.keep_for(self.tx, self.organization.id, [self.member("bob")], now=now, until=now + timedelta(days=1))

    def last_seat_taken(self) -> None:
        ledger.grant(self.tx, self.organization.id, {self.member("bob"): "evt_bob"}, now=self.clock.now())

    def address_bound_to_another(self) -> None:
        self.bind(self.member("ana"), replace(self.ana, subject="another"))

    def came_in_and_went(self) -> None:
        self.bind(self.member("ana"), self.ana)

    def organization_disabled(self) -> None:
        self.tx.execute(update(tables.organization).values(enabled=False))


@pytest.mark.parametrize(
    ("meanwhile", "reason"),
    [
        (Elsewhere.deactivated, Reason.MEMBER_DEACTIVATED),
        (Elsewhere.deactivated_in_the_directory, Reason.MEMBER_DEACTIVATED),
        (Elsewhere.last_seat_kept, Reason.SEAT_UNAVAILABLE),
        (Elsewhere.last_seat_taken, Reason.SEAT_UNAVAILABLE),
        (Elsewhere.address_bound_to_another, Reason.SUBJECT_CONFLICT),
        (Elsewhere.came_in_and_went, None),
        (Elsewhere.organization_disabled, Reason.ORGANIZATION_DISABLED),
    ],
)
async def test_whoever_waited_for_the_lock_sees_what_was_done_under_it(
    two_gates: TwoGates, meanwhile: Callable[[Elsewhere], None], reason: Reason | None
):
    here, there = two_gates
    organization = await make_organization(here.runtime, seats=2)
    ana = person(organization, "ana")

    def elsewhere(tx: Connection) -> None:
        ledger.take_lock(tx, organization.id)
        ledger.read(tx, organization.id, now=there.runtime.clock.now())
        meanwhile(Elsewhere(tx, there, organization, ana))

    _, answer = await one_behind_the_other(
        there, lambda: there.runtime.database.write(elsewhere), here.settle(ana, "free")
    )
    assert (answer.reason if isinstance(answer, Denied) else None) is reason
    pool = await here.pool(organization.id)
    assert pool.used + pool.reserved <= pool.purchased
