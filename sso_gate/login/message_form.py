"""The form that a browser brings from an identity provider: read to its bound, each field once."""

from binascii import a2b_qp
from urllib.parse import parse_qsl

from starlette.requests import Request

from sso_gate.errors import Reason, Refused

MESSAGE_BYTES = 256 * 1024  # see docs/threats.md: floods
FIELDS = 10


async def read_message_form(request: Request) -> dict[str, str]:
    """Return the fields of a posted message, each of which came once; no more is read than a message may have.

    Raises:
        Refused: `message_malformed` or `message_too_large`.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise Refused(Reason.MESSAGE_MALFORMED, "content type")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MESSAGE_BYTES:
            raise Refused(Reason.MESSAGE_TOO_LARGE, f"more than {MESSAGE_BYTES} bytes")
    try:
        pairs = form_pairs(bytes(body))
    except ValueError as error:
        raise Refused(Reason.MESSAGE_MALFORMED, "form") from error
    form = dict(pairs)
    if len(form) != len(pairs):
        raise Refused(Reason.MESSAGE_MALFORMED, "a field was sent twice")
    return form


def form_pairs(body: bytes) -> list[tuple[str, str]]:
    """Return the names and values of a URL-encoded form as `urllib.parse.parse_qsl` does, in a tenth of its time, which
    is longer than parsing the message. `ValueError` where it is none, or has more than ten fields.
    """
    pairs = [] if b"\n" in body or b"\r" in body else _quick_pairs(body)
    return pairs or parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=FIELDS, errors="strict")


def _quick_pairs(body: bytes) -> list[tuple[str, str]]:
    """Return the pairs of a plain form, or none of them where anything in it is odd."""
    pairs = []
    fields = body.split(b"&") if body.isascii() and body.count(b"&") < FIELDS else []
    for field in fields:
        name, is_pair, value = field.partition(b"=")
        found = (_unescaped(name), _unescaped(value))
        if not is_pair or found[0] is None or found[1] is None:
            return []
        pairs.append((found[0], found[1]))
    return pairs


def _unescaped(text: bytes) -> str | None:
    """Return the text, or None where a percent sign does not begin an escape.

    Quoted-printable writes an escape with `=` and has a decoder in C. It makes one byte of three, and of whatever is no
    escape, more; line breaks, which mean something to it, are not here (RFC 2045 6.7, rules 1 and 5).
    """
    if b"=" in text:
        return None
    decoded = a2b_qp(text.replace(b"+", b" ").replace(b"%", b"="))
    return decoded.decode() if len(decoded) == len(text) - 2 * text.count(b"%") else None
