"""A member as SCIM sees one: the document that is filtered and patched, and the resource that is answered."""

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from pydantic_core import from_json, to_json

from sso_gate.clock import from_micros, iso
from sso_gate.members import store as members
from sso_gate.members.member import Member, MemberState
from sso_gate.scim.definitions import ENTERPRISE_URN, SEAT_URN, USER_URN
from sso_gate.scim.projection import Projection

_SEATS = {MemberState.HELD: "held", MemberState.WAITING: "waiting"}
_PLAIN, _EXTENDED = json.dumps([USER_URN, SEAT_URN]), json.dumps([USER_URN, ENTERPRISE_URN, SEAT_URN])
_ENTERPRISE = f'"{ENTERPRISE_URN}":'  # in a text of JSON it stands nowhere but as a name: inside of a value " is \\"


@dataclass(frozen=True, slots=True)
class Person:
    """A member with what a client said of them: a row, as SCIM sees it, for pages hold hundreds of them.

    Where one person was asked for, as changes do, the row holds the whole member.
    """

    row: Any

    def rewritten(self, columns: dict[str, Any]) -> "Person":
        """Return the person with these columns of the row changed."""
        return Person(self.row._replace(**columns))

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

    def text(self, base: str, groups: list[dict[str, str]]) -> str:
        """Return everything but what is returned on request alone, as JSON; `base` is the address of `/scim/v2`.

        What a client said is kept as JSON and stands in it as it is: pages hold hundreds of people.
        """
        row = self.row
        said = row.attributes or to_json(self._told_by_login()).decode()
        schemas = _EXTENDED if _ENTERPRISE in said else _PLAIN
        named = f'"userName":{quoted(row.email)}'
        external = f',"externalId":{quoted(row.external_id)}' if row.external_id else ""
        rest = f",{said[1:-1]}" if len(said) > len("{}") else ""
        told = f',"groups":{to_json(groups).decode()}' if groups else ""
        active, seat = "true" if self.active else "false", _SEATS.get(row.state, "none")
        where = f'"location":{quoted(f"{base}/Users/{row.id}")},"version":{quoted(self.etag)}'
        return (
            f'{{"schemas":{schemas},"id":{quoted(row.id)},{named}{external}{rest},"active":{active}{told},'
            f'"{SEAT_URN}":{{"seat":"{seat}"}},"meta":{{{self._times()},{where}}}}}'
        )

    def _times(self) -> str:
        first, changed = _instant(self.row.created_at), self.row.changed_at
        last = first if changed is None else _instant(changed)
        return f'"resourceType":"User","created":"{first}","lastModified":"{last}"'

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


def shown(person: Person, base: str, groups: list[dict[str, str]], sign_in: str, projection: Projection) -> str:
    """Return the resource as it was asked for, as JSON; `sign_in` is empty unless it was asked for by name."""
    text = person.text(base, groups)
    if projection.is_default:
        return text
    resource = from_json(text)
    if sign_in:
        resource[SEAT_URN] = {**resource[SEAT_URN], "signIn": sign_in}
    return to_json(projection.applied(resource)).decode()


def display_name(document: dict[str, Any]) -> str:
    """Return the name that pages show, as the client says it; empty where it says none."""
    name = document.get("name", {})
    parts = " ".join(filter(None, (name.get("givenName"), name.get("familyName"))))
    return str(document.get("displayName") or name.get("formatted") or parts)[:200]
