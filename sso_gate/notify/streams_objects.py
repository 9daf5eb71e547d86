"""Events as objects in a bucket: of one organization, of one hour, in the order of the chain, compressed.

An object is named by what it holds, so that one that is sent again is the same object. Where the bucket keeps its
objects locked, nobody takes them back: it is then the place where checkpoints are safe from whoever can write here.
"""

import base64
import gzip
import hashlib
import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from sso_gate.audit.forms import in_form
from sso_gate.errors import InvalidInput
from sso_gate.notify.signature_v4 import Keys, sign
from sso_gate.notify.streams import Stream

HOUR = timedelta(hours=1)
LATE = timedelta(minutes=1)  # an event of the hour may still be on its way to the chain


def keys_of(stream: Stream) -> Keys:
    """Return the keys that the destination's secret holds, as `access:secret`."""
    access, _, secret = stream.secrets[0].partition(":")
    return Keys(access, secret, stream.region)


def check_keys(secret: str) -> str:
    """Return the secret; InvalidInput where it is not an access key, a colon and its secret key."""
    access, _, key = secret.partition(":")
    if not (access.isalnum() and access.isascii() and key.isascii() and key.isprintable() and key):
        raise InvalidInput("secret", "expected an access key, a colon, and its secret key")
    return secret


def hour_of(line: str) -> datetime:
    """Return the beginning of the hour in which an event happened."""
    return datetime.fromisoformat(json.loads(line)["time"]).replace(minute=0, second=0, microsecond=0)


def is_due(hour: datetime, *, now: datetime) -> bool:
    """Return whether the hour is over, and everything of it in the chain."""
    return now >= hour + HOUR + LATE


def object_request(stream: Stream, lines: Sequence[str], *, at: datetime) -> tuple[str, bytes, dict[str, str]]:
    """Return the address, the body and the signed headers by which these events are put into the bucket."""
    text = "".join(f"{in_form(stream.form, line)}\n" for line in lines)
    body = gzip.compress(text.encode(), mtime=0)  # the same bytes whenever it is sent
    url = f"{stream.url.rstrip('/')}/{_name(stream, lines)}"
    checksum = base64.b64encode(hashlib.sha256(body).digest()).decode("ascii")  # locked buckets want one
    headers = {"content-type": "application/gzip", "x-amz-checksum-sha256": checksum}
    return url, body, sign("PUT", url, headers, body, keys=keys_of(stream), at=at)


def _name(stream: Stream, lines: Sequence[str]) -> str:
    first, last = (json.loads(line)["chain"]["pos"] for line in (lines[0], lines[-1]))
    return f"{stream.organization}/{hour_of(lines[0]):%Y/%m/%d/%H}/{first:012}-{last:012}.jsonl.gz"
