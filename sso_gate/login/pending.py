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
from typing import Any, Literal

from sso_gate.protocols.replay import used_key
from sso_gate.storage.redis import Redis, Script

LIFETIME_SECONDS = 600
RESTART_SECONDS = 60
MAX_HANDLE_LENGTH = 128
_CONSUME = Script.load("sso_gate.login", "consume.lua")

Consumed = Literal["ok", "replayed", "unknown"]


@dataclass(frozen=True, slots=True)
class PendingLogin:
    """One browser on its way: `browser` is the hash of its key, `expectations` what the protocol will demand again.

    `bind` is the hash of the key that an application's host gave the browser, where the login began there; `restarted`
    is set when an unsolicited message started it, which happens once; `trial` names the test login that this is, if it
    is one.
    """

    connection: str
    browser: str
    expectations: Mapping[str, str]
    return_to: str
    bind: str = ""
    restarted: bool = False
    trial: str = ""


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
        if not browser_key or not 0 < len(handle) <= MAX_HANDLE_LENGTH:
            return None
        text = await self.redis.get(_key(connection, handle))
        values: dict[str, Any] | None = json.loads(text) if text else None
        if values is None or not hmac.compare_digest(values["browser"], browser_hash(browser_key)):
            return None
        return PendingLogin(**values)

    async def consume(
        self, connection: str, handle: str | None, proof: str, *, now: datetime, until: datetime
    ) -> Consumed:
        """Use up the proof, and with it the login under `handle` if there is one, in one step."""
        seconds = max(1, math.ceil((until - now).total_seconds()))
        keys = [used_key(connection, proof), _key(connection, handle or "")]
        found: Consumed = await self.redis.run(_CONSUME, keys, [seconds, "1" if handle else "0"])
        return found

    async def may_restart(self, connection: str, browser_key: str) -> bool:
        """Return whether this browser was not sent to this provider by an unsolicited answer a moment ago.

        A provider that answers every request of ours with an unsolicited message would otherwise go round for ever.
        """
        return await self.redis.put(_restart_key(connection, browser_key), "1", seconds=RESTART_SECONDS, only_new=True)

    async def forget_restart(self, connection: str, browser_key: str) -> None:
        """Let an unsolicited answer start a login again: the one that it started has come to its end."""
        await self.redis.delete(_restart_key(connection, browser_key))


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
