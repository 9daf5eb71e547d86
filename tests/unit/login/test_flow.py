"""The parts of a login's flow that need no provider: roles that groups bring."""

from dataclasses import replace

import pytest

from sso_gate.connections.connection import AttributeMap, Connection, OidcSettings
from sso_gate.login.flow import mapped_role
from sso_gate.members.roles import Role
from sso_gate.organizations.organization import Organization
from tests.support.gates import person

ACME = Organization("org_1", "acme", "Acme", True, "en", (), True, "refuse", (), None, None)
MAP = {"users": "user", "admins": "admin", "owners": "owner", "kings": "primary_owner"}
CONNECTION = Connection("c", "org_1", "C", True, 1, AttributeMap(), MAP, OidcSettings("https://x.example", "c"))


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        ((), None),
        (("others", "OWNERS", "owners "), None),
        (("users",), Role.USER),
        (("users", "admins"), Role.ADMIN),
        (("owners", "admins"), Role.OWNER),
        (("kings",), None),
        (("kings", "admins"), Role.ADMIN),
    ],
)
def test_the_highest_role_of_the_mapped_groups_counts_and_never_the_primary_owners(groups, role):
    assert mapped_role(CONNECTION, replace(person(ACME, "bea"), groups=groups)) is role
