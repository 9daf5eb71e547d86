"""What one event of the log shows: the checks of a login, and how a reference is read that somebody spoke."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from sso_gate.errors import Reason
from sso_gate.login.trace import ANSWERED, LAST, Step, steps_passed, steps_until, timed

_ = str
SESSION = _("Session")
# Crockford's base 32 has no such letters: whoever writes one down has heard, or seen, another.
_HEARD = str.maketrans({"O": "0", "I": "1", "L": "1"})
_LOGINS = frozenset({"auth.login", "connection.test"})


def read_out(reference: str) -> str:
    """Return the reference that was meant, however it was written down: small letters, spaces, O for 0.

    Source: Crockford, Base 32.
    """
    return "".join(reference.replace("-", " ").split()).upper().translate(_HEARD)


def steps(event: dict[str, Any]) -> tuple[Step, ...]:
    """Return every check of a login with its verdict; nothing for any other event."""
    if event["action"] not in _LOGINS:
        return ()
    seat = event["seat"]
    told = f"{seat['used']} / {seat['limit']}" if seat else ""
    reason = event["reason"]
    if not reason:
        found = steps_passed(told)
    else:
        found = steps_until(Reason(reason), event["check"] or (told if reason == Reason.SEAT_UNAVAILABLE else ""))
    found = timed(found, ANSWERED, datetime.fromisoformat(event["time"]))
    return tuple(_of_a_login(step, refused=bool(reason)) if _is_real(event, step) else step for step in found)


def _is_real(event: dict[str, Any], step: Step) -> bool:
    return step.name == LAST and event["action"] == "auth.login"


def _of_a_login(step: Step, *, refused: bool) -> Step:
    """The last step of a login that was no test."""
    return replace(step, name=SESSION, mark="not reached" if refused else "passed")
