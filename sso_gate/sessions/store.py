"""Sessions in Redis. All keys of an organization share its hash tag, so each script runs in one slot."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from sso_gate.sessions.provider_names import name_key
from sso_gate.sessions.session import Session, SessionToken
from sso_gate.storage.redis import Redis, Script
from sso_gate.storage.runtime import Runtime

PENDING_SECONDS = 60  # longer than any decision takes; a crash leaves nothing longer than this
LISTED_SESSIONS = 64  # of one member; beyond it the dead ones among them are forgotten
_PENDING = "{}"
_ACTIVATE = Script.load("sso_gate.sessions", "activate.lua")
_PURGE = Script.load("sso_gate.sessions", "purge.lua")
_END_MATCHING = Script.load("sso_gate.sessions", "end_matching.lua")
_REWRITE = Script.load("sso_gate.sessions", "rewrite.lua")


@dataclass(frozen=True, slots=True)
class SessionStore:
    """The sessions of every organization; `idle` and `longest` bound how long one lives."""

    redis: Redis
    idle: timedelta
    longest: timedelta

    @classmethod
    def of(cls, runtime: Runtime) -> Self:
        """Return the sessions of this installation."""
        return cls(runtime.redis, runtime.settings.session_idle, runtime.settings.session_max)

    async def write_pending(self, token: SessionToken) -> None:
        """Make room for a session before the decision: with Redis away nothing has been taken yet."""
        await self.redis.put(pending_key(token), _PENDING, seconds=PENDING_SECONDS)

    async def activate(self, token: SessionToken, session: Session, *, names: Sequence[str] = ()) -> bool:
        """Make the pending session active; False when it or its parent is gone, or the generation was ended.

        By each of `names` the identity provider can name it from then on (`ProviderNames`).
        """
        organization, digest, prefix = token.organization, token.digest, _session_key(token.organization, "")
        keys = [
            prefix + digest,
            prefix + session.family,
            *_member_keys(organization, session.member),
            *(name_key(organization, session.connection, name) for name in names),
        ]
        longest = math.ceil(self.longest.total_seconds())
        idle = math.ceil(self.idle.total_seconds())
        arguments: list[str | int] = [
            session.to_json(),
            digest,
            session.generation,
            idle,
            longest,
            prefix,
            LISTED_SESSIONS,
            session.member,
        ]
        return bool(await self.redis.run(_ACTIVATE, keys, arguments))

    async def find(self, token: SessionToken, *, now: datetime) -> Session | None:
        """Return the living session and begin its idle time anew, or None."""
        return await self.find_digest(token.organization, token.digest, now=now)

    async def find_digest(self, organization: str, digest: str, *, now: datetime) -> Session | None:
        """Return the living session that is kept under this digest, as `find` does."""
        key = _session_key(organization, digest)
        text = await self.redis.get_and_extend(key, seconds=math.ceil(self.idle.total_seconds()))
        session = Session.from_json(text) if text else None
        if session is None or now < session.ends_at:
            return session
        await self.redis.delete(key)
        return None

    async def confirm(self, token: SessionToken, session: Session) -> None:
        """Write what SQL has confirmed, unless the session was ended meanwhile."""
        await self.redis.run(_REWRITE, [_session_key(token.organization, token.digest)], [session.to_json()])

    async def end(self, token: SessionToken) -> None:
        """End this one session."""
        await self.redis.delete(_session_key(token.organization, token.digest))

    async def end_family(self, session: Session) -> int:
        """End this session and those on application hosts that stem from it; return how many there were."""
        return await self.end_matching(session.organization, session.member, family=session.family)

    async def end_matching(self, organization: str, member: str, **fields: str) -> int:
        """End the member's sessions that have all of these field values; return how many there were."""
        keys = _member_keys(organization, member)[:1]
        pairs = [word for pair in fields.items() for word in pair]
        return int(await self.redis.run(_END_MATCHING, keys, [_session_key(organization, ""), *pairs]))

    async def purge(self, organization: str, member: str, *, below: int) -> int:
        """End every session of the member whose generation is below `below`, for ever; return how many there were."""
        prefix = _session_key(organization, "")
        remember = math.ceil(self.longest.total_seconds())
        arguments: list[str | int] = [below, remember, prefix, _ended_key(organization, "")]
        return int(await self.redis.run(_PURGE, _member_keys(organization, member), arguments))

    async def purged(self, token: SessionToken) -> Session | None:
        """Return what is left of a session that `purge` has ended not long ago, or None. It opens nothing."""
        text = await self.redis.get(_ended_key(token.organization, token.digest))
        return Session.remains(text) if text else None


def pending_key(token: SessionToken) -> str:
    """Return where room is made for a session."""
    return _session_key(token.organization, token.digest)


def _session_key(organization: str, digest: str) -> str:
    return f"sso:{{{organization}}}:session:{digest}"


def _ended_key(organization: str, digest: str) -> str:
    return f"sso:{{{organization}}}:ended-session:{digest}"


def _member_keys(organization: str, member: str) -> list[str]:
    return [f"sso:{{{organization}}}:sessions-of:{member}", f"sso:{{{organization}}}:floor:{member}"]
