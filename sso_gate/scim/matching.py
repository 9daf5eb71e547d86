"""Whether a resource, as a dict, matches a filter: the same meaning for search and for PATCH."""

from datetime import UTC, datetime
from typing import Any

from sso_gate.scim.filter import Both, Compare, Either, Element, Filter, Not, Present
from sso_gate.scim.schema import Attribute, Place


def matches(found: Filter, document: dict[str, Any]) -> bool:
    """Return whether the document (a resource, or one element of a multi-valued attribute) matches."""
    match found:
        case Both(terms):
            return all(matches(term, document) for term in terms)
        case Either(terms):
            return any(matches(term, document) for term in terms)
        case Not(inner):
            return not matches(inner, document)
        case Element(place, inner):
            return any(matches(inner, element) for element in elements(place, document))
        case Present(place):
            return any(is_there(value) for value in _named(place, document))
        case Compare(place, op, value):
            return _compares(place, op, value, document)


def elements(place: Place, document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the elements of the multi-valued attribute at the place."""
    return [element for element in _raw(place, document) if isinstance(element, dict)]


def is_there(value: Any) -> bool:
    """Return whether a value counts as one: RFC 7644 table 3, `pr`."""
    if isinstance(value, dict):
        return any(is_there(part) for part in value.values())
    if isinstance(value, list):
        return any(is_there(element) for element in value)
    return value is not None and value != ""


def _raw(place: Place, document: dict[str, Any]) -> list[Any]:
    assert place.attribute is not None  # noqa: S101 - a whole extension is never compared
    holder = document.get(place.urn, {}) if place.urn else document
    value = holder.get(place.attribute.name)
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _named(place: Place, document: dict[str, Any]) -> list[Any]:
    """Return what stands at the place exactly as named."""
    found = _raw(place, document)
    if place.sub is None:
        return found
    return [value.get(place.sub.name) for value in found if isinstance(value, dict)]


def _compared(place: Place, document: dict[str, Any]) -> list[Any]:
    """Return the values to compare: of a complex attribute its `value`, unless a part is named."""
    leaf = place.leaf
    if leaf is place.attribute:
        return _raw(place, document)
    return [value.get(leaf.name) for value in _raw(place, document) if isinstance(value, dict)]


def _compares(place: Place, op: str, wanted: Any, document: dict[str, Any]) -> bool:
    found = [value for value in _compared(place, document) if value is not None]
    if wanted is None:
        return (not found) is (op == "eq")
    leaf = place.leaf
    if op == "ne":
        return all(not _holds("eq", leaf, value, wanted) for value in found)
    return any(_holds(op, leaf, value, wanted) for value in found)


def _holds(op: str, leaf: Attribute, value: Any, wanted: Any) -> bool:
    left, right = comparable(leaf, value), comparable(leaf, wanted)
    if left is None or right is None or type(left) is not type(right):
        return False
    match op:
        case "eq":
            return bool(left == right)
        case "co":
            return right in left
        case "sw":
            return bool(left.startswith(right))
        case "ew":
            return bool(left.endswith(right))
        case "gt":
            return bool(left > right)
        case "ge":
            return bool(left >= right)
        case "lt":
            return bool(left < right)
    return bool(left <= right)


def comparable(leaf: Attribute, value: Any) -> Any:
    """Return the form in which values of this attribute are compared: without letter case, an instant as an instant."""
    if leaf.type == "dateTime":
        return instant(value)
    if isinstance(value, str) and not leaf.case_exact:
        return value.casefold()
    return value


def instant(text: Any) -> datetime | None:
    """Return the instant that an xsd:dateTime names, UTC where it says no zone, or None."""
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
