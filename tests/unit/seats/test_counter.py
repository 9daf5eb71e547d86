"""The counter in Redis forgets what nobody refreshes."""

from __future__ import annotations

from sso_gate.seats.counter import LIFETIME_SECONDS, SeatCounter
from sso_gate.seats.ledger import Pool
from sso_gate.storage.redis import Redis
from tests.support.valkey import ThrowAwayValkey


async def test_a_number_that_was_published_is_forgotten_within_a_minute(valkey: ThrowAwayValkey):
    redis = Redis(valkey.socket_url)
    counter = SeatCounter(redis)
    with valkey.client() as client:
        for version in (1, 2):
            await counter.publish("org_1", Pool(5, version, 0, version=version))
            [key] = client.scan_iter("*:seats")
            assert 0 < client.ttl(key) <= LIFETIME_SECONDS <= 60
            client.persist(key)  # the next number has an end of its own
    await redis.close()
