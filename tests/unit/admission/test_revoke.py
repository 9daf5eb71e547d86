"""Giving back and passing on: sessions end before the reply, the seat is usable at once, old sessions stay dead."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sso_gate.admission.admit import Admission
from sso_gate.admission.recheck import Alive, Ended, Recheck
from sso_gate.admission.reconcile import reconcile
from sso_gate.admission.revoke import Revoker
from sso_gate.admission.settle import Denied
from sso_gate.errors import Conflict, InvalidInput, Reason, Unavailable
from sso_gate.worker import keep_promises
from tests.support.gates import OPERATOR, Gate, MovingClock, address, make_organization, person
from tests.support.valkey import ThrowAwayValkey


async def come_in(inside: Gate, organization, name: str) -> Admission:
    admitted = await inside.login(person(organization, name))
    assert isinstance(admitted, Admission)
    return admitted


async def alive(inside: Gate, admitted: Admission) -> bool:
    return isinstance(await Recheck.of(inside.runtime).session(admitted.token), Alive)


async def put_back(inside: Gate, old: Admission) -> None:
    """Make Redis know this session as it once was, as a copy of it from before would."""
    key = f"sso:{{{old.session.organization}}}:session:{old.token.digest}"
    await inside.door.sessions.redis.put(key, old.session.to_json(), seconds=600)


async def test_a_released_seat_is_usable_at_once_and_its_sessions_are_dead_for_ever(inside: Gate):
    organization = await make_organization(inside.runtime, seats=2)
    old = await come_in(inside, organization, "ana")
    on_host = await inside.door.admit_on_host(old.session, "app.example")
    await Revoker.of(inside.runtime).release(organization.id, address(organization, "ana"), by=OPERATOR)
    assert not await alive(inside, old)
    assert not await alive(inside, on_host)
    assert await alive(inside, await come_in(inside, organization, "bob"))
    await Revoker.of(inside.runtime).release(organization.id, address(organization, "bob"), by=OPERATOR)
    assert await alive(inside, await come_in(inside, organization, "ana"))
    assert not await alive(inside, old)


async def test_a_reassigned_seat_changes_hands_in_one_step(inside: Gate):
    organization = await make_organization(inside.runtime, seats=2)
    old, revoker = await come_in(inside, organization, "ana"), Revoker.of(inside.runtime)
    await revoker.reassign(organization.id, address(organization, "ana"), address(organization, "bob"), by=OPERATOR)
    assert not await alive(inside, old)
    assert isinstance(await inside.login(person(organization, "ana")), Denied)
    await come_in(inside, organization, "bob")
    assert await reconcile(inside.runtime) == []


async def test_a_seat_is_not_passed_to_its_holder_or_to_a_foreign_address(inside: Gate):
    organization = await make_organization(inside.runtime, seats=2)
    await come_in(inside, organization, "ana")
    revoker, ana = Revoker.of(inside.runtime), address(organization, "ana")
    before = await inside.pool(organization.id)
    with pytest.raises(Conflict):
        await revoker.reassign(organization.id, ana, ana, by=OPERATOR)
    with pytest.raises(InvalidInput):
        await revoker.reassign(organization.id, ana, "bob@elsewhere.example", by=OPERATOR)
    with pytest.raises(InvalidInput):
        await revoker.release(organization.id, address(organization, "owner"), by=OPERATOR)
    assert await inside.pool(organization.id) == before


async def test_blocking_somebody_who_waits_passes_the_seat_that_was_kept_for_them_on(inside: Gate):
    organization = await make_organization(inside.runtime, seats=2)
    await come_in(inside, organization, "holder")
    for name in ("ana", "bob"):
        assert isinstance(await inside.login(person(organization, name)), Denied)
    revoker = Revoker.of(inside.runtime)
    await revoker.release(organization.id, address(organization, "holder"), by=OPERATOR)
    await revoker.block(organization.id, address(organization, "ana"), by=OPERATOR)
    refused = await inside.login(person(organization, "ana"))
    assert isinstance(refused, Denied)
    assert refused.reason is Reason.MEMBER_DEACTIVATED
    await come_in(inside, organization, "bob")


async def test_the_outbox_ends_sessions_that_the_releasing_process_could_not(
    inside: Gate, monkeypatch: pytest.MonkeyPatch
):
    organization = await make_organization(inside.runtime, seats=2)
    old = await come_in(inside, organization, "ana")

    async def gone(self, *_, **__):
        raise Unavailable("redis")

    with monkeypatch.context() as broken:
        broken.setattr("sso_gate.sessions.store.SessionStore.purge", gone)
        await Revoker.of(inside.runtime).release(organization.id, address(organization, "ana"), by=OPERATOR)
    assert await alive(inside, old)  # the lease of a minute
    assert await keep_promises(inside.runtime) >= 1
    assert not await alive(inside, old)


async def test_the_lease_ends_a_session_whose_purge_redis_has_forgotten(inside: Gate, moving_clock: MovingClock):
    organization = await make_organization(inside.runtime, seats=2)
    old = await come_in(inside, organization, "ana")
    await Revoker.of(inside.runtime).release(organization.id, address(organization, "ana"), by=OPERATOR)
    await put_back(inside, old)
    moving_clock.move(timedelta(seconds=61))
    first, second = [await Recheck.of(inside.runtime).session(old.token) for _ in range(2)]
    assert isinstance(first, Ended)
    assert isinstance(second, Ended)
    assert first.reason is Reason.SEAT_RELEASED
    told = [(one.reason, one.reference, one.session.member, one.session.email) for one in (first, second)]
    assert told[0] == told[1], "the same refusal, and one event of it"


async def test_a_session_of_the_seat_before_ends_with_its_lease_though_its_person_holds_one_again(
    inside: Gate, moving_clock: MovingClock
):
    organization = await make_organization(inside.runtime, seats=2)
    old = await come_in(inside, organization, "ana")
    await Revoker.of(inside.runtime).release(organization.id, address(organization, "ana"), by=OPERATOR)
    new = await come_in(inside, organization, "ana")
    await put_back(inside, old)
    assert await alive(inside, old)  # the lease of a minute
    moving_clock.move(timedelta(seconds=61))
    ended = await Recheck.of(inside.runtime).session(old.token)
    assert isinstance(ended, Ended)
    assert ended.reason is Reason.SEAT_RELEASED
    assert not await alive(inside, old)
    assert await alive(inside, new)


async def test_a_clock_that_was_set_back_renews_no_lease(inside: Gate, moving_clock: MovingClock):
    organization = await make_organization(inside.runtime, seats=2)
    old = await come_in(inside, organization, "ana")
    later = replace(old.session, checked_at=moving_clock.now() + timedelta(days=1))
    await inside.door.sessions.confirm(old.token, later)
    await inside.runtime.database.write(
        lambda tx: tx.exec_driver_sql("UPDATE member SET state = 'released' WHERE name = 'ana'")
    )
    assert isinstance(await Recheck.of(inside.runtime).session(old.token), Ended)


async def test_a_session_on_an_application_host_needs_a_living_parent(inside: Gate):
    organization = await make_organization(inside.runtime, seats=2)
    parent = await come_in(inside, organization, "ana")
    await inside.door.sessions.end_family(parent.session)
    with pytest.raises(Unavailable):
        await inside.door.admit_on_host(parent.session, "app.example")


async def test_the_list_of_a_members_sessions_does_not_grow_for_ever(inside: Gate, valkey: ThrowAwayValkey):
    organization = await make_organization(inside.runtime, seats=2)
    for _ in range(150):
        admitted = await come_in(inside, organization, "ana")
        await inside.door.sessions.end(admitted.token)
    with valkey.client() as client:
        listed = client.zcard(f"sso:{{{organization.id}}}:sessions-of:{admitted.session.member}")
    assert listed <= 65


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE seat_pool SET used = used - 1",
        "UPDATE seat_entry SET event = 'evt_unknown' WHERE delta = 1",
        "DELETE FROM seat_entry",
    ],
)
async def test_books_that_disagree_are_found_told_and_repaired_only_on_request(inside: Gate, damage: str):
    organization = await make_organization(inside.runtime, seats=3)
    await come_in(inside, organization, "ana")
    assert await reconcile(inside.runtime) == []
    await inside.runtime.database.write(lambda tx: tx.exec_driver_sql(damage))
    assert [drift.repaired for drift in await reconcile(inside.runtime)] == [False]
    assert [drift.repaired for drift in await reconcile(inside.runtime, repair=True)] == [True]
    assert await reconcile(inside.runtime) == []
    assert (await inside.pool(organization.id)).used == 2
