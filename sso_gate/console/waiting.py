"""Waiting people as the settings list them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sso_gate.seats.waitlist import WaitingRow

State = Literal["blocked", "asked", "held", "declined"]


@dataclass(frozen=True, slots=True)
class WaitingPerson:
    """One row: who, since when, how often they tried, what they wrote, and where they stand."""

    email: str
    name: str
    first_refused_at: datetime
    tries: int
    message: str
    state: State
    held_until: datetime | None


def waiting_rows(people: Iterable[WaitingRow], now: datetime) -> list[WaitingPerson]:
    """Return the people as rows, in the order in which they will be helped."""
    return [
        WaitingPerson(
            email=one.email,
            name=one.name,
            first_refused_at=one.first_refused,
            tries=one.tries,
            message=one.message,
            state=state_of(one, now),
            held_until=one.held_until if state_of(one, now) == "held" else None,
        )
        for one in people
    ]


def state_of(person: WaitingRow, now: datetime) -> State:
    """Return where the person stands: a seat that is held outweighs everything, an owner's no outweighs the request."""
    if person.held_until is not None and person.held_until > now:
        return "held"
    if person.declined is not None:
        return "declined"
    return "asked" if person.asked is not None else "blocked"
