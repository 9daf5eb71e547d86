"""So many login messages from one client address in so much time (SSO_GATE_LOGIN_RATE), counted in Redis for all gates
together.
"""

import hashlib
from dataclasses import dataclass
from ipaddress import IPv6Network
from typing import Self

from sso_gate.errors import Reason, Refused
from sso_gate.settings import Rate
from sso_gate.storage.redis import Redis
from sso_gate.storage.runtime import Runtime


@dataclass(frozen=True, slots=True)
class LoginRate:
    """The limit on what unauthenticated clients may send."""

    redis: Redis
    rate: Rate

    @classmethod
    def of(cls, runtime: Runtime, rate: Rate | None = None) -> Self:
        """Return the limit of this installation, or another one, counted in all gates together."""
        return cls(runtime.redis, rate or runtime.settings.login_rate)

    @property
    def window_seconds(self) -> int:
        """Seconds of one counting window: also what `Retry-After` says."""
        return max(1, int(self.rate.period.total_seconds()))

    async def check(self, address: str, *, purpose: str = "login") -> None:
        """Count one message of this address; an IPv6 network of a customer (/64) counts as one.

        Raises:
            Refused: `rate_limited`.
        """
        counted_as = f"{purpose} {_network(address)}"
        key = f"sso:rate:{{{hashlib.sha256(counted_as.encode()).hexdigest()[:32]}}}"
        counted = await self.redis.count(key, seconds=self.window_seconds)
        if counted > self.rate.count:
            raise Refused(Reason.RATE_LIMITED, f"{counted} messages in {self.window_seconds} s")


def _network(address: str) -> str:
    if ":" not in address:
        return address  # IPv4, or a peer without an address
    try:
        return str(IPv6Network((address, 64), strict=False))
    except ValueError:
        return address
