"""A person as an identity provider's directory knows them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can sign in; every provider in this folder takes the same ones.

    `subject` is the NameID or `sub`, made from the email when empty. `attributes` replaces the SAML attributes that are
    derived from the other fields (`mail`, `displayName`, `groups`); `claims` adds to the OIDC ones.
    """

    email: str
    name: str = ""
    groups: tuple[str, ...] = ()
    subject: str = ""
    email_verified: bool = True
    attributes: dict[str, Any] | None = None
    claims: dict[str, Any] = field(default_factory=dict)

    def as_entry(self) -> dict[str, Any]:
        """Return the person as a provider's directory takes it."""
        entry = asdict(self)
        entry["subject"] = self.subject or f"subject-of-{self.email}"
        if self.attributes is None:
            entry["attributes"] = {"mail": self.email, "displayName": self.name, "groups": list(self.groups)}
        return entry

    def as_json(self) -> str:
        """Return the entry as text, for the login form's field."""
        return json.dumps(self.as_entry())
