"""An organization as a frozen value."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Provisioning = Literal["invite_only", "jit", "scim"]
WhenFull = Literal["refuse", "hold_unseated"]


@dataclass(frozen=True, slots=True)
class Organization:
    """A customer: owns connections, members and a contract.

    `admits_until` is the instant from which new people are refused, `access_until` the one from which holders are; both
    are None while the contract runs and renews itself. `purchase_roles` may buy seats. `it_contact` is told to whoever
    has trouble logging in. `provisioning` says how people become members: by an invitation alone, at their first login
    too (`jit`), or by a directory alone (`scim`); whoever is listed or invited may come in any case.
    """

    id: str
    slug: str
    name: str
    enabled: bool
    locale: str
    domains: tuple[str, ...]
    hold_for_waiting: bool
    scim_when_full: WhenFull
    purchase_roles: tuple[str, ...]
    admits_until: datetime | None
    access_until: datetime | None
    scim_mode: Literal["compatible", "strict"] = "compatible"
    it_contact: str = ""
    provisioning: Provisioning = "jit"
