"""Messages that may be used once: whoever comes first with a proof uses it up, on any gate, until it would have expired
anyway.
"""

import math
from dataclasses import dataclass
from datetime import datetime

from sso_gate.storage.redis import Redis


@dataclass(frozen=True, slots=True)
class ReplayGuard:
    """The proofs that were used up, by connection. Logins use theirs up together with their pending login instead."""

    redis: Redis

    async def first_use(self, connection: str, proof: str, *, now: datetime, until: datetime) -> bool:
        """Return whether nobody has used this proof before, and use it up."""
        seconds = max(1, math.ceil((until - now).total_seconds()))
        return await self.redis.put(used_key(connection, proof), "1", seconds=seconds, only_new=True)


def used_key(connection: str, proof: str) -> str:
    """Return where it is remembered that a proof was used."""
    return f"sso:{{connection:{connection}}}:used:{proof}"
