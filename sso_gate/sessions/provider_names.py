"""How an identity provider will name a session when it ends one: kept beside the sessions, for as long as
one can live.
"""

import hashlib
import json
from dataclasses import dataclass

from sso_gate.sessions.session import Session
from sso_gate.storage.redis import Redis


@dataclass(frozen=True, slots=True)
class ProviderNames:
    """Leads from a provider's names (a NameID, a `sub`, a `sid`) to the member whose sessions they mean."""

    redis: Redis

    async def remember(self, session: Session, names: list[str], *, seconds: int) -> None:
        """Keep the names that the provider may use for this session."""
        text = json.dumps([session.organization, session.member])
        for name in names:
            await self.redis.put(_key(session.connection, name), text, seconds=seconds)

    async def find(self, connection: str, name: str) -> tuple[str, str] | None:
        """Return (organization, member) of a name, or None when no living session can have it."""
        text = await self.redis.get(_key(connection, name))
        if text is None:
            return None
        organization, member = json.loads(text)
        return organization, member


def _key(connection: str, name: str) -> str:
    digest = hashlib.sha256(name.encode()).hexdigest()
    return f"sso:{{connection:{connection}}}:name:{digest}"
