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
from json.encoder import encode_basestring_ascii as _text
from typing import Any

from sso_gate.audit.event import MAX_TEXT, Actor, Client, Event, SeatCount, Via
from sso_gate.clock import iso
from sso_gate.refusals import REFUSALS

SALT_DIGITS = 32
COMMITMENT = "sha256:"
_USUALLY = 5  # values of an event that are hidden: their salts are drawn at once
_LOW = '"low"'
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
    kept = _Kept()
    # In this order, which is that of the text: whoever reads what was kept finds it as it always was.
    check, actor = _hidden("check", event.check[:MAX_TEXT], kept), _actor(event.actor, kept)
    target, via = _target(event, kept), _via(event.via, kept)
    origin = event.origin
    client, request = _client(origin, kept), _request(origin)
    changes = _changes(event.changes, kept) if event.changes else "{}"
    at, reason = iso(event.at), event.reason
    first = iso(event.repeat_first) if event.repeat_first else at
    seat = _seat(event.seat) if event.seat else "null"
    session = _text(event.actor.session) if event.actor.session else "null"
    # Written out: an encoder that looks at what it is given takes three times as long, and every login has one event.
    return (
        f'{{"v":1,"id":{_text(event.id)},"time":"{at}","organization":{_text(event.organization)}'
        f',"action":{_text(event.action)},"outcome":"{event.outcome}","reason":{_text(reason) if reason else "null"}'
        f',"check":{_text(check)},"severity":{_text(REFUSALS[reason].severity) if reason else _LOW}'
        f',"reference":{_text(event.reference)},"actor":{actor},"target":{target}'
        f',"via":{via},"client":{client},"request":{request},"session":{session}'
        f',"seat":{seat},"changes":{changes}'
        f',"repeat":{{"count":{event.repeat_count},"first":"{first}"}}}}'
    ), kept.line()


class _Kept:
    """The personal data of one event: values behind their salts, by path."""

    def __init__(self) -> None:
        self._salts = secrets.token_hex(SALT_DIGITS // 2 * _USUALLY)
        self._parts: list[str] = []

    def hide(self, path: str, value: str) -> str:
        """Return what stands in the canonical text for this value."""
        salt, self._salts = self._salts[:SALT_DIGITS], self._salts[SALT_DIGITS:]
        salted = (salt or secrets.token_hex(SALT_DIGITS // 2)) + value[:MAX_TEXT]
        self._parts.append(f"{_text(path)}:{_text(salted)}")
        return commitment(salted)

    def line(self) -> str:
        """Return them as JSON."""
        return f"{{{','.join(self._parts)}}}"


def _actor(actor: Actor, kept: _Kept) -> str:
    name, subject = _hide("actor.name", actor.name, kept), _hide("actor.subject", actor.subject, kept)
    return f'{{"type":{_text(actor.type)},"id":{_text(actor.id)},"name":"{name}","subject":"{subject}"}}'


def _via(via: Via, kept: _Kept) -> str:
    factors = "null" if via.multi_factor is None else "true" if via.multi_factor else "false"
    return (
        f'{{"connection":{_text(via.connection)},"protocol":{_text(via.protocol)},"token":{_text(via.token)}'
        f',"initiated":"{via.initiated}","mfa":{factors}'
        f',"assertion_id":"{_hide("via.assertion_id", via.assertion_id, kept)}"}}'
    )


def _target(event: Event, kept: _Kept) -> str:
    if not (event.target or event.target_name):
        return "null"
    which = _hidden("target.id", event.target[:MAX_TEXT], kept)
    name = _hide("target.name", event.target_name, kept)
    return f'{{"type":"{event.target_type}","id":{_text(which)},"name":"{name}"}}'


def _changes(changes: Mapping[str, Any], kept: _Kept) -> str:
    """Most have nothing to hide, which the text as a whole shows."""
    text = _line(changes)
    return _line(_hidden("changes", changes, kept)) if "@" in text or COMMITMENT in text else text


def _seat(seat: SeatCount) -> str:
    policy = f'"{seat.policy}"' if seat.policy else "null"
    return f'{{"limit":{seat.limit},"used":{seat.used},"policy":{policy}}}'


def _request(client: Client) -> str:
    return f'{{"id":{_text(client.request_id)},"method":{_text(client.method)},"route":{_text(client.route)}}}'


def _client(client: Client, kept: _Kept) -> str:
    address, program = _hide("client.ip", client.address, kept), _hide("client.ua", client.user_agent, kept)
    return f'{{"ip":"{address}","ua":"{program}"}}'


def _hide(path: str, value: str, kept: _Kept) -> str:
    return kept.hide(path, value) if value else ""


def _hidden(path: str, value: Any, kept: _Kept) -> Any:
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
    return {_digest(one): _text(one[SALT_DIGITS:]) for one in salted}


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
_line = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), default=dict).encode
