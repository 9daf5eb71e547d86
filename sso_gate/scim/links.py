"""What a request says of a group's members, as changes: nobody has to read a large group to change one of it."""

from dataclasses import dataclass, field
from typing import Any

from sso_gate.scim.definitions import GROUPS
from sso_gate.scim.filter import Compare, Either, Filter, parse_path
from sso_gate.scim.patch import Operation
from sso_gate.scim.rejection import Rejected, invalid
from sso_gate.scim.values import Dialect

MAX_MEMBERS = 100_000


@dataclass(slots=True)
class Links:
    """Members to put in and to take out; with `cleared` whoever is not put in is taken out."""

    cleared: bool = False
    added: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)

    def add(self, ids: set[str]) -> None:
        """Put these in."""
        self.added |= ids
        self.removed -= ids

    def remove(self, ids: set[str]) -> None:
        """Take these out."""
        self.removed |= ids
        self.added -= ids

    def replace(self, ids: set[str]) -> None:
        """Let the group have these members and no others."""
        self.cleared, self.added, self.removed = True, set(ids), set()


def read_members(value: Any, dialect: Dialect) -> set[str]:
    """Return the ids that a value of `members` names.

    Raises:
        Rejected: 400 `invalidValue`: no ids, a group among them, or too many.
    """
    if value is None:
        return set()
    elements = value if isinstance(value, list) else [value]
    if len(elements) > MAX_MEMBERS:
        raise invalid("invalidValue", f"members: more than {MAX_MEMBERS}")
    return {_member(element, dialect) for element in elements if element is not None}


def _member(element: Any, dialect: Dialect) -> str:
    if isinstance(element, str):
        dialect.tolerate("members: expected objects")
        element = {"value": element}
    if not isinstance(element, dict):
        raise invalid("invalidValue", "members: expected objects with a value")
    named = {name.casefold(): part for name, part in element.items()}
    found, kind = named.get("value"), named.get("type")
    if not isinstance(found, str) or not 0 < len(found) <= 64 or not found.isascii() or not found.isprintable():
        raise invalid("invalidValue", "members: expected the id of a user as value")
    if isinstance(kind, str) and kind.casefold() == "group":
        raise invalid("invalidValue", "members: groups in groups are not supported")
    return found


def read_links(operations: list[Operation], dialect: Dialect) -> tuple[Links, list[Operation]]:
    """Return what the operations say of members, and the operations that say something else."""
    links, others = Links(), []
    for operation in operations:
        if operation.path is None:
            rest = _read_object(links, operation, dialect)
            others += [Operation(operation.kind, None, rest)] if rest else []
        elif not _read_path(links, operation, dialect):
            others.append(operation)
    return links, others


def _read_object(links: Links, operation: Operation, dialect: Dialect) -> dict[str, Any]:
    return {
        name: value
        for name, value in operation.value.items()
        if not _read_path(links, Operation(operation.kind, name, value), dialect)
    }


def _read_path(links: Links, operation: Operation, dialect: Dialect) -> bool:
    """Note what the operation says of members; False where it speaks of something else."""
    assert operation.path is not None  # noqa: S101 - the caller has seen to it
    target = parse_path(operation.path, GROUPS)
    if target is None or target.place.attribute is None or target.place.attribute.name != "members":
        return False
    part = target.part or target.place.sub
    if part and part.name != "value":
        raise invalid("mutability", f"{operation.path}: a member is put in or taken out, nothing else")
    named = _chosen(target.only) if target.only else None
    said = read_members(operation.value, dialect)
    match operation.kind:
        case "add":
            links.add(named or said)
        case "replace" if named is None:
            links.replace(said)
        case "replace":
            links.remove(named or set())
            links.add(said)
        case _:
            _remove(links, operation.value, named or said)  # Entra ID names them in the path or in the value
    return True


def _remove(links: Links, value: Any, gone: set[str]) -> None:
    """Take these out; with nobody named anywhere all of them, but an empty list names nobody and takes nobody out."""
    if gone or value is not None:
        links.remove(gone)
    else:
        links.replace(set())


def _chosen(only: Filter) -> set[str]:
    """Return the ids that `members[value eq "…"]`, or several joined by `or`, names."""
    terms = only.terms if isinstance(only, Either) else (only,)
    return {_id(term) for term in terms}


def _id(term: Filter) -> str:
    if isinstance(term, Compare) and term.op == "eq" and isinstance(term.value, str) and term.place.name == "value":
        return term.value
    raise _unclear()


def _unclear() -> Rejected:
    return invalid("invalidFilter", 'members are chosen by members[value eq "…"]')
