"""The dialect recorder: which attributes a client sent that were ignored, by name, never by value. Bounded."""

import contextlib
from collections.abc import Collection
from dataclasses import dataclass

from sso_gate.errors import Unavailable
from sso_gate.storage.redis import Redis, Script

MAX_NAMES = 100
KEPT_SECONDS = 30 * 24 * 3600
_RECORD = Script.load("sso_gate.scim", "dialect.lua")


@dataclass(frozen=True, slots=True)
class Recorder:
    """What was ignored of one token's requests in the last weeks."""

    redis: Redis
    organization: str
    token: str

    async def record(self, names: Collection[str]) -> None:
        """Count these names; a Redis that is away forgets them, which harms nobody."""
        with contextlib.suppress(Unavailable):
            if names:
                await self.redis.run(_RECORD, [self._key], [MAX_NAMES, KEPT_SECONDS, *sorted(names)])

    async def heard(self) -> dict[str, int]:
        """Return how often each name was ignored; nothing while Redis is away."""
        with contextlib.suppress(Unavailable):
            return {name: int(count) for name, count in (await self.redis.fields(self._key)).items()}
        return {}

    @property
    def _key(self) -> str:
        return f"sso:{{{self.organization}}}:scim-dialect:{self.token}"
