"""Groups, created, changed and removed by a provisioning client. A group takes no seat and creates nobody.

Each request is one transaction under the pool's lock, so that no member disappears while they are put into a group.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from sso_gate.admission.provision import Provision, Provisioner
from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Event
from sso_gate.identity import new_id
from sso_gate.scim import group_roles, group_rows, group_search, preconditions, refusals
from sso_gate.scim.caller import Caller
from sso_gate.scim.definitions import GROUPS
from sso_gate.scim.group_rows import Group
from sso_gate.scim.links import Links, read_links, read_members
from sso_gate.scim.listing import Asked, list_response
from sso_gate.scim.patch import Operation, apply_patch
from sso_gate.scim.projection import Projection
from sso_gate.scim.rejection import Rejected, invalid, not_there, not_unique
from sso_gate.scim.values import read_resource, required

Resource = dict[str, Any]
MAX_NAME = 320
NAMES_ON_RECORD = 100


@dataclass(slots=True)
class _Change:
    """One request: what it is to leave on the audit record, filled as it becomes known."""

    caller: Caller
    provision: Provision
    event: Event

    @property
    def tx(self) -> Connection:
        return self.provision.tx

    def done(self, action: Action, group_id: str, changes: dict[str, Any]) -> None:
        """Write the event of what was done."""
        audit.record(self.tx, [replace(self.event, action=action, target=group_id, changes=changes)])

    def find(self, group_id: str, if_match: str) -> Group:
        """Return the group, as it is under the lock."""
        group = group_rows.find(self.tx, self.provision.organization.id, group_id)
        if group is None:
            raise not_there(f"Group {group_id[:64]}")
        preconditions.require_match(if_match, group.etag)
        return group

    def require_free(self, name: str, but: str = "") -> None:
        """Raise the 409 for a name that another group has: names give roles, so they mean one group each."""
        if group_rows.is_taken(self.tx, self.provision.organization.id, name, but=but):
            raise not_unique(f"displayName {name} belongs to another group")


async def _changing(
    caller: Caller, action: Action, target: str, work: Callable[[_Change], Group | None], projection: Projection | None
) -> tuple[Resource, str]:
    """Return the group as `work` left it, and its ETag; with no projection there is nothing to show."""

    def run(provision: Provision) -> tuple[Resource, str] | Rejected:
        change = _Change(caller, provision, caller.event(action, target=target))
        try:
            with provision.tx.begin_nested():
                group = work(change)
        except Rejected as rejected:
            audit.record(provision.tx, [refusals.denied(change.event, rejected, provision.pool)])
            return rejected.recorded()
        shown = _shown(provision.tx, caller, [group], projection)[0] if group and projection else {}
        return shown, group.etag if group else ""

    result = await Provisioner.of(caller.runtime).change(caller.organization.id, run)
    caller.long_lists.forget(caller.organization.id)
    if isinstance(result, Rejected):
        raise result
    return result


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


async def create(caller: Caller, body: Any, projection: Projection) -> tuple[Resource, str]:
    """Return the new group; `Rejected`: 400, 409 `uniqueness`."""
    document, links = _read(caller, body)

    def work(change: _Change) -> Group:
        change.require_free(document["displayName"])
        now = change.provision.now
        group = Group(
            id=new_id("grp", change.provision.clock),
            organization=change.provision.organization.id,
            display_name=document["displayName"],
            external_id=document.get("externalId"),
            version=1,
            created=now,
            changed=now,
        )
        group_rows.add(change.tx, group)
        added, _ = _link(change, group, links or Links())
        _settle_roles(change, added, {group.display_name})
        change.done(Action.SCIM_GROUP_CREATE, group.id, {"attributes": sorted(document), **_recorded(added, set())})
        return group

    return await _changing(caller, Action.SCIM_GROUP_CREATE, "", work, projection)


async def put(caller: Caller, group_id: str, body: Any, if_match: str, projection: Projection) -> tuple[Resource, str]:
    """Return the group, replaced by what was sent; without `members` it has none afterwards."""
    document, links = _read(caller, body)
    whole = links or Links(cleared=True)

    def work(change: _Change) -> Group:
        return _change_to(change, change.find(group_id, if_match), document, whole)

    return await _changing(caller, Action.SCIM_GROUP_UPDATE, group_id[:64], work, projection)


async def patch(
    caller: Caller, group_id: str, operations: list[Operation], if_match: str, projection: Projection | None
) -> tuple[Resource, str]:
    """Return the group as the operations leave it, and its ETag."""
    links, others = read_links(operations, caller.dialect)

    def work(change: _Change) -> Group:
        group = change.find(group_id, if_match)
        document = _checked(apply_patch(GROUPS, group.document(), others, caller.dialect))
        return _change_to(change, group, document, links)

    return await _changing(caller, Action.SCIM_GROUP_UPDATE, group_id[:64], work, projection)


def _change_to(change: _Change, group: Group, document: Resource, links: Links) -> Group:
    old = group.document()
    names = sorted(name for name in {*old, *document} if old.get(name) != document.get(name))
    if "displayName" in names:
        change.require_free(document["displayName"], but=group.id)
    added, removed = _link(change, group, links)
    if not (names or added or removed):
        return group
    group_rows.save(change.tx, group.id, document, now=change.provision.now)
    renamed = group_rows.member_ids(change.tx, group.id) if "displayName" in names else set()
    _settle_roles(change, added | removed | renamed, {group.display_name, document["displayName"]})
    recorded = {"attributes": names, **_recorded(added, removed)}
    change.done(_action(names, added, removed), group.id, recorded)
    found = group_rows.find(change.tx, group.organization, group.id)
    assert found is not None  # noqa: S101 - it was just written
    return found


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


def _link(change: _Change, group: Group, links: Links) -> tuple[set[str], set[str]]:
    """Put in and take out who is named; return who really came and went. `Rejected`: 400 for an id that is nobody's."""
    unknown = group_rows.unknown(change.tx, change.provision.organization.id, links.added)
    if unknown:
        raise invalid("invalidValue", f"members: no user {min(unknown)} (of {len(unknown)} that are not known)")
    removed = links.removed
    if links.cleared:
        removed = group_rows.member_ids(change.tx, group.id) - links.added
    gone = group_rows.unlink(change.tx, group.id, removed)
    return group_rows.link(change.tx, group.id, links.added), gone


