"""How people are found: which attribute is which column, and which orders SQL knows."""

from typing import Any
from unicodedata import normalize

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, not_, or_, select, union_all

from sso_gate.clock import iso
from sso_gate.identity import normal_email
from sso_gate.members.member import MemberState
from sso_gate.scim import user_rows
from sso_gate.scim.filter import Both, Compare, Element, Filter, Present
from sso_gate.scim.listing import Asked, Page, Source, page
from sso_gate.scim.long_lists import Notes
from sso_gate.scim.matching import comparable
from sso_gate.scim.narrowing import Narrowed, instant_condition, text_condition
from sso_gate.scim.person import Person
from sso_gate.scim.schema import Place
from sso_gate.storage.tables import member, scim_user, scim_value

_WANTED = exists().where(scim_user.c.member == member.c.id, scim_user.c.wanted).correlate(member)
_ACTIVE = or_(member.c.state == MemberState.HELD, and_(member.c.state == MemberState.WAITING, _WANTED))


def search(tx: Connection, organization: str, asked: Asked, notes: Notes) -> Page[Person]:
    """Return the page of people that was asked for."""
    mine = member.c.organization == organization
    source = Source(
        query=user_rows.query().where(mine),
        keys=select(member.c.id).where(mine),
        translate=_Translation(organization).translate,
        order=_order,
        identity=member.c.id,
        read=user_rows.person,
        document=searched,
    )
    return page(tx, source, asked, notes)


def searched(found: Person) -> dict[str, Any]:
    """Return the document that filters and sorting look at."""
    meta = {"created": iso(found.created), "lastModified": iso(found.changed), "resourceType": "User"}
    return {"id": found.member.id, **found.document(), "meta": meta}


def _order(place: Place | None) -> ColumnElement[Any] | None:
    if place is None:
        return member.c.created_at
    return {"userName": member.c.email_key, "id": member.c.id, "meta.created": member.c.created_at}.get(place.name)


class _Translation:
    """Which comparisons SQL answers for the people of one organization."""

    def __init__(self, organization: str) -> None:
        self.organization = organization

    def translate(self, term: Compare | Element | Present) -> Narrowed | None:
        match term:
            case Compare(place, op, value) if value is not None:
                return self._compare(place, op, value)
            case Element(place, inner):
                return self._element(place, inner)
            case _:
                return None

    def _compare(self, place: Place, op: str, value: Any) -> Narrowed | None:
        match place.name:
            case "userName":
                return text_condition(member.c.email_key, op, normal_email(normalize("NFC", value)))
            case "id":
                return text_condition(member.c.id, op, value, case_exact=True)
            case "externalId":
                return self._external_id(value) if op == "eq" else None
            case "active":
                return Narrowed(_ACTIVE if value is (op == "eq") else not_(_ACTIVE))
            case "meta.created":
                return instant_condition(member.c.created_at, op, value)
        return self._looked_up(place, value) if op == "eq" else None

    def _looked_up(self, place: Place, value: Any) -> Narrowed | None:
        if not isinstance(value, str):
            return None
        path = f"{place.name}.value" if place.leaf is not (place.sub or place.attribute) else place.name
        if path not in user_rows.LOOKED_UP:
            return None
        table, word = scim_value.c, user_rows.looked_up(comparable(place.leaf, value))
        told = select(table.member).where(
            table.organization == self.organization, table.path == user_rows.path_key(path), table.value == word
        )
        everybody = union_all(told, self._by_address(value)) if path == "emails.value" else told
        return Narrowed(member.c.id.in_(everybody), is_exact=False)

    def _by_address(self, value: str) -> Select[Any]:
        """Return who came by login: their address is their only one."""
        same = member.c.email_key == normal_email(value)
        return select(member.c.id).where(member.c.organization == self.organization, same)

    def _external_id(self, value: str) -> Narrowed:
        table = scim_user.c
        found = select(table.member).where(table.organization == self.organization, table.external_id == value)
        return Narrowed(member.c.id.in_(found))

    def _element(self, place: Place, inner: Filter) -> Narrowed | None:
        """Return what an `eq` on the element's value says: Entra ID matches by `emails[type eq "work"].value`."""
        terms = _flattened(inner)
        for term in terms:
            if isinstance(term, Compare) and term.op == "eq" and term.value is not None:
                narrowed = self._looked_up(Place(place.urn, place.attribute, term.place.attribute), term.value)
                if narrowed:
                    return narrowed
        return None


def _flattened(found: Filter) -> list[Filter]:
    return [one for term in found.terms for one in _flattened(term)] if isinstance(found, Both) else [found]
