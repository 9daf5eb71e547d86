"""Rows of groups. A member of a group is a row of its own, so that one change of a large group reads nothing else."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, insert, select, update

from sso_gate.clock import from_micros, iso, to_micros
from sso_gate.scim.definitions import GROUP_URN
from sso_gate.scim.person import weak_etag
from sso_gate.storage.tables import member, scim_group, scim_group_member

_AT_ONCE = 1000  # values of one IN list
_LINK = scim_group_member.c
_COLUMNS = scim_group.c


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
    return select(scim_group)


def group(row: Row[Any]) -> Group:
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
    row = tx.execute(query().where(_COLUMNS.id == group_id, _COLUMNS.organization == organization)).one_or_none()
    return group(row) if row else None


def is_taken(tx: Connection, organization: str, name: str, *, but: str = "") -> bool:
    """Return whether another group of the organization has this name, in any letter case."""
    same = (_COLUMNS.organization == organization) & (_COLUMNS.display_key == display_key(name))
    return tx.execute(select(_COLUMNS.id).where(same, _COLUMNS.id != but)).first() is not None


def add(tx: Connection, group: Group) -> None:
    """Insert a group without members."""
    tx.execute(
        insert(scim_group).values(
            id=group.id,
            organization=group.organization,
            display_name=group.display_name,
            display_key=display_key(group.display_name),
            external_id=group.external_id,
            version=group.version,
            created_at=to_micros(group.created),
            changed_at=to_micros(group.changed),
        )
    )


def save(tx: Connection, group_id: str, document: dict[str, Any], *, now: datetime) -> None:
    """Write name and externalId, and begin a new version."""
    values = {
        "display_name": document["displayName"],
        "display_key": display_key(document["displayName"]),
        "external_id": document.get("externalId"),
        "version": _COLUMNS.version + 1,
        "changed_at": to_micros(now),
    }
    tx.execute(update(scim_group).where(_COLUMNS.id == group_id).values(values))


def remove(tx: Connection, group_id: str) -> None:
    """Delete the group and its links."""
    tx.execute(delete(scim_group_member).where(_LINK.group == group_id))
    tx.execute(delete(scim_group).where(_COLUMNS.id == group_id))


def member_ids(tx: Connection, group_id: str) -> set[str]:
    """Return who is in the group."""
    return set(tx.execute(select(_LINK.member).where(_LINK.group == group_id)).scalars())


def people(tx: Connection, groups: Sequence[str], base: str) -> dict[str, list[dict[str, str]]]:
    """Return the members of each of these groups as SCIM shows them, by id."""
    found: dict[str, list[dict[str, str]]] = {}
    named = select(_LINK.group, _LINK.member, member.c.name).join(member, member.c.id == _LINK.member)
    for row in tx.execute(named.where(_LINK.group.in_(list(groups))).order_by(_LINK.member)):
        display = {"display": row.name} if row.name else {}
        one = {"value": row.member, "$ref": f"{base}/Users/{row.member}", "type": "User", **display}
        found.setdefault(row.group, []).append(one)
    return found


def unknown(tx: Connection, organization: str, ids: Collection[str]) -> set[str]:
    """Return those of these ids that are no members of the organization."""
    known: set[str] = set()
    for some in _batches(ids):
        mine = (member.c.organization == organization) & member.c.id.in_(some)
        known.update(tx.execute(select(member.c.id).where(mine)).scalars())
    return set(ids) - known


def link(tx: Connection, group_id: str, ids: Collection[str]) -> set[str]:
    """Put these members into the group and return those who were not in it."""
    there: set[str] = set()
    for some in _batches(ids):
        there.update(tx.execute(select(_LINK.member).where(_LINK.group == group_id, _LINK.member.in_(some))).scalars())
    fresh = set(ids) - there
    if fresh:
        tx.execute(insert(scim_group_member), [{"group": group_id, "member": one} for one in sorted(fresh)])
    return fresh


def unlink(tx: Connection, group_id: str, ids: Collection[str]) -> set[str]:
    """Take these members out of the group and return those who were in it."""
    gone: set[str] = set()
    for some in _batches(ids):
        deleted = delete(scim_group_member).where(_LINK.group == group_id, _LINK.member.in_(some))
        gone.update(tx.execute(deleted.returning(_LINK.member)).scalars())
    return gone


def forget_member(tx: Connection, member_id: str, *, now: datetime) -> None:
    """Take a member out of every group; each of those begins a new version."""
    mine = select(_LINK.group).where(_LINK.member == member_id).scalar_subquery()
    values = {"version": _COLUMNS.version + 1, "changed_at": to_micros(now)}
    tx.execute(update(scim_group).where(_COLUMNS.id.in_(mine)).values(values))
    tx.execute(delete(scim_group_member).where(_LINK.member == member_id))


def _batches(ids: Collection[str]) -> Iterator[list[str]]:
    ordered = sorted(ids)
    for at in range(0, len(ordered), _AT_ONCE):
        yield ordered[at : at + _AT_ONCE]
