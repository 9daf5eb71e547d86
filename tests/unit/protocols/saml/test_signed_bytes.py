"""A signature is verified on SignedInfo's own canonical bytes, which are what is read: as libxmlsec would, and stricter
where a tree and its bytes could differ.
"""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from lxml import etree

from sso_gate.errors import Reason
from tests.support.saml_forge import DS, EXC_C14N, assertion_of, dsig, make_ec_key_pair, reparsed, sign
from tests.unit.protocols.saml.fuzz import libxmlsec_agrees

CURVES = {
    "P-256": (ec.SECP256R1(), dsig.Transform.ECDSA_SHA256),
    "P-384": (ec.SECP384R1(), dsig.Transform.ECDSA_SHA384),
    "P-521": (ec.SECP521R1(), dsig.Transform.ECDSA_SHA512),
}


def signed(world, **options: Any) -> Any:
    tree = world.message().unsigned_tree()
    sign(assertion_of(tree), options.pop("key", world.idp), **options)
    return reparsed(tree)


def signed_again(text: str, key: str) -> Any:
    """Return a message whose SignedInfo was written by hand, truly signed by the provider's RSA key."""
    tree = etree.fromstring(text)
    info, loaded = next(tree.iter(f"{DS}SignedInfo")), serialization.load_pem_private_key(key.encode(), None)
    assert isinstance(loaded, rsa.RSAPrivateKey)
    octets = etree.tostring(info, method="c14n", exclusive=True, with_tail=False)
    value = loaded.sign(octets, padding.PKCS1v15(), hashes.SHA256())
    next(tree.iter(f"{DS}SignatureValue")).text = base64.b64encode(value).decode()
    return tree


def changed(tree: Any, part: str) -> Any:
    """Return the message with one bit of a value another one."""
    element = next(tree.iter(f"{DS}{part}"))
    value = bytearray(base64.b64decode(element.text))
    value[-1] ^= 1
    element.text = base64.b64encode(bytes(value)).decode()
    return tree


@pytest.mark.parametrize("curve", CURVES)
def test_each_curve_is_accepted_and_a_changed_value_is_not(world, curve):
    key, method = make_ec_key_pair(CURVES[curve][0]), CURVES[curve][1]
    pinned = world.with_settings(certificates=(key.certificate,))
    tree = signed(world, key=key, method=method)
    assert libxmlsec_agrees(etree.tostring(tree), key.certificate)
    assert pinned.accepts(tree).subject == "ana@acme.example"
    assert pinned.refuses(changed(signed(world, key=key, method=method), "SignatureValue")) is Reason.SIGNATURE_INVALID
    assert pinned.refuses(changed(signed(world, key=key, method=method), "DigestValue")) is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize("form", ["DER", "longer", "shorter", "nothing but zeros"])
def test_an_elliptic_curve_signature_has_two_numbers_as_long_as_the_curve(world, form):
    key = make_ec_key_pair()
    tree = signed(world, key=key, method=dsig.Transform.ECDSA_SHA256)
    element = next(tree.iter(f"{DS}SignatureValue"))
    value = base64.b64decode(element.text)
    numbers = int.from_bytes(value[:32], "big"), int.from_bytes(value[32:], "big")
    forms = {
        "DER": utils.encode_dss_signature(*numbers),
        "longer": b"\0" + value[:32] + b"\0" + value[32:],
        "shorter": value[:-1],
        "nothing but zeros": bytes(64),
    }
    element.text = base64.b64encode(forms[form]).decode()
    assert world.with_settings(certificates=(key.certificate,)).refuses(tree) is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize("prefixes", ["xs", "saml samlp", "#default xs ds", "not-declared"])
def test_signed_info_may_be_canonicalized_with_inclusive_prefixes_of_its_own(world, prefixes):
    def with_prefixes(element: Any) -> None:
        method = next(element.iter(f"{DS}CanonicalizationMethod"))
        etree.SubElement(method, f"{EXC_C14N}InclusiveNamespaces").set("PrefixList", prefixes)

    tree = signed(world, before_signing=with_prefixes)
    assert libxmlsec_agrees(etree.tostring(tree), world.idp.certificate)
    assert world.accepts(tree).subject == "ana@acme.example"


def test_a_signature_in_the_default_namespace_is_accepted(world):
    text = etree.tostring(signed(world)).decode()
    text = text.replace("<ds:", "<").replace("</ds:", "</").replace("xmlns:ds=", "xmlns=")
    tree = signed_again(text, world.idp.key)
    assert libxmlsec_agrees(etree.tostring(tree), world.idp.certificate)
    assert world.accepts(tree).subject == "ana@acme.example"


def test_a_namespace_name_that_reads_otherwise_in_signed_info_is_refused_though_it_is_truly_signed(world):
    """libxml2 writes a namespace's name into canonical bytes as it is: the tree has one reading, its bytes another."""
    text = etree.tostring(signed(world)).decode()
    for name, taken in (("urn:plain", True), ("urn:a&amp;b", False)):
        bent = text.replace("<ds:SignedInfo", f"<ds:SignedInfo xmlns:x='{name}' x:a='1'", 1)
        tree = signed_again(bent, world.idp.key)
        assert libxmlsec_agrees(etree.tostring(tree), world.idp.certificate)
        if taken:
            assert world.accepts(tree).subject == "ana@acme.example"
        else:
            assert world.refuses(tree) is Reason.MESSAGE_MALFORMED


def test_a_signed_info_that_hides_much_is_refused_though_it_is_truly_signed(world):
    text = etree.tostring(signed(world)).decode().replace("<ds:Reference ", " " * 20_000 + "<ds:Reference ", 1)
    assert world.refuses(signed_again(text, world.idp.key)) is Reason.SIGNATURE_PROFILE
