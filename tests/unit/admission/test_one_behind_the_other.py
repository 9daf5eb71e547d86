"""Whatever gives a seat, keeps one or takes one away waits for who is at it already, and sees what they have done."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from functools import partial

import pytest

from sso_gate.admission.invites import invite, withdraw
from sso_gate.admission.reconcile import reconcile
from sso_gate.admission.revoke import Revoker
from sso_gate.admission.settle import Allowed, Denied
from sso_gate.billing.renewal import renew
from sso_gate.errors import NoSeatFree
from sso_gate.members import store as members
from sso_gate.members.member import MemberState
from sso_gate.organizations.organization import Organization
from sso_gate.waiting.people import decline, hold_seat
from tests.support.gates import OPERATOR, Gate, MovingClock, address, make_organization, person
from tests.support.two_gates import TwoGates, one_behind_the_other

Deed = Callable[[Gate, Organization, str], Coroutine[None, None, None]]


async def let_in(gate: Gate, organization: Organization, *names: str) -> None:
    for name in names:
        assert isinstance(await gate.settle(person(organization, name)), Allowed)


async def turn_away(gate: Gate, organization: Organization, *names: str) -> None:
    for name in names:
        assert isinstance(await gate.settle(person(organization, name)), Denied)


async def inviting(gate: Gate, organization: Organization, name: str) -> None:
    await invite(gate.runtime, organization.id, address(organization, name), by=OPERATOR)


async def withdrawing(gate: Gate, organization: Organization, name: str) -> None:
    await withdraw(gate.runtime, organization.id, address(organization, name), by=OPERATOR)


async def holding(gate: Gate, organization: Organization, name: str) -> None:
    await hold_seat(gate.runtime, organization.id, address(organization, name), by=OPERATOR)


async def declining(gate: Gate, organization: Organization, name: str) -> None:
    await decline(gate.runtime, organization.id, address(organization, name), "no", by=OPERATOR)


async def releasing(gate: Gate, organization: Organization, name: str) -> None:
    await Revoker.of(gate.runtime).release(organization.id, address(organization, name), by=OPERATOR)


async def blocking(gate: Gate, organization: Organization, name: str) -> None:
    await Revoker.of(gate.runtime).block(organization.id, address(organization, name), by=OPERATOR)


async def passing_on(gate: Gate, organization: Organization, name: str) -> None:
    giver, taker = address(organization, name), address(organization, "dan")
    await Revoker.of(gate.runtime).reassign(organization.id, giver, taker, by=OPERATOR)


@pytest.mark.parametrize(
    ("deed", "state", "used"),
    [
        (releasing, MemberState.RELEASED, 1),
        (blocking, MemberState.BLOCKED, 1),
        (passing_on, MemberState.RELEASED, 2),
    ],
)
async def test_a_seat_is_taken_back_from_somebody_who_waited_and_is_given_it_just_now(
    two_gates: TwoGates, deed: Deed, state: MemberState, used: int
):
    here, there = two_gates
    organization = await make_organization(here.runtime, seats=2)
    await let_in(here, organization, "bob")
    await turn_away(here, organization, "ana")
    await releasing(here, organization, "bob")
    comes = partial(there.settle, person(organization, "ana"))
    answer, _ = await one_behind_the_other(there, comes, deed(here, organization, "ana"))
    assert isinstance(answer, Allowed)
    ana = await here.runtime.database.read(lambda tx: members.get(tx, organization.id, answer.member.id))
    pool = await here.pool(organization.id)
    assert ana
    assert (ana.state, pool.used, pool.reserved) == (state, used, 0)
    assert await reconcile(here.runtime) == []


@pytest.mark.parametrize("deed", [inviting, holding])
async def test_the_last_free_seat_is_kept_for_one_of_two(two_gates: TwoGates, deed: Deed):
    here, there = two_gates
    organization = await make_organization(here.runtime, seats=2, hold=False)
    if deed is holding:
        await let_in(here, organization, "bob")
        await turn_away(here, organization, "ana", "cyd")
        await releasing(here, organization, "bob")
    with pytest.raises(NoSeatFree):
        await one_behind_the_other(there, partial(deed, there, organization, "ana"), deed(here, organization, "cyd"))
    pool = await here.pool(organization.id)
    assert (pool.purchased, pool.used, pool.reserved) == (2, 1, 1)
    await turn_away(here, organization, "cyd")
    await let_in(here, organization, "ana")


@pytest.mark.parametrize("deed", [withdrawing, declining])
async def test_two_seats_that_were_kept_go_to_the_next_two(two_gates: TwoGates, deed: Deed):
    here, there = two_gates
    organization = await make_organization(here.runtime, seats=3)
    if deed is withdrawing:
        await inviting(here, organization, "ana")
        await inviting(here, organization, "cyd")
    else:
        await let_in(here, organization, "pia", "rob")
        await turn_away(here, organization, "ana", "cyd")
        await releasing(here, organization, "pia")
        await releasing(here, organization, "rob")
    await turn_away(here, organization, "bob", "dan")
    await one_behind_the_other(there, partial(deed, there, organization, "ana"), deed(here, organization, "cyd"))
    pool = await here.pool(organization.id)
    assert (pool.purchased, pool.used, pool.reserved) == (3, 1, 2)
    await turn_away(here, organization, "ana", "cyd")
    await let_in(here, organization, "bob", "dan")


async def test_a_late_renewal_for_fewer_seats_takes_in_who_comes_just_now(
    two_gates: TwoGates, moving_clock: MovingClock
):
    here, there = two_gates
    organization = await make_organization(here.runtime, seats=5)
    moving_clock.instant = now = datetime(2027, 1, 1, 1, tzinfo=UTC)
    await let_in(here, organization, "ana")
    comes = partial(there.settle, person(organization, "bob"))
    answer, done = await one_behind_the_other(there, comes, renew(here.runtime, organization.id, now=now))
    assert isinstance(answer, Allowed)
    assert [one.seats for one in done.renewed] == [1], "one seat was in use when the term ended"
    pool = await here.pool(organization.id)
    assert (pool.purchased, pool.used) == (3, 3)
    await let_in(here, organization, "owner", "ana", "bob")
    assert await reconcile(here.runtime) == []
