"""Which attributes an answer holds: `attributes` and `excludedAttributes`.

Source: RFC 7644 3.9, RFC 7643 7 (returned).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sso_gate.scim.rejection import invalid
from sso_gate.scim.schema import Place, ResourceType

MAX_NAMES = 100


@dataclass(frozen=True, slots=True)
class Projection:
    """The attributes that were asked for, and those that were asked to be left out; both empty is the default."""

    only: tuple[Place, ...] = ()
    without: tuple[Place, ...] = ()
    is_limited: bool = False

    @property
    def is_default(self) -> bool:
        """Whether nothing was asked for, and nothing to be left out."""
        return not self.is_limited and not self.without

    def wants(self, name: str) -> bool:
        """Return whether the attribute of the core schema goes into the answer at all."""
        if self.is_limited:
            return any(_is(place, name) for place in self.only)
        return not any(_is(place, name) and place.sub is None for place in self.without)

    def asks_for(self, urn: str, name: str) -> bool:
        """Return whether an attribute that is returned on request alone was requested by its name."""
        return any(
            place.urn == urn and place.attribute is not None and place.attribute.name == name for place in self.only
        )

    def applied(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return the document with what was asked for; `id`, `schemas` and what is always returned stay."""
        if self.is_limited:
            return _limited(document, self.only)
        return _reduced(document, self.without) if self.without else document


def _is(place: Place, name: str) -> bool:
    return not place.urn and place.attribute is not None and place.attribute.name == name


def read_projection(resource: ResourceType, attributes: Iterable[str], excluded: Iterable[str]) -> Projection:
    """Return what was asked for; names that mean nothing are passed over.

    Raises:
        Rejected: 400: both lists were given, or too many names.
    """
    wanted, unwanted = [word for word in attributes if word], [word for word in excluded if word]
    if wanted and unwanted:
        raise invalid("invalidValue", "attributes and excludedAttributes exclude each other")
    if len(wanted) + len(unwanted) > MAX_NAMES:
        raise invalid("invalidValue", f"more than {MAX_NAMES} attributes")
    return Projection(_places(resource, wanted), _places(resource, unwanted), bool(wanted))


def _places(resource: ResourceType, words: list[str]) -> tuple[Place, ...]:
    found = [resource.find(word.strip()) for word in words]
    return tuple(place for place in found if place)


def _limited(document: dict[str, Any], only: tuple[Place, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {name: document[name] for name in ("schemas", "id") if name in document}
    for place in only:
        holder = document.get(place.urn, {}) if place.urn else document
        if place.attribute is None:
            found.update({place.urn: holder} if holder else {})
        elif place.attribute.name in holder:
            into = found.setdefault(place.urn, {}) if place.urn else found
            _pick(into, place, holder[place.attribute.name])
    return found


def _pick(into: dict[str, Any], place: Place, value: Any) -> None:
    assert place.attribute is not None  # noqa: S101 - the caller has seen to it
    name, sub = place.attribute.name, place.sub
    if sub is None:
        into[name] = value
    elif isinstance(value, list):
        before = into.get(name) or [{} for _ in value]
        into[name] = [{**old, **_part(element, sub.name)} for old, element in zip(before, value, strict=True)]
    else:
        into[name] = {**into.get(name, {}), **_part(value, sub.name)}


def _part(element: dict[str, Any], name: str) -> dict[str, Any]:
    return {name: element[name]} if name in element else {}


def _reduced(document: dict[str, Any], without: tuple[Place, ...]) -> dict[str, Any]:
    found = dict(document)
    for place in without:
        if place.attribute is None:
            found.pop(place.urn, None)
        elif place.attribute.returned != "always":
            if place.urn and place.urn in found:
                found[place.urn] = _dropped(found[place.urn], place)
            elif not place.urn:
                found = _dropped(found, place)
    return found


def _dropped(holder: dict[str, Any], place: Place) -> dict[str, Any]:
    assert place.attribute is not None  # noqa: S101 - the caller has seen to it
    name = place.attribute.name
    if place.sub is None or name not in holder:
        return {key: value for key, value in holder.items() if key != name}
    part, value = place.sub.name, holder[name]
    if isinstance(value, list):
        return {**holder, name: [{key: one for key, one in element.items() if key != part} for element in value]}
    return {**holder, name: {key: one for key, one in value.items() if key != part}}