def _settle_roles(change: _Change, people: set[str], names: set[str]) -> None:
    keys = {group_rows.display_key(name) for name in names}
    if people and keys & group_roles.mapping(change.tx, change.caller).keys():
        group_roles.settle(change.tx, change.caller, people)


async def delete(caller: Caller, group_id: str, if_match: str) -> None:
    """Remove the group; its members stay."""

    def work(change: _Change) -> None:
        group = change.find(group_id, if_match)
        people = group_rows.member_ids(change.tx, group.id)
        group_rows.remove(change.tx, group.id)
        _settle_roles(change, people, {group.display_name})
        change.done(Action.SCIM_GROUP_DELETE, group.id, _recorded(set(), people))

    await _changing(caller, Action.SCIM_GROUP_DELETE, group_id[:64], work, None)


async def get(caller: Caller, group_id: str, projection: Projection) -> tuple[Resource, str]:
    """Return the group as asked for, and its ETag."""

    def read(tx: Connection) -> tuple[Resource, str] | None:
        group = group_rows.find(tx, caller.organization.id, group_id)
        return (_shown(tx, caller, [group], projection)[0], group.etag) if group else None

    found = await caller.runtime.database.read(read)
    if found is None:
        raise not_there(f"Group {group_id[:64]}")
    return found


async def search(caller: Caller, asked: Asked) -> Resource:
    """Return the ListResponse."""

    def read(tx: Connection) -> tuple[Resource, int]:
        found = group_search.search(tx, caller.organization.id, asked, caller.notes)
        return list_response(_shown(tx, caller, found.found, asked.projection), found, asked), found.looked_at

    response, looked_at = await caller.runtime.database.read(read)
    await caller.note_looked_at(looked_at)
    return response


def _shown(tx: Connection, caller: Caller, groups: list[Group], projection: Projection) -> list[Resource]:
    ids = [group.id for group in groups]
    people = group_rows.people(tx, ids, caller.base) if ids and projection.wants("members") else {}
    return [projection.applied(group.resource(caller.base, people.get(group.id, []))) for group in groups]
