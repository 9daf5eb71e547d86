"""The canonical form of an event, version 1: the text that is chained, and what it must not hold in the clear.

Names, subjects, addresses and user agents are personal data. The canonical text holds `sha256:` and the hash of a salt
and the value; salt and value lie beside it, in one JSON object from the value's path to the salt (32 hex digits)
followed by the value. Whoever deletes that object has deleted the person: the text, and so the chain, stays as it is.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Any

from sso_gate.audit.event import MAX_TEXT, Event
from sso_gate.clock import iso
from sso_gate.refusals import REFUSALS

SALT_DIGITS = 32
COMMITMENT = "sha256:"


def commitment(salted: str) -> str:
    """Return what stands in the canonical text for a salt followed by a value."""
    # surrogatepass: text from outside may hold half a character, which JSON can write and UTF-8 cannot.
    return COMMITMENT + hashlib.sha256(salted.encode("utf-8", "surrogatepass")).hexdigest()


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
        "check": event.check[:MAX_TEXT],
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


def readable(canonical: str, personal: Mapping[str, str]) -> dict[str, Any]:
    """Return the event with its personal data in place; what was erased is an empty text."""
    return opened(canonical, personal)[0]


def opened(canonical: str, personal: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the readable event, and the commitments of its text by their paths."""
    body: dict[str, Any] = json.loads(canonical)
    promised = {}
    for path, holder, name in _commitments(body):
        promised[path] = holder[name]
        holder[name] = personal.get(path, "")[SALT_DIGITS:]
    return body, promised


def _commitments(body: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return (path, holder, key) of every commitment: in the places that always are, and anywhere in the changes."""
    actor, client = body["actor"], body["client"]
    found = [
        (path, holder, name)
        for path, holder, name in (
            ("actor.name", actor, "name"),
            ("actor.subject", actor, "subject"),
            ("client.ip", client, "ip"),
            ("client.ua", client, "ua"),
            ("target", body, "target"),
        )
        if _is_commitment(holder[name])
    ]
    if body["changes"]:
        _search("changes", body["changes"], found)
    return found


def _search(path: str, value: Any, found: list[tuple[str, Any, Any]]) -> None:
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        if _is_commitment(part):
            found.append((f"{path}.{name}", value, name))
        else:
            _search(f"{path}.{name}", part, found)


def _is_commitment(value: Any) -> bool:
    return isinstance(value, str) and len(value) == len(COMMITMENT) + 64 and value.startswith(COMMITMENT)


# Made once: `json.dumps` makes a new encoder at every call that names separators.
_line = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode
