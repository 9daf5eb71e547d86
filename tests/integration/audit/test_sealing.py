"""Sealing: one position for each committed event, whoever writes, whoever dies."""

import asyncio
import json
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from sso_gate.audit import chain, sealer, store
from sso_gate.audit.chain import GENESIS, link
from sso_gate.audit.checkpoint import audit_keys, is_signed, read_checkpoint
from sso_gate.audit.event import Action
from sso_gate.audit.sealer import seal, sign_due
from sso_gate.audit.verify import verify
from sso_gate.storage.database import Database
from sso_gate.storage.tables import audit_event
from tests.integration.audit.conftest import Log, new_organization
from tests.support.commits import before_each_commit


def shown(page):
    return [json.loads(line) for line in page.events]


async def test_events_get_positions_from_one_and_each_is_bound_to_the_one_before(log):
    written = await log.sealed(5)
    events = shown(await log.page())
    assert [event["id"] for event in events] == [event.id for event in written]
    assert [event["chain"]["pos"] for event in events] == [1, 2, 3, 4, 5]
    assert [event["chain"]["prev"] for event in events] == [GENESIS, *[one["chain"]["hash"] for one in events[:-1]]]


async def test_the_hash_is_of_the_predecessor_and_the_canonical_text(small_log):
    await small_log.sealed(2)
    rows = await small_log.runtime.database.read(
        lambda tx: store.rows(tx, small_log.organization, store.AuditFilter(), limit=10)
    )
    assert rows[0].hash == link(GENESIS, rows[0].body)
    assert rows[1].hash == link(rows[0].hash, rows[1].body) == rows[1].hash


async def test_sealing_again_changes_nothing(log):
    await log.sealed(3)
    assert await seal(log.runtime) == 0


async def test_every_organization_has_a_chain_of_its_own(log):
    other = Log(log.runtime, log.clock, await new_organization(log.runtime))
    for _ in range(3):
        await log.write()
        await other.write()
    await seal(log.runtime)
    for one in (log, other):
        events = shown(await one.page())
        assert {event["organization"] for event in events} == {one.organization}
        assert [event["chain"]["pos"] for event in events] == [1, 2, 3]


async def test_a_rolled_back_transaction_leaves_no_event(log):
    def work(tx):
        store.record(tx, [log.event()])
        raise RuntimeError("the use case failed")

    with pytest.raises(RuntimeError):
        await log.runtime.database.write(work)
    assert await seal(log.runtime) == 0


async def test_a_page_read_on_loses_no_event_that_was_committed_late(log):
    early = log.event()  # made first, committed last
    await log.sealed(2)
    seen = await log.page()
    cursor = str(shown(seen)[-1]["chain"]["pos"])
    await log.runtime.database.write(lambda tx: store.record(tx, [early]))
    await seal(log.runtime)
    assert [event["id"] for event in shown(await log.page(after=cursor))] == [early.id]


async def test_the_cursor_may_be_the_id_of_the_last_event_too(log):
    events = await log.sealed(3)
    assert [event["id"] for event in shown(await log.page(after=events[0].id))] == [one.id for one in events[1:]]


@pytest.mark.parametrize("each", [25, pytest.param(625, marks=pytest.mark.soak, id="ten thousand events")])
async def test_sixteen_writers_and_several_sealers_make_no_fork_and_no_gap(log, each):
    async def writer(number):
        for _ in range(each):
            await log.write(person=f"p{number}@acme.example")

    done = asyncio.Event()

    async def sealing():
        while not done.is_set():
            await seal(log.runtime)

    sealers = [asyncio.create_task(sealing()) for _ in range(3)]
    await asyncio.gather(*(writer(number) for number in range(16)))
    done.set()
    await asyncio.gather(*sealers)
    await seal(log.runtime, wait=True)
    lines = await log.export()
    report = verify(lines)
    assert report.findings == ()
    assert report.rows == 16 * each + 1  # and the export's own event
    sealed = [event["id"] for event in map(json.loads, lines) if event.get("action") == Action.LOGIN]
    assert sorted(sealed) == sorted(event.id for event in log.written)


async def test_a_sealer_that_dies_in_the_middle_leaves_nothing_and_the_next_goes_on(log, monkeypatch):
    await log.sealed(2)
    await log.write(3)

    def dies(*_):
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(chain, "save_many", dies)
        with pytest.raises(RuntimeError):
            await seal(log.runtime)
    assert len((await log.page()).events) == 2
    assert await seal(log.runtime) == 3
    assert [event["chain"]["pos"] for event in shown(await log.page())] == [1, 2, 3, 4, 5]


