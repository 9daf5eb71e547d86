"""Groups, created, changed and removed by a provisioning client. A group takes no seat and creates nobody.

Each request is one transaction under the pool's lock, so that no member disappears while they are put into a group.
"""

from collections.abc import Sequence
from typing import Any

from pydantic_core import to_json
from sqlalchemy import Connection

from sso_gate.audit.event import Action
from sso_gate.identity import new_id
from sso_gate.scim import group_roles, group_rows, group_search, preconditions
from sso_gate.scim.caller import Caller
from sso_gate.scim.change import Change, changing
from sso_gate.scim.definitions import GROUPS
from sso_gate.scim.group_rows import Group
from sso_gate.scim.links import Links, read_links, read_members
from sso_gate.scim.patch import Operation, apply_patch
from sso_gate.scim.projection import Projection
from sso_gate.scim.reading import Reader, Resource, Shown
from sso_gate.scim.rejection import invalid, not_there, not_unique
from sso_gate.scim.values import read_resource, required

MAX_NAME = 320
NAMES_ON_RECORD = 100


def _find(change: Change, group_id: str, if_match: str) -> Group:
    """Return the group, as it is under the lock."""
    group = group_rows.find(change.tx, change.organization, group_id)
    if group is None:
        raise not_there(f"Group {group_id[:64]}")
    change.about(group.id, group.display_name)
    preconditions.require_match(if_match, group)
    return group


def _require_free(change: Change, name: str, but: str = "") -> None:
    """Raise the 409 for a name that another group has: names give roles, so they mean one group each."""
    if group_rows.is_taken(change.tx, change.organization, name, but=but):
        raise not_unique(f"displayName {name} belongs to another group")


def _answered(change: Change, group: Group, projection: Projection | None) -> Shown:
    return READER.shown(change.tx, change.caller, group, projection)


def _read(caller: Caller, body: Any) -> tuple[Resource, Links | None]:
    """Return the attributes of a group that was sent whole, and its members where it names any."""
    if not isinstance(body, dict):
        raise invalid("invalidSyntax", "expected a JSON object")
    rest = {name: value for name, value in body.items() if name.casefold() != "members"}
    sent = [value for name, value in body.items() if name.casefold() == "members"]
    document = read_resource(GROUPS, rest, caller.dialect)
    links = Links()
    if sent:
        links.replace(read_members(sent[0], caller.dialect))
    return _checked(document), links if sent else None


def _checked(document: Resource) -> Resource:
    missing = required(GROUPS, document)
    if missing:
        raise missing
    name = document["displayName"].strip()
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise invalid("invalidValue", f"displayName: expected 1 to {MAX_NAME} printable characters")
    return {**document, "displayName": name}


async def create(caller: Caller, body: Any, projection: Projection | None) -> Shown:
    """Return the new group; `Rejected`: 400, 409 `uniqueness`."""
    document, links = _read(caller, body)

    def work(change: Change) -> Shown:
        return _answered(change, _create(change, document, links or Links()), projection)

    return await changing(caller, Action.SCIM_GROUP_CREATE, "", work)


def _create(change: Change, document: Resource, links: Links) -> Group:
    change.about("", document["displayName"])
    _require_free(change, document["displayName"])
    now = change.provision.now
    group = Group(
        id=new_id("grp", change.provision.clock),
        organization=change.organization,
        display_name=document["displayName"],
        external_id=document.get("externalId"),
        version=1,
        created=now,
        changed=now,
    )
    change.about(group.id, group.display_name)
    group_rows.add(change.tx, group)
    added, _ = _link(change, group, links)
    _settle_roles(change, added, {group.display_name})
    change.done(Action.SCIM_GROUP_CREATE, {"attributes": sorted(document), **_recorded(added, set())})
    return group


async def put(caller: Caller, group_id: str, body: Any, if_match: str, projection: Projection | None) -> Shown:
    """Return the group, replaced by what was sent; without `members` it has none afterwards."""
    document, links = _read(caller, body)
    whole = links or Links(cleared=True)

    def work(change: Change) -> Shown:
        return _answered(change, _change_to(change, _find(change, group_id, if_match), document, whole), projection)

    return await changing(caller, Action.SCIM_GROUP_UPDATE, group_id, work)


