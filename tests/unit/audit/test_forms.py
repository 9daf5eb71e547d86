"""Events in the words of other programs: every action and reason, and hostile text, keep to the rules of the format."""

import json
import re
from typing import Any

import pytest

from sso_gate.audit.canonical import canonical_form, readable_text
from sso_gate.audit.event import Action, Actor, Client, Event, SeatCount, Via
from sso_gate.audit.forms import in_form
from sso_gate.errors import Reason
from tests.unit.audit.test_canonical import AT

HOSTILE = 'a|b=c\\d\r\ne\nf\x1b[31m\u2028\u2029\x00"é\u202e' + "x" * 100_000


def line(action: Action = Action.LOGIN, **parts: Any) -> str:
    """Return an event as its JSON line, at position 7."""
    values = {
        "actor": Actor("user", "mem_1", "ana@acme.example", "subject", "0123456789abcdef"),
        "via": Via("acme-okta", "saml", "", "sp", True, "_a1"),
        "client": Client("198.51.100.7", "Mozilla/5.0", "req_1", "POST", "/sso/saml/{connection}/acs"),
        "seat": SeatCount(25, 24, "refuse"),
        "reference": "7K3M9Q2W",
        **parts,
    }
    body, personal = canonical_form(Event("evt_1", "org_1", AT, action, **values))
    return f'{readable_text(body, json.loads(personal))[:-1]},"chain":{{"pos":7,"prev":"00","hash":"ab"}}}}'


def hostile() -> str:
    return line(
        actor=Actor("user", "mem_1", HOSTILE), client=Client(HOSTILE, HOSTILE, "req|=\\1"), target=HOSTILE,
        target_name=HOSTILE, check=HOSTILE, reason=Reason.REPLAYED,
    )  # fmt: skip


def read_cef(text: str) -> tuple[list[str], dict[str, str]]:
    """Read CEF as its standard says: seven parts of a header, then names and values; nothing may be left unread."""
    assert text.startswith("CEF:0|")
    head = re.match(r"((?:[^|\\]|\\\\|\\\|)*\|){7}", text)
    assert head is not None
    parts = re.findall(r"((?:[^|\\]|\\\\|\\\|)*)\|", head[0])
    found, rest = {}, text[head.end() :]
    while rest:
        pair = re.match(r"([A-Za-z0-9]+)=((?:[^=\\]|\\\\|\\=|\\n)*?)(?= [A-Za-z0-9]+=|$)", rest)
        assert pair is not None, rest[:80]
        plain = pair[2].replace("\\\\", "\0").replace("\\=", "=").replace("\\n", "\n").replace("\0", "\\")
        found[pair[1]] = plain
        rest = rest[pair.end() :].removeprefix(" ")
    return [re.sub(r"\\(.)", r"\1", part) for part in parts], found


def test_a_denied_login_reads_in_cef_as_it_was():
    head, found = read_cef(in_form("cef", line(reason=Reason.SEAT_UNAVAILABLE)))
    assert head == ["CEF:0", "sso-gate", "sso-gate", "1", "auth.login", "auth.login denied", "6"]
    expected = {"externalId": "evt_1", "reason": "seat_unavailable", "suser": "ana@acme.example", "src": "198.51.100.7"}
    expected |= {"cs2": "org_1", "cs2Label": "organization", "cn1": "7", "cn2": "25", "cn3": "24", "app": "saml"}
    assert expected.items() <= found.items()
    expected = {"requestMethod": "POST", "cs6": "0123456789abcdef", "cs6Label": "session", "flexString2": "refuse"}
    expected |= {"flexString1": "/sso/saml/{connection}/acs", "flexString1Label": "route"}
    assert expected.items() <= found.items()
    assert found["rt"] == str(int(AT.timestamp() * 1000))


def test_an_address_of_ipv6_has_its_own_field():
    _, found = read_cef(in_form("cef", line(client=Client("2001:db8::1"))))
    assert (found["c6a2"], "src" in found) == ("2001:db8::1", False)


@pytest.mark.parametrize("form", ["ocsf", "ecs", "cef"])
def test_every_action_is_one_line(form):
    for action in Action:
        text = in_form(form, line(action))
        assert text.isprintable(), action
        if form == "cef":
            assert read_cef(text)[0][4] == action
        else:
            assert isinstance(json.loads(text), dict), action


def test_hostile_text_is_one_line_of_cef_and_says_what_was_sent():
    text = in_form("cef", hostile())
    head, found = read_cef(text)
    assert text.isprintable()
    assert len(head) == 7
    for name in ("suser", "duid", "duser", "msg", "requestClientApplication"):
        assert found[name].startswith("a|b=c\\d\ne\nf [31m"), name
    assert "src" not in found
    assert found["cs1"] == "req|=\\1"


# What the field reference allows (ECS 8.17, "ECS Categorization Fields").
CATEGORIES = {"authentication", "configuration", "iam", "session"}
TYPES = {"access", "change", "creation", "deletion", "denied", "end", "group", "info", "start", "user"}
OF_ECS = {
    "@timestamp", "ecs.version", "event.id", "event.kind", "event.category", "event.type", "event.action",
    "event.outcome", "event.reason", "event.severity", "event.sequence", "event.provider", "organization.id",
    "service.name", "service.type", "user.id", "user.name", "user.email", "user.target.id", "user.target.name",
    "user.target.email", "group.id", "group.name", "source.ip", "user_agent.original", "http.request.id",
    "http.request.method", "message",
}  # fmt: skip


def flat(value: dict[str, Any], path: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, part in value.items():
        found |= flat(part, f"{path}{name}.") if isinstance(part, dict) else {path + name: part}
    return found


@pytest.mark.parametrize(("reason", "target"), [(None, "grp_1"), (Reason.SEAT_UNAVAILABLE, "mem_2")])
def test_every_action_has_only_fields_and_words_of_the_common_schema(reason, target):
    for action in Action:
        told = line(action, reason=reason, target=target, target_name="a@b.example", check="w")
        event = json.loads(in_form("ecs", told))
        assert {name for name in flat(event) if not name.startswith("labels.")} <= OF_ECS, action
        assert all(isinstance(value, str) for value in event["labels"].values()), action
        assert set(event["event"]["category"]) <= CATEGORIES, action
        assert set(event["event"]["type"]) <= TYPES, action
        assert event["event"]["outcome"] == ("failure" if reason else "success"), action
        assert ("denied" in event["event"]["type"]) is bool(reason), action
        assert event["labels"]["seat_limit"] == "25", action


def test_a_login_reads_in_ecs_as_the_start_of_an_authentication():
    event = json.loads(in_form("ecs", line()))
    assert (event["event"]["category"], event["event"]["type"]) == (["authentication"], ["start"])
    assert event["user"] == {"id": "mem_1", "name": "ana@acme.example", "email": "ana@acme.example"}
    assert event["labels"]["mfa"] == "true"
    created = json.loads(in_form("ecs", line(Action.SCIM_USER_CREATE)))["event"]
    assert (created["category"], created["type"]) == (["iam"], ["creation", "user"])
    gone = json.loads(in_form("ecs", line(Action.SCIM_USER_DELETE, target="mem_2", target_name="li@acme.example")))
    assert gone["user"]["target"] == {"id": "mem_2", "name": "li@acme.example", "email": "li@acme.example"}
    assert (gone["http"]["request"]["method"], gone["labels"]["session"]) == ("POST", "0123456789abcdef")
    assert json.loads(in_form("ecs", hostile()))["event"]["reason"] == "replayed"


def test_json_stays_as_it_is():
    told = line()
    assert in_form("json", told) == told
