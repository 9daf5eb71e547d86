"""A member as SCIM sees one: the document that is filtered and patched, and the resource that is answered."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic_core import from_json

from sso_gate.clock import from_micros, iso
from sso_gate.members import store as members
from sso_gate.members.member import Member, MemberState
from sso_gate.scim.definitions import ENTERPRISE_URN, SEAT_URN, USER_URN
from sso_gate.scim.projection import Projection

_SEATS = {MemberState.HELD: "held", MemberState.WAITING: "waiting"}


@dataclass(frozen=True, slots=True)
class Person:
    """A member with what a client said of them: a row, as SCIM sees it, for pages hold hundreds of them.

    Where one person was asked for, as changes do, the row holds the whole member.
    """

    row: Any

    @property
    def id(self) -> str:
        """The member's id."""
        return str(self.row.id)

    @property
    def user_name(self) -> str:
        """The member's address, or whatever the client calls them."""
        return str(self.row.email)

    @property
    def external_id(self) -> str | None:
        """What the client knows them by, or None."""
        found: str | None = self.row.external_id
        return found

    @property
    def said(self) -> str | None:
        """What the client said of them, as JSON; None while no client has said anything."""
        found: str | None = self.row.attributes
        return found

    @property
    def state(self) -> MemberState:
        """Whether they hold a seat."""
        return MemberState(self.row.state)

    @property
    def member(self) -> Member:
        """The member of a person who was read alone."""
        return members.to_member(self.row)

    @property
    def active(self) -> bool:
        """Whether the person has a seat, or waits for one because the client wants them active."""
        state = self.row.state
        return bool(state == MemberState.HELD or (state == MemberState.WAITING and self.row.wanted))

    def document(self) -> dict[str, Any]:
        """Return the writable attributes: what PATCH changes."""
        document: dict[str, Any] = {"userName": self.user_name}
        if self.external_id:
            document["externalId"] = self.external_id
        document.update(self._told_by_login() if self.said is None else from_json(self.said))
        document["active"] = self.active
        return document

    def _told_by_login(self) -> dict[str, Any]:
        named = {"displayName": self.row.name} if self.row.name else {}
        mail = {"emails": [{"value": self.user_name, "type": "work", "primary": True}]} if "@" in self.user_name else {}
        return {**named, **mail}

    def meta(self) -> dict[str, str]:
        """Return what is known of the resource itself, for filters as for answers."""
        created, changed = self.row.created_at, self.row.changed_at
        first = _instant(created)
        return {
            "resourceType": "User",
            "created": first,
            "lastModified": first if changed is None else _instant(changed),
        }

    def resource(self, base: str, groups: list[dict[str, str]]) -> dict[str, Any]:
        """Return everything but what is returned on request alone; `base` is the address of `/scim/v2`."""
        document, meta = self.document(), self.meta()
        meta["location"], meta["version"] = f"{base}/Users/{self.id}", self.etag
        extended = [USER_URN, ENTERPRISE_URN, SEAT_URN] if ENTERPRISE_URN in document else [USER_URN, SEAT_URN]
        resource = {"schemas": extended, "id": self.id, **document}
        if groups:
            resource["groups"] = groups
        resource[SEAT_URN] = {"seat": _SEATS.get(self.row.state, "none")}
        resource["meta"] = meta
        return resource

    @property
    def etag(self) -> str:
        """A weak ETag of what the member and the client say: whoever changes either changes it (RFC 9110 8.8.3)."""
        row = self.row
        wanted = bool(row.wanted)
        return weak_etag(f"{row.email}\n{row.name}\n{row.state}\n{row.external_id}\n{wanted}\n{row.attributes}")


def _instant(micros: int) -> str:
    """Return the instant as text. Whole directories are imported within some seconds."""
    seconds, rest = divmod(micros, 1_000_000)
    return f"{_second(seconds)}{rest:06}Z"


@lru_cache(maxsize=1024)
def _second(seconds: int) -> str:
    return iso(from_micros(seconds * 1_000_000))[:-7]


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


def display_name(document: dict[str, Any]) -> str:
    """Return the name that pages show, as the client says it; empty where it says none."""
    name = document.get("name", {})
    parts = " ".join(filter(None, (name.get("givenName"), name.get("familyName"))))
    return str(document.get("displayName") or name.get("formatted") or parts)[:200]
