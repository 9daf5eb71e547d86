"""The canonical form of an event, version 1: the text that is chained, and what it must not hold in the clear.

Names, subjects, addresses and user agents are personal data. The canonical text holds `sha256:` and the hash of a salt
and the value; salt and value lie beside it, in one JSON object from the value's path to the salt (32 hex digits)
followed by the value. Whoever deletes that object has deleted the person: the text, and so the chain, stays as it is.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Iterable, Mapping
from json.encoder import encode_basestring_ascii
from typing import Any

from sso_gate.audit.event import MAX_TEXT, Event
from sso_gate.clock import iso
from sso_gate.refusals import REFUSALS

SALT_DIGITS = 32
COMMITMENT = "sha256:"
# A text of JSON that is a commitment as a whole: a quotation mark inside of a text stands behind a backslash, and
# whatever stands before a colon is a name. The search skips to the plain letters that it begins with.
_HIDDEN = re.compile(r'"sha256:(?<=[:,\[]"sha256:)([0-9a-f]{64})"(?=[,\]}])')


def commitment(salted: str) -> str:
    """Return what stands in the canonical text for a salt followed by a value."""
    return COMMITMENT + _digest(salted)


def _digest(salted: str) -> str:
    # surrogatepass: text from outside may hold half a character, which JSON can write and UTF-8 cannot.
    return hashlib.sha256(salted.encode("utf-8", "surrogatepass")).hexdigest()


def canonical_form(event: Event) -> tuple[str, str]:
    """Return the event's canonical text, one line of ASCII JSON, and the JSON of its personal data.

    Text from outside is cut to 512 characters and can only be a JSON string.
    """
    kept: dict[str, str] = {}
    actor, client, via, seat = event.actor, event.client, event.via, event.seat
    at = iso(event.at)
    body = {
        "v": 1,
        "id": event.id,
        "time": at,
        "organization": event.organization,
        "action": event.action,
        "outcome": event.outcome,
        "reason": event.reason,
        "check": _hidden("check", event.check[:MAX_TEXT], kept),
        "severity": REFUSALS[event.reason].severity if event.reason else "low",
        "reference": event.reference,
        "actor": {
            "type": actor.type,
            "id": actor.id,
            "name": _hide("actor.name", actor.name, kept),
            "subject": _hide("actor.subject", actor.subject, kept),
        },
        "target": _hidden("target", event.target[:MAX_TEXT], kept),
        "via": {"connection": via.connection, "protocol": via.protocol, "token": via.token},
        "client": {
            "ip": _hide("client.ip", client.address, kept),
            "ua": _hide("client.ua", client.user_agent, kept),
        },
        "request": {"id": client.request_id},
        "seat": {"limit": seat.limit, "used": seat.used} if seat else None,
        "changes": _hidden("changes", event.changes, kept) if event.changes else {},
        "repeat": {"count": event.repeat_count, "first": iso(event.repeat_first) if event.repeat_first else at},
    }
    return _line(body), _line(kept)


def _hide(path: str, value: str, kept: dict[str, str]) -> str:
    if not value:
        return ""
    salted = secrets.token_hex(SALT_DIGITS // 2) + value[:MAX_TEXT]
    kept[path] = salted
    return commitment(salted)


def _hidden(path: str, value: Any, kept: dict[str, str]) -> Any:
    """Return the value with every text hidden that holds an email address, or that would read as something hidden."""
    if isinstance(value, str):
        return _hide(path, value, kept) if "@" in value or value.startswith(COMMITMENT) else value
    if isinstance(value, Mapping):
        return {name: _hidden(f"{path}.{name}", part, kept) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(f"{path}.{at}", part, kept) for at, part in enumerate(value)]
    return value


def shown_by_commitment(salted: Iterable[str]) -> dict[str, str]:
    """Return, by the digest that commits to it, what each value reads like in JSON."""
    return {_digest(one): encode_basestring_ascii(one[SALT_DIGITS:]) for one in salted}


def split_at_commitments(canonical: str) -> list[str]:
    """Return the canonical text in pieces: every second one is the digest of a commitment."""
    return _HIDDEN.split(canonical)


def readable_text(canonical: str, personal: Mapping[str, str]) -> str:
    """Return the event with its personal data in place, as one line of JSON; what was erased is an empty text."""
    pieces = split_at_commitments(canonical)
    fill_in(pieces, shown_by_commitment(personal.values()))
    return "".join(pieces)


def fill_in(pieces: list[str], shown: Mapping[str, str]) -> None:
    """Put the values in the places of their commitments; one that nobody has any more is an empty text."""
    pieces[1::2] = [shown.get(one, '""') for one in pieces[1::2]]


def readable(canonical: str, personal: Mapping[str, str]) -> dict[str, Any]:
    """Return the event with its personal data in place; what was erased is an empty text."""
    event: dict[str, Any] = json.loads(readable_text(canonical, personal))
    return event


# Made once: `json.dumps` makes a new encoder at every call that names separators.
_line = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode
