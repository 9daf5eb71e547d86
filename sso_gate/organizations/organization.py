"""An organization as a frozen value."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, slots=True)
class Organization:
    """A customer: owns connections, members and a contract.

    `admits_until` is the instant from which new people are refused, `access_until` the one from which holders are; both
    are None while the contract runs and renews itself. `purchase_roles` may buy seats. `it_contact` is told to whoever
    has trouble logging in.
    """

    id: str
    slug: str
    name: str
    enabled: bool
    locale: str
    domains: tuple[str, ...]
    hold_for_waiting: bool
    scim_when_full: Literal["refuse", "hold_unseated"]
    purchase_roles: tuple[str, ...]
    admits_until: datetime | None
    access_until: datetime | None
    scim_mode: Literal["compatible", "strict"] = "compatible"
    it_contact: str = ""
