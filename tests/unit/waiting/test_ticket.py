"""The ticket of a waiting page: worth something in one browser alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from sso_gate.storage.redis import Redis
from sso_gate.waiting.ticket import CLAIM_SECONDS, LIFETIME_SECONDS, MAX_LENGTH, Ticket, Tickets, browser_hash
from tests.support.valkey import ThrowAwayValkey

UNCLAIMED = Ticket("org_1", "mem_1", "eva@acme.example", "seat_unavailable", "REF", "acme-saml", "/", 0, "")


@pytest.fixture
async def tickets(valkey: ThrowAwayValkey) -> AsyncIterator[Tickets]:
    redis = Redis(valkey.socket_url)
    yield Tickets(redis)
    await redis.close()


async def test_the_first_browser_that_looks_has_it_and_no_other(tickets: Tickets):
    text = await tickets.issue(UNCLAIMED)
    assert await tickets.find(text, browser_key="mine") is None
    claimed = await tickets.claim(text, browser_key="mine")
    assert claimed is not None
    assert claimed.member == "mem_1"
    assert await tickets.claim(text, browser_key="theirs") is None
    assert await tickets.find(text, browser_key="mine") == claimed
    for other in ("theirs", "", browser_hash("mine")):
        assert await tickets.find(text, browser_key=other) is None


async def test_two_browsers_that_look_together_do_not_both_have_it(tickets: Tickets):
    text = await tickets.issue(UNCLAIMED)
    found = await asyncio.gather(*(tickets.claim(text, browser_key=f"browser {at}") for at in range(8)))
    assert sum(one is not None for one in found) == 1


async def test_one_that_nobody_claims_is_forgotten_in_a_minute(tickets: Tickets, valkey: ThrowAwayValkey):
    text = await tickets.issue(UNCLAIMED)
    with valkey.client() as client:
        [key] = client.scan_iter("sso:denied:*")
        assert 0 < client.ttl(key) <= CLAIM_SECONDS
        assert text not in key, "who reads the keys cannot open the page"
        await tickets.claim(text, browser_key="mine")
        assert CLAIM_SECONDS < client.ttl(key) <= LIFETIME_SECONDS


@pytest.mark.parametrize("text", ["", "unknown", "x" * (MAX_LENGTH + 1)])
async def test_a_text_that_is_no_ticket_is_none(tickets: Tickets, text: str):
    assert await tickets.find(text, browser_key="mine") is None
    assert await tickets.claim(text, browser_key="mine") is None


async def test_a_ticket_has_128_random_bits(tickets: Tickets):
    texts = {await tickets.issue(UNCLAIMED) for _ in range(50)}
    assert len(texts) == 50
    assert {len(text) for text in texts} == {22}
