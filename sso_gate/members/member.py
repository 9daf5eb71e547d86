"""A member: one person of one organization, as a frozen value."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sso_gate.members.roles import Area, Grant, Permission, Role, permission


class MemberState(StrEnum):
    """Whether a member has a seat, and if not, why not.

    HELD: holds a seat. RELEASED: holds none, the next login is a first admission (also a listed person who has not come
    yet). BLOCKED: deactivated by SCIM or an administrator, no login lets them in. WAITING: was refused for want of a
    seat.
    """

    HELD = "held"
    RELEASED = "released"
    BLOCKED = "blocked"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Member:
    """One person of one organization.

    `generation` is the seat pool's version at the grant of the seat, 0 before any; `listed_role` was given by name,
    `role` is the one in force,
    `group_role` what the groups of a provisioning client bring; `last_login` is exact to the hour.
    """

    id: str
    organization: str
    email: str
    name: str
    listed_role: Role
    role: Role
    grants: frozenset[Grant]
    state: MemberState
    generation: int
    locale: str
    last_login: datetime | None = None
    group_role: Role = Role.USER

    def may(self, area: Area) -> Permission:
        """Return how far this member may go in an area of the settings."""
        return permission(self.role, self.grants, area)
