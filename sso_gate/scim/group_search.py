"""How groups are found: which attribute is which column, and which orders SQL knows."""

from typing import Any

from sqlalchemy import select

from sso_gate.clock import iso
from sso_gate.scim import group_rows
from sso_gate.scim.filter import Compare, Element, Present
from sso_gate.scim.group_rows import Group, display_key
from sso_gate.scim.listing import Source
from sso_gate.scim.narrowing import Narrowed, instant_condition, text_condition
from sso_gate.scim.ready import ORGANIZATION, VALUE, Known
from sso_gate.scim.rejection import Rejected, invalid
from sso_gate.scim.schema import Attribute, Place
from sso_gate.storage.tables import scim_group, scim_group_member

_COLUMNS = scim_group.c


def _searched(found: Group) -> dict[str, Any]:
    meta = {"created": iso(found.created), "lastModified": iso(found.changed), "resourceType": "Group"}
    return {"id": found.id, **found.document(), "meta": meta}


def _translate(term: Compare | Element | Present) -> Narrowed | None:
    match term:
        case Compare(place, op, value) if value is not None:
            return _compare(place, op, value)
        case Element(_, Compare(inner, "eq", str(value))) if inner.name == "value":
            return _with_member(value)
        case _:
            if _is_members(term.place.attribute):
                raise _members_by_value()
            return None


def _members_by_value() -> Rejected:
    return invalid("invalidFilter", "filter: members can be compared by value eq alone")


def _is_members(attribute: Attribute | None) -> bool:
    return attribute is not None and attribute.name == "members"


def _compare(place: Place, op: str, value: Any) -> Narrowed | None:
    match place.name:
        case "displayName":
            return text_condition(_COLUMNS.display_key, op, display_key(value))
        case "externalId" if op == "eq":  # Canaille finds its groups so
            return Narrowed(_COLUMNS.external_id == value, is_exact=False)
        case "id":
            return text_condition(_COLUMNS.id, op, value, case_exact=True)
        case "meta.created":
            return instant_condition(_COLUMNS.created_at, op, value)
        case "meta.lastModified":
            return instant_condition(_COLUMNS.changed_at, op, value)
    if _is_members(place.attribute):
        if op != "eq" or place.leaf.name != "value":
            raise _members_by_value()
        return _with_member(value)
    return None


def _with_member(member_id: str) -> Narrowed:
    link = scim_group_member.c
    return Narrowed(_COLUMNS.id.in_(select(link.group).where(link.member == member_id)))


GROUPS = Source(
    query=group_rows.query(),
    mine=_COLUMNS.organization == ORGANIZATION,
    identity=_COLUMNS.id,
    created=_COLUMNS.created_at,
    known={
        "displayName": Known(_COLUMNS.display_key == VALUE, display_key),
        "id": Known(_COLUMNS.id == VALUE),
        "externalId": Known(_COLUMNS.external_id == VALUE),
    },
    translate=_translate,
    order={"displayName": _COLUMNS.display_key, "id": _COLUMNS.id, "meta.lastModified": _COLUMNS.changed_at},
    read=group_rows.group,
    document=_searched,
)
