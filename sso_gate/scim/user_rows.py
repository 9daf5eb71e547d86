"""Rows of what clients say of members, beside the members' own."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Protocol

from pydantic_core import to_json
from sqlalchemy import BindParameter, Connection, Select, bindparam, delete, exists, select, update

from sso_gate.clock import to_micros
from sso_gate.identity import normal_email
from sso_gate.scim.definitions import ENTERPRISE_URN
from sso_gate.scim.person import Person
from sso_gate.scim.rejection import invalid
from sso_gate.storage.prepared import OneOf, Prepared, inserting
from sso_gate.storage.tables import identity, member, scim_group, scim_group_member, scim_user, scim_value

MAX_KEPT = 64 * 1024  # characters of one person's attributes; a usual person has 1,000
# Attributes that clients look people up by, besides userName, externalId and id.
LOOKED_UP = (
    "emails.value",
    "phoneNumbers.value",
    "name.familyName",
    "name.givenName",
    f"{ENTERPRISE_URN}:employeeNumber",
)
_HEADS = {path.partition(".")[0] if ENTERPRISE_URN not in path else ENTERPRISE_URN for path in LOOKED_UP}
_SAID = (scim_user.c.external_id, scim_user.c.wanted, scim_user.c.attributes, scim_user.c.changed_at)


_SHOWN = (member.c.id, member.c.email, member.c.name, member.c.state, member.c.created_at)
_PEOPLE = member.outerjoin(scim_user, scim_user.c.member == member.c.id)
_QUERY = select(*_SHOWN, *_SAID).select_from(_PEOPLE)
_WHOLE = select(*member.c, *_SAID).select_from(_PEOPLE)
_ONE = Prepared(_WHOLE.where(member.c.id == bindparam("member"), member.c.organization == bindparam("organization")))
_GROUPS = Prepared(
    select(scim_group_member.c.member, scim_group.c.id, scim_group.c.display_name)
    .join(scim_group, scim_group.c.id == scim_group_member.c.group)
    .where(OneOf(scim_group_member.c.member, "people"))
    .order_by(scim_group.c.display_key)
)


def _saving(*names: str) -> Prepared:
    values: dict[str, BindParameter[Any]] = {name: bindparam(name) for name in names}
    return Prepared(update(scim_user).where(scim_user.c.member == bindparam("which")).values(values))


_SAVE = _saving("external_id", "wanted", "attributes", "changed_at")
_SAVE_REST = _saving("wanted", "attributes", "changed_at")  # touches no index
_ADD = inserting(scim_user)
_RENAME = Prepared(
    update(member)
    .where(member.c.id == bindparam("which"))
    .values({name: bindparam(name) for name in ("email", "email_key", "name")})
)
_FORGET_VALUES = Prepared(delete(scim_value).where(scim_value.c.member == bindparam("which")))
_ADD_VALUE = inserting(scim_value)


def query() -> Select[Any]:
    """Return the statement that reads what pages show of people, to be narrowed by the caller."""
    return _QUERY


def find(tx: Connection, organization: str, member_id: str) -> Person | None:
    """Return the person with this id, the whole member with them; None when the organization has no such member."""
    rows = _ONE.rows(tx, member=member_id, organization=organization)
    return Person(rows[0]) if rows else None


class Named(Protocol):
    """Whose it is: a member, or a row that holds one."""

    @property
    def id(self) -> str:
        """The member's id."""
        ...

    @property
    def organization(self) -> str:
        """The id of their organization."""
        ...

    @property
    def email(self) -> str:
        """Their address, or whatever the client calls them."""
        ...

    @property
    def name(self) -> str:
        """The name that pages show."""
        ...


def save(
    tx: Connection,
    whose: Named,
    document: dict[str, Any],
    *,
    active: bool,
    name: str,
    now: datetime,
    before: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Write what a client says of a member: the document, and what the gate itself keeps of it; return what a row of
    `find` says instead now.

    `before` is the document that a client left here before this one; where it says the same, nothing is written again.
    """
    which, organization, user_name = whose.id, whose.organization, document["userName"]
    values = {
        "external_id": document.get("externalId"),
        "wanted": active,
        "attributes": _kept(document),
        "changed_at": to_micros(now),
    }
    is_found_alike = before is not None and before.get("externalId") == values["external_id"]
    if (_SAVE_REST if is_found_alike else _SAVE).run(tx, which=which, **values) == 0:
        _ADD.run(tx, member=which, organization=organization, **values)
    names = {"email": user_name, "email_key": normal_email(user_name), "name": name}
    if (user_name, name) != (whose.email, whose.name):
        _RENAME.run(tx, which=which, **names)
    if before is None or any(before.get(name) != document.get(name) for name in _HEADS):
        _FORGET_VALUES.run(tx, which=which)
        rows = [{"path": path, "value": value} for path, value in sorted(_looked_up_by(document))]
        _ADD_VALUE.run_many(tx, [{"member": which, "organization": organization, **row} for row in rows])
    return {**values, **names}


def _kept(document: dict[str, Any]) -> str:
    rest = {key: value for key, value in document.items() if key not in ("userName", "externalId")}
    text = to_json(rest).decode()
    if len(text) > MAX_KEPT:
        raise invalid("invalidValue", f"more than {MAX_KEPT} characters of attributes cannot be kept of one user")
    return text


def _looked_up_by(document: dict[str, Any]) -> set[tuple[str, str]]:
    """Return what the person is found by: the short names of paths, and their values."""
    return {(path_key(path), value) for path in LOOKED_UP for value in _values(document, path)}


def _values(document: dict[str, Any], path: str) -> set[str]:
    urn, _, rest = path.rpartition(":")
    head, _, tail = rest.partition(".")
    found = (document.get(urn, {}) if urn else document).get(head)
    elements = found if isinstance(found, list) else [found]
    texts = [element.get(tail) if isinstance(element, dict) else element for element in elements]
    return {looked_up(text) for text in texts if text}


def path_key(path: str) -> str:
    """Return the short name under which the values of a path are kept: without its schema."""
    return path.rpartition(":")[2]


def looked_up(text: str) -> str:
    """Return the form in which a value is looked up: no letter case, and no longer than its column."""
    return text.casefold()[:320]


def forget(tx: Connection, member_id: str) -> None:
    """Delete everything that clients said of the member, groups included."""
    for table in (scim_value, scim_user, scim_group_member):
        tx.execute(delete(table).where(table.c.member == member_id))


def groups_of(tx: Connection, people: Collection[str]) -> dict[str, list[dict[str, str]]]:
    """Return the groups of each of these members, as `value` and `display`, by name of the group."""
    groups: dict[str, list[dict[str, str]]] = {}
    for row in _GROUPS.rows(tx, people=list(people)):
        groups.setdefault(row.member, []).append({"value": row.id, "display": row.display_name, "type": "direct"})
    return groups


def bound(tx: Connection, people: Collection[str]) -> set[str]:
    """Return those of these members to whom an identity is bound."""
    is_bound = exists().where(identity.c.member == member.c.id)
    return set(tx.execute(select(member.c.id).where(member.c.id.in_(list(people)), is_bound)).scalars())
