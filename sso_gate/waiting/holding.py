"""Whether free seats are kept for whoever waits, or go to whoever logs in first: the owners' choice."""

from sqlalchemy import Connection

from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Actor, Event
from sso_gate.identity import new_id
from sso_gate.organizations import store as organizations
from sso_gate.storage.runtime import Runtime


async def hold_for_waiting(runtime: Runtime, organization: str, *, on: bool, by: Actor) -> None:
    """Choose it, on record; seats that are free already are offered to who waits by whoever passes on holds."""

    def work(tx: Connection) -> None:
        if organizations.holds_for_waiting(tx, organization) == on:
            return
        organizations.set_hold_for_waiting(tx, organization, on=on)
        event = Event(
            id=new_id("evt", runtime.clock),
            organization=organization,
            at=runtime.clock.now(),
            action=Action.ORGANIZATION_UPDATE,
            actor=by,
            changes={"hold_for_waiting": on},
        )
        audit.record(tx, [event])

    await runtime.database.write(work)
