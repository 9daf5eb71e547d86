"""Redis or Valkey: opens a client from SSO_GATE_REDIS_URL and runs Lua that lives in its own files.

Single (`redis://`, `rediss://`, `unix://`), Sentinel (`redis+sentinel://host:port,host:port/service`) and Cluster
(`redis+cluster://host:port,host:port`) are driven alike, each also with TLS (`rediss…`): every script touches keys of
one hash tag only. redis-py would repeat a command up to ten times in silence: that is off, and the scripts that a seat
depends on may run twice besides.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Self, TypeVar, cast
from urllib.parse import urlsplit, urlunsplit

import redis.asyncio as aio
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisClusterException, RedisError

from sso_gate.errors import Unavailable

SOCKET_SECONDS = 2.0
ANSWER_SECONDS = 4.0  # a free connection and the answer, whatever the client does meanwhile to find the right server
CONNECTIONS = 64
DEFAULT_PORT = 6379
DEFAULT_SENTINEL_PORT = 26379
_OPTIONS: dict[str, Any] = {
    "decode_responses": True,
    "socket_timeout": SOCKET_SECONDS,
    "socket_connect_timeout": SOCKET_SECONDS,
}
# RedisClusterException is not a RedisError. OSError has TimeoutError in it.
_TROUBLE = (RedisError, RedisClusterException, OSError)

T = TypeVar("T")
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
        self._free = asyncio.Semaphore(CONNECTIONS)

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:
        """Return what the script returns; its keys share one hash tag. Loads it where the server has forgotten it."""
        return await self._answer(self._run, script, keys, arguments)

    async def _run(self, script: Script, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:
        try:
            return await self._client.evalsha(script.sha, len(keys), *keys, *arguments)
        except NoScriptError:
            return await self._client.eval(script.text, len(keys), *keys, *arguments)

    async def get(self, key: str) -> str | None:
        """Return the text under the key, or None."""
        return cast("str | None", await self._answer(self._client.get, key))

    async def get_and_extend(self, key: str, *, seconds: int) -> str | None:
        """Return the text under the key and begin its lifetime anew (GETEX), or None."""
        return cast("str | None", await self._answer(self._client.getex, key, ex=seconds))

    async def take(self, key: str) -> str | None:
        """Return the text under the key and delete it in one step (GETDEL), or None."""
        return cast("str | None", await self._answer(self._client.getdel, key))

    async def put(self, key: str, text: str, *, seconds: int, only_new: bool = False) -> bool:
        """Keep the text under the key for so long; False when `only_new` and the key was there already."""
        return bool(await self._answer(self._client.set, key, text, ex=seconds, nx=only_new))

    async def delete(self, *keys: str) -> None:
        """Forget the keys; they share one hash tag."""
        await self._answer(self._client.delete, *keys)

    async def fields(self, key: str) -> dict[str, str]:
        """Return the fields of the hash under the key."""
        return cast("dict[str, str]", await self._answer(self._client.hgetall, key))

    async def drop_fields(self, key: str, *names: str) -> None:
        """Delete fields of the hash under the key."""
        await self._answer(self._client.hdel, key, *names)

    async def count(self, key: str, *, seconds: int) -> int:
        """Return how often this key was counted in its window of `seconds`, this time included."""
        return int(await self.run(_COUNT, [key], [seconds]))

    async def ping(self) -> None:
        """Return when the server answers."""
        await self._answer(self._client.ping)

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()
        keeper = getattr(getattr(self._client, "connection_pool", None), "sentinel_manager", None)
        if keeper is not None:
            await keeper.aclose()

    async def _answer(self, call: Callable[..., Awaitable[T]], *arguments: Any, **options: Any) -> T:
        try:
            async with asyncio.timeout(ANSWER_SECONDS), self._free:
                return await call(*arguments, **options)
        except _TROUBLE as error:
            _log.warning("redis unavailable: %s", error.__class__.__name__)
            raise Unavailable(f"redis: {error.__class__.__name__}") from error


def _open(url: str) -> Any:
    kind = urlsplit(url).scheme.partition("+")[2]
    match kind:
        case "cluster":
            return _open_cluster(url)
        case "sentinel":
            return _open_sentinel(url)
        case _:
            pool = aio.ConnectionPool.from_url(url, max_connections=CONNECTIONS, **_OPTIONS, retry=None)
            return aio.Redis.from_pool(pool)


def _open_cluster(url: str) -> Any:
    hosts, options = _parse(url, default_port=DEFAULT_PORT)
    never = Retry(NoBackoff(), 0)  # None would mean the default number here; redirections are followed in any case
    return RedisCluster(startup_nodes=[ClusterNode(*host) for host in hosts], **options, retry=never)


def _open_sentinel(url: str) -> Any:
    hosts, options = _parse(url, default_port=DEFAULT_SENTINEL_PORT)
    service, _, database = urlsplit(url).path.strip("/").partition("/")
    to_sentinel = {name: value for name, value in options.items() if name.startswith(("socket_", "ssl"))}
    keeper: Any = cast("Any", Sentinel)(hosts, sentinel_kwargs={**to_sentinel, "retry": None}, **options, retry=None)
    return keeper.master_for(service or "mymaster", db=int(database or 0), max_connections=CONNECTIONS)


def _parse(url: str, *, default_port: int) -> tuple[list[tuple[str, int]], dict[str, Any]]:
    """Return the hosts of a URL that names several, and everything else that it says as options of a client."""
    parts = urlsplit(url)
    login, at, hosts = parts.netloc.rpartition("@")
    plain = urlunsplit((parts.scheme.partition("+")[0], f"{login}{at}host", "", parts.query, ""))
    options = {**_OPTIONS, **parse_url(plain)}
    del options["host"]
    if options.pop("connection_class", None):
        options["ssl"] = True
    return [_host_and_port(word, default_port) for word in hosts.split(",")], options


def _host_and_port(word: str, default_port: int) -> tuple[str, int]:
    host, _, port = word.partition(":")
    return host, int(port or default_port)
