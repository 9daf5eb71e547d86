"""The rate of login messages: counted for each address, in all gates together."""

from datetime import timedelta

import pytest

from sso_gate.errors import Reason, Refused
from sso_gate.login.rate import LoginRate
from sso_gate.settings import Rate
from sso_gate.storage.redis import Redis


@pytest.fixture
async def rate(valkey):
    redis = Redis(valkey.socket_url)
    yield LoginRate(redis, Rate(count=3, period=timedelta(minutes=1)))
    await redis.close()


async def refused(rate, address, **more):
    try:
        await rate.check(address, **more)
    except Refused as refusal:
        return refusal.reason is Reason.RATE_LIMITED
    return False


async def test_so_many_messages_pass_and_no_more(rate):
    assert [await refused(rate, "192.0.2.1") for _ in range(5)] == [False, False, False, True, True]


async def test_every_address_and_every_purpose_has_its_own_count(rate):
    for _ in range(3):
        await rate.check("192.0.2.1")
    assert not await refused(rate, "192.0.2.2")
    assert not await refused(rate, "192.0.2.1", purpose="break-glass")
    assert await refused(rate, "192.0.2.1")


async def test_a_customers_network_of_version_6_counts_as_one(rate):
    addresses = [f"2001:db8:1:2::{number}" for number in range(4)]
    assert [await refused(rate, address) for address in addresses] == [False, False, False, True]
    assert not await refused(rate, "2001:db8:1:3::1")


async def test_the_window_ends(rate, valkey):
    for _ in range(4):
        await refused(rate, "192.0.2.1")
    with valkey.client() as client:
        [key] = client.keys("sso:rate:*")
        assert 0 < client.ttl(key) <= rate.window_seconds
        client.delete(key)
    assert not await refused(rate, "192.0.2.1")
    assert "192.0.2.1" not in key