async def test_many_logs_that_are_due_together_are_signed_a_few_at_a_time(log, monkeypatch):
    monkeypatch.setattr(sealer, "SIGNED_AT_ONCE", 2)
    await audit_keys(log.runtime)  # made at the first use
    logs = [Log(log.runtime, log.clock, await new_organization(log.runtime)) for _ in range(5)]
    for one in logs:
        await one.sealed(2)
    log.clock.move(hours=2)
    commits: list[int] = []
    with before_each_commit(log.runtime.database, partial(commits.append, 1)):
        assert await sign_due(log.runtime) == 5
    assert len(commits) == 3
    assert await sign_due(log.runtime) == 0
    await seal(log.runtime)
    for one in logs:
        assert verify(await one.export()).findings == ()


async def test_another_sealer_at_work_is_left_alone(big_log):
    await big_log.write(2)
    other = Database(big_log.runtime.settings.database_url)
    loop = asyncio.get_running_loop()

    def at_work(tx):
        assert chain.lock(tx)
        return asyncio.run_coroutine_threadsafe(seal(big_log.runtime), loop).result(30)

    assert await other.write(at_work) == 0
    assert await seal(big_log.runtime) == 2
    other.close()


async def test_no_two_events_can_follow_the_same_one(log):
    await log.sealed(2)
    forked = log.event()

    def fork(tx):
        store.record(tx, [forked])
        place = {"position": 7, "prev": GENESIS, "hash": "f" * 64}
        tx.execute(update(audit_event).where(audit_event.c.id == forked.id).values(place))

    with pytest.raises(IntegrityError):
        await log.runtime.database.write(fork)


async def test_a_thousand_events_bring_a_signed_checkpoint(small_log, monkeypatch):
    monkeypatch.setattr(sealer, "SIGN_EACH", 20)
    await small_log.sealed(19)
    assert await sign_due(small_log.runtime) == 0
    await small_log.sealed(1)
    assert await sign_due(small_log.runtime) == 1
    await seal(small_log.runtime)
    event = shown(await small_log.page())[-1]
    assert event["action"] == "audit.checkpoint"
    kept = read_checkpoint(event["changes"]["checkpoint"])
    assert kept is not None
    assert kept.size == 20
    assert is_signed(kept, (await audit_keys(small_log.runtime))[0].public)
    assert await sign_due(small_log.runtime) == 0


async def test_an_hour_brings_a_checkpoint_and_an_idle_one_does_not(log):
    await log.sealed(2)
    log.clock.move(minutes=61)
    assert await sign_due(log.runtime) == 1
    await seal(log.runtime)
    log.clock.move(minutes=61)
    assert await sign_due(log.runtime) == 0


async def test_a_clock_set_back_keeps_the_order_and_is_told_once(log):
    await log.sealed(2)
    log.clock.move(hours=-1)
    late = await log.sealed(3)
    await seal(log.runtime)
    events = shown(await log.page())
    assert [event["chain"]["pos"] for event in events] == [1, 2, 3, 4, 5, 6]
    assert [event["id"] for event in events[2:5]] == [one.id for one in late]
    assert [event["action"] for event in events].count(Action.AUDIT_CLOCK) == 1
    assert events[-1]["changes"]["seconds_behind"] >= 3500
    assert verify(await log.export()).findings == ()


async def test_a_flood_that_is_counted_late_is_no_warning(log):
    await log.sealed(1)
    log.clock.move(minutes=-10)
    begin = log.clock.now()
    await log.sealed(1, repeat_count=500, repeat_first=begin - timedelta(minutes=1))
    assert await seal(log.runtime) == 0


async def test_unsealed_events_are_found_without_reading_sealed_ones(big_log):
    await big_log.sealed(300)

    def plan(tx):
        tx.exec_driver_sql("ANALYZE audit_event")
        tx.exec_driver_sql("SET LOCAL enable_seqscan = off")
        found = tx.exec_driver_sql("EXPLAIN SELECT id FROM audit_event WHERE position IS NULL LIMIT 1")
        return "\n".join(row[0] for row in found)

    assert "ix_audit_event_unsealed" in await big_log.runtime.database.write(plan)


async def test_all_events_are_counted_once(small_log):
    await asyncio.gather(*(small_log.write(10) for _ in range(5)))
    await asyncio.gather(seal(small_log.runtime), seal(small_log.runtime), seal(small_log.runtime))
    counted = select(func.count(), func.count(audit_event.c.position.distinct()))
    assert tuple(await small_log.runtime.database.read(partial(lambda tx: tx.execute(counted).one()))) == (50, 50)
