"""One page of a list: by index or by cursor, filtered and sorted, never more work than a bound.

Source: RFC 7644 3.4.2 (query), 3.4.2.4 (index paging), RFC 9865 (cursor paging).
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select, tuple_

from sso_gate.scim.filter import Filter, parse_filter
from sso_gate.scim.long_lists import Notes
from sso_gate.scim.matching import comparable, matches
from sso_gate.scim.narrowing import Narrowed, Translate, narrow, sparing
from sso_gate.scim.projection import Projection, read_projection
from sso_gate.scim.rejection import Rejected, invalid
from sso_gate.scim.schema import Place, ResourceType
from sso_gate.scim.values import is_keepable

MAX_COUNT = 200
DEFAULT_COUNT = 100
MAX_SCANNED = 10_000  # rows that are looked at in Python for one request
MAX_SCANNED_CHARACTERS = 32 * 1024 * 1024  # of all their texts
SCANNED_AT_ONCE = 500
MAX_CURSOR = 1024
T = TypeVar("T")


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
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """What was found: the page, how many there are in all, and the cursor behind it, empty at the end.

    `looked_at` counts the rows that were looked at one by one.
    """

    found: list[T]
    total: int
    next_cursor: str = ""
    looked_at: int = 0


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
        fingerprint=_fingerprint(resource.name, text, sort, descending),
    )


def _fingerprint(*words: object) -> str:
    return hashlib.blake2b(json.dumps(words).encode(), digest_size=6).hexdigest()


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


@dataclass(frozen=True, slots=True)
class Source(Generic[T]):
    """The rows of one resource: how they are read, narrowed, ordered and shown as documents.

    `keys` finds ids without reading anything else, so that counting and skipping stay inside an index. `order` gives
    for an attribute the column by which SQL can sort it; `identity` makes every order total.
    """

    query: Select[Any]
    keys: Select[Any]
    translate: Translate
    order: Callable[[Place | None], ColumnElement[Any] | None]
    identity: ColumnElement[Any]
    read: Callable[[Row[Any]], T]
    document: Callable[[T], dict[str, Any]]


def page(tx: Connection, source: Source[T], asked: Asked, notes: Notes) -> Page[T]:
    """Return the page that was asked for; of a long list, total and beginning may be some seconds old.

    Raises:
        Rejected: 400 `tooMany`: too many rows would have to be looked at one by one. 400 `invalidCursor`.
    """
    narrowed = narrow(asked.where, sparing(source.translate)) if asked.where else Narrowed(source.identity.is_not(None))
    column = source.order(asked.sort)
    if narrowed and narrowed.is_exact and column is not None:
        return _page_by_sql(tx, source, asked, narrowed if asked.where else None, column, notes)
    return _page_by_hand(tx, source, asked, narrowed)


def _page_by_sql(
    tx: Connection,
    source: Source[T],
    asked: Asked,
    narrowed: Narrowed | None,
    column: ColumnElement[Any],
    notes: Notes,
) -> Page[T]:
    every = source.keys.where(narrowed.condition) if narrowed else source.keys
    keys = (column, source.identity)
    order = [key.desc() if asked.descending else key for key in keys]
    found = _from_start(every.order_by(*order).limit(asked.count + 1), keys, asked, notes)
    wanted = source.query.add_columns(column.label("sort_key")).where(source.identity.in_(found))
    rows = list(tx.execute(wanted.order_by(*order))) if asked.count else []
    shown, more = rows[: asked.count], len(rows) > asked.count
    is_whole = not more and asked.start == 1 and not asked.cursor and asked.count > 0
    total = len(shown) if is_whole else _counted(tx, every, asked, notes)
    if more:
        last = (shown[-1].sort_key, shown[-1].id)
        if asked.cursor is None:
            notes.note_place(asked.fingerprint, asked.start + asked.count, last)
        else:
            return Page([source.read(row) for row in shown], total, _make_cursor(asked, list(last)))
    return Page([source.read(row) for row in shown], total)


def _counted(tx: Connection, every: Select[Any], asked: Asked, notes: Notes) -> int:
    def count() -> int:
        return int(tx.execute(every.with_only_columns(func.count())).scalar_one())

    return notes.total(asked.fingerprint, count)


def _from_start(
    query: Select[Any], keys: tuple[ColumnElement[Any], ColumnElement[Any]], asked: Asked, notes: Notes
) -> Select[Any]:
    """Return the query from the asked row on: behind the last one of the page before, where that is known."""
    if asked.cursor is None:
        last = notes.place(asked.fingerprint, asked.start)
        return _behind(query, keys, asked, last) if last else query.offset(asked.start - 1)
    if not asked.cursor:
        return query
    sort_key, identity = _open_cursor(asked, keys[0].type.python_type, str)
    return _behind(query, keys, asked, (sort_key, identity))


def _behind(
    query: Select[Any], keys: tuple[ColumnElement[Any], ColumnElement[Any]], asked: Asked, last: tuple[Any, str]
) -> Select[Any]:
    return query.where(tuple_(*keys) < tuple_(*last) if asked.descending else tuple_(*keys) > tuple_(*last))


def _page_by_hand(tx: Connection, source: Source[T], asked: Asked, narrowed: Narrowed | None) -> Page[T]:
    where = asked.where if asked.where and not (narrowed and narrowed.is_exact) else None
    looked_at, found = 0, []
    for row in _scanned(tx, source, narrowed):
        looked_at += 1
        one = source.read(row)
        document = source.document(one)
        if where is None or matches(where, document):
            found.append((one, document))
    if asked.sort:
        found = _sorted(found, asked.sort, descending=asked.descending)
    first = _first(asked)
    shown = [one for one, _ in found[first : first + asked.count]]
    more = asked.cursor is not None and first + len(shown) < len(found) and shown
    return Page(shown, len(found), _make_cursor(asked, [first + len(shown)]) if more else "", looked_at)


def _scanned(tx: Connection, source: Source[T], narrowed: Narrowed | None) -> Iterator[Row[Any]]:
    """Give every row that may match, by id; how many there are is asked before one is read."""
    keys = source.keys.where(narrowed.condition) if narrowed else source.keys
    counted = select(func.count()).select_from(keys.limit(MAX_SCANNED + 1).subquery())
    if tx.execute(counted).scalar_one() > MAX_SCANNED:
        raise _too_many()
    query = (source.query.where(narrowed.condition) if narrowed else source.query).order_by(source.identity)
    rows, characters = tx.execute(query.limit(SCANNED_AT_ONCE)).all(), 0
    while rows:
        characters += sum(len(value) for row in rows for value in row if isinstance(value, str))
        if characters > MAX_SCANNED_CHARACTERS:
            raise _too_many()
        yield from rows
        is_last = len(rows) < SCANNED_AT_ONCE
        rows = [] if is_last else tx.execute(query.where(source.identity > rows[-1].id).limit(SCANNED_AT_ONCE)).all()


def _first(asked: Asked) -> int:
    if asked.cursor is None:
        return asked.start - 1
    number: int = _open_cursor(asked, int)[0] if asked.cursor else 0
    return number


def _too_many() -> Rejected:
    said = (
        f"more than {MAX_SCANNED} resources would have to be looked at one by one: filter by userName, externalId or id"
    )
    return invalid("tooMany", said)


def _sorted(found: list[tuple[T, dict[str, Any]]], place: Place, *, descending: bool) -> list[tuple[T, dict[str, Any]]]:
    """Return the resources in order: without the attribute last, first where descending (RFC 7644 3.4.2.3)."""
    keyed = [(_sort_key(document, place), one, document) for one, document in found]
    keyed.sort(key=lambda entry: (entry[0] is None, entry[0] if entry[0] is not None else ""), reverse=descending)
    return [(one, document) for _, one, document in keyed]


def _sort_key(document: dict[str, Any], place: Place) -> Any:
    assert place.attribute is not None  # noqa: S101 - checked when it was read
    value = (document.get(place.urn, {}) if place.urn else document).get(place.attribute.name)
    if isinstance(value, list):
        first = [element for element in value if isinstance(element, dict) and element.get("primary")]
        value = (first or value or [None])[0]
    if isinstance(value, dict):
        value = value.get(place.leaf.name)
    key = comparable(place.leaf, value) if value is not None else None
    return str(key) if isinstance(key, bool) else key


def _make_cursor(asked: Asked, place: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps([asked.fingerprint, *place]).encode()).decode().rstrip("=")


def _open_cursor(asked: Asked, *kinds: type) -> list[Any]:
    """Return the place behind which the page begins: values of these types."""
    text = asked.cursor or ""
    try:
        opened: list[Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        fingerprint, place = opened[0], opened[1:]
    except (ValueError, TypeError, LookupError) as error:
        raise invalid("invalidCursor", "cursor: not one of ours") from error
    numbers = [word for word in place if isinstance(word, int)]
    if fingerprint != asked.fingerprint or [type(word) for word in place] != list(kinds):
        raise invalid("invalidCursor", "cursor: made for another question")
    if any(not 0 <= number < 2**63 for number in numbers) or not is_keepable("".join(map(str, place))):
        raise invalid("invalidCursor", "cursor: not one of ours")
    return place


def list_response(resources: list[dict[str, Any]], found: Page[Any], asked: Asked) -> dict[str, Any]:
    """Return the ListResponse: RFC 7644 3.4.2, RFC 9865 2."""
    paging = {"nextCursor": found.next_cursor} if found.next_cursor else {}
    indexed = {"startIndex": asked.start} if asked.cursor is None else {}
    return {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": found.total,
        "itemsPerPage": len(resources),
        **indexed,
        **paging,
        "Resources": resources,
    }
