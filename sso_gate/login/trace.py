"""A login as an ordered list of checks with verdicts: what a test login shows, and what a reference leads to.

Each refusal reason belongs to one step: the steps before it passed, those after it were not reached. A reason that is
found at different places stands where nothing too good is said of the steps before it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from sso_gate.errors import Reason
from sso_gate.login.trace_fixes import FIXES

Mark = Literal["passed", "failed", "not reached", "not done"]

_ = str
SENT = _("Request sent to the identity provider")
ANSWERED = _("Answer received")
TIMES = _("Time window")
DOMAIN = _("Domain belongs to the organization")
ROLE = _("Role")
SEAT = _("Seat")
STEPS: tuple[tuple[str, frozenset[Reason]], ...] = (
    (
        SENT,
        frozenset(
            {
                Reason.CONNECTION_DISABLED,
                Reason.CONNECTION_MISMATCH,
                Reason.PROVIDER_UNREACHABLE,
                Reason.DISCOVERY_REFUSED,
                Reason.RATE_LIMITED,
            }
        ),
    ),
    (
        ANSWERED,
        frozenset(
            {
                Reason.PROVIDER_REFUSED,
                Reason.STATUS_REFUSED,
                Reason.MESSAGE_MALFORMED,
                Reason.MESSAGE_TOO_LARGE,
                Reason.STRUCTURE_REFUSED,
                Reason.ISSUER_MISMATCH,
                Reason.REQUEST_UNKNOWN,
                Reason.REQUEST_MISMATCH,
                Reason.UNSOLICITED_REFUSED,
                Reason.STATE_MISMATCH,
                Reason.NONCE_MISMATCH,
                Reason.REPLAYED,
            }
        ),
    ),
    (
        _("Signature"),
        frozenset(
            {
                Reason.SIGNATURE_MISSING,
                Reason.SIGNATURE_PROFILE,
                Reason.SIGNATURE_INVALID,
                Reason.ALGORITHM_REFUSED,
                Reason.ENCRYPTION_REFUSED,
                Reason.KEY_UNKNOWN,
                Reason.TOKEN_REFUSED,
            }
        ),
    ),
    (
        _("Audience and recipient"),
        frozenset({Reason.AUDIENCE_MISMATCH, Reason.RECIPIENT_MISMATCH, Reason.DESTINATION_MISMATCH}),
    ),
    (TIMES, frozenset({Reason.RESPONSE_EXPIRED, Reason.RESPONSE_FROM_FUTURE, Reason.VALIDITY_TOO_LONG})),
    (_("Person found"), frozenset({Reason.SUBJECT_INVALID, Reason.SUBJECT_CONFLICT, Reason.EMAIL_MISSING})),
    (DOMAIN, frozenset({Reason.EMAIL_UNVERIFIED, Reason.DOMAIN_NOT_ALLOWED})),
    (
        _("Assigned to the application"),
        frozenset(
            {
                Reason.ORGANIZATION_DISABLED,
                Reason.CONTRACT_ENDED,
                Reason.MEMBER_DEACTIVATED,
                Reason.NOT_ASSIGNED,
                Reason.SEAT_RELEASED,
            }
        ),
    ),
    (ROLE, frozenset()),
    (SEAT, frozenset({Reason.SEAT_UNAVAILABLE})),
)
LAST = _("Session (never created in a test)")
NOT_ENABLED = _("not enabled yet: everything else was tried as if it were")


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the list. `note` is a sentence (English source) about `values`; `detail` is what the program found,
    for whoever operates it; `fix` says what to do (English source). `at` is when it happened and `took_ms` how long it
    took, where that is known.
    """

    name: str
    mark: Mark
    note: str = ""
    values: Mapping[str, float] = field(default_factory=dict)
    detail: str = ""
    fix: str = ""
    at: datetime | None = None
    took_ms: int | None = None

    @property
    def said(self) -> str:
        """Everything that is known about the step, in English."""
        took = "" if self.took_ms is None else f"{self.took_ms} ms"
        return ": ".join(part for part in (took, self.note % self.values, self.detail) if part)


Steps = tuple[Step, ...]


def steps_passed(seat_note: str, **values: float) -> Steps:
    """Return the list of a login of which every check passed."""
    done = tuple(Step(name, "passed", *((seat_note, values) if name == SEAT else ())) for name, _ in STEPS)
    return (*done, Step(LAST, "not done"))


def steps_until(reason: Reason, detail: str = "", *, note: str = "", at: str = "", **values: float) -> Steps:
    """Return the list of a login that was refused for this reason; `at` names the step, where the reason alone could
    mean an earlier one.
    """
    names = [name for name, _ in STEPS]
    failed = names.index(at) if at else next((place for place, (_, of) in enumerate(STEPS) if reason in of), 0)
    found = f"{reason}: {detail}" if detail else "" if note else str(reason)
    lines = []
    for place, name in enumerate(names):
        if place == failed:
            lines.append(Step(name, "failed", note, values, found, FIXES.get(reason, "")))
        else:
            lines.append(Step(name, "passed" if place < failed else "not reached"))
    return (*lines, Step(LAST, "not done"))


def noted(steps: Steps, name: str, note: str, *, mark: Mark = "passed", **values: float) -> Steps:
    """Return the list with a note at the step of this name, if it was passed."""
    return tuple(
        replace(step, note=note, values=values, mark=mark) if step.name == name and step.mark == "passed" else step
        for step in steps
    )


def timed(steps: Steps, name: str, at: datetime, *, took_ms: int | None = None) -> Steps:
    """Return the list with the time of the step of this name, if it was reached."""
    return tuple(
        replace(step, at=at, took_ms=took_ms) if step.name == name and step.mark in {"passed", "failed"} else step
        for step in steps
    )


def not_enabled_yet(steps: Steps) -> Steps:
    """Return the list with its first step as a test of a connection that nobody can log in by yet has it."""
    return noted(steps, SENT, NOT_ENABLED)


def covered() -> frozenset[Reason]:
    """Return the reasons that have a step."""
    return frozenset().union(*(reasons for _, reasons in STEPS))
