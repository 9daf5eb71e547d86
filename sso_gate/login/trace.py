"""A login as an ordered list of checks with verdicts: what a connection test prints, and what a reference leads to.

Each refusal reason belongs to one step; the steps before it passed, those after it were not reached.
"""

from dataclasses import dataclass
from typing import Literal

from sso_gate.errors import Reason

Mark = Literal["passed", "failed", "not reached", "not done"]

_ = str
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
    (_("Seat"), frozenset({Reason.SEAT_UNAVAILABLE})),
)
LAST = _("Session (never created in a test)")


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the list; `note` is what an operator may know of it."""

    name: str
    mark: Mark
    note: str = ""


def steps_passed(seat_note: str) -> tuple[Step, ...]:
    """Return the list of a login of which every check passed."""
    done = tuple(Step(name, "passed", seat_note if name == "Seat" else "") for name, _ in STEPS)
    return (*done, Step(LAST, "not done"))


def steps_until(reason: Reason, note: str) -> tuple[Step, ...]:
    """Return the list of a login that was refused for this reason."""
    failed = next((at for at, (_, reasons) in enumerate(STEPS) if reason in reasons), 0)
    lines = []
    for at, (name, _) in enumerate(STEPS):
        if at == failed:
            lines.append(Step(name, "failed", f"{reason}: {note}" if note else str(reason)))
        else:
            lines.append(Step(name, "passed" if at < failed else "not reached"))
    return (*lines, Step(LAST, "not done"))


def not_enabled_yet(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Return the list with its first step as a test of a connection that nobody can log in by yet has it."""
    first = Step(STEPS[0][0], "not done", "not enabled yet: everything else was tried as if it were")
    return (first, *steps[1:])


def covered() -> frozenset[Reason]:
    """Return the reasons that have a step."""
    return frozenset().union(*(reasons for _, reasons in STEPS))
