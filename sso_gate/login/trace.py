"""A login as an ordered list of checks with verdicts: what a connection test prints, and what a reference leads to.

Each refusal reason belongs to one step; the steps before it passed, those after it were not reached.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sso_gate.errors import Reason
from sso_gate.login.trace_fixes import FIXES

Mark = Literal["passed", "failed", "not reached", "not done"]

_ = str
SEAT = _("Seat")
STEPS: tuple[tuple[str, frozenset[Reason]], ...] = (
    (_("Connection is enabled"), frozenset({Reason.CONNECTION_DISABLED, Reason.CONNECTION_MISMATCH})),
    (
        _("Identity provider answered"),
        frozenset(
            {
                Reason.PROVIDER_UNREACHABLE,
                Reason.PROVIDER_REFUSED,
                Reason.STATUS_REFUSED,
                Reason.DISCOVERY_REFUSED,
                Reason.RATE_LIMITED,
            }
        ),
    ),
    (
        _("Answer is well formed"),
        frozenset({Reason.MESSAGE_MALFORMED, Reason.MESSAGE_TOO_LARGE, Reason.STRUCTURE_REFUSED}),
    ),
    (
        _("Signature and encryption follow the profile"),
        frozenset(
            {
                Reason.SIGNATURE_MISSING,
                Reason.SIGNATURE_PROFILE,
                Reason.ALGORITHM_REFUSED,
                Reason.ENCRYPTION_REFUSED,
                Reason.TOKEN_REFUSED,
            }
        ),
    ),
    (_("Signed by a known key"), frozenset({Reason.SIGNATURE_INVALID, Reason.KEY_UNKNOWN})),
    (_("Issuer"), frozenset({Reason.ISSUER_MISMATCH})),
    (
        _("Audience, recipient and destination"),
        frozenset({Reason.AUDIENCE_MISMATCH, Reason.RECIPIENT_MISMATCH, Reason.DESTINATION_MISMATCH}),
    ),
    (
        _("Answers the request of this browser"),
        frozenset(
            {
                Reason.REQUEST_UNKNOWN,
                Reason.REQUEST_MISMATCH,
                Reason.UNSOLICITED_REFUSED,
                Reason.STATE_MISMATCH,
                Reason.NONCE_MISMATCH,
            }
        ),
    ),
    (
        _("Time window"),
        frozenset({Reason.RESPONSE_EXPIRED, Reason.RESPONSE_FROM_FUTURE, Reason.VALIDITY_TOO_LONG}),
    ),
    (_("Used for the first time"), frozenset({Reason.REPLAYED})),
    (_("Person found"), frozenset({Reason.SUBJECT_INVALID, Reason.SUBJECT_CONFLICT})),
    (
        _("Email address is verified and in a domain of the organization"),
        frozenset({Reason.EMAIL_MISSING, Reason.EMAIL_UNVERIFIED, Reason.DOMAIN_NOT_ALLOWED}),
    ),
    (
        _("Organization, contract and member admit them"),
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
    (SEAT, frozenset({Reason.SEAT_UNAVAILABLE})),
)
LAST = _("Session (never created in a test)")


NOT_ENABLED = _("not enabled yet: everything else was tried as if it were")


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the list. `note` is a sentence (English source) about `values`; `detail` is what the program found,
    for whoever operates it; `fix` says what to do (English source).
    """

    name: str
    mark: Mark
    note: str = ""
    values: Mapping[str, int] = field(default_factory=dict)
    detail: str = ""
    fix: str = ""

    @property
    def said(self) -> str:
        """Everything that is known about the step, in English."""
        return ": ".join(part for part in (self.note % self.values, self.detail) if part)


def steps_passed(seat_note: str, **values: int) -> tuple[Step, ...]:
    """Return the list of a login of which every check passed."""
    done = tuple(Step(name, "passed", *((seat_note, values) if name == SEAT else ())) for name, _ in STEPS)
    return (*done, Step(LAST, "not done"))


def steps_until(reason: Reason, detail: str = "", *, note: str = "", **values: int) -> tuple[Step, ...]:
    """Return the list of a login that was refused for this reason."""
    failed = next((at for at, (_, reasons) in enumerate(STEPS) if reason in reasons), 0)
    found = f"{reason}: {detail}" if detail else "" if note else str(reason)
    lines = []
    for at, (name, _) in enumerate(STEPS):
        if at == failed:
            lines.append(Step(name, "failed", note, values, found, FIXES.get(reason, "")))
        else:
            lines.append(Step(name, "passed" if at < failed else "not reached"))
    return (*lines, Step(LAST, "not done"))


def not_enabled_yet(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Return the list with its first step as a test of a connection that nobody can log in by yet has it."""
    return (Step(STEPS[0][0], "not done", NOT_ENABLED), *steps[1:])


def covered() -> frozenset[Reason]:
    """Return the reasons that have a step."""
    return frozenset().union(*(reasons for _, reasons in STEPS))
