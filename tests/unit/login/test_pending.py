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


async def test_proof_and_login_are_used_up_together_and_once(logins):
    handle, _ = await saved(logins)
    assert await logins.consume("acme", handle, "proof", now=NOW, until=LATER) == "ok"
    assert await logins.find("acme", handle, browser_key="browser") is None
    assert await logins.consume("acme", handle, "proof", now=NOW, until=LATER) == "replayed"


async def test_of_many_at_once_exactly_one_uses_a_proof(logins):
    handle, _ = await saved(logins)
    found = await asyncio.gather(*(logins.consume("acme", handle, "proof", now=NOW, until=LATER) for _ in range(20)))
    assert sorted(found) == ["ok"] + ["replayed"] * 19


async def test_a_used_proof_leaves_another_login_of_the_browser_alone(logins):
    (first, _), (second, pending) = await saved(logins), await saved(logins)
    await logins.consume("acme", first, "proof", now=NOW, until=LATER)
    assert await logins.consume("acme", second, "proof", now=NOW, until=LATER) == "replayed"
    assert await logins.find("acme", second, browser_key="browser") == pending


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
