"""The decision: facts in, a verdict out. Pure and total; every case that is not named refuses.

The verdict depends on the facts alone, so the same function serves a login, a re-check of a living session, a test
login that takes nothing, and the model in `tests/model/`.
"""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from sso_gate.errors import Reason
from sso_gate.members.member import MemberState
from sso_gate.members.roles import OWNERS, Role


class ContractPhase(Enum):
    """Where the organization's contract stands: people may come, only holders may stay, or only owners get in."""

    RUNNING = "running"
    GRACE = "grace"
    ENDED = "ended"


class EmailStanding(Enum):
    """What the identity's email is worth to this organization."""

    MISSING = "missing"
    UNVERIFIED = "unverified"
    FOREIGN = "foreign"  # not in one of the organization's verified domains
    TRUSTED = "trusted"


class Tie(Enum):
    """How the identity and a member of the organization belong together."""

    BOUND = "bound"  # by connection and subject, from an earlier login
    AWAITED = "awaited"  # a listed, invited or provisioned member without an identity has this trusted email
    TAKEN = "taken"  # the email belongs to a member with another identity
    NONE = "none"


class Facts(NamedTuple):
    """All that the decision may depend on. `state` and `role` are the member's, or None where `tie` is NONE. Newcomers
    are people whom the organization does not know: where it takes none, they have to be invited or provisioned.
    """

    organization_enabled: bool
    connection_enabled: bool
    contract: ContractPhase
    email: EmailStanding
    tie: Tie
    state: MemberState | None
    role: Role | None
    takes_newcomers: bool = False


@dataclass(frozen=True, slots=True)
class Refuse:
    """No, for this reason."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Admit:
    """Yes: a member who holds a seat."""


@dataclass(frozen=True, slots=True)
class AdmitIfSeat:
    """Yes, if a seat can be taken for them now. `settings_without_seat`: otherwise an owner may still open settings."""

    settings_without_seat: bool


@dataclass(frozen=True, slots=True)
class AdmitToSettings:
    """To the settings alone: the contract is over, and an owner must be able to mend that."""


Verdict = Refuse | Admit | AdmitIfSeat | AdmitToSettings

_EMAIL_REFUSALS = {
    EmailStanding.MISSING: Reason.EMAIL_MISSING,
    EmailStanding.FOREIGN: Reason.DOMAIN_NOT_ALLOWED,
    EmailStanding.UNVERIFIED: Reason.EMAIL_UNVERIFIED,
}


def decide(facts: Facts) -> Verdict:
    """Return who may be let in: the only place in the product that says so."""
    if not facts.organization_enabled:
        return Refuse(Reason.ORGANIZATION_DISABLED)
    if not facts.connection_enabled:
        return Refuse(Reason.CONNECTION_DISABLED)
    match facts.tie:
        case Tie.BOUND | Tie.AWAITED:
            return _decide_for_member(facts)
        case Tie.TAKEN:
            return Refuse(Reason.SUBJECT_CONFLICT)
        case Tie.NONE:
            return _decide_for_stranger(facts)
    return Refuse(Reason.UNAVAILABLE)  # type: ignore[unreachable]  # an unknown tie refuses


def _decide_for_member(facts: Facts) -> Verdict:
    owner = facts.role in OWNERS
    match facts.state:
        case MemberState.BLOCKED:
            return Refuse(Reason.MEMBER_DEACTIVATED)
        case MemberState.HELD:
            return Admit() if facts.contract is not ContractPhase.ENDED else _after_the_contract(owner=owner)
        case MemberState.RELEASED | MemberState.WAITING:
            if facts.contract is ContractPhase.RUNNING:
                return AdmitIfSeat(settings_without_seat=owner)
            return _after_the_contract(owner=owner)
        case _:
            return Refuse(Reason.UNAVAILABLE)  # an unknown state refuses


def _decide_for_stranger(facts: Facts) -> Verdict:
    if facts.email is not EmailStanding.TRUSTED:
        return Refuse(_EMAIL_REFUSALS.get(facts.email, Reason.UNAVAILABLE))
    if facts.contract is not ContractPhase.RUNNING:
        return Refuse(Reason.CONTRACT_ENDED)
    if not facts.takes_newcomers:
        return Refuse(Reason.NOT_ASSIGNED)
    return AdmitIfSeat(settings_without_seat=False)


def _after_the_contract(*, owner: bool) -> Verdict:
    return AdmitToSettings() if owner else Refuse(Reason.CONTRACT_ENDED)
