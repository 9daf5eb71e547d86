"""The refusals that concern seats and owners, in the words that administrators read in Entra's log and Okta's task."""

from sso_gate.errors import Reason
from sso_gate.scim.rejection import Rejected
from sso_gate.seats.ledger import Pool

SEAT_ERROR_URN = "urn:sso-gate:scim:api:messages:2.0:SeatError"
_REMEDY = (
    "Deactivate a user or ask an owner to add seats, then retry this user "
    "(Entra: Provision on demand; Okta: retry the task)."
)
_OTHERWISE = {
    Reason.CONTRACT_ENDED: "the organization's contract admits nobody new. Ask an owner.",
    Reason.ORGANIZATION_DISABLED: "access for the organization is turned off. Ask an owner.",
}


def no_seat(reason: Reason, pool: Pool, reference: str) -> Rejected:
    """Return the 403 of somebody who cannot have a seat now; it names no other person and no price."""
    if reason is not Reason.SEAT_UNAVAILABLE:
        detail = f"{reason}: {_OTHERWISE.get(reason, 'not possible now.')} Reference {reference}."
        return Rejected(403, detail, reason=reason)
    kept = f" ({pool.reserved} of them kept for people who wait)" if pool.reserved else ""
    detail = f"{reason}: all {pool.purchased} seats are in use{kept}. {_REMEDY} Reference {reference}."
    extension = {"code": str(reason), "limit": pool.purchased, "used": pool.used, "reference": reference}
    return Rejected(403, detail, reason=reason, extension={SEAT_ERROR_URN: extension})


def protected(why: str) -> Rejected:
    """Return the 403 for a change that provisioning never makes."""
    return Rejected(403, f"protected: {why}", scim_type="mutability", reason=Reason.CONFLICT, check="protected")


def invite_only() -> Rejected:
    """Return the 403 for somebody new where people are invited and nobody else becomes a member."""
    detail = "people are invited here: an owner can let the directory create them, under Identity and access."
    return Rejected(403, f"{Reason.NOT_ASSIGNED}: {detail}", reason=Reason.NOT_ASSIGNED, check="invite_only")
