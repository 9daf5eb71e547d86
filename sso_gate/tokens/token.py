"""A token's scopes and its secret."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

_PREFIX = "sgt_"
_RANDOM_BYTES = 32
MAX_LENGTH = 128


class Scope(StrEnum):
    """What a token may be used for. `scim` writes, `scim:read` reads."""

    SEATS_READ = "seats:read"
    SEATS_WRITE = "seats:write"
    BILLING_READ = "billing:read"
    MEMBERS_READ = "members:read"
    MEMBERS_WRITE = "members:write"
    CONNECTIONS_WRITE = "connections:write"
    AUDIT_READ = "audit:read"
    WEBHOOKS_WRITE = "webhooks:write"
    SCIM = "scim"
    SCIM_READ = "scim:read"


@dataclass(frozen=True, slots=True)
class Token:
    """A token without its secret, which nobody keeps. `made_by` is a member, or empty for whoever runs the gate."""

    id: str
    organization: str
    name: str
    scopes: frozenset[Scope]
    created: datetime
    expires: datetime | None
    revoked: datetime | None
    last_used: datetime | None
    made_by: str = ""


def new_secret() -> str:
    """Return 256 random bits behind a prefix that secret scanners can find."""
    return _PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def secret_hash(secret: str) -> str:
    """Return what is kept of a secret. It is random, so a plain SHA-256 cannot be guessed back."""
    return hashlib.sha256(secret.encode()).hexdigest()
