"""Requests to object storage, signed as S3 and whatever speaks its language want them.

Source: AWS Signature Version 4 for Amazon S3, "Authenticating Requests: Using the Authorization Header".
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, unquote, urlsplit

_METHOD = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Keys:
    """Whose requests they are, and where: an access key, its secret, and the region of the bucket."""

    access: str
    secret: str = field(repr=False)
    region: str


def sign(method: str, url: str, headers: Mapping[str, str], body: bytes, *, keys: Keys, at: datetime) -> dict[str, str]:
    """Return all headers of the request, `authorization` among them; the host is the URL's and is signed too.

    The URL has no query.
    """
    parts, stamp = urlsplit(url), at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest()
    told = {name.lower(): value.strip() for name, value in headers.items()}
    told |= {"x-amz-content-sha256": digest, "x-amz-date": stamp}
    signed = dict(sorted({**told, "host": parts.netloc}.items()))
    names = ";".join(signed)
    path = quote(unquote(parts.path) or "/", safe="/-_.~")
    lines = [method, path, "", *(f"{name}:{value}" for name, value in signed.items()), "", names, digest]
    scope = f"{stamp[:8]}/{keys.region}/s3/aws4_request"
    request = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    signature = _hmac(_key(keys, stamp[:8]), f"{_METHOD}\n{stamp}\n{scope}\n{request}").hex()
    credential = f"Credential={keys.access}/{scope}"
    return {**told, "authorization": f"{_METHOD} {credential}, SignedHeaders={names}, Signature={signature}"}


def _key(keys: Keys, day: str) -> bytes:
    key = f"AWS4{keys.secret}".encode()
    for part in (day, keys.region, "s3", "aws4_request"):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
