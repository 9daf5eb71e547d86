"""Redis or Valkey: opens a client from SSO_GATE_REDIS_URL and runs Lua that lives in its own files.

Single (`redis://`, `rediss://`, `unix://`), Sentinel (`redis+sentinel://host:port,host:port/service`) and Cluster
(`redis+cluster://host:port`) are driven alike: every script touches keys of one hash tag only. redis-py would repeat a command up
to ten times in silence: that is off, and the scripts are idempotent besides.
"""

import hashlib
import logging
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Self, TypeVar, cast
from urllib.parse import urlsplit

import redis.asyncio as aio
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.sentinel import Sentinel
from redis.exceptions import NoScriptError, RedisError

from sso_gate.errors import Unavailable

SOCKET_SECONDS = 2.0
CONNECTIONS = 64
DEFAULT_SENTINEL_PORT = 26379
_OPTIONS: dict[str, Any] = {
    "decode_responses": True,
    "retry": None,
    "socket_timeout": SOCKET_SECONDS,
    "socket_connect_timeout": SOCKET_SECONDS,
}

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

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:
        """Return what the script returns; its keys share one hash tag. Loads it where the server has forgotten it."""
        try:
            return await self._client.evalsha(script.sha, len(keys), *keys, *arguments)
        except NoScriptError:
            return await self._answer(self._client.eval(script.text, len(keys), *keys, *arguments))
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error

    async def get(self, key: str) -> str | None:
        """Return the text under the key, or None."""
        return cast("str | None", await self._answer(self._client.get(key)))

    async def get_and_extend(self, key: str, *, seconds: int) -> str | None:
        """Return the text under the key and begin its lifetime anew (GETEX), or None."""
        return cast("str | None", await self._answer(self._client.getex(key, ex=seconds)))

    async def take(self, key: str) -> str | None:
        """Return the text under the key and delete it in one step (GETDEL), or None."""
        return cast("str | None", await self._answer(self._client.getdel(key)))

    async def put(self, key: str, text: str, *, seconds: int, only_new: bool = False) -> bool:
        """Keep the text under the key for so long; False when `only_new` and the key was there already."""
        return bool(await self._answer(self._client.set(key, text, ex=seconds, nx=only_new)))

    async def delete(self, *keys: str) -> None:
        """Forget the keys; they share one hash tag."""
        await self._answer(self._client.delete(*keys))

    async def count(self, key: str, *, seconds: int) -> int:
        """Return how often this key was counted in its window of `seconds`, this time included."""
        return int(await self.run(_COUNT, [key], [seconds]))

    async def ping(self) -> None:
        """Return when the server answers."""
        await self._answer(self._client.ping())

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def _answer(self, call: Awaitable[T]) -> T:
        try:
            return await call
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error


def _unavailable(error: Exception) -> Unavailable:
    _log.warning("redis unavailable: %s", error.__class__.__name__)
    return Unavailable(f"redis: {error.__class__.__name__}")


def _open(url: str) -> Any:
    scheme = urlsplit(url).scheme
    if scheme.endswith("+cluster"):
        options = {**_OPTIONS, "cluster_error_retry_attempts": 3}
        return RedisCluster.from_url(url.replace("+cluster", "", 1), **options)
    if scheme.endswith("+sentinel"):
        return _open_sentinel(url)
    pool = aio.BlockingConnectionPool.from_url(url, max_connections=CONNECTIONS, timeout=SOCKET_SECONDS, **_OPTIONS)
    return aio.Redis.from_pool(pool)


def _open_sentinel(url: str) -> Any:
    parts = urlsplit(url)
    _, _, hosts = parts.netloc.rpartition("@")
    sentinels = [_host_and_port(word) for word in hosts.split(",")]
    service, _, database = parts.path.strip("/").partition("/")
    login = {"username": parts.username, "password": parts.password} if parts.password else {}
    options = {**_OPTIONS, **login, "db": int(database or 0), "ssl": parts.scheme.startswith("rediss")}
    keeper: Any = cast("Any", Sentinel)(sentinels, sentinel_kwargs={"socket_timeout": SOCKET_SECONDS}, **options)
    return keeper.master_for(service or "mymaster")


def _host_and_port(word: str) -> tuple[str, int]:
    host, _, port = word.partition(":")
    return host, int(port or DEFAULT_SENTINEL_PORT)
