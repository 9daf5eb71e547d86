"""An emergency code: 100 random bits that can be read out, and what is kept of them."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: nothing that looks like something else
_LOOKS_LIKE = str.maketrans("OIL", "011")
_GROUPS, _LENGTH = 4, 5


@dataclass(frozen=True, slots=True)
class IssuedCode:
    """A code without its text, which nobody keeps."""

    id: str
    organization: str
    member: str
    email: str
    created: datetime
    expires: datetime
    used: datetime | None
    revoked: datetime | None


def new_code() -> str:
    """Return a fresh code such as 7K3M9-Q2W8R-XXXXX-XXXXX."""
    groups = ("".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH)) for _ in range(_GROUPS))
    return "-".join(groups)


def code_hash(typed: str) -> str:
    """Return what is kept of a code; spaces, hyphens, letter case, and O for 0 or I and L for 1, do not matter."""
    plain = "".join(character for character in typed.upper().translate(_LOOKS_LIKE) if character.isalnum())
    return hashlib.sha256(plain.encode()).hexdigest()
