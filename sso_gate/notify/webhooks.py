"""Webhook messages as Standard Webhooks 1.0.0 has them: id, time stamp, and one signature for each secret in use."""

import base64
import secrets as randomness
from collections.abc import Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook

from sso_gate.errors import InvalidInput

SECRET_PREFIX = "whsec_"  # noqa: S105 - what every such secret begins with
SHORTEST_BYTES, LONGEST_BYTES = 24, 64


def new_secret() -> str:
    """Return a new secret of 32 random bytes, as Standard Webhooks writes it."""
    return SECRET_PREFIX + base64.b64encode(randomness.token_bytes(32)).decode("ascii")


def check_secret(secret: str) -> str:
    """Return the secret; InvalidInput when it is not `whsec_` and 24 to 64 bytes in base64."""
    try:
        size = len(base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True))
    except ValueError:
        size = 0
    if not secret.startswith(SECRET_PREFIX) or not SHORTEST_BYTES <= size <= LONGEST_BYTES:
        raise InvalidInput("secret", f"expected whsec_ and {SHORTEST_BYTES} to {LONGEST_BYTES} bytes in base64")
    return secret


def signed_headers(secrets: Sequence[str], *, message: str, at: datetime, body: str) -> dict[str, str]:
    """Return the three headers of a delivery; while a secret is exchanged, both sign."""
    utc = at.astimezone(UTC)  # the library reads the digits of any zone as UTC
    signatures = [Webhook(secret).sign(message, utc, body) for secret in secrets]
    return {
        "webhook-id": message,
        "webhook-timestamp": str(int(utc.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
