"""The Redis-backed counter: asked before every first admission, and never believed against SQL.

Its answer chooses which SQL statement is tried first. What it has forgotten, or got wrong, can cost a statement, not a
seat.
"""

from dataclasses import dataclass
from typing import Literal, cast

from sso_gate.seats.ledger import Pool
from sso_gate.storage.redis import Redis, Script

Hint = Literal["free", "full", "unknown"]

LIFETIME_SECONDS = 60  # a number that nobody refreshes is forgotten, so a wrong one cannot stay
_ASK = Script.load("sso_gate.seats", "seats.lua")
_PUBLISH = Script.load("sso_gate.seats", "publish.lua")


@dataclass(frozen=True, slots=True)
class SeatCounter:
    """The seat counters of every organization."""

    redis: Redis

    async def ask(self, organization: str, *, room: str, seconds: int) -> Hint:
        """Return whether a seat seems free, having made room for a session under the key `room` for so long.
        `Unavailable` when Redis does not answer: nobody is admitted then, and nothing has been taken yet.
        """
        return cast("Hint", await self.redis.run(_ASK, [_key(organization), room], [seconds]))

    async def publish(self, organization: str, pool: Pool) -> None:
        """Tell the counter what SQL has committed; it changes only when the version is newer."""
        numbers = [pool.version, pool.purchased, pool.used, pool.reserved, LIFETIME_SECONDS]
        await self.redis.run(_PUBLISH, [_key(organization)], numbers)


def _key(organization: str) -> str:
    return f"sso:{{{organization}}}:seats"
