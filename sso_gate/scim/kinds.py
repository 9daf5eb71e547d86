"""Users and Groups as routes and Bulk see them: the same doors, and what differs between them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from sso_gate.audit.event import Action
from sso_gate.scim import groups, users
from sso_gate.scim.budgets import kind_of_patch, kind_of_put
from sso_gate.scim.caller import Caller
from sso_gate.scim.caller import Kind as Budget
from sso_gate.scim.definitions import GROUPS, USERS
from sso_gate.scim.patch import Operation
from sso_gate.scim.projection import Projection
from sso_gate.scim.reading import Reader, Shown
from sso_gate.scim.requests import GROUP_BYTES, USER_BYTES
from sso_gate.scim.schema import ResourceType

Changed = Awaitable[Shown]


@dataclass(frozen=True, slots=True)
class Kind:
    """One resource type: its use cases, each of which gives the resource, and what they cost.

    `tells_patched` says whether the answer of a PATCH is the resource although no attributes were asked for.
    """

    resource: ResourceType
    most_bytes: int
    reader: Reader[Any]
    create: Callable[[Caller, Any, Projection | None], Changed]
    put: Callable[[Caller, str, Any, str, Projection | None], Changed]
    patch: Callable[[Caller, str, list[Operation], str, Projection | None], Changed]
    delete: Callable[[Caller, str, str], Awaitable[None]]
    actions: dict[str, Action]
    budget_of_put: Callable[[Any], Budget]
    budget_of_patch: Callable[[list[Operation]], Budget]
    budget_of_delete: Budget
    tells_patched: bool

    @property
    def endpoint(self) -> str:
        """The first part of its paths."""
        return self.resource.endpoint


USER_KIND = Kind(
    resource=USERS,
    most_bytes=USER_BYTES,
    reader=users.READER,
    create=users.create,
    put=users.put,
    patch=users.patch,
    delete=users.delete,
    actions={
        "POST": Action.SCIM_USER_CREATE,
        "PUT": Action.SCIM_USER_UPDATE,
        "PATCH": Action.SCIM_USER_UPDATE,
        "DELETE": Action.SCIM_USER_DELETE,
    },
    budget_of_put=kind_of_put,
    budget_of_patch=kind_of_patch,
    budget_of_delete="give_back",
    tells_patched=True,
)
GROUP_KIND = Kind(
    resource=GROUPS,
    most_bytes=GROUP_BYTES,
    reader=groups.READER,
    create=groups.create,
    put=groups.put,
    patch=groups.patch,
    delete=groups.delete,
    actions={
        "POST": Action.SCIM_GROUP_CREATE,
        "PUT": Action.SCIM_GROUP_UPDATE,
        "PATCH": Action.SCIM_GROUP_UPDATE,
        "DELETE": Action.SCIM_GROUP_DELETE,
    },
    budget_of_put=lambda _: "write",
    budget_of_patch=lambda _: "write",
    budget_of_delete="write",
    tells_patched=False,  # so that a large group is not read to change one member of it
)
KINDS = {kind.endpoint: kind for kind in (USER_KIND, GROUP_KIND)}
