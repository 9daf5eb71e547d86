"""Signature wrapping and its relatives: a true signature in a message that says something else. Each attack has its
name.

The eight shapes are those of "On Breaking SAML: Be Whoever You Want to Be" (Somorovsky and others, 2012); every
message here carries a signature that the pinned key really made.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
from lxml import etree

from sso_gate.errors import Reason
from tests.support.saml_forge import DS, SAML, SAMLP, Tree, assertion_of, encode, encrypt, evil_twin, sign
from tests.unit.protocols.saml.world import World

STRUCTURE, PROFILE, INVALID = Reason.STRUCTURE_REFUSED, Reason.SIGNATURE_PROFILE, Reason.SIGNATURE_INVALID
Attack = Callable[[World], Tree]


def signature_of(element: Tree) -> Tree:
    return element.find(f"{DS}Signature")


def evil_response(root: Tree) -> Tree:
    """Return a copy of a signed response about somebody else, its signature kept."""
    twin = copy.deepcopy(root)
    twin.set("ID", "_evilresponse")
    twin.remove(assertion_of(twin))
    twin.append(evil_twin(assertion_of(root)))
    return twin


def xsw1_original_response_inside_the_signature(world):
    root = world.message(signed="response").tree()
    evil = evil_response(root)
    original = copy.deepcopy(root)
    original.remove(signature_of(original))
    signature_of(evil).append(original)
    return evil


def xsw2_original_response_beside_the_signature(world):
    root = world.message(signed="response").tree()
    evil = evil_response(root)
    original = copy.deepcopy(root)
    original.remove(signature_of(original))
    signature_of(evil).addprevious(original)
    return evil


def xsw3_evil_assertion_before_the_original(world):
    root = world.message().tree()
    assertion_of(root).addprevious(evil_twin(assertion_of(root)))
    return root


def xsw4_original_assertion_inside_the_evil_one(world):
    root = world.message().tree()
    original = assertion_of(root)
    evil = evil_twin(original)
    root.replace(original, evil)
    evil.append(original)
    return root


def xsw5_evil_assertion_with_the_signature_original_at_the_end(world):
    root = world.message().tree()
    original = assertion_of(root)
    signature = signature_of(original)
    evil = evil_twin(original)
    original.addprevious(evil)
    evil[0].addnext(signature)
    return root


def xsw6_original_assertion_inside_the_signature_of_the_evil_one(world):
    root = xsw5_evil_assertion_with_the_signature_original_at_the_end(world)
    evil, original = root.findall(f"{SAML}Assertion")
    signature_of(evil).append(original)
    return root


def xsw7_evil_assertion_in_extensions(world):
    root = world.message().tree()
    extensions = etree.Element(f"{SAMLP}Extensions")
    extensions.append(evil_twin(assertion_of(root)))
    root[0].addnext(extensions)
    return root


def xsw8_original_assertion_in_an_object_of_the_signature(world):
    root = world.message().tree()
    original = assertion_of(root)
    signature = signature_of(original)
    evil = evil_twin(original)
    root.replace(original, evil)
    original.remove(signature)
    evil[0].addnext(signature)
    etree.SubElement(signature, f"{DS}Object").append(original)
    return root


def evil_assertion_with_the_same_id(world):
    root = world.message().tree()
    evil = evil_twin(assertion_of(root))
    evil.set("ID", assertion_of(root).get("ID"))
    root.append(evil)
    return root


def evil_assertion_only_the_signature_is_true(world):
    root = world.message().tree()
    evil = evil_twin(assertion_of(root))
    evil[0].addnext(copy.deepcopy(signature_of(assertion_of(root))))
    root.replace(assertion_of(root), evil)
    return root


def evil_assertion_that_keeps_the_id(world):
    root = evil_assertion_only_the_signature_is_true(world)
    assertion_of(root).set("ID", signature_of(assertion_of(root)).find(f".//{DS}Reference").get("URI")[1:])
    return root


def evil_assertion_in_status_detail(world):
    root = world.message().tree()
    detail = etree.SubElement(root.find(f"{SAMLP}Status"), f"{SAMLP}StatusDetail")
    detail.append(evil_twin(assertion_of(root)))
    return root


def evil_assertion_in_an_attribute_value(world):
    root = world.message().unsigned_tree()
    value = next(root.iter(f"{SAML}AttributeValue"))
    value.append(evil_twin(assertion_of(root)))
    sign(assertion_of(root), world.idp)
    return root


def evil_assertion_in_advice(world):
    root = world.message(advice_xml="<x xmlns='urn:x'/>").unsigned_tree()
    root.find(f".//{SAML}Advice").append(evil_twin(assertion_of(root)))
    sign(assertion_of(root), world.idp)
    return root


def evil_assertion_of_another_namespace(world):
    root = world.message().tree()
    extensions = etree.Element(f"{SAMLP}Extensions")
    etree.SubElement(extensions, "{urn:oasis:names:tc:SAML:1.0:assertion}Assertion", AssertionID="_x")
    root[0].addnext(extensions)
    return root


def two_signed_assertions(world):
    root = world.message().tree()
    root.append(assertion_of(world.message(name_id="bob@acme.example").tree()))
    return root


def an_assertion_after_an_encrypted_one(world):
    root = world.message().encrypted(world.own.certificate_pem)
    root.append(evil_twin(assertion_of(world.message().tree())))
    return root


def an_encrypted_assertion_before_the_signed_one(world):
    root = world.message().tree()
    evil = evil_twin(assertion_of(root))
    assertion_of(root).addprevious(evil)
    encrypt(evil, world.own.certificate_pem)
    return root


def a_signed_assertion_without_a_response(world):
    return assertion_of(world.message().tree())


def the_response_inside_another_root(world):
    envelope = etree.Element("{http://schemas.xmlsoap.org/soap/envelope/}Envelope")
    envelope.append(world.message(signed="both").tree())
    return envelope


def the_response_signature_inside_the_assertion(world):
    root = world.message(signed="response").tree()
    assertion_of(root)[0].addnext(signature_of(root))
    return root


def the_assertion_signature_on_the_response(world):
    root = world.message().tree()
    root[0].addnext(signature_of(assertion_of(root)))
    return root


def the_signature_at_the_end_of_the_assertion(world):
    root = world.message().tree()
    assertion_of(root).append(signature_of(assertion_of(root)))
    return root


def the_signature_in_an_attribute_value(world):
    root = world.message().tree()
    next(root.iter(f"{SAML}AttributeValue")).append(signature_of(assertion_of(root)))
    return root


def the_signature_in_a_namespace_of_its_own(world):
    text = etree.tostring(world.message().tree()).replace(b"http://www.w3.org/2000/09/xmldsig#", b"urn:dsig")
    return etree.fromstring(text)


def two_signatures_on_one_assertion(world):
    root = world.message().tree()
    assertion_of(root)[0].addnext(copy.deepcopy(signature_of(assertion_of(root))))
    return root


def a_signature_in_the_key_info_of_a_signature(world):
    root = world.message().tree()
    signature = signature_of(assertion_of(root))
    signature.find(f"{DS}KeyInfo").append(copy.deepcopy(signature))
    return root


def the_response_id_is_the_assertion_id(world):
    return world.message(response_id="_same", assertion_id="_same").tree()


def an_xml_id_equal_to_the_assertion_id(world):
    text = etree.tostring(world.message(assertion_id="_same", extensions_xml="<x xmlns='urn:x'/>").tree()).decode()
    return text.replace("<x ", '<x xml:id="_same" ')


def an_id_in_a_foreign_namespace_equal_to_the_assertion_id(world):
    extension = "<x xmlns='urn:x' xmlns:wsu='urn:wsu' wsu:Id='_same'/>"
    return world.message(extensions_xml=extension, assertion_id="_same").tree()


def a_second_subject(world):
    twin = world.message(name_id="owner@acme.example").unsigned_tree()
    subject = etree.tostring(next(twin.iter(f"{SAML}Subject"))).decode()
    root = world.message().unsigned_tree()
    assertion_of(root)[1].addnext(etree.fromstring(subject))
    sign(assertion_of(root), world.idp)
    return root


def a_second_name_id(world):
    return world.message(subject_xml="<saml:NameID>owner@acme.example</saml:NameID>").tree()


def a_second_status(world):
    root = world.message(status="urn:oasis:names:tc:SAML:2.0:status:Responder").tree()
    good = world.message().tree().find(f"{SAMLP}Status")
    root.find(f"{SAMLP}Status").addnext(good)
    return root


def a_reordered_response(world):
    root = world.message().tree()
    root.insert(0, assertion_of(root))
    return root


def an_unknown_condition(world):
    return world.message(conditions_xml="<x:only xmlns:x='urn:x'/>").tree()


def a_condition_of_an_unknown_type(world):
    return world.message(conditions_xml='<saml:Condition xmlns:x="urn:x" xsi:type="x:OnlyAtNight"/>').tree()


def an_unknown_statement(world):
    return world.message(statements_xml='<saml:Statement xsi:type="x" xmlns:x="urn:x"/>').tree()


def an_encrypted_name_id(world):
    return world.message(name_id_xml="<saml:EncryptedID/>").tree()


def an_encrypted_attribute(world):
    return world.message(attributes_xml="<saml:EncryptedAttribute/>").tree()


def a_saml_1_response(world):
    return etree.fromstring(world.message().xml().replace("SAML:2.0:protocol", "SAML:1.0:protocol"))


def another_version(world):
    return etree.fromstring(world.message().xml().replace('Version="2.0"', 'Version="2.1"'))


def a_logout_response(world):
    return etree.fromstring(world.message().xml().replace("samlp:Response", "samlp:LogoutResponse"))


def no_assertion_at_all(world):
    root = world.message(signed="response").unsigned_tree()
    root.remove(assertion_of(root))
    sign(root, world.idp)
    return root


ATTACKS: dict[Attack, Reason] = {
    xsw1_original_response_inside_the_signature: STRUCTURE,
    xsw2_original_response_beside_the_signature: STRUCTURE,
    xsw3_evil_assertion_before_the_original: STRUCTURE,
    xsw4_original_assertion_inside_the_evil_one: STRUCTURE,
    xsw5_evil_assertion_with_the_signature_original_at_the_end: STRUCTURE,
    xsw6_original_assertion_inside_the_signature_of_the_evil_one: STRUCTURE,
    xsw7_evil_assertion_in_extensions: STRUCTURE,
    xsw8_original_assertion_in_an_object_of_the_signature: STRUCTURE,
    evil_assertion_with_the_same_id: STRUCTURE,
    evil_assertion_only_the_signature_is_true: PROFILE,
    evil_assertion_that_keeps_the_id: INVALID,
    evil_assertion_in_status_detail: STRUCTURE,
    evil_assertion_in_an_attribute_value: STRUCTURE,
    evil_assertion_in_advice: STRUCTURE,
    evil_assertion_of_another_namespace: STRUCTURE,
    two_signed_assertions: STRUCTURE,
    an_assertion_after_an_encrypted_one: STRUCTURE,
    an_encrypted_assertion_before_the_signed_one: STRUCTURE,
    a_signed_assertion_without_a_response: STRUCTURE,
    the_response_inside_another_root: STRUCTURE,
    the_response_signature_inside_the_assertion: PROFILE,
    the_assertion_signature_on_the_response: PROFILE,
    the_signature_at_the_end_of_the_assertion: STRUCTURE,
    the_signature_in_an_attribute_value: STRUCTURE,
    the_signature_in_a_namespace_of_its_own: STRUCTURE,
    two_signatures_on_one_assertion: STRUCTURE,
    a_signature_in_the_key_info_of_a_signature: STRUCTURE,
    the_response_id_is_the_assertion_id: STRUCTURE,
    an_xml_id_equal_to_the_assertion_id: STRUCTURE,
    an_id_in_a_foreign_namespace_equal_to_the_assertion_id: STRUCTURE,
    a_second_subject: STRUCTURE,
    a_second_name_id: STRUCTURE,
    a_second_status: STRUCTURE,
    a_reordered_response: STRUCTURE,
    an_unknown_condition: STRUCTURE,
    a_condition_of_an_unknown_type: STRUCTURE,
    an_unknown_statement: STRUCTURE,
    an_encrypted_name_id: STRUCTURE,
    an_encrypted_attribute: STRUCTURE,
    a_saml_1_response: STRUCTURE,
    another_version: STRUCTURE,
    a_logout_response: STRUCTURE,
    no_assertion_at_all: STRUCTURE,
}


@pytest.mark.parametrize(("attack", "reason"), ATTACKS.items(), ids=[attack.__name__ for attack in ATTACKS])
def test_is_refused(world, attack, reason):
    assert world.reason(encode(attack(world))) is reason


@pytest.mark.parametrize("signed", ["assertion", "response", "both"])
def test_every_change_of_a_signed_text_is_refused(world, signed):
    tree = world.message(signed=signed).tree()
    signed_part = assertion_of(tree) if signed == "assertion" else tree
    texts = [element for element in signed_part.iter() if element.text and not element.tag.startswith(DS)]
    assert len(texts) >= 8
    for position in range(len(texts)):
        forged = copy.deepcopy(tree)
        part = assertion_of(forged) if signed == "assertion" else forged
        [element for element in part.iter() if element.text and not element.tag.startswith(DS)][position].text += "x"
        assert world.refuses(forged) is INVALID


def test_a_namespace_name_that_would_canonicalize_into_markup_is_refused(world):
    # libxml2 writes namespace names into canonical XML as they are, so that a tree and its signed bytes may differ.
    hidden = "urn:x&quot;&gt;&lt;/y:a&gt;&lt;saml:Assertion xmlns:y=&quot;urn:x"
    markup = world.message(advice_xml=f'<y:a xmlns:y="{hidden}" y:b="c"/>').xml()
    assert world.refuses(markup) is Reason.MESSAGE_MALFORMED
    assert world.refuses(world.message(advice_xml='<y:a xmlns:y="urn:x&amp;y"/>')) is Reason.MESSAGE_MALFORMED


@pytest.mark.parametrize("name", ["1", "a b", "../x", "?", "#x"])
def test_a_namespace_that_libxml2_cannot_canonicalize_does_not_void_the_digest(world, name):
    # "The Fragile Lock" (2025): a relative namespace name makes a canonicalization fail, and an empty text be digested.
    text = etree.tostring(world.message(advice_xml="<x/>").tree()).decode()
    text = text.replace("<x/>", f'<x:x xmlns:x="{name}"/>').replace("ana@", "bob@")
    assert world.refuses(text) in (INVALID, Reason.MESSAGE_MALFORMED)
    digest = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    before, after = text.split("<ds:DigestValue>")
    assert world.refuses(before + f"<ds:DigestValue>{digest}" + after[44:]) in (INVALID, Reason.MESSAGE_MALFORMED)


def test_a_status_that_is_not_success_is_refused_with_or_without_assertion(world):
    denied = world.message(status="urn:oasis:names:tc:SAML:2.0:status:Responder", signed="both").tree()
    assert world.refuses(denied) is Reason.STATUS_REFUSED
    denied.remove(assertion_of(denied))
    assert world.refuses(denied) is Reason.STATUS_REFUSED


def test_a_success_below_a_failure_is_a_failure(world):
    root = world.message(status="urn:oasis:names:tc:SAML:2.0:status:Requester").tree()
    code = next(root.iter(f"{SAMLP}StatusCode"))
    etree.SubElement(code, f"{SAMLP}StatusCode", Value="urn:oasis:names:tc:SAML:2.0:status:Success")
    assert world.refuses(root) is Reason.STATUS_REFUSED
