"""Sessions in Redis: pending first, active only if nothing has ended them meanwhile, and dead for ever afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from sso_gate.sessions.host_ticket import HostTicket, HostTickets, key_hash
from sso_gate.sessions.provider_names import ProviderNames
from sso_gate.sessions.session import Session, SessionToken
from sso_gate.sessions.store import PENDING_SECONDS, SessionStore
from sso_gate.storage.redis import Redis
from tests.support.valkey import ThrowAwayValkey
from tests.unit.sessions.test_session import NOW, session

IDLE, LONGEST = timedelta(hours=8), timedelta(hours=24)


@pytest.fixture
async def redis(valkey: ThrowAwayValkey) -> AsyncIterator[Redis]:
    opened = Redis(valkey.socket_url)
    yield opened
    await opened.close()


@pytest.fixture
def store(redis: Redis) -> SessionStore:
    return SessionStore(redis, IDLE, LONGEST)


async def begin(store: SessionStore, **fields: object) -> tuple[SessionToken, Session]:
    """Return the token of a pending session, and what it is to become."""
    token = SessionToken.new("org_1")
    await store.write_pending(token)
    return token, session(**{"family": token.digest, **fields})


async def opened(store: SessionStore, **fields: object) -> tuple[SessionToken, Session]:
    token, wanted = await begin(store, **fields)
    assert await store.activate(token, wanted)
    return token, wanted


async def test_a_pending_session_opens_nothing_and_runs_out_soon(store: SessionStore, valkey: ThrowAwayValkey):
    token, _ = await begin(store)
    with valkey.client() as client:
        [key] = client.scan_iter("*:session:*")
        assert 0 < client.ttl(key) <= PENDING_SECONDS
    assert await store.find(token, now=NOW) is None


async def test_an_active_session_is_found_until_its_end_and_no_longer(store: SessionStore):
    token, wanted = await opened(store)
    assert await store.find(token, now=NOW) == wanted
    assert await store.find(token, now=wanted.ends_at) is None
    assert await store.find(token, now=NOW) is None


async def test_only_a_pending_session_becomes_active(store: SessionStore, valkey: ThrowAwayValkey):
    token, wanted = await begin(store)
    valkey.flush()
    assert not await store.activate(token, wanted)
    assert await store.find(token, now=NOW) is None


async def test_a_purge_ends_older_generations_and_keeps_late_ones_out(store: SessionStore):
    old, _ = await opened(store, generation=7)
    new, wanted = await opened(store, generation=9)
    late, too_late = await begin(store, generation=8)
    assert await store.purge("org_1", "mem_1", below=9) == 1
    assert not await store.activate(late, too_late)
    assert [await store.find(token, now=NOW) for token in (old, new, late)] == [None, wanted, None]


async def test_an_older_purge_that_arrives_late_changes_nothing(store: SessionStore):
    await store.purge("org_1", "mem_1", below=9)
    await store.purge("org_1", "mem_1", below=3)
    token, wanted = await begin(store, generation=8)
    assert not await store.activate(token, wanted)


async def test_a_purge_leaves_other_members_alone(store: SessionStore):
    token, wanted = await opened(store, member="mem_2", generation=1)
    assert await store.purge("org_1", "mem_1", below=100) == 0
    assert await store.find(token, now=NOW) == wanted


async def test_a_session_of_an_applications_host_lives_and_ends_with_its_parent(store: SessionStore):
    parent, above = await opened(store)
    child, _ = await opened(store, family=parent.digest, host="app.example")
    stranger, _ = await opened(store)
    assert await store.end_family(above) == 2
    assert [await store.find(token, now=NOW) is None for token in (parent, child, stranger)] == [True, True, False]
    orphan, wanted = await begin(store, family=parent.digest, host="app.example")
    assert not await store.activate(orphan, wanted)


async def test_sessions_with_a_providers_name_are_ended_and_the_others_are_not(store: SessionStore):
    one, _ = await opened(store, session_index="one")
    two, _ = await opened(store, session_index="two")
    assert await store.end_matching("org_1", "mem_1", session_index="one") == 1
    assert await store.find(one, now=NOW) is None
    assert await store.find(two, now=NOW) is not None


async def test_what_sql_confirms_is_kept_unless_the_session_has_ended(store: SessionStore):
    token, wanted = await opened(store)
    confirmed = wanted.confirmed(NOW + timedelta(minutes=1), role="admin")
    await store.confirm(token, confirmed)
    assert await store.find(token, now=NOW) == confirmed
    await store.end(token)
    await store.confirm(token, confirmed)
    assert await store.find(token, now=NOW) is None


async def test_every_key_has_a_lifetime(store: SessionStore, valkey: ThrowAwayValkey):
    await opened(store)
    await begin(store)
    await store.purge("org_1", "mem_1", below=2)
    with valkey.client() as client:
        lifetimes = {key: client.ttl(key) for key in client.scan_iter()}
    assert len(lifetimes) == 4
    assert all(0 < seconds <= LONGEST.total_seconds() for seconds in lifetimes.values()), lifetimes


async def test_a_ticket_to_an_applications_host_is_good_once_for_one_browser_there(redis: Redis):
    tickets = HostTickets(redis)
    ticket = HostTicket("org_1", "digest", "app.example", key_hash("mine"), "/")
    for host, key in (("other.example", "mine"), ("app.example", "theirs"), ("app.example", "")):
        assert await tickets.redeem(await tickets.issue(ticket), host=host, browser_key=key) is None
    text = await tickets.issue(ticket)
    assert await tickets.redeem(text, host="app.example", browser_key="mine") == ticket
    assert await tickets.redeem(text, host="app.example", browser_key="mine") is None


async def test_a_ticket_that_was_tried_elsewhere_is_used_up(redis: Redis):
    tickets = HostTickets(redis)
    text = await tickets.issue(HostTicket("org_1", "digest", "app.example", key_hash("mine"), "/"))
    assert await tickets.redeem(text, host="other.example", browser_key="mine") is None
    assert await tickets.redeem(text, host="app.example", browser_key="mine") is None


async def test_a_providers_names_lead_to_the_member_by_organization_and_connection(store: SessionStore, redis: Redis):
    token, wanted = await begin(store)
    names = ProviderNames(redis)
    assert await names.find("org_1", "acme-saml", "sid-1") is None
    assert await store.activate(token, wanted, names=["sid-1", "subject"])
    assert await names.find("org_1", "acme-saml", "sid-1") == ("org_1", "mem_1")
    for where in (("org_2", "acme-saml", "sid-1"), ("org_1", "other", "sid-1"), ("org_1", "acme-saml", "sid-2")):
        assert await names.find(*where) is None


async def test_a_purged_session_opens_nothing_and_can_still_be_told_apart(store: SessionStore):
    token, wanted = await opened(store)
    assert await store.purged(token) is None
    await store.purge("org_1", "mem_1", below=100)
    assert await store.find(token, now=NOW) is None
    left = await store.purged(token)
    assert left is not None
    for name in ("organization", "member", "kind", "connection", "generation", "host"):
        assert getattr(left, name) == getattr(wanted, name)


async def test_what_is_left_of_a_purged_session_names_nobody(store: SessionStore, valkey: ThrowAwayValkey):
    private = {"subject": "subject-of-ana", "logout": "token-of-ana", "session_index": "index-of-ana", "groups": ("g",)}
    token, wanted = await opened(store, **private)
    await store.purge("org_1", "mem_1", below=100)
    with valkey.client() as client:
        left = str(client.get(f"sso:{{org_1}}:ended-session:{token.digest}"))
    assert "mem_1" in left
    for word in (wanted.email, wanted.name, *list(private.values())[:3], "groups"):
        assert str(word) not in left
