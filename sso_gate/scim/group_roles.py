"""Which role a provisioned group brings: what a connection's mapping says of its name, an admin at most.

Owners are named by owners: a group of SCIM makes nobody one, and takes nobody's ownership away.
"""

from collections.abc import Collection, Iterator

from sqlalchemy import Connection, select, update

from sso_gate.audit import store as audit
from sso_gate.audit.event import Action
from sso_gate.connections import store as connections
from sso_gate.members import store as members
from sso_gate.members.roles import OWNERS, Role
from sso_gate.scim.caller import Caller
from sso_gate.scim.group_rows import display_key
from sso_gate.storage.tables import member, scim_group, scim_group_member

_AT_ONCE = 1000


def mapping(tx: Connection, caller: Caller) -> dict[str, Role]:
    """Return the role that each named group brings, by the compared form of its name."""
    found = connections.roles_of_organization(tx, caller.organization.id)
    return {display_key(group): Role.ADMIN for group, role in found if Role(role) is not Role.USER}


def settle(tx: Connection, caller: Caller, people: Collection[str]) -> None:
    """Give each of these members the role that their groups bring now; every change is on the audit record."""
    roles, events = mapping(tx, caller), []
    for some in _batches(people):
        privileged = _in_mapped_groups(tx, some, roles)
        for row in tx.execute(select(member).where(member.c.id.in_(some)).order_by(member.c.id)).all():
            brought = Role.ADMIN if row.id in privileged else Role.USER
            if brought == row.group_role:
                continue
            role = _in_force(Role(row.role), Role(row.listed_role), brought)
            tx.execute(update(member).where(member.c.id == row.id).values(group_role=brought, role=role))
            if role != row.role:
                changed = {"role": [row.role, role]}
                events.append(caller.event(Action.ROLE_CHANGE, target=row.id, target_name=row.email, changes=changed))
    audit.record(tx, events)


def _in_force(now: Role, listed: Role, brought: Role) -> Role:
    if now in OWNERS:
        return now
    return members.higher(now, brought) if brought is Role.ADMIN else listed


def _in_mapped_groups(tx: Connection, people: list[str], roles: dict[str, Role]) -> set[str]:
    if not roles:
        return set()
    link = scim_group_member.c
    query = select(link.member).join(scim_group, scim_group.c.id == link.group)
    return set(tx.execute(query.where(link.member.in_(people), scim_group.c.display_key.in_(list(roles)))).scalars())


def _batches(people: Collection[str]) -> Iterator[list[str]]:
    ordered = sorted(people)
    for at in range(0, len(ordered), _AT_ONCE):
        yield ordered[at : at + _AT_ONCE]
