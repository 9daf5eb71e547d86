"""What a waiting page may say, from SQL alone, at every turn of a waiting person's way."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sso_gate.admission.revoke import Revoker
from sso_gate.admission.settle import Allowed, Denied
from sso_gate.billing import purchase
from sso_gate.errors import Conflict, NotFound
from sso_gate.members import store as members
from sso_gate.organizations.organization import Organization
from sso_gate.waiting import people
from sso_gate.waiting.state import ASK_AGAIN_AFTER, REMIND_AFTER, WaitingState, waiting_state
from sso_gate.waiting.ticket import Ticket
from sso_gate.worker import pass_on_holds
from tests.support.gates import OPERATOR, Gate, MovingClock, address, make_organization, person

HOLD = timedelta(hours=72)


@pytest.fixture
async def full(inside: Gate) -> Organization:
    """An organization whose only seat its owner holds; eva and fay were refused, in this order."""
    organization = await make_organization(inside.runtime, seats=1)
    for name in ("eva", "fay"):
        assert isinstance(await inside.settle(person(organization, name)), Denied)
    return organization


async def ticket(inside: Gate, organization: Organization, name: str) -> Ticket:
    where = address(organization, name)
    found = await inside.runtime.database.read(lambda tx: members.find(tx, organization.id, where))
    member = found.id if found else "mem_nobody"
    return Ticket(organization.id, member, where, "seat_unavailable", "REF", "", "/", 0, "")


async def state(inside: Gate, organization: Organization, name: str) -> WaitingState:
    about = await ticket(inside, organization, name)
    now = inside.runtime.clock.now()
    return await inside.runtime.database.read(lambda tx: waiting_state(tx, about, now=now))


async def waiting(inside: Gate, organization: Organization) -> int:
    return (await purchase.seats_overview(inside.runtime, organization.id)).waiting


async def buy(inside: Gate, organization: Organization, seats: int) -> None:
    quote = await purchase.review(inside.runtime, organization=organization, add=seats)
    await purchase.order(
        inside.runtime, organization=organization, by=OPERATOR, quote_id=quote.id, idempotency_key=quote.id
    )


async def test_who_was_refused_may_ask(inside: Gate, full: Organization):
    found = await state(inside, full, "eva")
    assert (found.state, found.can_ask, found.can_remind) == ("blocked", True, False)


async def test_who_has_asked_may_remind_after_a_day(inside: Gate, full: Organization, moving_clock: MovingClock):
    await people.ask(inside.runtime, await ticket(inside, full, "eva"), "please")
    found = await state(inside, full, "eva")
    assert (found.state, found.message, found.can_remind) == ("asked", "please", False)
    moving_clock.move(REMIND_AFTER)
    assert (await state(inside, full, "eva")).can_remind


async def test_a_seat_that_is_kept_says_until_when_and_nobody_else_may_continue(inside: Gate, full: Organization):
    await buy(inside, full, 1)
    found = await state(inside, full, "eva")
    assert found.state == "held"
    assert found.held_until is not None
    assert HOLD - timedelta(minutes=1) < found.held_until - inside.runtime.clock.now() <= HOLD
    assert (await state(inside, full, "fay")).state == "blocked"


async def test_a_seat_that_is_free_for_anybody_lets_everybody_continue(inside: Gate):
    open_house = await make_organization(inside.runtime, seats=1, hold=False)
    assert isinstance(await inside.settle(person(open_house, "eva")), Denied)
    await buy(inside, open_house, 1)
    found = await state(inside, open_house, "eva")
    assert (found.state, found.held_until) == ("held", None)


async def test_whose_hold_has_run_out_is_told_so_until_they_try_again(
    inside: Gate, full: Organization, moving_clock: MovingClock
):
    await buy(inside, full, 1)
    moving_clock.move(HOLD + timedelta(seconds=1))
    await pass_on_holds(inside.runtime)
    assert (await state(inside, full, "eva")).state == "expired"
    assert (await state(inside, full, "fay")).state == "held"
    assert isinstance(await inside.settle(person(full, "eva")), Denied)
    assert (await state(inside, full, "eva")).state == "blocked"


async def test_who_tries_again_after_the_clock_was_set_back_is_in_the_line_again(
    inside: Gate, full: Organization, moving_clock: MovingClock
):
    await buy(inside, full, 1)
    moving_clock.move(HOLD)
    await pass_on_holds(inside.runtime)
    assert (await state(inside, full, "eva")).can_ask is False
    moving_clock.move(-timedelta(days=1))
    assert isinstance(await inside.settle(person(full, "eva")), Denied)
    assert (await state(inside, full, "eva")).can_ask is True


async def test_a_seat_is_offered_once_though_they_asked_before_the_clock_was_set_back(
    inside: Gate, moving_clock: MovingClock
):
    organization = await make_organization(inside.runtime, seats=1)
    assert isinstance(await inside.settle(person(organization, "eva")), Denied)
    await people.ask(inside.runtime, await ticket(inside, organization, "eva"), "please")
    moving_clock.move(-2 * HOLD)
    await buy(inside, organization, 1)
    assert (await inside.pool(organization.id)).available == 0
    moving_clock.move(HOLD)
    await pass_on_holds(inside.runtime)
    assert (await inside.pool(organization.id)).available == 1


async def test_nobody_continues_on_a_hold_that_ran_out_a_moment_ago(
    inside: Gate, full: Organization, moving_clock: MovingClock
):
    await buy(inside, full, 1)
    moving_clock.move(HOLD + timedelta(seconds=1))
    assert (await state(inside, full, "fay")).state == "blocked"  # it goes to the next when somebody looks: not to say


async def test_who_was_declined_sees_the_answer_and_may_ask_again_after_a_week(
    inside: Gate, full: Organization, moving_clock: MovingClock
):
    before = await waiting(inside, full)
    await people.decline(inside.runtime, full.id, address(full, "eva"), "next year", by=OPERATOR)
    found = await state(inside, full, "eva")
    assert (found.state, found.answer, found.can_ask) == ("declined", "next year", False)
    assert await waiting(inside, full) == before - 1, "no seat is suggested for whom the owners declined"
    with pytest.raises(Conflict):
        await people.ask(inside.runtime, await ticket(inside, full, "eva"), "please")
    moving_clock.move(ASK_AGAIN_AFTER)
    assert (await state(inside, full, "eva")).can_ask
    await people.ask(inside.runtime, await ticket(inside, full, "eva"), "please")
    assert await waiting(inside, full) == before


async def test_a_member_who_was_blocked_or_never_was_is_told_nothing(inside: Gate, full: Organization):
    await Revoker.of(inside.runtime).block(full.id, address(full, "eva"), by=OPERATOR)
    for name in ("eva", "nobody"):
        assert await state(inside, full, name) == WaitingState("expired")


async def test_who_has_a_seat_meanwhile_may_continue(inside: Gate, full: Organization):
    await buy(inside, full, 1)
    assert isinstance(await inside.settle(person(full, "eva")), Allowed)
    assert (await state(inside, full, "eva")).state == "held"


async def test_an_owner_keeps_a_seat_for_whom_they_choose_as_long_as_one_is_free(inside: Gate):
    open_house = await make_organization(inside.runtime, seats=1, hold=False)
    for name in ("eva", "fay"):
        assert isinstance(await inside.settle(person(open_house, name)), Denied)
    await buy(inside, open_house, 1)
    pool = await people.hold_seat(inside.runtime, open_house.id, address(open_house, "fay"), by=OPERATOR)
    assert (pool.reserved, pool.available) == (1, 0)
    assert (await state(inside, open_house, "fay")).held_until
    assert isinstance(await inside.settle(person(open_house, "eva")), Denied)
    with pytest.raises(Conflict):
        await people.hold_seat(inside.runtime, open_house.id, address(open_house, "eva"), by=OPERATOR)


@pytest.mark.parametrize("name", ["nobody", "owner"])
async def test_a_seat_is_kept_only_for_somebody_who_waits(inside: Gate, full: Organization, name: str):
    with pytest.raises(NotFound if name == "nobody" else Conflict):
        await people.hold_seat(inside.runtime, full.id, address(full, name), by=OPERATOR)
    with pytest.raises(NotFound):
        await people.decline(inside.runtime, full.id, address(full, name), "", by=OPERATOR)


async def test_who_was_told_no_is_not_let_in_by_a_page_left_open_when_a_seat_is_free(inside: Gate, full: Organization):
    await people.decline(inside.runtime, full.id, address(full, "eva"), "next month", by=OPERATOR)
    await people.decline(inside.runtime, full.id, address(full, "fay"), "no", by=OPERATOR)
    await buy(inside, full, 1)
    assert (await state(inside, full, "eva")).state == "declined"
