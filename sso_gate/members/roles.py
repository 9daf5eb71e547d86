"""Who may do what: four roles, two extra grants, and nothing else decides it.

| area                | user | admin  | owner, primary owner | + billing_viewer | + auditor |
|---------------------|------|--------|----------------------|------------------|-----------|
| Billing, invoices   | –    | –      | manage               | view             | –         |
| Members             | –    | manage | manage               | –                | view      |
| Identity and access | –    | –      | manage               | –                | view      |
| Audit log           | –    | –      | view                 | –                | view      |
| Notifications       | –    | –      | manage               | –                | –         |
| Developer           | –    | –      | manage               | –                | –         |
"""

from enum import StrEnum


class Role(StrEnum):
    """What a member is to the organization. Exactly one member is its primary owner."""

    USER = "user"
    ADMIN = "admin"
    OWNER = "owner"
    PRIMARY_OWNER = "primary_owner"


class Grant(StrEnum):
    """An extra permission for finance and security people."""

    BILLING_VIEWER = "billing_viewer"
    AUDITOR = "auditor"


class Area(StrEnum):
    """A part of the settings with its own door; the value is the path segment behind `/settings/`."""

    BILLING = "billing"
    MEMBERS = "members"
    ACCESS = "access"
    AUDIT = "audit"
    NOTIFICATIONS = "notifications"
    DEVELOPER = "developer"


class Permission(StrEnum):
    """How far somebody may go in an area."""

    NONE = "none"
    VIEW = "view"
    MANAGE = "manage"


OWNERS = frozenset({Role.OWNER, Role.PRIMARY_OWNER})
_MANAGED_BY = {
    Area.BILLING: OWNERS,
    Area.MEMBERS: OWNERS | {Role.ADMIN},
    Area.ACCESS: OWNERS,
    Area.NOTIFICATIONS: OWNERS,
    Area.DEVELOPER: OWNERS,
}
_VIEWED_BY = {
    Area.BILLING: Grant.BILLING_VIEWER,
    Area.MEMBERS: Grant.AUDITOR,
    Area.ACCESS: Grant.AUDITOR,
    Area.AUDIT: Grant.AUDITOR,
}


def permission(role: Role, grants: frozenset[Grant], area: Area) -> Permission:
    """Return how far a member with this role and these grants may go in the area; anything not named is NONE."""
    if role in _MANAGED_BY.get(area, frozenset()):
        return Permission.MANAGE
    if (area is Area.AUDIT and role in OWNERS) or _VIEWED_BY.get(area) in grants:
        return Permission.VIEW
    return Permission.NONE
