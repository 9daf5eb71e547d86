"""Groups and roles: an admin at most, never an owner, and nobody loses what they were given by name."""

from __future__ import annotations

from dataclasses import replace

from sso_gate.connections import store as connections
from sso_gate.members import store as members
from sso_gate.members.roles import Role
from tests.support.gates import person


async def map_groups(scim, **roles):
    """Let the organization's connection map these groups."""
    runtime = scim.gate.runtime

    def write(tx):
        for known in connections.of_organization(tx, runtime.keyring, scim.organization.id):
            connections.change(tx, runtime.keyring, replace(known, roles=roles), at=runtime.clock.now())

    await runtime.database.write(write)


async def role(scim, user):
    found = await scim.gate.runtime.database.read(lambda tx: members.get(tx, scim.organization.id, user["id"]))
    return found.role


async def test_a_group_brings_its_role_and_takes_it_away_again(scim):
    await map_groups(scim, Admins="admin")
    ana = await scim.created("ana")
    group = await scim.group("admins", ana["id"])
    assert await role(scim, ana) is Role.ADMIN
    await scim.gate.login(person(scim.organization, "ana"))
    assert await role(scim, ana) is Role.ADMIN, "a login that brings no groups keeps what provisioning brought"
    await scim.patch(f"/Groups/{group['id']}", {"op": "remove", "path": f'members[value eq "{ana["id"]}"]'})
    assert await role(scim, ana) is Role.USER
    changes = [one["changes"]["role"] for one in await scim.events(action="admin.role.change")]
    assert changes == [["user", "admin"], ["admin", "user"]]


async def test_renaming_and_deleting_a_group_counts_as_leaving_it(scim):
    await map_groups(scim, Admins="admin")
    ana = await scim.created("ana")
    group = await scim.group("staff", ana["id"])
    path = f"/Groups/{group['id']}"
    for name, expected in (("Admins", Role.ADMIN), ("staff", Role.USER), ("ADMINS", Role.ADMIN)):
        await scim.patch(path, {"op": "replace", "path": "displayName", "value": name})
        assert await role(scim, ana) is expected
    await scim.send("DELETE", path)
    assert await role(scim, ana) is Role.USER


async def test_no_group_makes_an_owner(scim):
    await map_groups(scim, Bosses="owner")
    ana = await scim.created("ana")
    await scim.group("Bosses", ana["id"])
    assert await role(scim, ana) is Role.ADMIN


async def test_no_group_takes_ownership_away(scim):
    await map_groups(scim, Admins="admin")
    owner = (await scim.get("/Users")).json()["Resources"][0]
    group = await scim.group("Admins", owner["id"])
    await scim.send("DELETE", f"/Groups/{group['id']}")
    assert await role(scim, owner) is Role.PRIMARY_OWNER
