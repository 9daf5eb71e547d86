"""PATCH: one function from a resource and a list of operations to the resource that they make of it.

Nothing is written here, so a refused operation undoes the ones before it by itself. Source: RFC 7644 3.5.2; Entra ID's
and Okta's documented requests.
"""

from dataclasses import dataclass
from typing import Any

from sso_gate.scim.filter import Both, Compare, Filter, Target, count_terms, parse_path
from sso_gate.scim.matching import matches
from sso_gate.scim.rejection import invalid
from sso_gate.scim.schema import Attribute, Place, ResourceType
from sso_gate.scim.values import MAX_ELEMENTS, Dialect, read_extension, read_single, read_value

PATCH_URN = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
MAX_OPERATIONS = 1000
_KINDS = ("add", "replace", "remove")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation; `path` is None where it speaks of the whole resource."""

    kind: str
    path: str | None
    value: Any


def read_operations(body: Any, dialect: Dialect) -> list[Operation]:
    """Return the operations of a PATCH body.

    Raises:
        Rejected: 400 `invalidSyntax` or `invalidPath`, `tooMany` for more than 1,000 operations.
    """
    if not isinstance(body, dict):
        raise invalid("invalidSyntax", "expected a JSON object")
    named = {name.casefold(): value for name, value in body.items()}
    schemas = named.get("schemas")
    if not isinstance(schemas, list) or PATCH_URN.casefold() not in {str(urn).casefold() for urn in schemas}:
        raise invalid("invalidSyntax", f"schemas: expected {PATCH_URN}")
    operations = named.get("operations")
    if not isinstance(operations, list) or not operations:
        raise invalid("invalidSyntax", "Operations: expected a list of operations")
    if len(operations) > MAX_OPERATIONS:
        raise invalid("tooMany", f"Operations: more than {MAX_OPERATIONS}")
    return [_operation(one, dialect) for one in operations]


def _operation(one: Any, dialect: Dialect) -> Operation:
    if not isinstance(one, dict):
        raise invalid("invalidSyntax", "Operations: expected objects")
    named = {name.casefold(): value for name, value in one.items()}
    kind, path = named.get("op"), named.get("path")
    if not isinstance(kind, str) or kind.casefold() not in _KINDS:
        raise invalid("invalidSyntax", "op: expected add, replace or remove")
    if kind not in _KINDS:
        dialect.tolerate("op: expected lower case")
    if path is not None and not isinstance(path, str):
        raise invalid("invalidPath", "path: expected a text")
    if not path:
        if kind.casefold() == "remove":
            raise invalid("noTarget", "remove needs a path")
        if dialect.strict:
            raise invalid("invalidSyntax", "path is missing")
        if not isinstance(named.get("value"), dict):
            raise invalid("invalidValue", "an operation without a path needs an object as its value")
    elif kind.casefold() != "remove" and "value" not in named:
        raise invalid("invalidValue", f"{kind} needs a value")
    return Operation(kind.casefold(), path or None, named.get("value"))


def apply_patch(
    resource: ResourceType, document: dict[str, Any], operations: list[Operation], dialect: Dialect
) -> dict[str, Any]:
    """Return the document as the operations leave it; the one given is not changed.

    Raises:
        Rejected: 400 `invalidPath`, `noTarget`, `invalidValue`, `mutability` or `tooMany`.
    """
    changed: dict[str, Any] = _copied(document)
    for operation in operations:
        if operation.path is None:
            _apply_object(resource, changed, operation, dialect)
        else:
            _apply(resource, changed, operation, dialect, named_by_client=True)
    return changed


def _copied(value: Any) -> Any:
    """Return the JSON value with objects and lists of its own; `deepcopy` asks every text whether it is one."""
    if isinstance(value, dict):
        return {name: _copied(part) for name, part in value.items()}
    return [_copied(part) for part in value] if isinstance(value, list) else value


def _apply_object(resource: ResourceType, document: dict[str, Any], operation: Operation, dialect: Dialect) -> None:
    """Apply an operation without a path: every key of its value is a path; read-only ones are passed over."""
    for key, value in operation.value.items():
        extension = resource.by_urn.get(key.casefold())
        if key.casefold() == "schemas":
            continue
        if extension and isinstance(value, dict):
            for name, part in value.items():
                inner = Operation(operation.kind, f"{extension.urn}:{name}", part)
                _apply(resource, document, inner, dialect, named_by_client=False)
        else:
            _apply(resource, document, Operation(operation.kind, key, value), dialect, named_by_client=False)


def _apply(
    resource: ResourceType, document: dict[str, Any], operation: Operation, dialect: Dialect, *, named_by_client: bool
) -> None:
    assert operation.path is not None  # noqa: S101 - the caller has seen to it
    target = parse_path(operation.path, resource)
    if target is None:
        dialect.ignore(operation.path)
        return
    place = target.place
    if place.attribute is None:
        _apply_extension(resource, document, place, operation, dialect)
        return
    if "readOnly" in {part.mutability for part in (place.attribute, place.sub, target.part) if part}:
        if named_by_client:
            raise invalid("mutability", f"{place.name} is read-only")
        return
    holder = document.setdefault(place.urn, {}) if place.urn else document
    _change(holder, target, operation, dialect)
    if place.attribute.mutability == "writeOnly":
        holder.pop(place.attribute.name, None)
    if place.urn and not holder:
        del document[place.urn]


def _apply_extension(
    resource: ResourceType, document: dict[str, Any], place: Place, operation: Operation, dialect: Dialect
) -> None:
    if operation.kind == "remove":
        document.pop(place.urn, None)
        return
    new = read_extension(resource.by_urn[place.urn.casefold()], operation.value, dialect)
    old = {} if operation.kind == "replace" else document.get(place.urn, {})
    document[place.urn] = {**old, **new}
    if not document[place.urn]:
        del document[place.urn]


def _change(holder: dict[str, Any], target: Target, operation: Operation, dialect: Dialect) -> None:
    attribute, sub = target.place.attribute, target.place.sub
    assert attribute is not None  # noqa: S101 - the caller has seen to it
    if target.only is not None:
        _change_elements(holder, attribute, target, operation, dialect)
    elif sub is None:
        _change_whole(holder, attribute, operation, dialect)
    elif attribute.multi:
        _change_part_of_all(holder, attribute, sub, operation, dialect)
    else:
        part = dict(holder.get(attribute.name) or {})
        _change_whole(part, sub, operation, dialect)
        _set(holder, attribute.name, part)


def _set(holder: dict[str, Any], name: str, value: Any) -> None:
    """Set a value; nothing, an empty object and an empty list are the same as no value (RFC 7643 2.5)."""
    if value in (None, {}, []):
        holder.pop(name, None)
    else:
        holder[name] = value


def _change_whole(holder: dict[str, Any], attribute: Attribute, operation: Operation, dialect: Dialect) -> None:
    old = holder.get(attribute.name)
    if operation.kind == "remove":
        _remove_whole(holder, attribute, operation.value, dialect)
        return
    new = read_value(attribute, operation.value, dialect)
    if new is None and (operation.kind == "add" or attribute.name == "active"):
        return  # null says nothing about `active`
    if attribute.multi and operation.kind == "add":
        new = _joined(attribute, old or [], new)
    elif attribute.type == "complex" and not attribute.multi and isinstance(new, dict):
        new = {**(old or {}), **new}
    _set(holder, attribute.name, new)


def _remove_whole(holder: dict[str, Any], attribute: Attribute, value: Any, dialect: Dialect) -> None:
    if attribute.name == "active":
        raise invalid("mutability", "active cannot be removed: say true or false")
    if attribute.multi and value is not None:
        # Entra ID names what to remove in the value: {"op": "remove", "path": "emails", "value": [{"value": "…"}]}.
        gone = {_key(element) for element in read_value(attribute, value, dialect)}
        left = [element for element in holder.get(attribute.name, []) if _key(element) not in gone]
        _set(holder, attribute.name, left)
    else:
        holder.pop(attribute.name, None)


def _key(element: Any) -> Any:
    if not isinstance(element, dict):
        return element
    return element["value"].casefold() if element.get("value") else frozenset(element.items())


def _joined(attribute: Attribute, old: list[Any], new: list[Any]) -> list[Any]:
    """Return the old elements and the new ones that are not there yet; a new primary one is the only one."""
    elements = {_without_primary(element): element for element in old} | {_without_primary(one): one for one in new}
    return _one_primary(attribute, list(elements.values()), new)


def _without_primary(element: Any) -> Any:
    """Return what an element says besides being the primary one, to be compared."""
    return frozenset(part for part in element.items() if part[0] != "primary") if isinstance(element, dict) else element


def _one_primary(attribute: Attribute, elements: list[Any], changed: list[Any]) -> list[Any]:
    """Return the elements with one primary at most: a changed one wins (RFC 7644 3.5.2)."""
    if len(elements) > MAX_ELEMENTS:
        raise invalid("invalidValue", f"{attribute.name}: more than {MAX_ELEMENTS} values")
    winners = [element for element in changed if isinstance(element, dict) and element.get("primary") is True]
    if winners:
        for element in elements:
            if element.get("primary") is True and element is not winners[-1]:
                element["primary"] = False
    return elements


def _change_part_of_all(
    holder: dict[str, Any], attribute: Attribute, sub: Attribute, operation: Operation, dialect: Dialect
) -> None:
    """Change one part of every element, `emails.value`; where there is none, compatible mode makes one."""
    elements = holder.get(attribute.name, [])
    if not elements and operation.kind != "remove":
        if dialect.strict:
            raise invalid("noTarget", f"{attribute.name} has no value")
        elements = [{}]
    dialect.compare(len(elements))
    _change_parts(elements, sub, operation, dialect)
    _set(holder, attribute.name, _one_primary(attribute, [element for element in elements if element], elements))


def _change_parts(elements: list[dict[str, Any]], part: Attribute, operation: Operation, dialect: Dialect) -> None:
    for element in elements:
        if operation.kind == "remove":
            element.pop(part.name, None)
        else:
            _set(element, part.name, read_single(part, operation.value, dialect))


def _change_elements(
    holder: dict[str, Any], attribute: Attribute, target: Target, operation: Operation, dialect: Dialect
) -> None:
    """Change the elements that the path's filter chooses."""
    assert target.only is not None  # noqa: S101 - the caller has seen to it
    elements = holder.get(attribute.name, [])
    dialect.compare(len(elements) * count_terms(target.only))
    chosen = [element for element in elements if matches(target.only, element)]
    if not chosen:
        chosen = _chosen_anew(attribute, target.only, operation, dialect)
        elements = [*elements, *chosen]
    if target.part:
        _change_parts(chosen, target.part, operation, dialect)
    elif operation.kind == "remove":
        elements = [element for element in elements if not any(element is one for one in chosen)]
    else:
        new = read_single(attribute, operation.value, dialect) if operation.value is not None else None
        for element in chosen:
            kept = dict(element) if operation.kind == "add" else _named_by(target.only)
            element.clear()
            element.update({**kept, **new} if new else {})
    elements = [element for element in elements if element]
    _set(holder, attribute.name, _one_primary(attribute, elements, chosen))


def _chosen_anew(attribute: Attribute, only: Filter, operation: Operation, dialect: Dialect) -> list[dict[str, Any]]:
    """Return a new element that the filter would choose: Entra ID expects that of `emails[type eq "work"].value`."""
    if operation.kind == "remove" and not dialect.strict:
        return []
    named = _named_by(only)
    if dialect.strict or not named:
        raise invalid("noTarget", f"no value of {attribute.name} matches the path")
    return [named]


def _named_by(only: Filter) -> dict[str, Any]:
    """Return the parts that a conjunction of `eq` spells out; nothing for any other filter."""
    terms = only.terms if isinstance(only, Both) else (only,)
    if all(isinstance(term, Compare) and term.op == "eq" and term.value is not None for term in terms):
        return {term.place.leaf.name: term.value for term in terms if isinstance(term, Compare)}
    return {}
