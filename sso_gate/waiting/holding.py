"""Whether free seats are kept for whoever waits, or go to whoever logs in first: the owners' choice."""

from sqlalchemy import Connection

from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Actor, new_event
from sso_gate.organizations import store as organizations
from sso_gate.storage.runtime import Runtime


async def hold_for_waiting(runtime: Runtime, organization: str, *, on: bool, by: Actor) -> None:
    """Choose it, on record; seats that are free already are offered to who waits by whoever passes on holds."""

    def work(tx: Connection) -> None:
        if organizations.holds_for_waiting(tx, organization) == on:
            return
        organizations.set_hold_for_waiting(tx, organization, on=on)
        changes = {"hold_for_waiting": on}
        audit.record(tx, [new_event(runtime.clock, organization, Action.ORGANIZATION_UPDATE, by, changes=changes)])

    await runtime.database.write(work)
