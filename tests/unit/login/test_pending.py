"""Pending logins: bound to one browser and one connection, used once, gone after ten minutes."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from sso_gate.login.pending import LIFETIME_SECONDS, PendingLogin, PendingLogins, browser_hash, new_handle
from sso_gate.storage.redis import Redis

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)


@pytest.fixture
async def logins(valkey):
    redis = Redis(valkey.socket_url)
    yield PendingLogins(redis)
    await redis.close()


async def saved(logins, connection="acme", browser="browser"):
    handle = new_handle()
    pending = PendingLogin(connection, browser_hash(browser), {"request_id": "_1"}, "/target", "bind")
    await logins.save(handle, pending)
    return handle, pending


async def test_the_browser_that_began_finds_its_login_as_often_as_it_looks(logins):
    handle, pending = await saved(logins)
    for _ in range(2):
        assert await logins.find("acme", handle, browser_key="browser") == pending


@pytest.mark.parametrize(
    ("connection", "browser"), [("acme", "another"), ("acme", ""), ("other", "browser")], ids=["browser", "none", "idp"]
)
async def test_nobody_else_finds_it(logins, connection, browser):
    handle, _ = await saved(logins)
    assert await logins.find(connection, handle, browser_key=browser) is None


@pytest.mark.parametrize("handle", ["", "x", "x" * 100_000])
async def test_a_handle_that_is_none_finds_nothing(logins, handle):
    assert await logins.find("acme", handle, browser_key="browser") is None


async def consumed(logins, handle, *, proof="proof", browser="browser", request_id="_1"):
    return await logins.consume("acme", handle, proof, browser_key=browser, request_id=request_id, now=NOW, until=LATER)


async def test_proof_and_login_are_used_up_together_and_once(logins):
    handle, pending = await saved(logins)
    assert await consumed(logins, handle) == pending
    assert await logins.find("acme", handle, browser_key="browser") is None
    assert await consumed(logins, handle) == "replayed"


async def test_of_many_at_once_exactly_one_uses_a_proof(logins):
    handle, pending = await saved(logins)
    found = await asyncio.gather(*(consumed(logins, handle) for _ in range(20)))
    assert found.count(pending) == 1
    assert found.count("replayed") == 19


async def test_a_used_proof_leaves_another_login_of_the_browser_alone(logins):
    (first, _), (second, pending) = await saved(logins), await saved(logins)
    await consumed(logins, first)
    assert await consumed(logins, second) == "replayed"
    assert await logins.find("acme", second, browser_key="browser") == pending


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"browser": "another"}, "unknown"),
        ({"browser": ""}, "unknown"),
        ({"request_id": "_2"}, "mismatch"),
        ({"browser": "another", "request_id": "_2"}, "unknown"),
    ],
    ids=["another browser", "no key", "another request", "both"],
)
async def test_what_does_not_fit_uses_up_neither_proof_nor_login(logins, changes, told):
    handle, pending = await saved(logins)
    assert await consumed(logins, handle, **changes) == told
    assert await consumed(logins, handle) == pending


@pytest.mark.parametrize("handle", ["", "x", "x" * 100_000])
async def test_a_handle_that_names_no_login_still_finds_out_whether_the_proof_was_used(logins, handle):
    assert await consumed(logins, handle) == "unknown"
    await consumed(logins, (await saved(logins))[0])
    assert await consumed(logins, handle) == "replayed"


async def test_a_protocol_that_compares_later_names_no_request(logins):
    handle, pending = await saved(logins)
    assert await consumed(logins, handle, request_id="") == pending


async def test_a_login_is_forgotten_after_ten_minutes(logins, valkey):
    await saved(logins)
    with valkey.client() as client:
        lifetimes = [client.ttl(key) for key in client.keys("*pending*")]
    assert len(lifetimes) == 1
    assert 0 < lifetimes[0] <= LIFETIME_SECONDS <= 600


async def test_neither_handle_nor_browser_key_is_kept(logins, valkey):
    handle, _ = await saved(logins, browser="a-very-secret-browser-key")
    with valkey.client() as client:
        everything = " ".join(f"{key} {client.get(key)}" for key in client.keys("*"))
    assert handle not in everything
    assert "a-very-secret-browser-key" not in everything
