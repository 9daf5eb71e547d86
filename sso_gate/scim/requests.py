"""A SCIM request's body and query, bounded while they are read; and the answers' own form.

Source: RFC 7644 3.1 (media type), 3.12 (errors), 3.4.3 (.search).
"""

import json
from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from sso_gate.errors import Reason
from sso_gate.scim.rejection import Rejected, invalid

MEDIA_TYPE = "application/scim+json"
USER_BYTES = 1_000_000
GROUP_BYTES = 5 * 1024 * 1024
MAX_ID = 128
MAX_QUERY = 8 * 1024
MAX_PARAMETERS = 50
SEARCH_URN = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
_WORDS = {
    word.casefold(): word
    for word in (
        "filter",
        "sortBy",
        "sortOrder",
        "startIndex",
        "count",
        "cursor",
        "attributes",
        "excludedAttributes",
    )
}


def answer(
    body: dict[str, Any] | str | None, status: int = 200, *, headers: Mapping[str, str] | None = None
) -> Response:
    """Return the JSON, a text where it is written already, as `application/scim+json`; no body where there is none."""
    if body is None:
        return Response(status_code=status, headers=headers)
    written = body if isinstance(body, str) else to_json(body)
    return Response(written, status, headers=headers, media_type=MEDIA_TYPE)


async def read_json(request: Request, *, limit: int) -> Any:
    """Return the JSON of the body.

    Raises:
        Rejected: 413 beyond `limit` bytes, counted as they come; 415; 400 `invalidSyntax`.
    """
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > limit:
            raise Rejected(413, f"the body is larger than {limit} bytes", reason=Reason.MESSAGE_TOO_LARGE)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (MEDIA_TYPE, "application/json"):
        raise Rejected(415, f"expected {MEDIA_TYPE} or application/json", check="content_type")
    return _parsed(bytes(raw))


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise invalid("invalidSyntax", "the body is not JSON") from error


def _refuse_constant(word: str) -> None:
    raise ValueError(word)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member is there twice")  # two readers could see two values
    return found


def is_id(text: str) -> bool:
    """Return whether the text can be an id at all; what cannot is nowhere."""
    return len(text) <= MAX_ID and text.isascii() and text.isprintable()


def read_query(request: Request) -> dict[str, Any]:
    """Return the query parameters that SCIM knows, by their canonical names; others are passed over.

    Raises:
        Rejected: 400: too long, too many, or one of them twice.
    """
    if len(request.scope.get("query_string", b"")) > MAX_QUERY:
        raise invalid("invalidValue", f"the query is longer than {MAX_QUERY} bytes")
    pairs = request.query_params.multi_items()
    if len(pairs) > MAX_PARAMETERS:
        raise invalid("invalidValue", f"more than {MAX_PARAMETERS} parameters")
    return _known(pairs)


def _known(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        word = _WORDS.get(name.casefold())
        if word in found:
            raise invalid("invalidValue", f"{word} is there twice")
        if word and value is not None:
            found[word] = value
    return found


def read_search(body: Any) -> dict[str, Any]:
    """Return what a SearchRequest asks for, as `read_query` does."""
    if not isinstance(body, dict) or SEARCH_URN not in (body.get("schemas") or []):
        raise invalid("invalidSyntax", f"schemas: expected {SEARCH_URN}")
    return _known(list(body.items()))