async def patch(
    caller: Caller, group_id: str, operations: list[Operation], if_match: str, projection: Projection | None
) -> Shown:
    """Return the group as the operations leave it."""
    links, others = read_links(operations, caller.dialect)

    def work(change: Change) -> Shown:
        group = _find(change, group_id, if_match)
        document = _checked(apply_patch(GROUPS, group.document(), others, caller.dialect))
        return _answered(change, _change_to(change, group, document, links), projection)

    return await changing(caller, Action.SCIM_GROUP_UPDATE, group_id, work)


def _change_to(change: Change, group: Group, document: Resource, links: Links) -> Group:
    old = group.document()
    names = sorted(name for name in {*old, *document} if old.get(name) != document.get(name))
    if "displayName" in names:
        _require_free(change, document["displayName"], but=group.id)
    added, removed = _link(change, group, links)
    if not (names or added or removed):
        return group
    saved = group_rows.save(change.tx, group, document, now=change.provision.now)
    renamed = group_rows.member_ids(change.tx, group.id) if "displayName" in names else set()
    _settle_roles(change, added | removed | renamed, {group.display_name, document["displayName"]})
    recorded = {"attributes": names, **_recorded(added, removed)}
    change.done(_action(names, added, removed), recorded)
    return saved


def _action(names: list[str], added: set[str], removed: set[str]) -> Action:
    if names or (added and removed):
        return Action.SCIM_GROUP_UPDATE
    return Action.SCIM_GROUP_MEMBER_ADD if added else Action.SCIM_GROUP_MEMBER_REMOVE


def _recorded(added: set[str], removed: set[str]) -> dict[str, Any]:
    """Return who was put in and taken out, for the audit: all are counted, the first hundred are named."""
    said: dict[str, Any] = {}
    for word, ids in (("added", added), ("removed", removed)):
        if ids:
            said |= {word: sorted(ids)[:NAMES_ON_RECORD], f"{word}_count": len(ids)}
    return said


def _link(change: Change, group: Group, links: Links) -> tuple[set[str], set[str]]:
    """Put in and take out who is named; return who really came and went. `Rejected`: 400 for an id that is nobody's."""
    unknown = group_rows.unknown(change.tx, change.organization, links.added)
    if unknown:
        raise invalid("invalidValue", f"members: no user {min(unknown)} (of {len(unknown)} that are not known)")
    removed = links.removed
    if links.cleared:
        removed = group_rows.member_ids(change.tx, group.id) - links.added
    gone = group_rows.unlink(change.tx, group.id, removed)
    return group_rows.link(change.tx, group.id, links.added), gone


def _settle_roles(change: Change, people: set[str], names: set[str]) -> None:
    keys = {group_rows.display_key(name) for name in names}
    if people and keys & group_roles.mapping(change.tx, change.caller).keys():
        group_roles.settle(change.tx, change.caller, people)


async def delete(caller: Caller, group_id: str, if_match: str) -> None:
    """Remove the group; its members stay."""

    def work(change: Change) -> None:
        group = _find(change, group_id, if_match)
        people = group_rows.member_ids(change.tx, group.id)
        group_rows.remove(change.tx, group.id)
        _settle_roles(change, people, {group.display_name})
        change.done(Action.SCIM_GROUP_DELETE, _recorded(set(), people))

    await changing(caller, Action.SCIM_GROUP_DELETE, group_id, work)


def _show(tx: Connection, caller: Caller, groups: Sequence[Group], projection: Projection) -> list[str]:
    ids = [group.id for group in groups]
    people = group_rows.people(tx, ids, caller.base) if ids and projection.wants("members") else {}
    resources = [projection.applied(group.resource(caller.base, people.get(group.id, []))) for group in groups]
    return [to_json(resource).decode() for resource in resources]


READER = Reader("Group", group_rows.find, group_search.GROUPS, _show)
