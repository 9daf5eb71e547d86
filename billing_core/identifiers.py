"""Names of rows and fingerprints of documents."""

import hashlib
import json
import secrets
from datetime import datetime
from typing import Any
from uuid import UUID

from billing_core.periods import micros


def new_id(prefix: str, now: datetime) -> str:
    """`prefix_` and a UUIDv7 (RFC 9562 5.7) in 32 hexadecimal digits: ordered by time, random enough to be unique."""
    milliseconds = micros(now) // 1000
    value = milliseconds << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    return f"{prefix}_{UUID(int=value).hex}"


def canonical(document: Any) -> str:
    """The one JSON text of plain values: sorted keys, no spaces, so that equal documents have equal digests."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(text: str) -> str:
    """The SHA-256 of a canonical document, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
