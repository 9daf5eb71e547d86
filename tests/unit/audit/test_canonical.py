"""The canonical text is written out by hand: held here, for any event, to what an encoder of JSON makes of it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sso_gate.audit.canonical import COMMITMENT, SALT_DIGITS, canonical_form, readable
from sso_gate.audit.event import MAX_TEXT, NOWHERE, Action, Actor, Client, Event, SeatCount, Via
from sso_gate.clock import iso
from sso_gate.refusals import REFUSALS

AT = datetime(2026, 3, 1, 9, tzinfo=UTC)
anything = st.text() | st.sampled_from(["", "ana@example.com", '"', "\\", "\ud800", COMMITMENT, "x" * (MAX_TEXT + 1)])
values: st.SearchStrategy[Any] = st.recursive(
    anything | st.integers() | st.booleans() | st.none(),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(anything, part, max_size=3),
    max_leaves=6,
)
events = st.builds(
    Event,
    id=anything,
    organization=anything,
    at=st.integers(0, 10**12).map(lambda late: AT + timedelta(microseconds=late)),
    action=st.sampled_from(Action),
    actor=st.builds(Actor, st.just("user"), anything, anything, anything, anything),
    reason=st.none() | st.sampled_from(sorted(REFUSALS)),
    reference=anything,
    via=st.builds(
        Via,
        anything,
        anything,
        anything,
        st.sampled_from(["", "sp", "idp"]),
        st.none() | st.booleans(),
        anything,
    ),
    client=st.builds(Client, anything, anything, anything, anything, anything),
    seat=st.none() | st.builds(SeatCount, st.integers(0), st.integers(0), st.sampled_from(["", "refuse"])),
    target=anything | st.sampled_from(["mem_1", "grp_1"]),
    target_name=anything,
    check=anything,
    changes=st.dictionaries(anything, values, max_size=3),
    repeat_count=st.integers(1),
    repeat_first=st.none() | st.just(AT),
)


def is_hidden(value: str) -> bool:
    return "@" in value or value.startswith(COMMITMENT)


def shown(value: Any) -> Any:
    """Return the value as whoever may see personal data reads it: texts that are hidden are cut."""
    if isinstance(value, str):
        return value[:MAX_TEXT] if is_hidden(value) else value
    if isinstance(value, dict):
        return {name: shown(part) for name, part in value.items()}
    return [shown(part) for part in value] if isinstance(value, list) else value


def as_told(event: Event) -> dict[str, Any]:
    actor, client, via, seat = event.actor, event.client, event.via, event.seat
    return {
        "v": 1,
        "id": event.id,
        "time": iso(event.at),
        "organization": event.organization,
        "action": event.action,
        "outcome": event.outcome,
        "reason": event.reason,
        "check": event.check[:MAX_TEXT],
        "severity": REFUSALS[event.reason].severity if event.reason else "low",
        "reference": event.reference,
        "actor": {
            "type": "user",
            "id": actor.id,
            "name": actor.name[:MAX_TEXT],
            "subject": actor.subject[:MAX_TEXT],
        },
        "target": {"type": event.target_type, "id": event.target[:MAX_TEXT], "name": event.target_name[:MAX_TEXT]}
        if event.target or event.target_name
        else None,
        "via": {
            "connection": via.connection,
            "protocol": via.protocol,
            "token": via.token,
            "initiated": via.initiated,
            "mfa": via.multi_factor,
            "assertion_id": via.assertion_id[:MAX_TEXT],
        },
        "client": {"ip": client.address[:MAX_TEXT], "ua": client.user_agent[:MAX_TEXT]},
        "request": {"id": client.request_id, "method": client.method, "route": client.route},
        "session": actor.session or None,
        "seat": seat and {"limit": seat.limit, "used": seat.used, "policy": seat.policy or None},
        "changes": shown(event.changes),
        "repeat": {"count": event.repeat_count, "first": iso(event.repeat_first or event.at)},
    }


@given(events)
def test_the_canonical_text_is_what_an_encoder_writes(event: Event):
    body, personal = canonical_form(event)
    assert json.dumps(json.loads(body), ensure_ascii=True, separators=(",", ":")) == body
    assert body.isascii()
    assert list(json.loads(body)) == list(as_told(event))
    assert personal.isascii()


@given(events)
def test_with_the_personal_data_it_reads_as_what_happened(event: Event):
    body, personal = canonical_form(event)
    assert readable(body, json.loads(personal)) == as_told(event)


def test_every_value_has_a_salt_of_its_own():
    several = {"emails": [f"p{number}@example.com" for number in range(9)]}
    event = Event("evt_1", "org_1", AT, Action.LOGIN, Actor("user", "", "a", "a"), changes=several)
    salts = {salted[:SALT_DIGITS] for salted in json.loads(canonical_form(event)[1]).values()}
    assert len(salts) == 11
    assert all(len(salt) == SALT_DIGITS for salt in salts)


AWAY = Client("198.51.100.7", "curl", "req_1", "POST", "/settings/access")


@pytest.mark.parametrize(("own", "wanted"), [(NOWHERE, "198.51.100.7"), (Client("203.0.113.9"), "203.0.113.9")])
def test_an_event_comes_from_where_it_says_or_else_from_where_whoever_did_it_is(own: Client, wanted: str):
    event = Event("evt_1", "org_1", AT, Action.LOGIN, Actor("user", client=AWAY), client=own)
    body, personal = canonical_form(event)
    assert readable(body, json.loads(personal))["client"]["ip"] == wanted


@pytest.mark.parametrize(
    ("action", "target", "name", "kind"),
    [
        (Action.SEAT_RELEASE, "mem_1", "ana@acme.example", "member"),
        (Action.TOKEN_REVOKE, "tok_1", "", "token"),
        (Action.STREAM_TEST, "str_1", "", "stream"),
        (Action.SCIM_GROUP_DELETE, "grp_1", "Sales", "group"),
        (Action.CONNECTION_CERTIFICATE, "acme-okta", "Okta", "connection"),
        (Action.DOMAIN_VERIFY, "acme.example", "", "domain"),
        (Action.SCIM_USER_UPDATE, "anything", "", "member"),
        (Action.SCIM_USER_CREATE, "", "ana@acme.example", "member"),
        (Action.SEAT_LIMIT_CHANGE, "", "", ""),
    ],
)
def test_what_it_was_done_to_is_of_a_kind(action: Action, target: str, name: str, kind: str):
    event = Event("evt_1", "org_1", AT, action, Actor("system"), target=target, target_name=name)
    assert event.target_type == kind


def test_every_action_is_written_by_something():
    written = "".join(one.read_text() for one in Path("sso_gate").rglob("*.py") if one.name != "event.py")
    assert [action.name for action in Action if f"Action.{action.name}" not in written] == []
