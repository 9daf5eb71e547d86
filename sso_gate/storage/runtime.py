"""What a process was started with: settings, clock, database, Redis and the ring of secret keys."""

from dataclasses import dataclass

from sso_gate.clock import Clock
from sso_gate.settings import Settings
from sso_gate.storage.database import Database
from sso_gate.storage.keyring import Keyring
from sso_gate.storage.redis import Redis


@dataclass(frozen=True, slots=True)
class Runtime:
    """The outside world of the use cases, opened once for each process and closed with it."""

    settings: Settings
    clock: Clock
    database: Database
    redis: Redis
    keyring: Keyring

    async def close(self) -> None:
        """Close what was opened."""
        await self.redis.close()
        self.database.close()
