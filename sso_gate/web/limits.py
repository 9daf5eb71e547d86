"""Upper bounds for what is read from a request: the body by path prefix, a form's fields by name, count and length."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sso_gate.errors import InvalidInput

FORM_BYTES = 64 * 1024
UPLOAD_BYTES = 768 * 1024
FORM_FIELDS = 50
QUERY_FIELDS = 50
QUERY_BYTES = 8 * 1024


class BodyLimits:
    """Middleware: raises 413 for a body over the limit of the longest matching path prefix, declared or streamed; None
    leaves the limit to the handler. The framework's own middleware answers by itself: neither a page nor a problem.
    """

    def __init__(
        self, app: ASGIApp, *, default_bytes: int = FORM_BYTES, by_prefix: Mapping[str, int | None] | None = None
    ) -> None:
        limits = {"": default_bytes, **(by_prefix or {})}
        self.app = app
        self.limits = sorted(limits.items(), key=lambda item: -len(item[0]))

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        path = scope.get("path", "")
        limit = next(size for prefix, size in self.limits if path.startswith(prefix))
        if limit is None or scope["type"] != "http":
            return self.app(scope, receive, send)
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            raise HTTPException(413)
        return self.app(scope, _counting(receive, limit), send)


def _counting(receive: Receive, limit: int) -> Receive:
    read = 0

    async def counted() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > limit:
            raise HTTPException(413)
        return message

    return counted


@dataclass(frozen=True, slots=True)
class Field:
    """What one form field may hold: at most `max_length` characters; `required` also refuses an empty text; `free`
    takes characters that cannot be shown, as in a file that was pasted.
    """

    max_length: int = 200
    required: bool = False
    multiline: bool = False
    free: bool = False


async def read_form(request: Request, **fields: Field) -> dict[str, str]:
    """Return the named fields of a URL-encoded form, trimmed; a field that was not sent is an empty text, and so is
    every field of a request without a body.

    Raises:
        InvalidInput: the body is no such form; a field is unknown to it, sent twice, missing, too long or unprintable.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    if kind != "application/x-www-form-urlencoded" and (kind or body):
        raise InvalidInput("form", "expected application/x-www-form-urlencoded")
    if len(body) > FORM_BYTES:
        raise InvalidInput("form", f"expected at most {FORM_BYTES} bytes")
    return _checked(_pairs(body, FORM_FIELDS), fields, strict=True)


async def read_upload(request: Request, *, file: str, **fields: Field) -> tuple[dict[str, str], bytes]:
    """Return the named fields of a multipart form as `read_form` does, and the bytes of its one file, empty where none
    was chosen. The application bounds the whole body by `UPLOAD_BYTES` for paths that upload.

    Raises:
        InvalidInput: as `read_form`; or the form has another file. A broken body is a 400.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise InvalidInput("form", "expected multipart/form-data")
    async with request.form(max_files=1, max_fields=FORM_FIELDS, max_part_size=UPLOAD_BYTES) as form:
        pairs = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
        files = [(name, value) for name, value in form.multi_items() if not isinstance(value, str)]
        if any(name != file for name, _ in files):
            raise InvalidInput("form", "has a file that is not expected")
        uploaded = await files[0][1].read(UPLOAD_BYTES) if files else b""
    return _checked(pairs, fields, strict=True), uploaded


def read_query(request: Request, **fields: Field) -> dict[str, str]:
    """Return the named fields of the query, trimmed; others are left alone (`lang`, and whatever a mail program adds).

    Raises:
        InvalidInput: a named field is sent twice, missing, too long or not printable.
    """
    query = request.scope.get("query_string", b"")
    if len(query) > QUERY_BYTES:
        raise InvalidInput("query", f"expected at most {QUERY_BYTES} bytes")
    return _checked(_pairs(query, QUERY_FIELDS), fields, strict=False)


def _pairs(raw: bytes, most: int) -> list[tuple[str, str]]:
    try:
        return parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=most, errors="strict")
    except ValueError as error:
        raise InvalidInput("form", "cannot be read") from error


def _checked(pairs: list[tuple[str, str]], fields: Mapping[str, Field], *, strict: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in fields:
            if name in found:
                raise InvalidInput(name, "sent twice")
            found[name] = _value(name, value, fields[name])
        elif strict:
            raise InvalidInput("form", "has a field that is not expected")
    for name, field in fields.items():
        if field.required and not found.get(name):
            raise InvalidInput(name, "is missing")
    return {name: found.get(name, "") for name in fields}


def _value(name: str, value: str, field: Field) -> str:
    text = value.replace("\r\n", "\n").strip()
    if len(text) > field.max_length:
        raise InvalidInput(name, f"at most {field.max_length} characters")
    allowed = text.replace("\n", "") if field.multiline else text
    if not field.free and not allowed.isprintable():
        raise InvalidInput(name, "has characters that cannot be shown")
    return text
