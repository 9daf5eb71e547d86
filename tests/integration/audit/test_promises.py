"""What the log promises of everything that is decided: one event each, floods counted, no secret in any of it."""

import asyncio
import json
from datetime import timedelta

import pytest

from sso_gate.audit import store
from sso_gate.audit.event import Action, Actor, Client, Via
from sso_gate.audit.flood import ONE_BY_ONE, Floods, record_unproved
from sso_gate.audit.sealer import seal
from sso_gate.errors import Reason
from sso_gate.storage.open import open_runtime
from sso_gate.worker import record_floods
from tests.integration.audit.conftest import Log, new_organization

FLOOD = 10_000


@pytest.fixture
async def flooded_log(small_log, valkey):
    """The same log with a real Valkey, which counts."""
    settings = small_log.runtime.settings.model_copy(update={"redis_url": valkey.url})
    runtime = open_runtime(settings, small_log.clock)
    yield Log(runtime, small_log.clock, small_log.organization)
    await runtime.close()


def refusal(log, address="203.0.113.5"):
    return log.event(
        "", Reason.MESSAGE_MALFORMED, actor=Actor("user"), client=Client(address), seat=None, via=Via("acme", "saml")
    )


async def test_ten_thousand_equal_refusals_in_a_minute_are_at_most_25_events_that_add_up(flooded_log):
    log = flooded_log
    at = log.clock.at

    async def sender(count):
        for _ in range(count):
            log.clock.at = at  # all within the same minute
            assert await record_unproved(log.runtime, refusal(log))

    await asyncio.gather(*(sender(FLOOD // 50) for _ in range(50)))
    log.clock.at = at + timedelta(minutes=2)
    await record_floods(log.runtime)
    await record_floods(log.runtime)
    await seal(log.runtime)
    events = [json.loads(line) for line in (await log.page(reason="message_malformed")).events]
    assert ONE_BY_ONE < len(events) <= 25
    assert sum(event["repeat"]["count"] for event in events) == FLOOD


async def test_floods_of_different_addresses_or_organizations_are_counted_apart(flooded_log):
    log = flooded_log
    other = Log(log.runtime, log.clock, await new_organization(log.runtime))
    at = log.clock.at
    for sent in (lambda: refusal(log), lambda: refusal(log, "203.0.113.6"), lambda: refusal(other)):
        for _ in range(ONE_BY_ONE + 3):
            log.clock.at = at
            await record_unproved(log.runtime, sent())
    now = at + timedelta(minutes=2)
    found = await Floods(log.runtime.redis).over(now=now)
    assert {(event.organization, event.client.address, event.repeat_count) for _, event in found} == {
        (log.organization, "203.0.113.5", 3),
        (log.organization, "203.0.113.6", 3),
        (other.organization, "203.0.113.5", 3),
    }
    assert len({event.id for _, event in found}) == 3


async def test_a_failed_transaction_leaves_no_event(log):
    event = log.event()

    def work(tx):
        store.record(tx, [event])
        raise RuntimeError("the decision failed")

    with pytest.raises(RuntimeError):
        await log.runtime.database.write(work)
    assert await seal(log.runtime) == 0


async def test_a_denial_survives_the_roll_back_that_it_describes(log):
    denial = log.event(reason=Reason.SEAT_UNAVAILABLE, action=Action.SCIM_USER_CREATE)

    def work(tx):
        undone = tx.begin_nested()
        store.record(tx, [log.event(action=Action.SCIM_USER_UPDATE)])
        undone.rollback()
        store.record(tx, [denial])

    await log.runtime.database.write(work)
    await seal(log.runtime)
    assert [json.loads(line)["id"] for line in (await log.page()).events] == [denial.id]
