"""What the audit log says when an organization's seats run short: once each time that use rises past a mark."""

from datetime import datetime, timedelta

from sqlalchemy import Connection

from sso_gate.audit import store
from sso_gate.audit.event import Action, Actor, Event, SeatCount, repeatable_id

PERCENT = (80, 90, 100)
_AFTER = timedelta(microseconds=1)  # behind the event of whoever took the seat, which has the instant itself


def crossed(purchased: int, before: int, used: int) -> int | None:
    """Return the highest mark, in percent of the seats, that use has risen past; None where it has passed none."""
    passed = [mark for mark in PERCENT if before * 100 < mark * purchased <= used * 100]
    return max(passed, default=None)


def note(
    tx: Connection, organization: str, *, purchased: int, used: int, taken: int, version: int, now: datetime
) -> None:
    """Write the event where `taken` seats have led past a mark; `version` is the pool's since they were.

    Where none was passed, nothing is asked of the database.
    """
    mark = crossed(purchased, used - taken, used)
    if mark is None:
        return
    at = now + _AFTER
    event = Event(
        repeatable_id(f"{organization}|seats|{version}", at), organization, at, Action.SEAT_THRESHOLD,
        Actor("system"), seat=SeatCount(purchased, used), changes={"percent": mark},
    )  # fmt: skip
    store.record(tx, [event])
