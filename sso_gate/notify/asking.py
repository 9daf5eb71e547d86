"""Asking the owners to look at who waits, for an administrator who cannot add seats: by mail, and by the banner."""

from datetime import datetime, timedelta

from sqlalchemy import Connection

from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Actor, Event
from sso_gate.errors import Conflict
from sso_gate.identity import new_id
from sso_gate.notify.notices import remember, told
from sso_gate.notify.preferences import PEOPLE_WAIT
from sso_gate.seats import waitlist
from sso_gate.storage import outbox
from sso_gate.storage.runtime import Runtime

ASKED = f"{PEOPLE_WAIT}:asked"
AT_MOST_EVERY = timedelta(hours=1)


async def ask_owners_to_look(runtime: Runtime, organization: str, *, by: Actor) -> None:
    """Tell the owners now how many people wait and who asks them to look; their banners come back.

    Raises:
        Conflict: nobody waits, or they were asked less than an hour ago.
    """
    now = runtime.clock.now()

    def work(tx: Connection) -> None:
        waiting, before = waitlist.count(tx, organization, now=now), asked_to_look(tx, organization)
        if not waiting or (before and before > now - AT_MOST_EVERY):
            raise Conflict("nobody waits, or the owners were asked just now")
        remember(tx, organization, ASKED, value=waiting, now=now)
        event_id = new_id("evt", runtime.clock)
        audit.record(tx, [Event(event_id, organization, now, Action.SEAT_ASK, by, changes={"waiting": waiting})])
        payload = {"count": waiting, "asked_by": by.name}
        outbox.add(tx, organization, PEOPLE_WAIT, clock=runtime.clock, payload=payload)
        remember(tx, organization, PEOPLE_WAIT, value=waiting, now=now)

    await runtime.database.write(work)


def asked_to_look(tx: Connection, organization: str) -> datetime | None:
    """Return when the owners were asked last; None for never."""
    found = told(tx, organization, ASKED)
    return found.instant if found.at else None
