"""One page of a list: by index or by cursor, filtered and sorted, never more work than a bound.

Source: RFC 7644 3.4.2 (query), 3.4.2.4 (index paging), RFC 9865 (cursor paging).
"""

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

from pydantic_core import to_json
from sqlalchemy import ColumnElement, Connection, Row, Select, func, select, tuple_

from sso_gate.scim.asked import Asked
from sso_gate.scim.long_lists import Notes
from sso_gate.scim.matching import comparable, matches
from sso_gate.scim.narrowing import Narrowed, Translate, narrow, sparing
from sso_gate.scim.ready import Known, Ready
from sso_gate.scim.rejection import Rejected, invalid
from sso_gate.scim.schema import Place
from sso_gate.scim.values import is_keepable

MAX_SCANNED = 10_000  # rows that are looked at in Python for one request
MAX_SCANNED_CHARACTERS = 32 * 1024 * 1024  # of all their texts
SCANNED_AT_ONCE = 500
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """What was found: the page, how many there are in all, and the cursor behind it, empty at the end.

    `looked_at` counts the rows that were looked at one by one.
    """

    found: list[T]
    total: int
    next_cursor: str = ""
    looked_at: int = 0


@dataclass(frozen=True)
class Source(Generic[T]):
    """The rows of one resource: how they are read, narrowed to an organization's (`mine`), ordered and shown.

    `order` holds by name the columns by which SQL can sort, `created` sorts when nothing is said; `identity` makes
    every order total. `known` are the attributes that are found at once. `document` is what filters look at.
    """

    query: Select[Any]
    mine: ColumnElement[bool]
    identity: ColumnElement[Any]
    created: ColumnElement[Any]
    known: Mapping[str, Known]
    translate: Translate
    order: Mapping[str, ColumnElement[Any]]
    read: Callable[[Any], T]
    document: Callable[[T], dict[str, Any]]

    @cached_property
    def keys(self) -> Select[Any]:
        """Finds ids without reading anything else, so that counting and skipping stay inside an index."""
        return select(self.identity).where(self.mine)

    @cached_property
    def ready(self) -> Ready:
        """What is asked most."""
        return Ready(self.query, self.mine, identity=self.identity, created=self.created, known=self.known)

    def page(self, tx: Connection, organization: str, asked: Asked, notes: Notes) -> Page[T]:
        """Return the page that was asked for; of a long list, total and beginning may be some seconds old.

        Raises:
            Rejected: 400 `tooMany`: too many rows would have to be looked at one by one. 400 `invalidCursor`.
        """
        return _page(Asking(tx, organization, notes), self, asked)


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks: the transaction, the organization, and what is remembered of its lists."""

    tx: Connection
    organization: str
    notes: Notes

    def rows(self, query: Select[Any]) -> Sequence[Row[Any]]:
        """Return the rows of a statement about the organization."""
        return self.tx.execute(query, {"organization": self.organization}).all()

    def number(self, query: Select[Any]) -> int:
        """Return the one number of a statement about the organization."""
        return int(self.rows(query)[0][0])


def _page(who: Asking, source: Source[T], asked: Asked) -> Page[T]:
    if asked.sort is None and not asked.descending:
        found = _whole_list(who, source, asked) if asked.where is None else _named(who, source, asked)
        if found is not None:
            return found
    narrowed = narrow(asked.where, sparing(source.translate)) if asked.where else Narrowed(source.identity.is_not(None))
    column = source.order.get(asked.sort.name) if asked.sort else source.created
    if narrowed and narrowed.is_exact and column is not None:
        return _page_by_sql(who, source, asked, narrowed if asked.where else None, column)
    return _page_by_hand(who, source, asked, narrowed)


def _named(who: Asking, source: Source[T], asked: Asked) -> Page[T] | None:
    """Return the page of an `eq` that has few answers, all of them on it; None where it is not as simple."""
    if asked.where is None or asked.start != 1 or asked.cursor or asked.count == 0:
        return None
    rows = source.ready.named(who.tx, who.organization, asked.where, asked.count)
    return None if rows is None else Page([source.read(row) for row in rows], len(rows))


def _whole_list(who: Asking, source: Source[T], asked: Asked) -> Page[T]:
    behind: tuple[Any, str] | None = None
    if asked.cursor:
        created, which = _open_cursor(asked, int, str)
        behind = created, which
    elif asked.cursor is None:
        behind = who.notes.place(asked.fingerprint, asked.start)
    skipped = 0 if behind else asked.start - 1
    rows = source.ready.page(who.tx, who.organization, behind=behind, skipped=skipped, most=asked.count + 1)
    last = (rows[asked.count - 1].created_at, rows[asked.count - 1].id) if 0 < asked.count < len(rows) else None
    return _paged(source, asked, who.notes, rows, last, lambda: source.ready.count(who.tx, who.organization))


def _paged(
    source: Source[T],
    asked: Asked,
    notes: Notes,
    rows: Sequence[Any],
    last: tuple[Any, str] | None,
    count: Callable[[], int],
) -> Page[T]:
    """Return the page of these rows, which are one too many where `last`, the place of its last one, is given."""
    found = [source.read(row) for row in rows[: asked.count]]
    is_whole = last is None and asked.start == 1 and not asked.cursor and asked.count > 0
    total = len(found) if is_whole else notes.total(asked.fingerprint, count)
    if last and asked.cursor is None:
        notes.note_place(asked.fingerprint, asked.start + asked.count, last)
    return Page(found, total, _make_cursor(asked, list(last)) if last and asked.cursor is not None else "")


def _page_by_sql(
    who: Asking, source: Source[T], asked: Asked, narrowed: Narrowed | None, column: ColumnElement[Any]
) -> Page[T]:
    every = source.keys.where(narrowed.condition) if narrowed else source.keys
    keys = (column, source.identity)
    order = [key.desc() if asked.descending else key for key in keys]
    found = _from_start(every.order_by(*order).limit(asked.count + 1), keys, asked, who.notes)
    wanted = source.query.add_columns(column.label("sort_key")).where(source.identity.in_(found))
    rows = who.rows(wanted.order_by(*order)) if asked.count else []
    last = (rows[asked.count - 1].sort_key, rows[asked.count - 1].id) if len(rows) > asked.count else None
    counted = every.with_only_columns(func.count())
    return _paged(source, asked, who.notes, rows, last, lambda: who.number(counted))


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


def _page_by_hand(who: Asking, source: Source[T], asked: Asked, narrowed: Narrowed | None) -> Page[T]:
    where = asked.where if asked.where and not (narrowed and narrowed.is_exact) else None
    looked_at, found = 0, []
    for row in _scanned(who, source, narrowed):
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


def _scanned(who: Asking, source: Source[T], narrowed: Narrowed | None) -> Iterator[Row[Any]]:
    """Give every row that may match, by id; how many there are is asked before one is read."""
    keys = source.keys.where(narrowed.condition) if narrowed else source.keys
    counted = select(func.count()).select_from(keys.limit(MAX_SCANNED + 1).subquery())
    if who.number(counted) > MAX_SCANNED:
        raise _too_many()
    mine = source.query.where(source.mine).order_by(source.identity)
    query = mine.where(narrowed.condition) if narrowed else mine
    rows, characters = who.rows(query.limit(SCANNED_AT_ONCE)), 0
    while rows:
        characters += sum(len(value) for row in rows for value in row if isinstance(value, str))
        if characters > MAX_SCANNED_CHARACTERS:
            raise _too_many()
        yield from rows
        is_last = len(rows) < SCANNED_AT_ONCE
        rows = [] if is_last else who.rows(query.where(source.identity > rows[-1].id).limit(SCANNED_AT_ONCE))


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


def list_response(resources: list[str], found: Page[Any], asked: Asked) -> str:
    """Return the ListResponse of these JSON texts as JSON: RFC 7644 3.4.2, RFC 9865 2."""
    paging = {"nextCursor": found.next_cursor} if found.next_cursor else {}
    indexed = {"startIndex": asked.start} if asked.cursor is None else {}
    head = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": found.total,
        "itemsPerPage": len(resources),
        **indexed,
        **paging,
    }
    return f'{to_json(head).decode()[:-1]},"Resources":[{",".join(resources)}]}}'
