"""Every refusal in words: the one table that says what people see, and how loud it is for those on call.

The person sees a sentence and a reference; owners see the reason; only the audit log has all of it.
"""

from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Literal

from sso_gate.errors import Reason

# Marks English source strings for the catalogues; the page translates them.
_ = str


class Family(Enum):
    """Who can help: decides the look of the page."""

    SEAT = "seat"
    YOU = "you"
    IT = "it"
    OWNERS = "owners"
    US = "us"


@dataclass(frozen=True, slots=True)
class Refusal:
    """How one reason is told: sentence (English source), who can help, HTTP status of the page, severity for
    the log.
    """

    sentence: str
    family: Family
    status: int
    severity: Literal["low", "medium", "high"]


_GENERIC = _(
    "We couldn't sign you in with this. Start again; if it happens once more, show the reference to your IT team."
)
_CONFIGURATION = _("Single sign-on needs attention. Show this reference to your IT team.")


def _unproved(severity: Literal["low", "medium", "high"] = "high") -> Refusal:
    # Whoever sent this has proved nothing: the page is the same for every such reason.
    return Refusal(_GENERIC, Family.IT, 400, severity)


REFUSALS = MappingProxyType(
    {
        Reason.SEAT_UNAVAILABLE: Refusal(_("No seat is free for you yet"), Family.SEAT, 403, "medium"),
        Reason.SEAT_RELEASED: Refusal(
            _("Your seat was given to somebody else. Ask an owner for a new one."), Family.OWNERS, 403, "medium"
        ),
        Reason.NOT_ASSIGNED: Refusal(
            _("Your company hasn't assigned this application to you yet. Ask your IT team."), Family.IT, 403, "low"
        ),
        Reason.MEMBER_DEACTIVATED: Refusal(
            _("Your access is turned off. Ask an administrator."), Family.OWNERS, 403, "medium"
        ),
        Reason.ORGANIZATION_DISABLED: Refusal(
            _("Access for your organization is turned off."), Family.OWNERS, 403, "medium"
        ),
        Reason.CONTRACT_ENDED: Refusal(
            _("Your organization's contract has ended. Ask an owner."), Family.OWNERS, 403, "medium"
        ),
        Reason.CONNECTION_DISABLED: Refusal(_CONFIGURATION, Family.IT, 403, "medium"),
        Reason.CONNECTION_MISMATCH: Refusal(_CONFIGURATION, Family.IT, 403, "high"),
        Reason.DOMAIN_NOT_ALLOWED: Refusal(_CONFIGURATION, Family.IT, 403, "medium"),
        Reason.EMAIL_MISSING: Refusal(
            _("Your identity provider did not tell us your email address. Ask your IT team."), Family.IT, 403, "low"
        ),
        Reason.EMAIL_UNVERIFIED: Refusal(
            _("Your email address is not verified at your identity provider. Verify it, or ask your IT team."),
            Family.YOU,
            403,
            "low",
        ),
        Reason.SUBJECT_INVALID: Refusal(
            _("Your identity provider did not tell us who you are in a form that we can use. Ask your IT team."),
            Family.IT,
            403,
            "low",
        ),
        Reason.SIGNATURE_MISSING: _unproved(),
        Reason.SIGNATURE_INVALID: _unproved(),
        Reason.SIGNATURE_PROFILE: _unproved(),
        Reason.ALGORITHM_REFUSED: _unproved(),
        Reason.KEY_UNKNOWN: _unproved(),
        Reason.MESSAGE_MALFORMED: _unproved(),
        Reason.MESSAGE_TOO_LARGE: _unproved(),
        Reason.STRUCTURE_REFUSED: _unproved(),
        Reason.ENCRYPTION_REFUSED: _unproved(),
        Reason.STATUS_REFUSED: _unproved("low"),
        Reason.ISSUER_MISMATCH: _unproved(),
        Reason.AUDIENCE_MISMATCH: _unproved(),
        Reason.RECIPIENT_MISMATCH: _unproved(),
        Reason.DESTINATION_MISMATCH: _unproved(),
        Reason.RESPONSE_EXPIRED: _unproved("low"),
        Reason.RESPONSE_FROM_FUTURE: _unproved("low"),
        Reason.VALIDITY_TOO_LONG: _unproved("low"),
        Reason.REQUEST_UNKNOWN: _unproved("medium"),
        Reason.REQUEST_MISMATCH: _unproved("medium"),
        Reason.UNSOLICITED_REFUSED: _unproved("medium"),
        Reason.REPLAYED: _unproved(),
        Reason.STATE_MISMATCH: _unproved("medium"),
        Reason.NONCE_MISMATCH: _unproved("medium"),
        Reason.TOKEN_REFUSED: _unproved(),
        Reason.DISCOVERY_REFUSED: _unproved("low"),
        Reason.PROVIDER_REFUSED: _unproved("low"),
        Reason.PROVIDER_UNREACHABLE: _unproved("low"),
        Reason.SUBJECT_CONFLICT: Refusal(
            _("This email address belongs to another sign-in already. Show this reference to your IT team."),
            Family.IT,
            403,
            "high",
        ),
        Reason.PROXY_UNTRUSTED: Refusal(_CONFIGURATION, Family.US, 403, "high"),
        Reason.RATE_LIMITED: Refusal(_("Too many tries. Wait a moment and try again."), Family.YOU, 429, "low"),
        Reason.UNAVAILABLE: Refusal(_("We can't answer just now. Try again in a moment."), Family.US, 503, "high"),
        Reason.TOKEN_MISSING: Refusal(_("A bearer token is needed."), Family.IT, 401, "low"),
        Reason.TOKEN_INVALID: Refusal(_("The bearer token is not valid."), Family.IT, 401, "high"),
        Reason.INSUFFICIENT_SCOPE: Refusal(_("The bearer token may not do this."), Family.IT, 403, "medium"),
        Reason.CONFLICT: Refusal(_("This is there already."), Family.IT, 409, "low"),
    }
)
