"""How people are found: which attribute is which column, and which orders SQL knows."""

from typing import Any
from unicodedata import normalize

from sqlalchemy import Select, and_, exists, not_, or_, select, union_all

from sso_gate.identity import normal_email
from sso_gate.members.member import MemberState
from sso_gate.scim import user_rows
from sso_gate.scim.filter import Both, Compare, Element, Filter, Present
from sso_gate.scim.listing import Source
from sso_gate.scim.matching import comparable
from sso_gate.scim.narrowing import Narrowed, instant_condition, text_condition
from sso_gate.scim.person import Person
from sso_gate.scim.ready import ORGANIZATION, VALUE, Known
from sso_gate.scim.schema import Place
from sso_gate.storage.tables import member, scim_user, scim_value

_WANTED = exists().where(scim_user.c.member == member.c.id, scim_user.c.wanted).correlate(member)
_MINE = member.c.organization == ORGANIZATION
_ACTIVE = or_(member.c.state == MemberState.HELD, and_(member.c.state == MemberState.WAITING, _WANTED))


def _user_name(value: str) -> str:
    return normal_email(normalize("NFC", value))


def searched(found: Person) -> dict[str, Any]:
    """Return the document that filters and sorting look at."""
    return {"id": found.id, **found.document(), "meta": found.meta()}


def _translate(term: Compare | Element | Present) -> Narrowed | None:
    """Return the comparison as SQL for the people of the parameter `organization`."""
    match term:
        case Compare(place, op, value) if value is not None:
            return _compare(place, op, value)
        case Element(place, inner):
            return _element(place, inner)
        case _:
            return None


def _compare(place: Place, op: str, value: Any) -> Narrowed | None:
    match place.name:
        case "userName":
            return text_condition(member.c.email_key, op, _user_name(value))
        case "id":
            return text_condition(member.c.id, op, value, case_exact=True)
        case "externalId":
            return _external_id(value) if op == "eq" else None
        case "active":
            return Narrowed(_ACTIVE if value is (op == "eq") else not_(_ACTIVE))
        case "meta.created":
            return instant_condition(member.c.created_at, op, value)
    return _looked_up(place, value) if op == "eq" else None


def _looked_up(place: Place, value: Any) -> Narrowed | None:
    if not isinstance(value, str):
        return None
    path = f"{place.name}.value" if place.leaf is not (place.sub or place.attribute) else place.name
    if path not in user_rows.LOOKED_UP:
        return None
    table, word = scim_value.c, user_rows.looked_up(comparable(place.leaf, value))
    told = select(table.member).where(
        table.organization == ORGANIZATION, table.path == user_rows.path_key(path), table.value == word
    )
    everybody = union_all(told, _by_address(value)) if path == "emails.value" else told
    return Narrowed(member.c.id.in_(everybody), is_exact=False)


def _by_address(value: str) -> Select[Any]:
    """Return who came by login: their address is their only one."""
    return select(member.c.id).where(_MINE, member.c.email_key == normal_email(value))


def _external_id(value: str) -> Narrowed:
    table = scim_user.c
    found = select(table.member).where(table.organization == ORGANIZATION, table.external_id == value)
    return Narrowed(member.c.id.in_(found))


def _element(place: Place, inner: Filter) -> Narrowed | None:
    """Return what an `eq` on the element's value says: Entra ID matches by `emails[type eq "work"].value`."""
    terms = _flattened(inner)
    for term in terms:
        if isinstance(term, Compare) and term.op == "eq" and term.value is not None:
            narrowed = _looked_up(Place(place.urn, place.attribute, term.place.attribute), term.value)
            if narrowed:
                return narrowed
    return None


def _flattened(found: Filter) -> list[Filter]:
    return [one for term in found.terms for one in _flattened(term)] if isinstance(found, Both) else [found]


PEOPLE = Source(
    query=user_rows.query(),
    mine=_MINE,
    identity=member.c.id,
    created=member.c.created_at,
    known={
        "userName": Known(member.c.email_key == VALUE, _user_name),
        "id": Known(member.c.id == VALUE),
        "externalId": Known((scim_user.c.organization == ORGANIZATION) & (scim_user.c.external_id == VALUE)),
    },
    translate=_translate,
    order={"userName": member.c.email_key, "id": member.c.id, "meta.created": member.c.created_at},
    read=Person,
    document=searched,
)
