"""What a list request asks for, checked. Source: RFC 7644 3.4.2 (query), 3.4.2.4 (index paging), RFC 9865 (cursor)."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from sso_gate.scim.filter import Filter, parse_filter
from sso_gate.scim.projection import Projection, read_projection
from sso_gate.scim.rejection import invalid
from sso_gate.scim.schema import Place, ResourceType

MAX_COUNT = 200
DEFAULT_COUNT = 100
MAX_CURSOR = 1024


@dataclass(frozen=True, slots=True)
class Asked:
    """What a list request asks for. `cursor` is None for index paging, empty for the first page by cursor."""

    where: Filter | None
    sort: Place | None
    descending: bool
    start: int
    count: int
    cursor: str | None
    projection: Projection
    words: tuple[object, ...]

    @property
    def fingerprint(self) -> str:
        """Names the question, whichever page of its answer is asked for."""
        return hashlib.blake2b(json.dumps(self.words).encode(), digest_size=6).hexdigest()


def read_asked(resource: ResourceType, words: dict[str, Any], *, strict: bool) -> Asked:
    """Return the checked question; `words` are query parameters or the members of a SearchRequest.

    Raises:
        Rejected: 400 `invalidFilter`, `invalidValue`, `invalidCount`, `invalidCursor`.
    """
    text, sort = words.get("filter"), words.get("sortBy")
    if not isinstance(text, str | None) or not isinstance(sort, str | None):
        raise invalid("invalidValue", "filter and sortBy: expected texts")
    descending = _order(words.get("sortOrder"))
    cursor = words.get("cursor")
    if cursor is not None and (not isinstance(cursor, str) or len(cursor) > MAX_CURSOR):
        raise invalid("invalidCursor", "cursor: expected the one of the page before")
    return Asked(
        where=parse_filter(text, resource, aliases=not strict) if text else None,
        sort=_sort(resource, sort) if sort else None,
        descending=descending,
        start=max(1, _whole(words.get("startIndex"), 1, "startIndex", "invalidValue")),
        count=min(MAX_COUNT, max(0, _whole(words.get("count"), DEFAULT_COUNT, "count", "invalidCount"))),
        cursor=cursor,
        projection=read_projection(resource, _names(words.get("attributes")), _names(words.get("excludedAttributes"))),
        words=(resource.name, text, sort, descending),
    )


def _order(text: Any) -> bool:
    if text is not None and (not isinstance(text, str) or text.casefold() not in ("ascending", "descending")):
        raise invalid("invalidValue", "sortOrder: expected ascending or descending")
    return text is not None and text.casefold() == "descending"


def _sort(resource: ResourceType, word: str) -> Place:
    place = resource.find(word[:MAX_CURSOR])
    if place is None or place.attribute is None or place.leaf.type == "complex":
        raise invalid("invalidPath", "sortBy: not an attribute that can be sorted by")
    return place


def _whole(value: Any, default: int, name: str, scim_type: str) -> int:
    if value is None or value == "":
        return default
    text = str(value).strip()
    if isinstance(value, bool) or not text.lstrip("-").isdecimal() or not text.isascii() or len(text) > 12:
        raise invalid(scim_type, f"{name}: expected a whole number")
    return int(text)


def _names(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return value.split(",")
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        return value
    raise invalid("invalidValue", "attributes: expected names")
