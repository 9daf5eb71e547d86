"""What signed words must say: from whom, for whom, when and how; every message here is truly signed."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest
from lxml import etree

from sso_gate.connections.connection import OidcSettings
from sso_gate.errors import Reason, Refused
from sso_gate.protocols.protocol import Endpoints
from sso_gate.protocols.saml import response
from sso_gate.protocols.saml.instants import SKEW
from tests.support.saml_forge import DS, NOW, SAML, assertion_of, encode, sign, stamp

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize("signed", ["assertion", "both"])
@pytest.mark.parametrize(
    "issuer", ["https://evil.example", "https://idp.acme.example/sam", "https://idp.acme.example/saml/", ""]
)
def test_another_issuer_is_refused(world, issuer, signed):
    assert world.refuses(world.message(issuer=issuer, signed=signed)) is Reason.ISSUER_MISMATCH


def test_the_issuer_of_the_assertion_counts_where_the_response_names_the_right_one(world):
    message = world.message(issuer="https://evil.example", response_issuer="https://idp.acme.example/saml")
    assert world.refuses(message) is Reason.ISSUER_MISMATCH


@pytest.mark.parametrize(
    "audiences",
    [
        [],
        [["https://gate.example/sso/saml/acme-okt/metadata"]],
        [["https://gate.example/sso/saml/acme-okta/metadata/"]],
        [["HTTPS://gate.example/sso/saml/acme-okta/metadata"]],
        [["https://gate.example/sso/saml/acme-okta/metadata?x=https://gate.example/sso/saml/acme-okta/metadata"]],
        [["https://gate.example/sso/saml/acme-okta/metadata"], ["https://other.example"]],
        [["https://other.example"], ["https://gate.example/sso/saml/acme-okta/metadata"]],
        [[""]],
    ],
)
def test_a_missing_foreign_or_similar_audience_is_refused(world, audiences):
    assert world.refuses(world.message(audiences=audiences)) is Reason.AUDIENCE_MISMATCH


@pytest.mark.parametrize(
    "recipient",
    [
        None,
        "https://gate.example/sso/saml/acme-okta/ac",
        "https://gate.example/sso/saml/acme-okta/acs/",
        "https://gate.example/sso/saml/acme-okta-2/acs",
        "https://evil.example/?x=https://gate.example/sso/saml/acme-okta/acs",
        "https://gate.example:443/sso/saml/acme-okta/acs",
        "https://GATE.example/sso/saml/acme-okta/acs",
        "http://gate.example/sso/saml/acme-okta/acs",
        " ",
    ],
)
def test_a_missing_foreign_or_similar_recipient_is_refused(world, recipient):
    assert world.refuses(world.message(recipient=recipient)) is Reason.RECIPIENT_MISMATCH


@pytest.mark.parametrize("signed", ["assertion", "response", "both"])
@pytest.mark.parametrize(
    "destination",
    ["https://gate.example/sso/saml/acme", "https://gate.example/sso/saml/acme-okta/acs2", "https://evil.example", " "],
)
def test_a_foreign_or_similar_destination_is_refused(world, destination, signed):
    assert world.refuses(world.message(destination=destination, signed=signed)) is Reason.DESTINATION_MISMATCH


def test_a_signed_response_must_say_its_destination(world):
    assert world.refuses(world.message(destination=None, signed="response")) is Reason.DESTINATION_MISMATCH
    assert world.refuses(world.message(destination=None, signed="both")) is Reason.DESTINATION_MISMATCH


def test_a_message_for_another_connection_of_the_same_provider_is_refused(world):
    endpoints = Endpoints("https://gate.example", "other-org")
    with pytest.raises(Refused) as refused:
        response.verify(
            world.message().encoded(), connection=world.connection, endpoints=endpoints, keys=world.keys, now=NOW
        )
    assert refused.value.reason is Reason.DESTINATION_MISMATCH
    with pytest.raises(Refused) as refused:
        response.verify(
            world.message(destination=None).encoded(),
            connection=world.connection, endpoints=endpoints, keys=world.keys, now=NOW,
        )  # fmt: skip
    assert refused.value.reason is Reason.AUDIENCE_MISMATCH


@pytest.mark.parametrize(
    ("changes", "at", "reason"),
    [
        ({}, timedelta(minutes=5) + SKEW, Reason.RESPONSE_EXPIRED),
        ({"conditions_not_on_or_after": timedelta(minutes=60)}, timedelta(minutes=5) + SKEW, Reason.RESPONSE_EXPIRED),
        ({"confirmation_not_on_or_after": timedelta(minutes=60)}, timedelta(minutes=5) + SKEW, Reason.RESPONSE_EXPIRED),
        ({"session_not_on_or_after": SECOND}, SECOND, Reason.RESPONSE_EXPIRED),
        ({}, -SKEW - SECOND, Reason.RESPONSE_FROM_FUTURE),
        ({"conditions_not_before": timedelta(minutes=1)}, -SKEW, Reason.RESPONSE_FROM_FUTURE),
        ({"confirmation_not_before": SKEW + SECOND}, timedelta(0), Reason.RESPONSE_FROM_FUTURE),
        ({"authn_instant": SKEW + SECOND}, timedelta(0), Reason.RESPONSE_FROM_FUTURE),
        ({"confirmation_not_on_or_after": None}, timedelta(0), Reason.VALIDITY_TOO_LONG),
        ({"confirmation_not_on_or_after": timedelta(hours=24, seconds=1)}, timedelta(0), Reason.VALIDITY_TOO_LONG),
        ({"conditions_not_on_or_after": timedelta(hours=24, seconds=1)}, timedelta(0), Reason.VALIDITY_TOO_LONG),
        ({"conditions_not_on_or_after": timedelta(days=3650)}, timedelta(0), Reason.VALIDITY_TOO_LONG),
        ({"issued": timedelta(days=-2)}, timedelta(0), Reason.VALIDITY_TOO_LONG),
    ],
)
def test_times_that_do_not_hold_are_refused(world, changes, at, reason):
    assert world.refuses(world.message(**changes), now=NOW + at) is reason
    assert world.accepts(world.message()).subject == "ana@acme.example"


def test_one_second_before_each_end_a_message_is_still_good(world):
    message = world.message(session_not_on_or_after=None)
    assert world.accepts(message, now=NOW + timedelta(minutes=5) + SKEW - SECOND).subject == "ana@acme.example"
    assert world.accepts(message, now=NOW - SKEW).subject == "ana@acme.example"


@pytest.mark.parametrize(
    "instant",
    ["", "now", "2026-03-01", "2026-W09-7T12:00:00Z", "2026-03-01 12:00:00Z", "2026-13-01T12:00:00Z",
     "2026-03-01T25:00:00Z", "2026-03-01T12:00:00+99:99",
     "٢٠٢٦-03-01T12:00:00Z", "0001-01-01T00:00:00+14:00", "-2026-03-01T12:00:00Z",
     "2026-03-01T12:00:00Z\n"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["NotBefore", "NotOnOrAfter", "AuthnInstant", "SessionNotOnOrAfter"])
def test_what_is_no_instant_is_malformed(world, name, instant):
    tree = world.message(confirmation_not_before=timedelta(0)).unsigned_tree()
    for element in assertion_of(tree).iter():
        if name in element.attrib:
            element.set(name, instant)
    sign(assertion_of(tree), world.idp)
    assert world.refuses(tree) is Reason.MESSAGE_MALFORMED


def test_the_ends_of_time_do_no_harm(world):
    assert world.refuses(world.message().xml().replace(stamp(NOW), "9999-12-31T23:59:59Z")) is Reason.SIGNATURE_MISSING
    tree = etree.fromstring(world.message().xml().replace("2026-", "9999-"))
    sign(assertion_of(tree), world.idp)
    assert world.refuses(tree) is Reason.RESPONSE_FROM_FUTURE
    tree = etree.fromstring(world.message().xml().replace("2026-", "0001-"))
    sign(assertion_of(tree), world.idp)
    assert world.refuses(tree) is Reason.RESPONSE_EXPIRED


@pytest.mark.parametrize(
    "method", ["urn:oasis:names:tc:SAML:2.0:cm:holder-of-key", "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches", ""]
)
def test_another_confirmation_than_bearer_is_refused(world, method):
    assert world.refuses(world.message(method=method)) is Reason.STRUCTURE_REFUSED


def _without(world, tag):
    tree = world.message().unsigned_tree()
    found = next(assertion_of(tree).iter(f"{SAML}{tag}"))
    found.getparent().remove(found)
    sign(assertion_of(tree), world.idp)
    return tree


@pytest.mark.parametrize(
    "tag",
    [
        "Issuer",
        "Subject",
        "SubjectConfirmation",
        "SubjectConfirmationData",
        "Conditions",
        "AuthnStatement",
        "AuthnContext",
    ],
)
def test_an_assertion_that_lacks_a_needed_part_is_refused(world, tag):
    assert world.refuses(_without(world, tag)) is Reason.STRUCTURE_REFUSED


def test_an_assertion_without_id_could_be_used_again_and_is_refused(world):
    tree = world.message().unsigned_tree()
    del assertion_of(tree).attrib["ID"]
    sign(tree, world.idp)
    assert world.refuses(tree) is Reason.STRUCTURE_REFUSED


def test_what_a_stranger_wrote_is_told_on_one_printable_line(world):
    odd = "https://evil.example\n2026-03-01 admin signed in\u202e"
    with pytest.raises(Refused) as refused:
        world.verify(world.message(issuer=odd).encoded())
    assert refused.value.detail.isprintable()
    assert "https://evil.example?2026" in refused.value.detail


def test_two_authentications_are_one_too_many(world):
    statement = (
        f'<saml:AuthnStatement AuthnInstant="{stamp(NOW)}"><saml:AuthnContext>'
        "<saml:AuthnContextClassRef>x</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>"
    )
    assert world.refuses(world.message(statements_xml=statement)) is Reason.STRUCTURE_REFUSED


def test_another_authentication_context_than_asked_for_is_refused(world):
    strict = world.with_settings(authn_context=("urn:oasis:names:tc:SAML:2.0:ac:classes:TimeSyncToken",))
    assert strict.refuses(world.message()) is Reason.STATUS_REFUSED


@pytest.mark.parametrize("expected", ["_other", "_reques", "_request2", ""])
def test_an_answer_to_another_request_is_refused(world, expected):
    verified = world.verify(world.message().encoded())
    with pytest.raises(Refused) as refused:
        response.require_request(verified, expected_request_id=expected)
    assert refused.value.reason is Reason.REQUEST_MISMATCH


def test_an_answer_to_our_request_passes_and_an_unsolicited_one_does_not(world):
    response.require_request(world.verify(world.message().encoded()), expected_request_id="_request")
    unsolicited = world.verify(world.message(in_response_to=None).encoded())
    for expected in ("_request", ""):
        with pytest.raises(Refused):
            response.require_request(unsolicited, expected_request_id=expected)


def test_taking_away_the_unsigned_answer_leaves_the_signed_one(world):
    tree = world.message(in_response_to="_of_somebody_else").tree()
    del tree.attrib["InResponseTo"]
    verified = world.verify(encode(tree))
    with pytest.raises(Refused):
        response.require_request(verified, expected_request_id="_request")


def test_an_unsigned_answer_does_not_replace_a_missing_signed_one(world):
    message = world.message(in_response_to=None, response_in_response_to="_request")
    assert world.refuses(message) is Reason.REQUEST_MISMATCH


def test_a_connection_of_another_protocol_verifies_nothing(world):
    connection = dataclasses.replace(world.connection, settings=OidcSettings("https://idp.example", "client"))
    with pytest.raises(Refused) as refused:
        response.verify(
            world.message().encoded(), connection=connection, endpoints=world.endpoints, keys=world.keys, now=NOW
        )
    assert refused.value.reason is Reason.CONNECTION_MISMATCH


def test_a_refusal_says_what_was_expected_to_an_operator_and_no_name_of_a_person(world):
    with pytest.raises(Refused) as refused:
        world.verify(world.message(audiences=[["https://other.example"]]).encoded())
    assert "https://other.example" in refused.value.detail
    assert "ana@" not in refused.value.detail
    assert DS not in refused.value.detail
