"""Forged SAML responses, each in the browser of a login under way, with the right request and RelayState."""

from __future__ import annotations

import base64
import copy
import os
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from lxml import etree

from tests.support.keys import make_key_pair
from tests.support.saml_forge import (
    DS,
    XENC,
    assertion_of,
    attribute,
    dsig,
    encode,
    encrypt,
    evil_twin,
    reparsed,
    sign,
)
from tests.unit.protocols.saml.test_wrapping import ATTACKS as WRAPPINGS

XSLT = (
    "<xsl:stylesheet version='1.0' xmlns:xsl='http://www.w3.org/1999/XSL/Transform'>"
    "<xsl:template match='/'><xsl:for-each select='//. | //@*'><xsl:value-of select='count(//.)'/></xsl:for-each>"
    "</xsl:template></xsl:stylesheet>"
)
NOTHING = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="  # SHA-256 of an empty text


def signed(world, bend=None, **options):
    tree = world.message().unsigned_tree()
    sign(assertion_of(tree), options.pop("key", world.idp), **options)
    tree = reparsed(tree)
    if bend:
        bend(tree)
    return encode(tree)


def first(tree, tag, namespace=DS):
    return next(tree.iter(f"{namespace}{tag}"))


def marked_up(world, text, by, **changes):
    """Replace one text of a signed message as bytes, so that nothing is normalised on the way."""
    return encode(etree.tostring(world.message(**changes).tree()).replace(text.encode(), by.encode(), 1))


def with_transform(algorithm, markup="", times=1):
    def bend(tree):
        for _ in range(times):
            added = etree.SubElement(first(tree, "Transforms"), f"{DS}Transform", Algorithm=algorithm)
            if markup:
                added.append(etree.fromstring(markup))

    return bend


def with_reference(uri):
    return lambda tree: first(tree, "Reference").set("URI", uri)


def more_references(times):
    def bend(tree):
        reference = first(tree, "Reference")
        for _ in range(times):
            reference.addnext(copy.deepcopy(reference))

    return bend


def a_fifo(world):
    path = world.scene.gate.folder / "pipe"
    if not path.exists():
        os.mkfifo(path)  # whoever opens it for reading waits
    return path.as_uri()


def public_key_bytes(world):
    certificate = x509.load_pem_x509_certificate(world.idp.certificate.encode())
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return certificate.public_key().public_bytes(serialization.Encoding.PEM, form)


def evil_encrypted_in_place_of_the_signed_one(world):
    tree = world.message().tree()
    encrypt(evil_twin(assertion_of(tree)), world.own.certificate_pem, in_place_of=assertion_of(tree))
    return encode(tree)


def with_doctype(world, declaration, reference=""):
    xml = world.message(name_id="ana@acme.example").xml()
    return encode(declaration + xml.replace("ana@acme.example", reference or "ana@acme.example", 1))


def cipher_reference(world, uri):
    tree = world.message().encrypted(world.own.certificate_pem)
    value = next(tree.iter(f"{XENC}CipherValue"))
    etree.SubElement(value.getparent(), f"{XENC}CipherReference", URI=uri)
    value.getparent().remove(value)
    return encode(tree)


def a_digest_of_nothing(world):
    """What cannot be canonicalized must not be nothing, though that is truly signed: "The Fragile Lock" (2025)."""
    text = etree.tostring(world.message(advice_xml="<x/>").tree()).decode().replace("<x/>", '<x:x xmlns:x="1"/>')
    before, after = text.split("<ds:DigestValue>")
    tree = etree.fromstring(f"{before}<ds:DigestValue>{NOTHING}{after[44:]}".replace("ana@", "bob@"))
    key = serialization.load_pem_private_key(world.idp.key.encode(), None)
    octets = etree.tostring(first(tree, "SignedInfo"), method="c14n", exclusive=True, with_tail=False)
    value = key.sign(octets, padding.PKCS1v15(), hashes.SHA256())
    first(tree, "SignatureValue").text = base64.b64encode(value).decode()
    return encode(tree)


