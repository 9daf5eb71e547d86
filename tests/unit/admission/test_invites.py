"""Invites: a seat that is kept for an address is everywhere counted as reserved, and theirs alone until its day."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from sso_gate.admission.admit import Admission
from sso_gate.admission.invites import INVITED_FOR, invite, invites, withdraw
from sso_gate.admission.reconcile import reconcile
from sso_gate.admission.settle import Denied
from sso_gate.audit import store as audit
from sso_gate.audit.event import Action
from sso_gate.audit.sealer import seal
from sso_gate.errors import Conflict, InvalidInput, NotFound
from sso_gate.worker import pass_on_holds
from tests.support.gates import OPERATOR, Gate, MovingClock, address, make_organization, person


async def invited(inside: Gate, organization, name: str = "ana") -> None:
    await invite(inside.runtime, organization.id, address(organization, name), by=OPERATOR)


async def test_an_invited_person_takes_the_seat_that_was_kept_and_nobody_else_does(inside: Gate):
    organization = await make_organization(inside.runtime, seats=2)
    await invited(inside, organization)
    pool = await inside.pool(organization.id)
    assert (pool.used, pool.reserved, pool.available) == (1, 1, 0)
    assert isinstance(await inside.login(person(organization, "bob")), Denied)
    stranger = replace(person(organization, "ana"), email_verified=False)
    assert isinstance(await inside.login(stranger), Denied), "an address that nobody has verified is nobody's"
    assert isinstance(await inside.login(person(organization, "ana")), Admission)
    pool = await inside.pool(organization.id)
    assert (pool.used, pool.reserved) == (2, 0)
    assert await invites(inside.runtime, organization.id) == []
    assert await reconcile(inside.runtime) == []


async def test_an_invite_that_is_not_taken_up_goes_to_whoever_waits(inside: Gate, moving_clock: MovingClock):
    organization = await make_organization(inside.runtime, seats=2)
    await invited(inside, organization)
    assert isinstance(await inside.login(person(organization, "bob")), Denied)
    moving_clock.move(INVITED_FOR + timedelta(seconds=1))
    await pass_on_holds(inside.runtime)
    assert await invites(inside.runtime, organization.id) == []
    assert isinstance(await inside.login(person(organization, "ana")), Denied)
    assert isinstance(await inside.login(person(organization, "bob")), Admission)


async def test_a_withdrawn_invite_lets_the_next_one_in(inside: Gate):
    organization = await make_organization(inside.runtime, seats=2)
    await invited(inside, organization)
    assert isinstance(await inside.login(person(organization, "bob")), Denied)
    await withdraw(inside.runtime, organization.id, address(organization, "ana"), by=OPERATOR)
    assert isinstance(await inside.login(person(organization, "ana")), Denied)
    assert isinstance(await inside.login(person(organization, "bob")), Admission)


async def test_inviting_again_keeps_one_seat_for_longer(inside: Gate, moving_clock: MovingClock):
    organization = await make_organization(inside.runtime, seats=2)
    await invited(inside, organization)
    moving_clock.move(timedelta(days=3))
    await invited(inside, organization)
    [one] = await invites(inside.runtime, organization.id)
    assert one.until - moving_clock.now() > INVITED_FOR - timedelta(minutes=1)
    assert (await inside.pool(organization.id)).reserved == 1


async def test_nobody_is_invited_without_a_seat_twice_over_or_from_elsewhere(inside: Gate):
    organization = await make_organization(inside.runtime, seats=2)
    before = await inside.pool(organization.id)
    for elsewhere in ("ana@elsewhere.example", *(address(organization, name) for name in ("", "ana bea", "ana@b"))):
        with pytest.raises(InvalidInput):
            await invite(inside.runtime, organization.id, elsewhere, by=OPERATOR)
    with pytest.raises(Conflict):
        await invited(inside, organization, "owner")
    with pytest.raises(NotFound):
        await withdraw(inside.runtime, organization.id, address(organization, "owner"), by=OPERATOR)
    assert await inside.pool(organization.id) == before
    await invited(inside, organization)
    with pytest.raises(Conflict):
        await invited(inside, organization, "bob")
    assert isinstance(await inside.login(person(organization, "bob")), Denied)
    with pytest.raises(NotFound):
        await withdraw(inside.runtime, organization.id, address(organization, "bob"), by=OPERATOR)


async def test_inviting_and_withdrawing_are_on_record(inside: Gate):
    organization = await make_organization(inside.runtime)
    await invited(inside, organization)
    await withdraw(inside.runtime, organization.id, address(organization, "ana"), by=OPERATOR)
    await seal(inside.runtime)
    told = await inside.runtime.database.read(lambda tx: audit.page(tx, organization.id, audit.AuditFilter()))
    events = [json.loads(line) for line in told.events[-2:]]
    assert [one["action"] for one in events] == [Action.SEAT_INVITE, Action.SEAT_INVITE_WITHDRAW]
    assert events[0]["changes"]["until"].startswith("2026-03-15")
