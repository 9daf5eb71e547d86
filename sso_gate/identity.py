"""What a connection has proved about a person just now, and how things are named."""

import secrets
from dataclasses import dataclass
from datetime import datetime

from sso_gate.clock import Clock, to_micros


@dataclass(frozen=True, slots=True)
class Identity:
    """A person as one connection vouches for them: the only thing that protocols hand on.

    Built by `protocols` alone, and only after every check has passed, so holding one is the proof. The key is
    (`connection`, `subject`); `email` is an attribute and is trusted only inside the organization's verified domains.

    `login_id` is 64 hex digits naming this very proof (issuer and assertion id, or issuer and nonce): the durable
    guard against replay, and the key under which a retried login finds its own answer. `session_ends_at` is the latest
    end that the provider allows the session, where it says one. For the record alone: `proof_id` is the assertion's
    name at the provider, `began_at_provider` whether nobody here had asked for it, `multi_factor` is None where the
    provider does not say.
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
    session_ends_at: datetime | None = None
    proof_id: str = ""
    began_at_provider: bool = False
    multi_factor: bool | None = None


def normal_email(text: str) -> str:
    """Return the form in which addresses are compared: trimmed and lower-case."""
    return text.strip().casefold()


def email_domain(email: str) -> str:
    """Return the part behind the last @ in lower case, or an empty text where there is none."""
    return normal_email(email).rpartition("@")[2] if "@" in email else ""


def is_email(text: str) -> bool:
    """Return whether the text can be an address: something, one @, and a name with a dot, without spaces."""
    local, at, domain = text.partition("@")
    return bool(at and local and "." in domain) and "@" not in domain and " " not in text and text.isprintable()


def new_id(prefix: str, clock: Clock) -> str:
    """Return a new identifier such as `mem_0193a7e0-7c1e-7b0a-9d53-0242ac120002`: sorts by time of making.

    Source: RFC 9562 5.7 (UUID version 7, 74 random bits).
    """
    stamp, random = f"{to_micros(clock.now()) // 1000:012x}", secrets.token_hex(10)
    variant = "89ab"[int(random[3], 16) % 4]
    return f"{prefix}_{stamp[:8]}-{stamp[8:]}-7{random[:3]}-{variant}{random[4:7]}-{random[7:19]}"
