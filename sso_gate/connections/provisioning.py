"""How people become members, and what becomes of somebody whom a directory creates while no seat is free: the owners'
choice, for all connections of the organization together.
"""

from typing import get_args

from sqlalchemy import Connection

from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Actor, new_event
from sso_gate.errors import InvalidInput
from sso_gate.organizations import store as organizations
from sso_gate.organizations.organization import Provisioning, WhenFull
from sso_gate.storage.runtime import Runtime

PROVISIONING: tuple[Provisioning, ...] = get_args(Provisioning)
WHEN_FULL: tuple[WhenFull, ...] = get_args(WhenFull)


async def change_provisioning(
    runtime: Runtime, organization: str, *, provisioning: str, when_full: str, by: Actor
) -> None:
    """Let it count from the next login and the next request of a directory, on record; nobody who is a member is
    touched.

    Raises:
        InvalidInput: there is no such choice.
    """
    chosen = next((one for one in PROVISIONING if one == provisioning), None)
    full = next((one for one in WHEN_FULL if one == when_full), None)
    if chosen is None or full is None:
        raise InvalidInput("when_full" if chosen else "provisioning", "no such choice")

    def work(tx: Connection) -> None:
        known = organizations.get(tx, organization)
        if known is None or (known.provisioning, known.scim_when_full) == (chosen, full):
            return
        organizations.set_provisioning(tx, organization, chosen, full)
        changes = {"provisioning": [known.provisioning, chosen], "scim_when_full": [known.scim_when_full, full]}
        audit.record(tx, [new_event(runtime.clock, organization, Action.ORGANIZATION_UPDATE, by, changes=changes)])

    await runtime.database.write(work)
