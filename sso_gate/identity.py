"""What a connection has proved about a person just now, and how things are named."""

import secrets
from dataclasses import dataclass
from datetime import datetime

from sso_gate.clock import Clock, to_micros

_UUID7_VERSION = 0x7 << 76
_UUID7_VARIANT = 0x2 << 62
_HEX_GROUPS = (8, 4, 4, 4, 12)


@dataclass(frozen=True, slots=True)
class Identity:
    """A person as one connection vouches for them: the only thing that protocols hand on.

    Built by `protocols` alone, and only after every check has passed, so holding one is the proof. The key is
    (`connection`, `subject`); `email` is an attribute and is trusted only inside the organization's verified domains.

    `login_id` is 64 hex digits naming this very proof (issuer and assertion id, or issuer and nonce): the durable
    guard against replay, and the key under which a retried login finds its own answer.
    """

    connection: str
    organization: str
    protocol: str
    subject: str
    email: str | None
    email_verified: bool
    name: str | None
    groups: tuple[str, ...]
    authenticated_at: datetime
    session_index: str | None
    login_id: str


def normal_email(text: str) -> str:
    """Return the form in which addresses are compared: trimmed and lower-case."""
    return text.strip().casefold()


def email_domain(email: str) -> str:
    """Return the part behind the last @ in lower case, or an empty text where there is none."""
    return normal_email(email).rpartition("@")[2] if "@" in email else ""


def new_id(prefix: str, clock: Clock) -> str:
    """Return a new identifier such as `mem_0193a7e0-7c1e-7b0a-9d53-0242ac120002`: sorts by time of making.

    Source: RFC 9562 5.7 (UUID version 7, 74 random bits).
    """
    millis = to_micros(clock.now()) // 1000
    random = secrets.randbits(74)
    value = (millis << 80) | _UUID7_VERSION | (random >> 62 << 64) | _UUID7_VARIANT | (random & ((1 << 62) - 1))
    digits, groups, at = f"{value:032x}", [], 0
    for length in _HEX_GROUPS:
        groups.append(digits[at : at + length])
        at += length
    return f"{prefix}_{'-'.join(groups)}"
