"""Who a verified assertion is about: subject, email, name and groups, under the names that providers use."""

from __future__ import annotations

import pytest

from sso_gate.errors import Reason
from tests.support.saml_forge import EMAIL_FORMAT, PERSISTENT, TRANSIENT, attribute

INVALID = Reason.SUBJECT_INVALID
UNSPECIFIED = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"


@pytest.mark.parametrize(
    "name_id",
    [
        "", " ", " ana", "ana ", "ana\nadmin", "ana\tadmin", "ana\u0085", "ana\u2028", "\u202eana", "ana\u200b",
        "ana\u00ad", "x" * 257, "ana\ufffe",
    ],
)  # fmt: skip
def test_a_subject_that_is_empty_padded_long_or_not_printable_is_refused_whole(world, name_id):
    tree = world.message(name_id="placeholder", name_id_format=PERSISTENT)
    if "\ufffe" in name_id:
        assert world.refuses(tree.xml().replace("placeholder", name_id)) is Reason.MESSAGE_MALFORMED
        return
    assert world.refuses(tree.but(name_id=name_id)) is INVALID


@pytest.mark.parametrize("reference", ["&#x0;", "&#xB;", "&#8;", "&#xFFFF;"])
def test_a_reference_to_a_character_that_xml_has_not_is_malformed(world, reference):
    xml = world.message(name_id="placeholder").xml().replace("placeholder", f"ana{reference}")
    assert world.refuses(xml) is Reason.MESSAGE_MALFORMED


@pytest.mark.parametrize("reference", ["&#10;", "&#13;", "&#9;", "&#127;"])
def test_a_control_character_by_reference_is_refused(world, reference):
    markup = f"<saml:NameID>ana{reference}admin</saml:NameID>"
    assert world.refuses(world.message(name_id_xml=markup)) is INVALID


def test_the_longest_subject_is_taken_whole(world):
    assert world.accepts(world.message(name_id="x" * 256, name_id_format=PERSISTENT)).subject == "x" * 256


def test_without_a_name_id_or_a_configured_attribute_there_is_no_subject(world):
    assert world.refuses(world.message(name_id=None)) is INVALID


def test_a_transient_name_id_is_no_subject_unless_an_attribute_is(world):
    message = world.message(name_id="_x", name_id_format=TRANSIENT, attributes={"uid": ["ana"]})
    assert world.refuses(message) is INVALID
    identity = world.with_attributes(subject="uid").accepts(message)
    assert (identity.subject, identity.email) == ("ana", None)


@pytest.mark.parametrize(
    ("got", "taken"), [(PERSISTENT, True), (None, True), (UNSPECIFIED, True), (EMAIL_FORMAT, False)]
)
def test_a_name_id_of_another_format_than_we_ask_for_is_no_subject(world, got, taken):
    """A request that somebody else has written may ask for a name that its person can choose."""
    asking, message = world.with_settings(name_id_format=PERSISTENT), world.message(name_id="ana", name_id_format=got)
    if taken:
        assert asking.accepts(message).subject == "ana"
    else:
        assert asking.refuses(message) is INVALID
        mapped = message.but(attributes={"uid": ["ana"]})
        assert asking.with_attributes(subject="uid").accepts(mapped).subject == "ana"


@pytest.mark.parametrize(
    ("address", "verified"),
    [
        ("ana@acme.example", True),
        ("josé@acme.example", True),
        ("strau\u00df@acme.example", False),
        ("\u212aate@acme.example", False),
        ("ro\u017fa@acme.example", False),
        ("ana@acme.exampl\u212f", True),
        ("\ufb01@acme.example", False),
    ],
)
def test_an_address_that_folding_case_makes_somebody_elses_is_not_verified(world, address, verified):
    identity = world.accepts(world.message(name_id="x", name_id_format=PERSISTENT, attributes={"mail": [address]}))
    assert (identity.email, identity.email_verified) == (address, verified)


@pytest.mark.parametrize(
    "attributes_xml",
    [
        "",
        attribute("uid"),
        attribute("uid", ""),
        attribute("uid", "ana", "bob"),
        attribute("uid", "ana") + attribute("uid", "bob"),
        attribute("uid", "an<x xmlns='urn:x'/>a", raw=True),
        attribute("UID", "ana"),
    ],
    ids=["none", "no value", "empty", "two values", "two attributes", "an element inside", "another case"],
)
def test_a_configured_subject_is_one_whole_text_or_a_refusal(world, attributes_xml):
    message = world.message(attributes={}, attributes_xml=attributes_xml)
    assert world.with_attributes(subject="uid").refuses(message) is INVALID


@pytest.mark.parametrize("name", ["mail", "displayName", "groups"])
def test_an_element_inside_of_an_attribute_that_is_read_is_refused(world, name):
    message = world.message(
        name_id_format=PERSISTENT, attributes={}, attributes_xml=attribute(name, "a<x xmlns='urn:x'>b</x>c", raw=True)
    )
    assert world.refuses(message) is Reason.STRUCTURE_REFUSED


