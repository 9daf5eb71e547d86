"""Single-use tickets that carry a sign-in from the gate's host to an application's host: 60 seconds, one host, one
browser.
"""

import hashlib
import hmac
import json
import secrets
from dataclasses import asdict, dataclass

from sso_gate.storage.redis import Redis

TICKET_SECONDS = 60


@dataclass(frozen=True, slots=True)
class HostTicket:
    """Which session may continue where: `browser` is the hash of the key that the application's host gave
    this browser.
    """

    organization: str
    session: str
    host: str
    browser: str
    return_to: str


@dataclass(frozen=True, slots=True)
class HostTickets:
    """The tickets under way."""

    redis: Redis

    async def issue(self, ticket: HostTicket) -> str:
        """Return the text that redeems this ticket once."""
        text = secrets.token_urlsafe(32)
        await self.redis.put(_key(text), json.dumps(asdict(ticket)), seconds=TICKET_SECONDS)
        return text

    async def redeem(self, text: str, *, host: str, browser_key: str) -> HostTicket | None:
        """Return the ticket and use it up; None when it is unknown, used, or meant for another host or browser."""
        found = await self.redis.take(_key(text))
        ticket = HostTicket(**json.loads(found)) if found else None
        if ticket is None or ticket.host != host or not hmac.compare_digest(ticket.browser, key_hash(browser_key)):
            return None
        return ticket


def key_hash(browser_key: str) -> str:
    """Return what may leave the browser of its key."""
    return hashlib.sha256(browser_key.encode()).hexdigest()


def _key(text: str) -> str:
    return f"sso:host-ticket:{{{hashlib.sha256(text.encode()).hexdigest()}}}"
