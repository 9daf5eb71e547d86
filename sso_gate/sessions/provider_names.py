"""How an identity provider will name a session when it ends one: kept beside the sessions, for as long as
one can live, from the moment in which the session begins.
"""

import hashlib
from dataclasses import dataclass

from sso_gate.storage.redis import Redis


@dataclass(frozen=True, slots=True)
class ProviderNames:
    """Leads from a provider's names (a NameID, a `sub`, a `sid`) to the member whose sessions they mean."""

    redis: Redis

    async def find(self, organization: str, connection: str, name: str) -> tuple[str, str] | None:
        """Return (organization, member) of a name, or None when no living session can have it."""
        member = await self.redis.get(name_key(organization, connection, name))
        return (organization, member) if member else None


def name_key(organization: str, connection: str, name: str) -> str:
    """Return where the member is kept whom this name of the connection's provider means."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    return f"sso:{{{organization}}}:name:{connection}:{digest}"
