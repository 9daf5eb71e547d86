"""What must be accepted: a gate that refuses these is broken too."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from lxml import etree

from sso_gate.errors import Reason
from sso_gate.protocols.saml.instants import SKEW
from tests.support.keys import make_key_pair
from tests.support.saml_forge import (
    NOW,
    PASSWORD,
    PERSISTENT,
    assertion_of,
    attribute,
    dsig,
    encode,
    encrypt,
    make_ec_key_pair,
    sign,
    stamp,
)
from tests.unit.protocols.saml.world import idp_keys, own_keys

METHODS = "http://schemas.microsoft.com/claims/authnmethodsreferences"


@pytest.mark.parametrize("signed", ["assertion", "response", "both"])
def test_a_signed_assertion_response_or_both_become_the_whole_identity(world, signed):
    verified = world.verify(world.message(signed=signed).encoded())
    identity = verified.identity
    assert (identity.connection, identity.organization, identity.protocol) == ("acme-okta", "org_1", "saml")
    assert (identity.subject, identity.email, identity.email_verified) == ("ana@acme.example", "ana@acme.example", True)
    assert (identity.name, identity.groups) == ("Ana Souza", ("staff", "sales"))
    assert identity.authenticated_at == NOW - timedelta(minutes=1)
    assert identity.session_index == "_session"
    assert identity.login_id == verified.assertion_key
    assert len(verified.assertion_key) == 64
    assert verified.in_response_to == "_request"
    assert verified.replay_until == NOW + timedelta(minutes=5) + SKEW
    assert identity.session_ends_at == NOW + timedelta(hours=8)
    assert verified.name_id is not None
    assert verified.name_id.value == "ana@acme.example"


@pytest.mark.parametrize("signed", ["assertion", "response", "both"])
@pytest.mark.parametrize(
    ("cipher", "bits"), [(dsig.Transform.AES128_GCM, 128), (dsig.Transform.AES256_GCM, 256)], ids=["128", "256"]
)
def test_an_encrypted_assertion_is_read_whatever_is_signed(world, signed, cipher, bits):
    tree = world.message(signed=signed).encrypted(world.own.certificate_pem, cipher=cipher, key_bits=bits)
    assert world.accepts(tree).email == "ana@acme.example"


def test_an_assertion_encrypted_to_our_old_key_is_read_while_keys_roll_over(world):
    rolled = world.with_keys(own_keys("new"), world.own)
    assert rolled.accepts(world.message().encrypted(world.own.certificate_pem)).subject == "ana@acme.example"
    assert rolled.accepts(world.message().encrypted(own_keys("new").certificate_pem)).subject == "ana@acme.example"


def test_a_message_signed_with_the_second_of_two_pinned_certificates_is_accepted(world):
    both = world.with_settings(certificates=(idp_keys("new idp").certificate, world.idp.certificate))
    assert both.accepts(world.message()).subject == "ana@acme.example"
    assert both.accepts(world.message(key=idp_keys("new idp"))).subject == "ana@acme.example"


def test_a_pinned_certificate_that_has_expired_still_verifies(world):
    expired = make_key_pair("expired", valid_days=-1)
    pinned = world.with_settings(certificates=(expired.certificate,))
    assert pinned.accepts(world.message(key=expired)).subject == "ana@acme.example"


@pytest.mark.parametrize("encrypted", [False, True])
def test_an_elliptic_curve_signature_is_accepted(world, encrypted):
    key = make_ec_key_pair()
    pinned = world.with_settings(certificates=(key.certificate,))
    tree = world.message().unsigned_tree()
    sign(assertion_of(tree), key, method=dsig.Transform.ECDSA_SHA256)
    assert pinned.accepts(tree).subject == "ana@acme.example"


@pytest.mark.parametrize(
    ("method", "digest"),
    [
        (dsig.Transform.RSA_SHA384, dsig.Transform.SHA384),
        (dsig.Transform.RSA_SHA512, dsig.Transform.SHA512),
        (dsig.Transform.RSA_SHA256, dsig.Transform.SHA512),
    ],
)
def test_the_longer_digests_are_accepted(world, method, digest):
    tree = world.message().unsigned_tree()
    sign(assertion_of(tree), world.idp, method=method, digest=digest)
    assert world.accepts(tree).subject == "ana@acme.example"


def test_a_signature_without_key_info_is_accepted(world):
    tree = world.message().unsigned_tree()
    sign(assertion_of(tree), world.idp, key_info=False)
    assert world.accepts(tree).subject == "ana@acme.example"


def test_other_prefixes_are_accepted(world):
    xml = world.message().xml()
    for old, new in (
        ("saml:", "ns1:"),
        ("samlp:", "ns0:"),
        ("xmlns:saml=", "xmlns:ns1="),
        ("xmlns:samlp=", "xmlns:ns0="),
    ):
        xml = xml.replace(old, new)
    xml = xml.replace("urn:oasis:names:tc:SAML:2.0:ns", "urn:oasis:names:tc:SAML:2.0:")
    tree = etree.fromstring(xml)
    sign(assertion_of(tree), world.idp)
    assert world.accepts(tree).subject == "ana@acme.example"


@pytest.mark.parametrize("signed", ["assertion", "response"])
def test_default_namespaces_are_accepted(world, signed):
    xml = world.message().xml()
    xml = xml.replace("<samlp:", "<").replace("</samlp:", "</").replace("xmlns:samlp=", "xmlns=")
    before, inner = xml.split("<saml:Assertion", 1)
    inner = "<Assertion xmlns='urn:oasis:names:tc:SAML:2.0:assertion'" + inner.replace("<saml:", "<")
    tree = etree.fromstring(before + inner.replace("</saml:", "</"))
    sign(assertion_of(tree) if signed == "assertion" else tree, world.idp)
    assert world.accepts(tree).subject == "ana@acme.example"


@pytest.mark.parametrize("signed", ["assertion", "response"])
@pytest.mark.parametrize("prefixes", ["xs", "xs xsi", "xs saml samlp", "#default xs", "not-declared"])
def test_inclusive_namespaces_are_accepted(world, prefixes, signed):
    tree = world.message().unsigned_tree()
    sign(assertion_of(tree) if signed == "assertion" else tree, world.idp, prefixes=prefixes)
    assert world.accepts(tree).subject == "ana@acme.example"


@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize("prefixes", ["", "xs", "xs far samlp", "#default xs far"])
def test_inclusive_namespaces_that_are_declared_around_the_assertion_are_accepted(world, prefixes, encrypted):
    xml = world.message().xml().replace(' xmlns:xs="http://www.w3.org/2001/XMLSchema"', "")
    around = ' xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:far="urn:far" xmlns="urn:default" Version='
    tree = etree.fromstring(xml.replace(" Version=", around, 1))
    sign(assertion_of(tree), world.idp, prefixes=prefixes)
    if encrypted:
        encrypt(assertion_of(tree), world.own.certificate_pem)
    assert world.accepts(tree).subject == "ana@acme.example"


@pytest.mark.parametrize("off", [-SKEW, SKEW])
def test_a_clock_that_is_three_minutes_off_is_accepted(world, off):
    assert world.accepts(world.message(), now=NOW + off).subject == "ana@acme.example"
    short = world.message(
        conditions_not_before=timedelta(0),
        conditions_not_on_or_after=timedelta(minutes=1),
        confirmation_not_on_or_after=timedelta(minutes=1),
        authn_instant=timedelta(0),
        session_not_on_or_after=None,
    )
    assert world.accepts(short, now=NOW + off).subject == "ana@acme.example"


def test_unknown_attributes_advice_and_extensions_are_accepted(world):
    message = world.message(
        signed="both",
        attributes_xml=attribute("urn:unknown", "<a:deep xmlns:a='urn:a'><a:er/></a:deep>", raw=True),
        advice_xml="<x:advice xmlns:x='urn:x' id='a'>be kind</x:advice>",
        extensions_xml="<x:hint xmlns:x='urn:x' x:id='b'>of something</x:hint>",
    )
    assert world.accepts(message).name == "Ana Souza"


def test_an_identity_in_an_attribute_without_name_id_is_accepted(world):
    by_attribute = world.with_attributes(subject="employeeNumber")
    message = world.message(name_id=None, attributes={"employeeNumber": ["4711"], "mail": ["ana@acme.example"]})
    verified = by_attribute.verify(message.encoded())
    assert (verified.identity.subject, verified.identity.email) == ("4711", "ana@acme.example")
    assert verified.name_id is None


def test_escaped_markup_ampersands_and_umlauts_are_kept_as_they_are(world):
    attributes = {"displayName": ["Jürgen <b>& Söhne</b>"], "groups": ["R&D"], "mail": ["j@acme.example"]}
    identity = world.accepts(world.message(attributes=attributes, name_id="j&j", name_id_format=PERSISTENT))
    assert (identity.subject, identity.name, identity.groups) == ("j&j", "Jürgen <b>& Söhne</b>", ("R&D",))


def test_a_response_with_neither_issuer_destination_nor_in_response_to_of_its_own_is_accepted(world):
    message = world.message(response_issuer=None, destination=None, response_in_response_to=None)
    assert world.verify(message.encoded()).in_response_to == "_request"


def test_an_unsolicited_response_is_verified_and_says_that_nobody_asked(world):
    assert world.verify(world.message(in_response_to=None).encoded()).in_response_to is None


def test_an_empty_answer_is_none(world):
    assert world.verify(world.message(in_response_to="").encoded()).in_response_to is None


def test_an_assertion_without_attributes_is_accepted(world):
    assert world.accepts(world.message(attributes={})).groups == ()
    empty = "<saml:AttributeStatement/>"
    assert world.accepts(world.message(attributes={}, statements_xml=empty)).name is None


def test_a_declaration_a_byte_order_mark_and_line_breaks_in_the_base64_are_accepted(world):
    xml = b"\xef\xbb\xbf<?xml version='1.0' encoding='UTF-8'?>\n" + etree.tostring(world.message().tree())
    encoded = encode(xml)
    broken = "\r\n".join(encoded[at : at + 76] for at in range(0, len(encoded), 76))
    assert world.verify(broken).identity.subject == "ana@acme.example"


def test_one_of_several_audiences_and_one_of_several_confirmations_is_enough(world):
    elsewhere = (
        '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"/>'
        '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData'
        f' Recipient="https://elsewhere.example/acs" NotOnOrAfter="{stamp(NOW + timedelta(minutes=5))}"/>'
        "</saml:SubjectConfirmation>"
    )
    audiences = [["https://other.example", world.endpoints.saml_entity_id]]
    verified = world.verify(world.message(audiences=audiences, subject_xml=elsewhere).encoded())
    assert verified.in_response_to == "_request"


@pytest.mark.parametrize("condition", ["<saml:OneTimeUse/>", '<saml:ProxyRestriction Count="0"/>'])
def test_the_conditions_that_we_know_are_accepted(world, condition):
    assert world.accepts(world.message(conditions_xml=condition)).subject == "ana@acme.example"


def test_fractions_of_seconds_offsets_and_no_zone_are_instants_too(world):
    xml = world.message(session_not_on_or_after=None).xml()
    xml = xml.replace(stamp(NOW - timedelta(minutes=1)), "2026-03-01T11:59:00.1234567Z")
    xml = xml.replace(f'NotBefore="{stamp(NOW - timedelta(minutes=5))}"', 'NotBefore="2026-03-01T12:55:00+01:00"')
    xml = xml.replace(f'IssueInstant="{stamp(NOW)}"', 'IssueInstant="2026-03-01T12:00:00"')
    tree = etree.fromstring(xml)
    sign(assertion_of(tree), world.idp)
    assert world.accepts(tree).authenticated_at == datetime(2026, 3, 1, 11, 59, 0, 123456, tzinfo=UTC)


def test_a_validity_of_exactly_a_day_is_accepted(world):
    day = timedelta(hours=24)
    message = world.message(conditions_not_on_or_after=day, confirmation_not_on_or_after=day)
    assert world.accepts(message).subject == "ana@acme.example"


def test_a_condition_without_end_is_bounded_by_its_confirmation(world):
    message = world.message(conditions_not_on_or_after=None, conditions_not_before=None)
    assert world.accepts(message).subject == "ana@acme.example"


def test_the_authentication_context_that_we_asked_for_is_accepted(world):
    asked = world.with_settings(authn_context=("urn:other", PASSWORD))
    assert asked.accepts(world.message()).subject == "ana@acme.example"


def test_a_fresh_authentication_is_accepted_where_one_is_forced(world):
    forced = world.with_settings(force_authn=True)
    assert forced.accepts(world.message()).subject == "ana@acme.example"
    assert forced.refuses(world.message(authn_instant=timedelta(minutes=-14))) is Reason.RESPONSE_EXPIRED
    assert world.accepts(world.message(authn_instant=timedelta(days=-14))).subject == "ana@acme.example"


def test_text_around_the_elements_stays_signed_and_is_no_hindrance(world):
    tree = world.message(signed="none").unsigned_tree()
    etree.indent(tree)
    sign(assertion_of(tree), world.idp)
    for element in tree.iter("{*}Signature"):
        element.tail = "\n  after the signature\n"
    assert world.refuses(tree) is Reason.SIGNATURE_INVALID
    tree = world.message(signed="none").unsigned_tree()
    etree.indent(tree)
    sign(assertion_of(tree), world.idp)
    sign(tree, world.idp)
    assert world.accepts(tree).subject == "ana@acme.example"


def test_two_hundred_groups_fit(world):
    groups = [f"cn=group {number},ou=groups,dc=acme,dc=example" for number in range(200)]
    assert world.accepts(world.message(attributes={"groups": groups})).groups == tuple(groups)


def test_two_messages_verified_in_either_order_do_not_disturb_each_other(world):
    first, second = world.message(in_response_to="_one"), world.message(in_response_to="_two")
    answers = [world.verify(message.encoded()).in_response_to for message in (second, first, first, second)]
    assert answers == ["_two", "_one", "_one", "_two"]


def test_the_same_assertion_has_the_same_key_whatever_is_around_it(world):
    message = world.message(signed="both")
    other = dataclasses.replace(message, response_id="_another", signed="assertion")
    assert world.verify(message.encoded()).assertion_key == world.verify(other.encoded()).assertion_key
    assert world.verify(world.message().encoded()).assertion_key != world.verify(message.encoded()).assertion_key


def test_the_record_knows_whose_message_it_was_and_whether_anybody_had_asked_for_it(world):
    asked = world.verify(world.message(assertion_id="_a1").encoded()).identity
    assert (asked.proof_id, asked.began_at_provider, asked.multi_factor) == ("_a1", False, None)
    assert world.verify(world.message(in_response_to=None).encoded()).identity.began_at_provider


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ({"authn_context": "https://refeds.org/profile/mfa"}, True),
        ({"authn_context": "urn:oasis:names:tc:SAML:2.0:ac:classes:MobileTwoFactorContract"}, True),
        ({"authn_context": "urn:oasis:names:tc:SAML:2.0:ac:classes:TimeSyncToken"}, None),
        ({"attributes_xml": attribute(METHODS, "http://schemas.microsoft.com/claims/multipleauthn")}, True),
        ({"attributes_xml": attribute(METHODS, "http://schemas.microsoft.com/ws/2012/12/authmethod/password")}, None),
    ],
)
def test_several_factors_are_believed_where_the_provider_says_so(world, said, shown):
    assert world.verify(world.message(**said).encoded()).identity.multi_factor is shown
