"""Redis or Valkey: opens a client from SSO_GATE_REDIS_URL and runs Lua that lives in its own files.

Single (`redis://`, `rediss://`, `unix://`), Sentinel (`redis+sentinel://host:port,host:port/service`) and Cluster
(`redis+cluster://host:port,host:port`) are driven alike, each also with TLS (`rediss…`): every script touches keys of
one hash tag only. redis-py would repeat a command up to ten times in silence: that is off, and the scripts that a seat
depends on may run twice besides.
"""

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Self, cast
from urllib.parse import urlsplit, urlunsplit
from weakref import WeakValueDictionary

import redis.asyncio as aio
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Lost
from redis.exceptions import NoScriptError, RedisClusterException, RedisError

from sso_gate.errors import Unavailable
from sso_gate.storage.redis_lines import Lines

SOCKET_SECONDS = 2.0
ANSWER_SECONDS = 4.0  # where a free connection, or the new shape of a cluster, must be waited for first
CONNECTIONS = 64
TURNS = 16  # of them for one organization: a storm of its logins must not queue everybody else's
AT_ONCE = 16  # so many commands under way are no storm: they ask nobody whose turn it is
DEFAULT_PORT = 6379
DEFAULT_SENTINEL_PORT = 26379
_OPTIONS: dict[str, Any] = {
    "decode_responses": True,
    "socket_timeout": SOCKET_SECONDS,
    "socket_connect_timeout": SOCKET_SECONDS,
    "driver_info": None,  # for it each connection reads the client's package metadata from the disk
}
_OURS = {"socket_timeout": None}  # for `Lines` watches the clock: once, not at every step
# RedisClusterException is not a RedisError. OSError has TimeoutError in it.
_TROUBLE = (RedisError, RedisClusterException, OSError)
# What redis-py lets through, up to 8.1, when a connection goes while a command is written to it (redis-py #4288).
_STUMBLES = (AttributeError, TypeError, RuntimeError)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua source file of this package; `sha` is the name under which a server keeps it."""

    text: str
    sha: str

    @classmethod
    def load(cls, package: str, name: str) -> Self:
        """Return the script that lies beside the modules of `package`."""
        text = files(package).joinpath(name).read_text(encoding="utf-8")
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


_COUNT = Script.load("sso_gate.storage", "count.lua")


class Redis:
    """The one client of a process. Every method raises `Unavailable` when the server does not answer in time."""

    def __init__(self, url: str) -> None:
        self._client: Any = _open(url)
        pool = getattr(self._client, "connection_pool", None)  # a cluster has one for each of its servers
        self._lines = Lines(pool, seconds=SOCKET_SECONDS) if pool else None
        self._at_once = 0
        self._free = asyncio.Semaphore(CONNECTIONS - AT_ONCE)
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:
        """Return what the script returns; its keys share one hash tag. Loads it where the server has forgotten it."""
        try:
            return await self._command(keys[0], "EVALSHA", script.sha, len(keys), *keys, *arguments)
        except NoScriptError:
            return await self._command(keys[0], "EVAL", script.text, len(keys), *keys, *arguments)

    async def get(self, key: str) -> str | None:
        """Return the text under the key, or None."""
        return cast("str | None", await self._command(key, "GET", key))

    async def get_and_extend(self, key: str, *, seconds: int) -> str | None:
        """Return the text under the key and begin its lifetime anew (GETEX), or None."""
        return cast("str | None", await self._command(key, "GETEX", key, "EX", seconds))

    async def take(self, key: str) -> str | None:
        """Return the text under the key and delete it in one step (GETDEL), or None."""
        return cast("str | None", await self._command(key, "GETDEL", key))

    async def put(self, key: str, text: str, *, seconds: int, only_new: bool = False) -> bool:
        """Keep the text under the key for so long; False when `only_new` and the key was there already."""
        condition = ("NX",) if only_new else ()
        return bool(await self._command(key, "SET", key, text, "EX", seconds, *condition))

    async def delete(self, *keys: str) -> None:
        """Forget the keys; they share one hash tag."""
        await self._command(keys[0], "DEL", *keys)

    async def fields(self, key: str) -> dict[str, str]:
        """Return the fields of the hash under the key."""
        answer = await self._command(key, "HGETALL", key)
        return answer if isinstance(answer, dict) else dict(zip(answer[::2], answer[1::2], strict=True))

    async def drop_fields(self, key: str, *names: str) -> None:
        """Delete fields of the hash under the key."""
        await self._command(key, "HDEL", key, *names)

    async def count(self, key: str, *, seconds: int, by: int = 1) -> int:
        """Return how often this key was counted in its window of `seconds`, this time included, which counts `by`."""
        return int(await self.run(_COUNT, [key], [seconds, by]))

    async def ping(self) -> None:
        """Return when the server answers."""
        await self._command("", "PING")

    async def close(self) -> None:
        """Close every connection."""
        if self._lines:
            await self._lines.close()
        await self._client.aclose()
        keeper = getattr(getattr(self._client, "connection_pool", None), "sentinel_manager", None)
        if keeper is not None:
            await keeper.aclose()

    async def _command(self, key: str, *words: str | int) -> Any:
        """Return the answer; in a storm after waiting for it in turn."""
        try:
            if self._lines is None or self._at_once >= AT_ONCE:
                return await self._in_turn(key, words)
            self._at_once += 1
            try:
                return await self._lines.ask(words)
            finally:
                self._at_once -= 1
        except NoScriptError:
            raise
        except _TROUBLE as error:
            _log.warning("redis unavailable: %s", error.__class__.__name__)
            raise Unavailable(f"redis: {error.__class__.__name__}") from error

    async def _in_turn(self, key: str, words: tuple[str | int, ...]) -> Any:
        """Return the answer, after waiting first behind its own organization, then behind everybody."""
        tag = key.partition("{")[2].partition("}")[0]
        turn = self._turns.get(tag)
        if turn is None:
            turn = self._turns[tag] = asyncio.Semaphore(TURNS)
        # redis-py asks a cluster who leads by now only when its own time has run out before ours.
        has_to_wait = turn.locked() or self._free.locked() or self._lines is None
        seconds = ANSWER_SECONDS if has_to_wait else SOCKET_SECONDS
        async with asyncio.timeout(seconds), turn, self._free:
            return await (self._lines.ask(words) if self._lines else self._ask_cluster(words))

    async def _ask_cluster(self, words: tuple[str | int, ...]) -> Any:
        """Return the answer of the server that keeps the key."""
        try:
            return await self._client.execute_command(*words)
        except _STUMBLES as error:
            raise Lost(f"redis-py: {error!r}") from error


def _open(url: str) -> Any:
    kind = urlsplit(url).scheme.partition("+")[2]
    match kind:
        case "cluster":
            return _open_cluster(url)
        case "sentinel":
            return _open_sentinel(url)
        case _:
            pool = aio.ConnectionPool.from_url(url, **{**_OPTIONS, **_OURS}, retry=None)
            return aio.Redis.from_pool(pool)


def _open_cluster(url: str) -> Any:
    hosts, options = _parse(url, default_port=DEFAULT_PORT)
    never = Retry(NoBackoff(), 0)  # None would mean the default number here; redirections are followed in any case
    nodes = [ClusterNode(*host) for host in hosts]
    # Each MOVED corrects its slot. By default every fifth ends all connections besides, those in use included, and what
    # comes until the cluster is known anew goes to any server, whose MOVED is the next: a storm would never be over.
    return RedisCluster(startup_nodes=nodes, **options, retry=never, reinitialize_steps=0)


def _open_sentinel(url: str) -> Any:
    hosts, options = _parse(url, default_port=DEFAULT_SENTINEL_PORT)
    service, _, database = urlsplit(url).path.strip("/").partition("/")
    to_sentinel = {name: value for name, value in options.items() if name.startswith(("socket_", "ssl"))}
    keeper: Any = cast("Any", Sentinel)(hosts, sentinel_kwargs={**to_sentinel, "retry": None}, **options, retry=None)
    return keeper.master_for(service or "mymaster", db=int(database or 0), **_OURS)


def _parse(url: str, *, default_port: int) -> tuple[list[tuple[str, int]], dict[str, Any]]:
    """Return the hosts of a URL that names several, and everything else that it says as options of a client; it has no
    say in what the gate relies on.
    """
    parts = urlsplit(url)
    login, at, hosts = parts.netloc.rpartition("@")
    plain = urlunsplit((parts.scheme.partition("+")[0], f"{login}{at}host", "", parts.query, ""))
    options = {**parse_url(plain), **_OPTIONS}
    del options["host"]
    if options.pop("connection_class", None):
        options["ssl"] = True
    return [_host_and_port(word, default_port) for word in hosts.split(",")], options


def _host_and_port(word: str, default_port: int) -> tuple[str, int]:
    host, _, port = word.partition(":")
    return host, int(port or default_port)
