"""Whom people ask who cannot log in: the organization's IT team, in its own words."""

from sqlalchemy import Connection

from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Actor, new_event
from sso_gate.organizations import store as organizations
from sso_gate.storage.runtime import Runtime


async def change_it_contact(runtime: Runtime, organization: str, text: str, *, by: Actor) -> None:
    """Tell it on the help page from now on, on record; an empty text tells nothing."""

    def work(tx: Connection) -> None:
        organizations.set_it_contact(tx, organization, text)
        changes = {"it_contact": text}
        audit.record(tx, [new_event(runtime.clock, organization, Action.ORGANIZATION_UPDATE, by, changes=changes)])

    await runtime.database.write(work)