def email_of(world, attributes, *, name_id="8f3c", name_id_format=PERSISTENT):
    return world.accepts(world.message(name_id=name_id, name_id_format=name_id_format, attributes=attributes)).email


@pytest.mark.parametrize(
    "name",
    [
        "email",
        "mail",
        "emailaddress",
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
        "urn:oid:0.9.2342.19200300.100.1.3",
        "urn:oid:1.2.840.113549.1.9.1",
    ],
)
def test_an_address_is_found_under_the_usual_names(world, name):
    assert email_of(world, {name: [" ana@acme.example "]}) == "ana@acme.example"


def test_a_name_id_that_is_an_address_comes_first(world):
    attributes = {"mail": ["other@acme.example"]}
    assert email_of(world, attributes, name_id="ana@acme.example", name_id_format=EMAIL_FORMAT) == "ana@acme.example"
    assert email_of(world, attributes, name_id="ana@acme.example", name_id_format=UNSPECIFIED) == "other@acme.example"
    assert email_of(world, {}, name_id="ana@acme.example", name_id_format=UNSPECIFIED) == "ana@acme.example"
    assert email_of(world, {}, name_id="ana@acme.example", name_id_format=None) == "ana@acme.example"
    assert email_of(world, {}, name_id="ana@acme.example", name_id_format=PERSISTENT) is None


@pytest.mark.parametrize(
    "address",
    [
        "ana",
        "@acme.example",
        "ana@",
        "ana @acme.example",
        "ana@other.example@acme.example",
        "ana@acme.example\u202e",
        "a@" + "b" * 254,
        "a\nb@c.d",
    ],
)
def test_what_is_no_address_is_none(world, address):
    assert email_of(world, {"mail": [address]}) is None


def test_a_configured_address_is_the_only_one_that_counts(world):
    configured = world.with_attributes(email="upn")
    attributes = {"mail": ["other@acme.example"], "upn": ["ana@acme.example"]}
    assert configured.accepts(world.message(attributes=attributes, name_id="x@y.example")).email == "ana@acme.example"
    assert configured.accepts(world.message(attributes={"mail": ["other@acme.example"]})).email is None


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"displayName": ["Ana Souza"]}, "Ana Souza"),
        ({"cn": ["Ana Souza"]}, "Ana Souza"),
        ({"http://schemas.microsoft.com/identity/claims/displayname": ["Ana Souza"]}, "Ana Souza"),
        ({"urn:oid:2.16.840.1.113730.3.1.241": ["Ana Souza"]}, "Ana Souza"),
        ({"givenName": ["Ana"], "sn": ["Souza"]}, "Ana Souza"),
        ({"firstName": ["Ana"], "lastName": ["Souza"]}, "Ana Souza"),
        ({"urn:oid:2.5.4.42": ["Ana"]}, "Ana"),
        ({"displayName": [" "], "givenName": ["Ana"]}, "Ana"),
        ({"displayName": ["Ana\n\u202eSouza\t=1+1"]}, "Ana Souza =1+1"),
        ({"displayName": ["x" * 500]}, "x" * 200),
        ({}, None),
    ],
)
def test_a_name_is_found_under_the_usual_names_and_shown_on_one_line(world, attributes, expected):
    assert world.accepts(world.message(attributes=attributes)).name == expected


def test_a_configured_name_is_the_only_one_that_counts(world):
    configured = world.with_attributes(name="nick")
    assert configured.accepts(world.message(attributes={"nick": ["an"], "displayName": ["Ana"]})).name == "an"
    assert configured.accepts(world.message()).name is None


@pytest.mark.parametrize(
    "name",
    [
        "groups",
        "memberOf",
        "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups",
        "http://schemas.microsoft.com/ws/2008/06/identity/claims/role",
        "http://schemas.xmlsoap.org/claims/Group",
        "Role",
    ],
)
def test_groups_are_found_under_the_usual_names_each_once_in_order(world, name):
    groups = ["staff", "sales", "staff", "", "x" * 257, "new\nline"]
    assert world.accepts(world.message(attributes={name: groups})).groups == ("staff", "sales")


def test_configured_groups_are_the_only_ones_that_count(world):
    configured = world.with_attributes(groups="teams")
    assert configured.accepts(world.message(attributes={"teams": ["a"], "groups": ["b"]})).groups == ("a",)
    assert configured.accepts(world.message()).groups == ()


def test_the_name_id_is_kept_whole_for_logout(world):
    markup = f'<saml:NameID Format="{PERSISTENT}" NameQualifier="https://idp/x" SPNameQualifier="https://sp/x">8f3c</saml:NameID>'
    named = world.verify(world.message(name_id_xml=markup).encoded()).name_id
    assert named is not None
    assert (named.value, named.format) == ("8f3c", PERSISTENT)
    assert (named.name_qualifier, named.sp_name_qualifier) == ("https://idp/x", "https://sp/x")
