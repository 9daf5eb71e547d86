"""The ticket of a waiting page: 128 random bits in its address, worth something only together with the browser's
cookie.
"""

import hashlib
import hmac
import json
import secrets
from dataclasses import asdict, dataclass, replace

from sso_gate.storage.redis import Redis

LIFETIME_SECONDS = 7 * 24 * 3600
CLAIM_SECONDS = 60
MAX_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a refused person's page is about. `browser` is the hash of the browser's key; empty until the first look
    claims it.
    """

    organization: str
    member: str
    email: str
    reason: str
    reference: str
    connection: str
    return_to: str
    refused_at: int
    browser: str


@dataclass(frozen=True, slots=True)
class Tickets:
    """The tickets of waiting pages."""

    redis: Redis

    async def issue(self, ticket: Ticket) -> str:
        """Return the ticket's text; one that nobody has claimed lives for a minute."""
        text = secrets.token_urlsafe(16)
        seconds = LIFETIME_SECONDS if ticket.browser else CLAIM_SECONDS
        await self.redis.put(_key(text), json.dumps(asdict(ticket)), seconds=seconds)
        return text

    async def find(self, text: str, *, browser_key: str) -> Ticket | None:
        """Return the ticket to the browser that it belongs to, or None."""
        found = await self._read(text)
        if found is None or not found.browser or not browser_key:
            return None
        return found if hmac.compare_digest(found.browser, _hash(browser_key)) else None

    async def claim(self, text: str, *, browser_key: str) -> Ticket | None:
        """Return a ticket that no browser has claimed yet, now bound to this one; None for any other."""
        found = await self._read(text)
        if found is None or found.browser:
            return None
        if not await self.redis.put(f"{_key(text)}:claimed", "1", seconds=CLAIM_SECONDS * 2, only_new=True):
            return None
        bound = replace(found, browser=_hash(browser_key))
        await self.redis.put(_key(text), json.dumps(asdict(bound)), seconds=LIFETIME_SECONDS)
        return bound

    async def _read(self, text: str) -> Ticket | None:
        found = await self.redis.get(_key(text)) if 0 < len(text) <= MAX_LENGTH else None
        return Ticket(**json.loads(found)) if found else None


def browser_hash(browser_key: str) -> str:
    """Return what a ticket keeps of the browser's key."""
    return _hash(browser_key)


def _hash(browser_key: str) -> str:
    return hashlib.sha256(browser_key.encode()).hexdigest()


def _key(text: str) -> str:
    return f"sso:denied:{{{hashlib.sha256(text.encode()).hexdigest()}}}"
