"""Every action's event is valid OCSF 1.8.0 with the profile `security_control`, and the schema is one that refuses."""

import json
from datetime import UTC, datetime
from functools import cache

import pytest
from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from sso_gate.audit.canonical import canonical_form, readable
from sso_gate.audit.event import Action, Actor, Client, Event, SeatCount, Via
from sso_gate.audit.ocsf import ocsf_event
from sso_gate.errors import Reason

CLASSES = {3001: "account_change", 3002: "authentication", 3004: "entity_management", 3006: "group_management"}


@cache
def schema():
    return OcsfJsonSchemaEmbedded(get_ocsf_schema("1.8.0"))


@cache
def validator(class_uid):
    return Draft202012Validator(schema().get_class_schema(CLASSES[class_uid], ["security_control"]))


def problems(mapped):
    return [error.message for error in validator(mapped["class_uid"]).iter_errors(mapped)]


def mapped(action=Action.LOGIN, reason=None, actor=None, client=None, **parts):
    event = Event(
        id="evt_0193a7e0-7c1e-7b0a-9d53-0242ac120002",
        organization="org_1",
        at=datetime(2026, 11, 20, 8, tzinfo=UTC),
        action=action,
        actor=actor or Actor("user", "mem_1", "ana@acme.example", "subject", "0123456789abcdef"),
        reason=reason,
        reference="7K3M9Q2W",
        via=Via("acme-okta", "saml"),
        client=client or Client("198.51.100.7", "Mozilla/5.0", "req_1", "POST", "/scim/v2/Users"),
        seat=SeatCount(25, 25, "refuse"),
        **parts,
    )
    body, personal = canonical_form(event)
    return ocsf_event({**readable(body, json.loads(personal)), "chain": {"pos": 7, "prev": "0" * 64, "hash": "1" * 64}})


@pytest.mark.parametrize("reason", [None, Reason.SEAT_UNAVAILABLE])
@pytest.mark.parametrize("target", ["thing_1", "mem_1"])
def test_every_action_is_valid(reason, target):
    for action in Action:
        event = mapped(action, reason, target=target, target_name="a@b.example", changes={"a": [1, 2]})
        assert problems(event) == [], action


@pytest.mark.parametrize("actor", [Actor("system"), Actor("api_token", "tok_1", "siem"), Actor("admin", "op", "op")])
def test_every_action_is_valid_whoever_did_it_and_wherever_from(actor):
    for action in Action:
        assert problems(mapped(action, actor=actor, client=Client())) == [], action


def test_every_reason_is_valid():
    for reason in Reason:
        assert problems(mapped(reason=reason)) == [], reason


@pytest.mark.parametrize("name", ["user", "service", "metadata", "time"])
def test_the_schema_refuses_an_event_without_what_it_needs(name):
    event = mapped(reason=Reason.SEAT_UNAVAILABLE)
    del event[name]
    assert problems(event)


def test_a_login_refused_for_want_of_a_seat_reads_as_blocked():
    event = mapped(reason=Reason.SEAT_UNAVAILABLE)
    assert (event["class_uid"], event["activity_id"], event["type_uid"]) == (3002, 1, 300201)
    assert (event["status_id"], event["action_id"], event["disposition_id"]) == (2, 2, 2)
    assert event["status_code"] == "seat_unavailable"
    assert event["auth_protocol_id"] == 5
    assert event["metadata"]["sequence"] == 7
    assert event["time"] == 1795161600000
    assert event["unmapped"]["seat"] == {"limit": 25, "used": 25, "policy": "refuse"}
    assert event["session"] == {"uid": "0123456789abcdef"}
    assert event["http_request"] == {"user_agent": "Mozilla/5.0", "http_method": "POST"}


def test_a_change_of_an_account_names_whose_it_is_and_who_did_it():
    event = mapped(Action.SCIM_USER_DEACTIVATE, target="mem_2", target_name="li@acme.example")
    assert event["user"] == {"uid": "mem_2", "name": "li@acme.example", "email_addr": "li@acme.example"}
    assert event["actor"]["user"]["name"] == "ana@acme.example"
    assert event["actor"]["session"] == {"uid": "0123456789abcdef"}


def test_a_revoked_session_reads_as_access_revoked():
    assert mapped(Action.SESSION_REVOKE)["disposition_id"] == 24
