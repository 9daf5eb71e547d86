"""One client for every kind of Redis: single, TLS, Sentinel and Cluster are driven alike, scripts and all."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio.connection import Connection

from sso_gate.admission.admit import Admission
from sso_gate.admission.recheck import Alive, Recheck
from sso_gate.errors import Unavailable
from sso_gate.seats.counter import SeatCounter
from sso_gate.seats.ledger import Pool
from sso_gate.storage.redis import SOCKET_SECONDS, Redis
from tests.support.gates import Migrated, make_organization, open_gate, person
from tests.support.redis_kinds import ClusterValkey, SentinelValkey
from tests.support.servers import LOOPBACK, free_port


@pytest.fixture(params=["valkey", "tls_redis", "sentinel_valkey", "cluster_valkey"])
def redis_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(request.param).url
    return url


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    opened = Redis(redis_url)
    yield opened
    await opened.close()


async def test_keys_are_kept_taken_once_and_counted(redis: Redis):
    await redis.ping()
    assert await redis.put("a{x}", "1", seconds=60, only_new=True)
    assert not await redis.put("a{x}", "2", seconds=60, only_new=True)
    assert await redis.get_and_extend("a{x}", seconds=60) == "1"
    assert [await redis.take("a{x}") for _ in range(2)] == ["1", None]
    assert [await redis.count("n{x}", seconds=60) for _ in range(3)] == [1, 2, 3]
    await redis.delete("n{x}")


async def test_the_counter_takes_newer_versions_alone_in_any_order(redis: Redis):
    counter = SeatCounter(redis)

    async def ask(organization: str) -> str:
        return await counter.ask(organization, room=f"{{{organization}}}:room", seconds=60)

    for organization in ("one", "two", "three", "four"):  # on different slots
        assert await ask(organization) == "unknown"
        for pool in (Pool(5, 5, 0, version=7), Pool(5, 4, 0, version=6), Pool(9, 0, 0, version=7)):
            await counter.publish(organization, pool)
        assert await ask(organization) == "full"
        await counter.publish(organization, Pool(5, 4, 0, version=8))
        assert await ask(organization) == "free"
        await counter.publish(organization, Pool(5, 4, 1, version=9))
        assert await ask(organization) == "full"


async def test_a_whole_login_works(redis_url: str, migrated: Migrated, tmp_path):
    async with open_gate(migrated.sqlite(tmp_path), redis_url) as gate:
        for _ in range(3):
            organization = await make_organization(gate.runtime, seats=3)
            admitted = await gate.login(person(organization, "ana"))
            assert isinstance(admitted, Admission)
            assert isinstance(await Recheck.of(gate.runtime).session(admitted.token), Alive)
            await gate.door.sessions.purge(organization.id, admitted.session.member, below=1000)
            assert await Recheck.of(gate.runtime).session(admitted.token) is None


@pytest.mark.parametrize("kind", ["redis://{at}", "redis+sentinel://{at}/gate", "redis+cluster://{at}"])
async def test_nobody_answers_means_unavailable_soon(kind: str):
    redis = Redis(kind.format(at=f"{LOOPBACK}:{free_port()}"))
    begun = time.monotonic()
    for _ in range(2):
        with pytest.raises(Unavailable):
            await redis.get("a")
    assert time.monotonic() - begun < 9
    await redis.close()


async def test_a_command_is_sent_once_even_when_its_answer_is_lost():
    """redis-py would send it ten times more by itself."""
    received: list[bytes] = []

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            if b"GETDEL" in data:
                received.append(data)
                break
            writer.write(b"+OK\r\n" * data.count(b"*"))
        writer.close()

    server = await asyncio.start_server(swallow, LOOPBACK, 0)
    redis = Redis(f"redis://{LOOPBACK}:{server.sockets[0].getsockname()[1]}?protocol=2")
    with pytest.raises(Unavailable):
        await redis.take("a")
    await redis.close()
    server.close()
    assert len(received) == 1


@pytest.mark.parametrize("kind", ["sentinel_valkey", "cluster_valkey"])
async def test_a_command_is_sent_once_even_when_sentinel_or_cluster_says_where_to(
    kind: str, request: pytest.FixtureRequest
):
    """Sent again, it would wait once more, until the list has something or the client gives up."""
    servers: SentinelValkey | ClusterValkey = request.getfixturevalue(kind)
    redis = Redis(servers.url)
    await redis.ping()
    waiting = asyncio.create_task(redis._command("list{x}", "BLPOP", "list{x}", SOCKET_SECONDS))
    await asyncio.to_thread(servers.hang_up_on_who_waits_for, "list{x}")
    with pytest.raises(Unavailable):
        await asyncio.wait_for(waiting, SOCKET_SECONDS / 2)
    await redis.ping()  # and it finds its way back
    await redis.close()


async def test_two_hundred_at_once_are_all_answered_by_a_client_that_has_just_been_opened(redis: Redis):
    counted = await asyncio.gather(*(redis.count(f"cold{{{at % 5}}}", seconds=60) for at in range(200)))
    assert sorted(counted) == sorted([*range(1, 41)] * 5)
    await asyncio.gather(*(redis.delete(f"cold{{{at}}}") for at in range(5)))


@pytest.mark.parametrize("redis_url", ["cluster_valkey"], indirect=True)
async def test_slots_that_move_in_a_storm_cost_nobody_an_answer(redis: Redis, cluster_valkey: ClusterValkey):
    keys = [f"moved{{{at}}}" for at in range(10)]
    await redis.ping()  # it knows where they are
    for key in keys[::2]:
        cluster_valkey.move(key)
    counted = await asyncio.gather(*(redis.count(key, seconds=60) for key in keys * 20))
    assert sorted(counted) == sorted([*range(1, 21)] * 10)
    await asyncio.gather(*(redis.delete(key) for key in keys))


@pytest.mark.parametrize("redis_url", ["cluster_valkey"], indirect=True)
@pytest.mark.parametrize("stumble", [AttributeError, TypeError, RuntimeError])
async def test_whatever_redis_py_stumbles_over_in_a_cluster_is_unavailable(
    redis: Redis, stumble: type[Exception], monkeypatch: pytest.MonkeyPatch
):
    async def write(_connection: Connection, _command: object) -> None:
        raise stumble("'NoneType' object has no attribute 'writelines'")

    await redis.ping()
    with monkeypatch.context() as broken, pytest.raises(Unavailable):
        broken.setattr(Connection, "_send_packed_command", write)
        await redis.get("a")
    await redis.ping()


async def test_a_server_that_falls_silent_is_hung_up_on_and_asked_anew_by_the_next(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sso_gate.storage.redis.SOCKET_SECONDS", 0.2)
    silent = True

    async def mumble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            if not (silent and b"GETDEL" in data):
                writer.write(b"+OK\r\n" * data.count(b"*"))
        writer.close()

    server = await asyncio.start_server(mumble, LOOPBACK, 0)
    redis = Redis(f"redis://{LOOPBACK}:{server.sockets[0].getsockname()[1]}?protocol=2")
    await redis.ping()  # the connection stands
    begun = time.monotonic()
    with pytest.raises(Unavailable):
        await redis.take("a")
    assert time.monotonic() - begun < 2
    silent = False
    assert await redis.take("a") == "OK"
    await redis.close()
    server.close()
