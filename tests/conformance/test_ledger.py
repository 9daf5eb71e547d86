"""The ledger and the waiting list on SQLite and PostgreSQL: the same promises from the same statements."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from sso_gate.admission.settle import Allowed, Denied
from sso_gate.errors import Conflict, NotFound
from sso_gate.members import store as members
from sso_gate.members.member import MemberState
from sso_gate.seats import ledger, waitlist
from sso_gate.storage import outbox
from sso_gate.storage.tables import seat_entry, waiting
from sso_gate.waiting import people
from tests.support.gates import OPERATOR, Gate, MovingClock, address, make_organization, person

HOLD = timedelta(hours=72)


async def refused(inside: Gate, organization, *names: str) -> None:
    for name in names:
        assert isinstance(await inside.settle(person(organization, name)), Denied)


async def line(inside: Gate, organization) -> list[str]:
    rows = await people.waiting_people(inside.runtime, organization.id)
    return [row.name for row in rows]


async def held(inside: Gate, organization) -> list[str]:
    rows = await people.waiting_people(inside.runtime, organization.id)
    return sorted(row.name for row in rows if row.held_until)


async def buy(inside: Gate, organization, seats: int) -> ledger.Pool:
    clock = inside.runtime.clock

    def work(tx):
        ledger.set_purchased(tx, organization.id, seats, now=clock.now())
        return waitlist.offer(tx, organization.id, clock=clock, until=clock.now() + HOLD)

    return await inside.runtime.database.write(work)


async def test_every_change_raises_the_version_by_one_and_used_counts_rows(inside: Gate):
    organization = await make_organization(inside.runtime, seats=3)
    before = await inside.pool(organization.id)
    assert isinstance(await inside.settle(person(organization, "ana")), Allowed)
    after = await inside.pool(organization.id)
    assert (after.used, after.version) == (before.used + 1, before.version + 1)
    await inside.settle(person(organization, "ana"))  # a returning one changes nothing
    assert await inside.pool(organization.id) == after


async def test_the_pool_can_not_go_below_the_seats_in_use(inside: Gate):
    organization = await make_organization(inside.runtime, seats=3)
    await inside.settle(person(organization, "ana"))
    with pytest.raises(IntegrityError):
        await inside.runtime.database.write(
            lambda tx: ledger.set_purchased(tx, organization.id, 1, now=inside.runtime.clock.now())
        )
    assert (await inside.pool(organization.id)).purchased == 3


async def test_granting_a_seat_to_a_holder_takes_the_whole_transaction_back(inside: Gate):
    organization = await make_organization(inside.runtime, seats=3)
    now = inside.runtime.clock.now()

    def work(tx):
        owner = members.find(tx, organization.id, address(organization, "owner"))
        assert owner is not None
        return ledger.grant(tx, organization.id, {owner.id: "evt_x"}, now=now)

    before = await inside.pool(organization.id)
    with pytest.raises(Conflict):
        await inside.runtime.database.write(work)
    assert await inside.pool(organization.id) == before


async def test_an_unknown_organization_has_no_seats(inside: Gate):
    with pytest.raises(NotFound):
        await inside.pool("org_unknown")


async def test_refused_people_are_recorded_once_and_counted(inside: Gate):
    organization = await make_organization(inside.runtime, seats=1)
    await refused(inside, organization, "ana", "ana", "bob", "ana")
    rows = await people.waiting_people(inside.runtime, organization.id)
    assert [(row.name, row.tries) for row in rows] == [("ana", 3), ("bob", 1)]


async def test_who_asked_comes_before_who_was_refused_earlier(inside: Gate):
    organization = await make_organization(inside.runtime, seats=1)
    await refused(inside, organization, "ana", "bob", "cyd")

    def ask(tx):
        cyd = members.find(tx, organization.id, address(organization, "cyd"))
        assert cyd is not None
        waitlist.ask(tx, cyd.id, "please", now=inside.runtime.clock.now())

    await inside.runtime.database.write(ask)
    assert await line(inside, organization) == ["cyd", "ana", "bob"]
    await buy(inside, organization, 3)
    assert await held(inside, organization) == ["ana", "cyd"]


async def test_added_seats_go_to_those_who_wait_however_many_they_are(inside: Gate):
    organization = await make_organization(inside.runtime, seats=1)
    await refused(inside, organization, *(f"p{at:03}" for at in range(230)))
    pool = await buy(inside, organization, 221)
    assert (pool.reserved, pool.available) == (220, 0)
    assert isinstance(await inside.settle(person(organization, "stranger"), "free"), Denied)
    assert isinstance(await inside.settle(person(organization, "p219"), "full"), Allowed)
    assert isinstance(await inside.settle(person(organization, "p220"), "free"), Denied)


async def test_a_hold_that_runs_out_goes_to_the_next_and_is_not_offered_again(inside: Gate, moving_clock: MovingClock):
    organization = await make_organization(inside.runtime, seats=1)
    await refused(inside, organization, "ana", "bob")
    await buy(inside, organization, 2)
    assert await held(inside, organization) == ["ana"]
    moving_clock.move(HOLD + timedelta(seconds=1))
    assert isinstance(await inside.settle(person(organization, "stranger")), Denied)  # passed on before he is decided
    assert await held(inside, organization) == ["bob"]
    moving_clock.move(HOLD + timedelta(seconds=1))
    assert isinstance(await inside.settle(person(organization, "late")), Denied)  # the stranger is next in line
    assert await held(inside, organization) == ["stranger"]


async def test_a_seat_that_nobody_wants_any_more_is_free_for_anybody(inside: Gate, moving_clock: MovingClock):
    organization = await make_organization(inside.runtime, seats=1)
    await refused(inside, organization, "gone")
    await buy(inside, organization, 2)
    moving_clock.move(HOLD + timedelta(seconds=1))
    assert isinstance(await inside.settle(person(organization, "stranger"), "full"), Allowed)


async def test_declined_people_are_skipped_and_their_hold_goes_to_the_next(inside: Gate):
    organization = await make_organization(inside.runtime, seats=1)
    await refused(inside, organization, "ana", "bob")
    await buy(inside, organization, 2)
    await people.decline(inside.runtime, organization.id, address(organization, "ana"), "no", by=OPERATOR)
    assert await held(inside, organization) == ["bob"]
    assert (await inside.pool(organization.id)).reserved == 1


async def test_somebody_who_was_blocked_and_comes_back_waits_again(inside: Gate):
    organization = await make_organization(inside.runtime, seats=1)
    await refused(inside, organization, "ana")

    def unblock(tx):
        ana = members.find(tx, organization.id, address(organization, "ana"))
        assert ana is not None
        members.set_state(tx, ana.id, MemberState.RELEASED)

    await inside.runtime.database.write(unblock)
    await refused(inside, organization, "ana")
    await buy(inside, organization, 2)
    assert await held(inside, organization) == ["ana"]


async def test_only_organizations_with_something_to_pass_on_are_found(inside: Gate):
    idle = await make_organization(inside.runtime, seats=5)
    waits = await make_organization(inside.runtime, seats=1)
    await refused(inside, waits, "ana")
    read = inside.runtime.database.read
    assert await read(lambda tx: waitlist.to_be_offered(tx, now=inside.runtime.clock.now())) == []
    await inside.runtime.database.write(
        lambda tx: ledger.set_purchased(tx, waits.id, 2, now=inside.runtime.clock.now())
    )
    assert await read(lambda tx: waitlist.to_be_offered(tx, now=inside.runtime.clock.now())) == [waits.id]
    assert idle.id != waits.id


async def test_a_claimed_promise_is_put_off_and_comes_back_until_it_is_done(inside: Gate, moving_clock: MovingClock):
    organization = await make_organization(inside.runtime, seats=1)
    write, now = inside.runtime.database.write, moving_clock.now
    await write(lambda tx: outbox.add(tx, organization.id, "session.purge", clock=moving_clock, subject="mem_x"))
    [first] = await write(lambda tx: outbox.claim(tx, now=now()))
    assert await write(lambda tx: outbox.claim(tx, now=now())) == []
    moving_clock.move(timedelta(seconds=6))
    [again] = await write(lambda tx: outbox.claim(tx, now=now()))
    assert (again.id, again.attempts) == (first.id, 1)
    await write(lambda tx: outbox.done(tx, again, now=now()))
    moving_clock.move(timedelta(hours=2))
    assert await write(lambda tx: outbox.claim(tx, now=now())) == []
    assert await write(lambda tx: outbox.forget_done(tx, before=now())) == 1


async def test_the_entries_say_who_held_a_seat_when(inside: Gate):
    organization = await make_organization(inside.runtime, seats=3)
    await inside.settle(person(organization, "ana"))
    now = inside.runtime.clock.now()
    assert await inside.runtime.database.read(lambda tx: ledger.in_use_at(tx, organization.id, now)) == 2
    total = select(func.sum(seat_entry.c.delta)).where(seat_entry.c.organization == organization.id)
    assert await inside.runtime.database.read(lambda tx: tx.execute(total).scalar_one()) == 2


async def test_a_waiting_person_who_got_a_seat_meanwhile_is_not_put_back_on_the_list(inside: Gate):
    organization = await make_organization(inside.runtime, seats=1)
    await refused(inside, organization, "ana")
    await buy(inside, organization, 2)
    assert isinstance(await inside.settle(person(organization, "ana")), Allowed)
    ana = await inside.runtime.database.read(lambda tx: members.find(tx, organization.id, address(organization, "ana")))
    assert ana is not None
    await inside.runtime.database.write(lambda tx: waitlist.note_again(tx, [ana.id], now=inside.runtime.clock.now()))
    rows = select(func.count()).select_from(waiting)
    assert await inside.runtime.database.read(lambda tx: tx.execute(rows).scalar_one()) == 0


async def test_who_comes_when_their_hold_has_run_out_and_finds_it_passed_on_is_in_the_line_again(
    inside: Gate, moving_clock: MovingClock
):
    organization = await make_organization(inside.runtime, seats=1)
    await refused(inside, organization, "ana", "bob")
    await buy(inside, organization, 2)
    moving_clock.move(HOLD + timedelta(seconds=1))
    await refused(inside, organization, "ana")  # too late: the same transaction has passed her seat on to bob
    assert await held(inside, organization) == ["bob"]
    await buy(inside, organization, 3)
    assert await held(inside, organization) == ["ana", "bob"]
