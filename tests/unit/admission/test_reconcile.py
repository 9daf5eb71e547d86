"""The books of seats: what disagrees is found, shown to those on call, recorded, and repaired when somebody asks."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import delete, select, update

from sso_gate.admission.reconcile import Drift, reconcile
from sso_gate.audit.retention import expire, keep_for
from sso_gate.audit.sealer import seal, sign_due
from sso_gate.members.member import MemberState
from sso_gate.organizations.organization import Organization
from sso_gate.storage.tables import audit_event, member, seat_entry, seat_pool
from sso_gate.worker import watch_books
from tests.support.gates import OPERATOR, Gate, MovingClock, address, make_organization, person


@pytest.fixture
async def acme(inside: Gate) -> Organization:
    """Five seats, two of them held."""
    organization = await make_organization(inside.runtime, seats=5)
    await inside.settle(person(organization, "ana"))
    return organization


async def write(inside: Gate, statement) -> None:
    await inside.runtime.database.write(lambda tx: tx.execute(statement))


async def leak(inside: Gate, organization: Organization) -> None:
    """Count a seat that nobody holds."""
    await write(inside, update(seat_pool).where(seat_pool.c.organization == organization.id).values(used=3))


def shown(name: str) -> float:
    return REGISTRY.get_sample_value(name) or 0.0


async def drifts_on_record(inside: Gate) -> list[dict]:
    rows = await inside.runtime.database.read(
        lambda tx: tx.execute(select(audit_event.c.body).where(audit_event.c.action == "seat.drift")).scalars().all()
    )
    return [json.loads(body)["changes"] for body in rows]


async def test_books_that_agree_are_left_alone(inside: Gate, acme: Organization):
    before = await inside.pool(acme.id)
    assert await reconcile(inside.runtime, repair=True) == []
    assert await inside.pool(acme.id) == before
    assert await drifts_on_record(inside) == []


async def test_a_leaked_seat_is_found_recorded_and_left_until_somebody_asks(inside: Gate, acme: Organization):
    await leak(inside, acme)
    found = await reconcile(inside.runtime)
    assert found == [Drift(acme.id, acme.slug, used=3, holders=2, entered=2, untold=0)]
    assert (await inside.pool(acme.id)).used == 3
    assert await drifts_on_record(inside) == [
        {"used": 3, "holders": 2, "entered": 2, "untold": 0, "repaired": False},
    ]


async def test_a_repair_makes_the_pool_say_what_the_members_say(inside: Gate, acme: Organization):
    await leak(inside, acme)
    [repaired] = await reconcile(inside.runtime, repair=True, slug=acme.slug)
    assert repaired.repaired
    assert (await inside.pool(acme.id)).used == 2
    assert await reconcile(inside.runtime) == []


async def test_a_member_who_was_given_a_seat_behind_the_ledgers_back_is_found(inside: Gate, acme: Organization):
    await inside.settle(person(acme, "bob"))
    ledger_says_no = update(member).where(member.c.email == address(acme, "bob")).values(state=MemberState.RELEASED)
    await write(inside, ledger_says_no)
    [drift] = await reconcile(inside.runtime)
    assert (drift.used, drift.holders, drift.entered) == (3, 2, 3)


async def test_a_seat_of_whose_grant_the_audit_record_does_not_tell_is_found(inside: Gate, acme: Organization):
    event = select(seat_entry.c.event).join(member, member.c.id == seat_entry.c.member)
    event = event.where(member.c.email == address(acme, "ana"))
    await write(inside, update(seat_entry).where(seat_entry.c.event.in_(event)).values(event="evt_nothing"))
    [drift] = await reconcile(inside.runtime)
    assert (drift.used, drift.holders, drift.entered, drift.untold) == (2, 2, 2, 1)


async def test_a_grant_that_the_audit_record_is_not_kept_for_any_more_is_no_difference(
    inside: Gate, acme: Organization, moving_clock: MovingClock
):
    await keep_for(inside.runtime, acme.id, 30, by=OPERATOR)
    await seal(inside.runtime)
    moving_clock.move(timedelta(hours=2))
    await sign_due(inside.runtime)
    moving_clock.move(timedelta(days=31))
    assert await expire(inside.runtime) > 0
    assert await reconcile(inside.runtime) == []
    await inside.settle(person(acme, "bob"))
    newest = select(seat_entry.c.event).order_by(seat_entry.c.id.desc()).limit(1).scalar_subquery()
    await write(inside, delete(audit_event).where(audit_event.c.id == newest))
    [drift] = await reconcile(inside.runtime, repair=True)
    assert (drift.holders, drift.untold) == (3, 1), "the record is still kept for this one"
    assert await reconcile(inside.runtime) == []


async def test_more_holders_than_seats_are_never_repaired_into_a_pool_that_says_so(inside: Gate):
    organization = await make_organization(inside.runtime, seats=1)
    await write(inside, update(seat_pool).where(seat_pool.c.organization == organization.id).values(used=0))
    await inside.settle(person(organization, "ana"))  # sold twice
    [drift] = await reconcile(inside.runtime, repair=True)
    assert (drift.used, drift.holders, drift.repaired) == (1, 2, False)
    assert (await inside.pool(organization.id)).used == 1


async def test_another_organizations_books_are_not_looked_at_when_one_is_named(inside: Gate, acme: Organization):
    other = await make_organization(inside.runtime, seats=5)
    await leak(inside, other)
    assert await reconcile(inside.runtime, slug=acme.slug) == []
    assert [drift.slug for drift in await reconcile(inside.runtime)] == [other.slug]


async def test_the_worker_shows_drift_and_when_it_looked(inside: Gate, acme: Organization, moving_clock: MovingClock):
    await leak(inside, acme)
    await watch_books(inside.runtime)
    assert shown("sso_gate_seat_drift") == 1
    assert shown("sso_gate_seat_books_checked_timestamp_seconds") == pytest.approx(moving_clock.instant.timestamp())
    await reconcile(inside.runtime, repair=True)
    await watch_books(inside.runtime)
    assert shown("sso_gate_seat_drift") == 0


async def test_a_lost_entry_is_found(inside: Gate, acme: Organization):
    await write(inside, delete(seat_entry).where(seat_entry.c.organization == acme.id))
    [drift] = await reconcile(inside.runtime)
    assert (drift.entered, drift.untold) == (0, 2)
