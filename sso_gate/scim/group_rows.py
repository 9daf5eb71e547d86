"""Rows of groups. A member of a group is a row of its own, so that one change of a large group reads nothing else."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, select, update

from sso_gate.clock import from_micros, iso, to_micros
from sso_gate.scim.definitions import GROUP_URN
from sso_gate.scim.person import weak_etag
from sso_gate.storage.prepared import OneOf, Prepared, inserting
from sso_gate.storage.tables import member, scim_group, scim_group_member

_LINK = scim_group_member.c
_COLUMNS = scim_group.c
_IN_GROUP = _LINK.group == bindparam("which")
_THESE = OneOf(_LINK.member, "people")
_MINE = _COLUMNS.organization == bindparam("organization")
_QUERY = select(scim_group)
_ONE = Prepared(_QUERY.where(_COLUMNS.id == bindparam("which"), _MINE))
_TAKEN = Prepared(select(_COLUMNS.id).where(_MINE, _COLUMNS.display_key == bindparam("name")))
_ADD = inserting(scim_group)
_SAVE = Prepared(
    update(scim_group)
    .where(_COLUMNS.id == bindparam("which"))
    .values({name: bindparam(name) for name in ("display_name", "display_key", "external_id", "version", "changed_at")})
)
_MEMBERS = Prepared(select(_LINK.member).where(_IN_GROUP))
_KNOWN = Prepared(
    select(member.c.id).where(member.c.organization == bindparam("organization"), OneOf(member.c.id, "people"))
)
_LINKED = Prepared(select(_LINK.member).where(_IN_GROUP, _THESE))
_ADD_LINK = inserting(scim_group_member)
_UNLINK = Prepared(delete(scim_group_member).where(_IN_GROUP, _THESE).returning(_LINK.member))
_PEOPLE = Prepared(
    select(_LINK.group, _LINK.member, member.c.name)
    .join(member, member.c.id == _LINK.member)
    .where(OneOf(_LINK.group, "groups"))
    .order_by(_LINK.member)
)


@dataclass(frozen=True, slots=True)
class Group:
    """A group without its members."""

    id: str
    organization: str
    display_name: str
    external_id: str | None
    version: int
    created: datetime
    changed: datetime

    def document(self) -> dict[str, Any]:
        """Return the writable attributes but the members."""
        external = {"externalId": self.external_id} if self.external_id else {}
        return {"displayName": self.display_name, **external}

    @property
    def etag(self) -> str:
        """A weak ETag of this version."""
        return weak_etag(f"{self.id} {self.version}")

    def resource(self, base: str, people: list[dict[str, str]]) -> dict[str, Any]:
        """Return the resource; `base` is the address of `/scim/v2`."""
        return {
            "schemas": [GROUP_URN],
            "id": self.id,
            **self.document(),
            **({"members": people} if people else {}),
            "meta": {
                "resourceType": "Group",
                "created": iso(self.created),
                "lastModified": iso(self.changed),
                "location": f"{base}/Groups/{self.id}",
                "version": self.etag,
            },
        }


def display_key(name: str) -> str:
    """Return the form in which names of groups are compared."""
    return name.strip().casefold()[:320]


def query() -> Select[Any]:
    """Return the statement that reads groups, to be narrowed by the caller."""
    return _QUERY


def group(row: Any) -> Group:
    """Return the value that a row holds."""
    return Group(
        row.id,
        row.organization,
        row.display_name,
        row.external_id,
        row.version,
        from_micros(row.created_at),
        from_micros(row.changed_at),
    )


def find(tx: Connection, organization: str, group_id: str) -> Group | None:
    """Return the group with this id, or None when the organization has no such group."""
    rows = _ONE.rows(tx, which=group_id, organization=organization)
    return group(rows[0]) if rows else None


def is_taken(tx: Connection, organization: str, name: str, *, but: str = "") -> bool:
    """Return whether another group of the organization has this name, in any letter case."""
    return any(row.id != but for row in _TAKEN.rows(tx, organization=organization, name=display_key(name)))


def add(tx: Connection, group: Group) -> None:
    """Insert a group without members."""
    created = to_micros(group.created)
    _ADD.run(tx, id=group.id, organization=group.organization, created_at=created, **_changeable(group))


def save(tx: Connection, group: Group, document: dict[str, Any], *, now: datetime) -> Group:
    """Write name and externalId, begin a new version and return it; the caller has read the group under the lock."""
    name, external = document["displayName"], document.get("externalId")
    saved = replace(group, display_name=name, external_id=external, version=group.version + 1, changed=now)
    _SAVE.run(tx, which=group.id, **_changeable(saved))
    return saved


def _changeable(group: Group) -> dict[str, Any]:
    return {
        "display_name": group.display_name,
        "display_key": display_key(group.display_name),
        "external_id": group.external_id,
        "version": group.version,
        "changed_at": to_micros(group.changed),
    }


def remove(tx: Connection, group_id: str) -> None:
    """Delete the group and its links."""
    tx.execute(delete(scim_group_member).where(_LINK.group == group_id))
    tx.execute(delete(scim_group).where(_COLUMNS.id == group_id))


def member_ids(tx: Connection, group_id: str) -> set[str]:
    """Return who is in the group."""
    return {row.member for row in _MEMBERS.rows(tx, which=group_id)}


def people(tx: Connection, groups: Sequence[str], base: str) -> dict[str, list[dict[str, str]]]:
    """Return the members of each of these groups as SCIM shows them, by id."""
    found: dict[str, list[dict[str, str]]] = {}
    for row in _PEOPLE.rows(tx, groups=list(groups)):
        display = {"display": row.name} if row.name else {}
        one = {"value": row.member, "$ref": f"{base}/Users/{row.member}", "type": "User", **display}
        found.setdefault(row.group, []).append(one)
    return found


def unknown(tx: Connection, organization: str, ids: Collection[str]) -> set[str]:
    """Return those of these ids that are no members of the organization."""
    if not ids:
        return set()
    return set(ids) - {row.id for row in _KNOWN.rows(tx, organization=organization, people=list(ids))}


def link(tx: Connection, group_id: str, ids: Collection[str]) -> set[str]:
    """Put these members into the group and return those who were not in it."""
    if not ids:
        return set()
    fresh = set(ids) - {row.member for row in _LINKED.rows(tx, which=group_id, people=list(ids))}
    _ADD_LINK.run_many(tx, [{"group": group_id, "member": one} for one in sorted(fresh)])
    return fresh


def unlink(tx: Connection, group_id: str, ids: Collection[str]) -> set[str]:
    """Take these members out of the group and return those who were in it."""
    return {row.member for row in _UNLINK.rows(tx, which=group_id, people=list(ids))} if ids else set()


def forget_member(tx: Connection, member_id: str, *, now: datetime) -> None:
    """Take a member out of every group; each of those begins a new version."""
    mine = select(_LINK.group).where(_LINK.member == member_id).scalar_subquery()
    values = {"version": _COLUMNS.version + 1, "changed_at": to_micros(now)}
    tx.execute(update(scim_group).where(_COLUMNS.id.in_(mine)).values(values))
    tx.execute(delete(scim_group_member).where(_LINK.member == member_id))