def filled(world, unit):
    xml = world.message().xml()
    return encode(xml.replace("</samlp:Response>", unit * ((190_000 - len(xml)) // len(unit)) + "</samlp:Response>"))


LAUGHS = "<!DOCTYPE r [" + "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha" * 50}">' for n in range(12))

HOUR = timedelta(hours=1)

FORGERIES = {
    # signatures and keys
    "no_signature_at_all": ("signature_missing", lambda w: w.message(signed="none").encoded()),
    "signature_exclusion_of_a_changed_assertion": (
        "signature_missing",
        lambda w: encode(evil_twin_alone(w)),
    ),
    "key_from_the_message": ("key_unknown", lambda w: w.message(key=w.scene.keys["stranger"]).encoded()),
    "key_of_another_connection": ("key_unknown", lambda w: w.message(key=w.scene.keys["second"]).encoded()),
    "stranger_signs_the_response_around_a_signed_assertion": (
        "key_unknown",
        lambda w: encode(reparsed(signed_around(w))),
    ),
    "pinned_certificate_named_by_a_foreign_signature": (
        "signature_invalid",
        lambda w: signed(w, lambda t: name_certificate(t, w), key=w.scene.keys["stranger"]),
    ),
    "changed_name_id_under_a_true_signature": (
        "signature_invalid",
        lambda w: marked_up(w, "ana@acme.example", "owner@acme.example"),
    ),
    "changed_group_under_a_true_signature": ("signature_invalid", lambda w: marked_up(w, "sales", "gate-owners")),
    "hmac_keyed_with_the_certificate": (
        "algorithm_refused",
        lambda w: signed(w, method=dsig.Transform.HMAC_SHA256, secret=w.idp.certificate.encode(), key_info=False),
    ),
    "hmac_keyed_with_the_public_key": (
        "algorithm_refused",
        lambda w: signed(w, method=dsig.Transform.HMAC_SHA256, secret=public_key_bytes(w), key_info=False),
    ),
    "sha1_claimed_for_the_signature": (
        "algorithm_refused",
        lambda w: signed(w, lambda t: first(t, "SignatureMethod").set("Algorithm", dsig.Transform.RSA_SHA1.href)),
    ),
    "sha1_claimed_for_the_digest": (
        "algorithm_refused",
        lambda w: signed(w, lambda t: first(t, "DigestMethod").set("Algorithm", dsig.Transform.SHA1.href)),
    ),
    "ecdsa_claimed_for_an_rsa_key": (
        "signature_invalid",
        lambda w: signed(w, lambda t: first(t, "SignatureMethod").set("Algorithm", dsig.Transform.ECDSA_SHA256.href)),
    ),
    "rsa_1024_key": ("key_unknown", lambda w: w.message(key=make_key_pair("weak", bits=1024)).encoded()),
    "digest_of_nothing": ("message_malformed", a_digest_of_nothing),
    # what a signature may name
    "xslt_transform": (
        "signature_profile",
        lambda w: signed(w, with_transform("http://www.w3.org/TR/1999/REC-xslt-19991116", XSLT)),
    ),
    "xpath_transform": (
        "signature_profile",
        lambda w: signed(
            w,
            with_transform(
                "http://www.w3.org/TR/1999/REC-xpath-19991116",
                "<XPath xmlns='http://www.w3.org/2000/09/xmldsig#'>count(//.) &gt; 0</XPath>",
            ),
        ),
    ),
    "transform_flood": (
        "signature_profile",
        lambda w: signed(w, with_transform("http://www.w3.org/2001/10/xml-exc-c14n#", times=900)),
    ),
    "reference_flood": ("signature_profile", lambda w: signed(w, more_references(100))),
    "second_reference": ("signature_profile", lambda w: signed(w, more_references(1))),
    "reference_to_a_local_file": ("signature_profile", lambda w: signed(w, with_reference(a_fifo(w)))),
    "reference_to_an_address": ("signature_profile", lambda w: signed(w, with_reference(w.scene.canary.url))),
    "reference_by_xpointer": ("signature_profile", lambda w: signed(w, with_reference("#xpointer(/)"))),
    "reference_to_the_whole_document": ("signature_profile", lambda w: signed(w, with_reference(""))),
    # documents
    "doctype_with_a_local_file": (
        "structure_refused",
        lambda w: with_doctype(w, f'<!DOCTYPE r [<!ENTITY e SYSTEM "{a_fifo(w)}">]>', "&e;"),
    ),
    "doctype_with_an_address": (
        "structure_refused",
        lambda w: with_doctype(w, f'<!DOCTYPE r SYSTEM "{w.scene.canary.url}">'),
    ),
    "parameter_entity": (
        "structure_refused",
        lambda w: with_doctype(w, f'<!DOCTYPE r [<!ENTITY % e SYSTEM "{w.scene.canary.url}"> %e;]>'),
    ),
    "billion_laughs": ("structure_refused", lambda w: with_doctype(w, f"{LAUGHS}]>", "&l11;")),
    "comment_in_the_name": (
        "structure_refused",
        lambda w: marked_up(
            w, "owner@acme.example.evil", "owner@acme.example<!---->.evil", name_id="owner@acme.example.evil"
        ),
    ),
    "processing_instruction_in_the_name": (
        "structure_refused",
        lambda w: marked_up(
            w, "owner@acme.example.evil", "owner@acme.example<?x?>.evil", name_id="owner@acme.example.evil"
        ),
    ),
    "comment_in_the_digest": (
        "structure_refused",
        lambda w: encode(etree.tostring(w.message().tree()).replace(b"<ds:DigestValue>", b"<ds:DigestValue><!--x-->")),
    ),
    "utf_16": ("message_malformed", lambda w: base64.b64encode(w.message().xml().encode("utf-16")).decode()),
    "utf_7_declared": (
        "structure_refused",
        lambda w: encode('<?xml version="1.0" encoding="UTF-7"?>' + w.message().xml()),
    ),
    "nul_after_the_document": ("message_malformed", lambda w: encode(etree.tostring(w.message().tree()) + b"\0")),
    "second_document": ("message_malformed", lambda w: encode(etree.tostring(w.message().tree()) * 2)),
    "base64_with_garbage": ("message_malformed", lambda w: "!" + w.message().encoded()),
    "namespace_that_becomes_markup": (
        "message_malformed",
        lambda w: encode(w.message(advice_xml='<y:a xmlns:y="urn:x&quot;&gt;&lt;/y:a&gt;" y:b="c"/>').xml()),
    ),
    "element_in_an_attribute_value": (
        "subject_invalid",
        lambda w: w.message(
            name_id=None, attributes_xml=attribute("subject", "ow<b xmlns='urn:x'>ner</b>", raw=True)
        ).encoded(),
    ),
    # floods
    "flood_of_elements": ("message_too_large", lambda w: filled(w, "<a/>")),
    "flood_of_depth": (
        "message_too_large",
        lambda w: encode("<a>" * 20_000 + "</a>" * 20_000),
    ),
    "flood_of_namespaces": (
        "message_too_large",
        lambda w: filled(w, "<a " + " ".join(f'xmlns:a{n}="u"' for n in range(500)) + "/>"),
    ),
    "body_of_the_largest_size": ("message_malformed", lambda w: base64.b64encode(b"x" * 190_000).decode()),
    "more_than_a_message_may_have": ("message_too_large", lambda w: base64.b64encode(b"x" * 197_000).decode()),
    # encryption
    "unsigned_assertion_that_anybody_could_encrypt": (
        "signature_missing",
        lambda w: encode(w.message(signed="none").encrypted(w.own.certificate_pem)),
    ),
    "encrypted_injection": ("signature_missing", evil_encrypted_in_place_of_the_signed_one),
    "cbc_encryption": (
        "encryption_refused",
        lambda w: encode(w.message().encrypted(w.own.certificate_pem, cipher=dsig.Transform.AES256)),
    ),
    "rsa_1_5_key_transport": (
        "encryption_refused",
        lambda w: encode(w.message().encrypted(w.own.certificate_pem, transport=dsig.Transform.RSA_PKCS1)),
    ),
    "cipher_reference_to_an_address": ("structure_refused", lambda w: cipher_reference(w, w.scene.canary.url)),
    "cipher_reference_to_a_file": ("structure_refused", lambda w: cipher_reference(w, a_fifo(w))),
    # what signed words say
    "status_of_failure": (
        "status_refused",
        lambda w: w.message(status="urn:oasis:names:tc:SAML:2.0:status:Responder", signed="both").encoded(),
    ),
    "another_issuer": ("issuer_mismatch", lambda w: w.message(issuer="https://second.acme.example/saml").encoded()),
    "issuer_as_a_prefix": ("issuer_mismatch", lambda w: w.message(issuer=w.issuer + "/x").encoded()),
    "missing_audience": ("audience_mismatch", lambda w: w.message(audiences=()).encoded()),
    "audience_of_another_connection": (
        "audience_mismatch",
        lambda w: w.message(audience=w.entity_id.replace(w.connection, w.scene.second)).encoded(),
    ),
    "second_restriction_without_us": (
        "audience_mismatch",
        lambda w: w.message(audiences=((w.entity_id,), ("urn:somebody",))).encoded(),
    ),
    "missing_recipient": ("recipient_mismatch", lambda w: w.message(recipient=None).encoded()),
    "recipient_as_a_substring": ("recipient_mismatch", lambda w: w.message(recipient=w.acs + "x").encoded()),
    "destination_as_a_prefix": (
        "destination_mismatch",
        lambda w: w.message(destination=w.acs + "b", signed="both").encoded(),
    ),
    "expired": (
        "response_expired",
        lambda w: w.message(
            conditions_not_before=-2 * HOUR, conditions_not_on_or_after=-HOUR, confirmation_not_on_or_after=-HOUR
        ).encoded(),
    ),
    "from_the_future": ("response_from_future", lambda w: w.message(conditions_not_before=HOUR).encoded()),
    "valid_for_ten_years": (
        "validity_too_long",
        lambda w: w.message(
            conditions_not_on_or_after=timedelta(days=3650), confirmation_not_on_or_after=timedelta(days=3650)
        ).encoded(),
    ),
    "no_end_of_the_confirmation": (
        "validity_too_long",
        lambda w: w.message(confirmation_not_on_or_after=None, conditions_not_on_or_after=None).encoded(),
    ),
    "answer_to_another_request": ("request_mismatch", lambda w: w.message(in_response_to="_another").encoded()),
    "answer_on_the_response_alone": (
        "request_mismatch",
        lambda w: w.message(in_response_to=None, response_in_response_to=w.request_id).encoded(),
    ),
    "answer_to_another_request_hidden_on_the_response": (
        "request_mismatch",
        lambda w: w.message(in_response_to="_another", response_in_response_to=None).encoded(),
    ),
    "unsolicited_in_the_middle_of_a_login": (
        "unsolicited_refused",
        lambda w: w.message(in_response_to=None).encoded(),
    ),
    "holder_of_key_confirmation": (
        "structure_refused",
        lambda w: w.message(method="urn:oasis:names:tc:SAML:2.0:cm:holder-of-key").encoded(),
    ),
    # the person
    "subject_with_a_line_break": (
        "subject_invalid",
        lambda w: w.message(name_id_xml="<saml:NameID>ana&#10;owner</saml:NameID>").encoded(),
    ),
    "no_subject": ("subject_invalid", lambda w: w.message(name_id=None).encoded()),
    "transient_subject": (
        "subject_invalid",
        lambda w: w.message(name_id_format="urn:oasis:names:tc:SAML:2.0:nameid-format:transient").encoded(),
    ),
}


def evil_twin_alone(world):
    tree = world.message().tree()
    original = assertion_of(tree)
    tree.replace(original, evil_twin(original))
    return tree


def signed_around(world):
    tree = world.message().tree()
    sign(tree, world.scene.keys["stranger"])
    return tree


def name_certificate(tree, world):
    first(tree, "X509Certificate").text = "".join(world.idp.certificate.splitlines()[1:-1])


def refused_and_unharmed(scene, build, reason, connection=""):
    jar, pending = scene.under_way.login(connection)
    encoded = build(scene.world(pending))
    connection = pending.connection
    scene.refused(
        lambda: scene.post(jar, encoded, relay_state=pending.relay_state, connection=connection),
        reason,
        connection=connection,
    )


@pytest.mark.parametrize("name", [attack.__name__ for attack in WRAPPINGS])
def test_signature_wrapping(scene, name):
    attack, reason = next((one, why) for one, why in WRAPPINGS.items() if one.__name__ == name)
    refused_and_unharmed(scene, lambda world: encode(attack(world)), reason)


@pytest.mark.parametrize("name", FORGERIES)
def test_forged_message(scene, name):
    reason, build = FORGERIES[name]
    refused_and_unharmed(scene, build, reason)


def test_clear_assertion_where_encryption_is_required(scene):
    jar, pending = scene.under_way.login(scene.sealed)
    encoded = scene.world(pending).message().encoded()
    send = lambda: scene.post(jar, encoded, relay_state=pending.relay_state, connection=scene.sealed)  # noqa: E731 - one call
    scene.refused(send, "encryption_refused", connection=scene.sealed)


def test_body_beyond_the_limit_is_on_record_and_never_read_whole(scene):
    jar, pending = scene.under_way.login()
    send = lambda: scene.post(jar, "A" * (8 * 1024 * 1024), relay_state=pending.relay_state)  # noqa: E731 - one call
    scene.refused(send, "message_too_large")


@pytest.mark.parametrize("body", [b"\xff\xfe", b"SAMLResponse=a&SAMLResponse=b", b"%zz=%ff", b""])
def test_form_that_two_readers_could_understand_differently(scene, body):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    scene.refused(lambda: scene.post_body(f"/sso/saml/{scene.saml}/acs", body, **form), "message_malformed")


def test_another_content_type_is_no_login(scene):
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    scene.refused(lambda: scene.post_body(f"/sso/saml/{scene.saml}/acs", b"--x--", **form), "message_malformed")
