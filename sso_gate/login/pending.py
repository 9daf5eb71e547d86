"""Pending logins: what is remembered between sending a browser away and its return. On the server, single use, ten
minutes.

The handle travels as RelayState or `state` and says nothing; the browser proves itself by its own key, a cookie that
belongs to the browser and not to one login, so two tabs live side by side.
"""

import hashlib
import hmac
import json
import math
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal, cast

from sso_gate.protocols.replay import used_key
from sso_gate.storage.redis import Redis, Script

LIFETIME_SECONDS = 600
RESTART_SECONDS = 60
MAX_HANDLE_LENGTH = 128
_CONSUME = Script.load("sso_gate.login", "consume.lua")

InTheWay = Literal["mismatch", "replayed", "unknown"]


@dataclass(frozen=True, slots=True)
class PendingLogin:
    """One browser on its way: `browser` is the hash of its key, `expectations` what the protocol will demand again.

    `bind` is the hash of the key that an application's host gave the browser, where the login began there; `restarted`
    is set when an unsolicited message started it, which happens once; `trial` names the test login that this is, if it
    is one, and `sent_at` when that began (microseconds since 1970).
    """

    connection: str
    browser: str
    expectations: Mapping[str, str]
    return_to: str
    bind: str = ""
    restarted: bool = False
    trial: str = ""
    sent_at: int = 0


@dataclass(frozen=True, slots=True)
class PendingLogins:
    """The logins under way, by connection and handle."""

    redis: Redis

    async def save(self, handle: str, pending: PendingLogin) -> None:
        """Remember the login for ten minutes."""
        text = json.dumps({**asdict(pending), "expectations": dict(pending.expectations)})
        await self.redis.put(_key(pending.connection, handle), text, seconds=LIFETIME_SECONDS)

    async def find(self, connection: str, handle: str, *, browser_key: str) -> PendingLogin | None:
        """Return the login of this browser under this handle without using it up, or None; None without a key."""
        if not browser_key or not _fits(handle):
            return None
        text = await self.redis.get(_key(connection, handle))
        found = _pending(text) if text else None
        same = found is not None and hmac.compare_digest(found.browser, browser_hash(browser_key))
        return found if same else None

    async def consume(
        self,
        connection: str,
        handle: str,
        proof: str,
        *,
        browser_key: str,
        request_id: str,
        now: datetime,
        until: datetime,
    ) -> PendingLogin | InTheWay:
        """Return the login of this browser under this handle, used up in one step with the proof; or what stands in
        the way of that, which leaves both as they were.

        `request_id` is the request that the proof answers, empty where the protocol compares something else. A handle
        that names no login uses up nothing, and still finds out whether the proof was used before.
        """
        taken = handle if browser_key and _fits(handle) else new_handle()
        seconds = max(1, math.ceil((until - now).total_seconds()))
        keys = [used_key(connection, proof), _key(connection, taken)]
        told: str = await self.redis.run(_CONSUME, keys, [seconds, browser_hash(browser_key), request_id])
        return _pending(told) if told.startswith("{") else cast("InTheWay", told)

    async def may_restart(self, connection: str, browser_key: str) -> bool:
        """Return whether this browser was not sent to this provider by an unsolicited answer a moment ago.

        A provider that answers every request of ours with an unsolicited message would otherwise go round for ever.
        """
        return await self.redis.put(_restart_key(connection, browser_key), "1", seconds=RESTART_SECONDS, only_new=True)

    async def forget_restart(self, connection: str, browser_key: str) -> None:
        """Let an unsolicited answer start a login again: the one that it started has come to its end."""
        await self.redis.delete(_restart_key(connection, browser_key))


def _fits(handle: str) -> bool:
    return 0 < len(handle) <= MAX_HANDLE_LENGTH


def _pending(text: str) -> PendingLogin:
    return PendingLogin(**json.loads(text))


def new_handle() -> str:
    """Return 256 random bits as text."""
    return secrets.token_urlsafe(32)


def browser_hash(browser_key: str) -> str:
    """Return what the server keeps of a browser's key."""
    return hashlib.sha256(browser_key.encode()).hexdigest()


def handle_proof(handle: str) -> str:
    """Return the name under which a used handle is remembered: with OpenID Connect it is the proof of a redirect."""
    return f"state:{hashlib.sha256(handle.encode()).hexdigest()}"


def _restart_key(connection: str, browser_key: str) -> str:
    return f"sso:{{connection:{connection}}}:restarted:{browser_hash(browser_key)}"


def _key(connection: str, handle: str) -> str:
    digest = hashlib.sha256(handle.encode()).hexdigest()
    return f"sso:{{connection:{connection}}}:pending:{digest}"
