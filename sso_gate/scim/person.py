"""A member as SCIM sees one: the document that is filtered and patched, and the resource that is answered."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sso_gate.clock import iso
from sso_gate.members.member import Member, MemberState
from sso_gate.scim.definitions import ENTERPRISE_URN, SEAT_URN, USER_URN
from sso_gate.scim.projection import Projection

_SEATS = {MemberState.HELD: "held", MemberState.WAITING: "waiting"}


@dataclass(frozen=True, slots=True)
class Person:
    """A member with what a client said of them, as JSON; `said` is None while no client has said anything.

    `wanted` says that the client wants them active although they may wait for a seat.
    """

    member: Member
    external_id: str | None
    wanted: bool
    said: str | None
    created: datetime
    changed: datetime

    @property
    def active(self) -> bool:
        """Whether the person has a seat, or waits for one because the client wants them active."""
        return self.member.state is MemberState.HELD or (self.member.state is MemberState.WAITING and self.wanted)

    def document(self) -> dict[str, Any]:
        """Return the writable attributes: what PATCH changes."""
        return {
            "userName": self.member.email,
            **({"externalId": self.external_id} if self.external_id else {}),
            **(_told_by_login(self.member) if self.said is None else json.loads(self.said)),
            "active": self.active,
        }

    def resource(self, base: str, groups: list[dict[str, str]]) -> dict[str, Any]:
        """Return everything but what is returned on request alone; `base` is the address of `/scim/v2`."""
        document, url = self.document(), f"{base}/Users/{self.member.id}"
        extended = [ENTERPRISE_URN] if ENTERPRISE_URN in document else []
        return {
            "schemas": [USER_URN, *extended, SEAT_URN],
            "id": self.member.id,
            **document,
            **({"groups": groups} if groups else {}),
            SEAT_URN: {"seat": _SEATS.get(self.member.state, "none")},
            "meta": {
                "resourceType": "User",
                "created": iso(self.created),
                "lastModified": iso(self.changed),
                "location": url,
                "version": self.etag,
            },
        }

    @property
    def etag(self) -> str:
        """A weak ETag of what the member and the client say: whoever changes either changes it (RFC 9110 8.8.3)."""
        member = self.member
        return weak_etag(
            f"{member.email}\n{member.name}\n{member.state}\n{self.external_id}\n{self.wanted}\n{self.said}"
        )


def weak_etag(text: str) -> str:
    """Return a weak ETag that changes with the text."""
    return f'W/"{hashlib.blake2b(text.encode(), digest_size=9).hexdigest()}"'


def shown(
    person: Person, base: str, groups: list[dict[str, str]], sign_in: str, projection: Projection
) -> dict[str, Any]:
    """Return the resource as it was asked for; `sign_in` is empty unless it was asked for by name."""
    resource = person.resource(base, groups)
    if sign_in:
        resource[SEAT_URN] = {**resource[SEAT_URN], "signIn": sign_in}
    return projection.applied(resource)


def _told_by_login(member: Member) -> dict[str, Any]:
    named = {"displayName": member.name} if member.name else {}
    mail = {"emails": [{"value": member.email, "type": "work", "primary": True}]} if "@" in member.email else {}
    return {**named, **mail}


def display_name(document: dict[str, Any]) -> str:
    """Return the name that pages show, as the client says it; empty where it says none."""
    name = document.get("name", {})
    parts = " ".join(filter(None, (name.get("givenName"), name.get("familyName"))))
    return str(document.get("displayName") or name.get("formatted") or parts)[:200]
