"""Encrypted assertions: what is refused before, while and after they are opened."""

from __future__ import annotations

import base64
import copy
import time
from datetime import date, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from lxml import etree

from sso_gate.errors import Reason, Refused
from tests.support.saml_forge import DS, NOW, SAML, XENC, assertion_of, dsig, encode, encrypt, evil_twin, reparsed, sign
from tests.unit.protocols.saml.world import own_keys

ENCRYPTION = Reason.ENCRYPTION_REFUSED
CBC_128 = {"cipher": dsig.Transform.AES128, "key_bits": 128}
TODAY = NOW.date()


def public_key_of(world) -> rsa.RSAPublicKey:
    public = x509.load_pem_x509_certificate(world.own.certificate_pem.encode()).public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    return public


def seal(world, plaintext: bytes, *, gcm: bool = True, padded: bytes | None = None) -> str:
    """Return a response whose encrypted content is any bytes at all: anybody may encrypt to our public key."""
    tree = world.message().encrypted(world.own.certificate_pem, **({} if gcm else CBC_128))
    key = AESGCM.generate_key(256 if gcm else 128)
    public = public_key_of(world)
    wrapped = public.encrypt(key, padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None))
    nonce = b"n" * 12 if gcm else b"n" * 16
    if gcm:
        sealed = AESGCM(key).encrypt(nonce, plaintext, None)
    else:
        missing = 16 - len(plaintext) % 16
        whole = plaintext + bytes(missing - 1) + bytes([missing]) if padded is None else padded
        encryptor = Cipher(AES(key), CBC(nonce)).encryptor()
        sealed = encryptor.update(whole) + encryptor.finalize()
    outer, inner = list(tree.iter(f"{XENC}CipherValue"))
    if outer.getparent().getparent().tag == f"{XENC}EncryptedKey":
        outer, inner = inner, outer
    values = {f"{XENC}EncryptedKey": wrapped, f"{XENC}EncryptedData": nonce + sealed}
    for value in (outer, inner):
        value.text = base64.b64encode(values[value.getparent().getparent().tag]).decode()
    return encode(tree)


def signed_assertion(world, **changes) -> bytes:
    data: bytes = etree.tostring(assertion_of(world.message(**changes).tree()))
    return data


def test_the_forging_of_these_tests_makes_good_messages_too(world):
    assert world.verify(seal(world, signed_assertion(world))).identity.subject == "ana@acme.example"
    cbc = world.with_settings(allow_cbc_until=TODAY)
    assert cbc.verify(seal(world, signed_assertion(world), gcm=False)).identity.subject == "ana@acme.example"


def test_an_unsigned_assertion_that_anybody_could_encrypt_is_refused(world):
    assert world.refuses(world.message(signed="none").encrypted(world.own.certificate_pem)) is Reason.SIGNATURE_MISSING


def test_an_evil_assertion_encrypted_in_place_of_the_signed_one_is_refused(world):
    tree = world.message().tree()
    evil = evil_twin(assertion_of(tree))
    tree.replace(assertion_of(tree), evil)
    encrypt(evil, world.own.certificate_pem)
    assert world.refuses(reparsed(tree)) is Reason.SIGNATURE_MISSING


def test_ciphertext_exchanged_under_a_signed_response_is_refused(world):
    tree = world.message(signed="response").encrypted(world.own.certificate_pem)
    other = world.message(name_id="owner@acme.example").encrypted(world.own.certificate_pem)
    tree.replace(tree[-1], copy.deepcopy(other[-1]))
    assert world.refuses(tree) is Reason.SIGNATURE_INVALID


def test_a_changed_ciphertext_is_refused(world):
    tree = world.message().encrypted(world.own.certificate_pem)
    value = list(tree.iter(f"{XENC}CipherValue"))[-1]
    raw = bytearray(base64.b64decode("".join(value.text.split())))
    raw[40] ^= 1
    value.text = base64.b64encode(bytes(raw)).decode()
    assert world.refuses(tree) is ENCRYPTION


def test_an_assertion_encrypted_to_another_key_is_refused(world):
    assert world.refuses(world.message().encrypted(own_keys("new").certificate_pem)) is ENCRYPTION
    assert world.with_keys().refuses(world.message().encrypted(world.own.certificate_pem)) is ENCRYPTION


def test_a_clear_assertion_is_refused_where_encryption_is_required(world):
    strict = world.with_settings(encrypted_assertions="require")
    assert strict.refuses(world.message()) is ENCRYPTION
    assert strict.accepts(world.message().encrypted(world.own.certificate_pem)).subject == "ana@acme.example"


@pytest.mark.parametrize(
    "options",
    [
        CBC_128,
        {"cipher": dsig.Transform.AES256, "key_bits": 256},
        {"cipher": dsig.Transform.DES3, "key_bits": 192, "des": True},
        {"transport": dsig.Transform.RSA_PKCS1},
    ],
    ids=["aes128-cbc", "aes256-cbc", "3des", "rsa-1_5"],
)
def test_weak_encryption_is_refused(world, options):
    assert world.refuses(world.message().encrypted(world.own.certificate_pem, **options)) is ENCRYPTION


def test_cbc_is_taken_until_the_day_of_the_override_and_never_rsa_1_5_or_3des(world):
    message = world.message().encrypted(world.own.certificate_pem, **CBC_128)
    assert world.with_settings(allow_cbc_until=TODAY).accepts(message).subject == "ana@acme.example"
    assert world.with_settings(allow_cbc_until=TODAY - timedelta(days=1)).refuses(message) is ENCRYPTION
    ever = world.with_settings(allow_cbc_until=date.max)
    des = world.message().encrypted(world.own.certificate_pem, cipher=dsig.Transform.DES3, key_bits=192, des=True)
    assert ever.refuses(des) is ENCRYPTION
    old = world.message().encrypted(world.own.certificate_pem, **CBC_128, transport=dsig.Transform.RSA_PKCS1)
    assert ever.refuses(old) is ENCRYPTION


def test_a_content_key_of_another_length_than_the_cipher_wants_is_refused(world):
    tree = world.message().encrypted(world.own.certificate_pem)
    data = next(tree.iter(f"{XENC}EncryptedData")).find(f"{XENC}EncryptionMethod")
    data.set("Algorithm", dsig.Transform.AES128_GCM.href)
    assert world.refuses(tree) is ENCRYPTION


def test_nothing_tells_wrong_padding_from_wrong_xml_from_a_wrong_signature(world):
    cbc = world.with_settings(allow_cbc_until=TODAY)
    good = signed_assertion(world)
    evil = good.replace(b"ana@acme", b"bob@acme")
    block = b"x" * 16
    contents = [
        seal(world, b"", gcm=False, padded=block[:-1] + b"\x00"),
        seal(world, b"", gcm=False, padded=block[:-1] + b"\xff"),
        seal(world, b"", gcm=False, padded=block[:-1] + b"\x11"),
        seal(world, b"", gcm=False, padded=b""),
        seal(world, b"not xml", gcm=False),
        seal(world, b"", gcm=False),
        seal(world, b"\xff\xfe", gcm=False),
        seal(world, b"<a/>", gcm=False),
        seal(world, b"<!DOCTYPE a><a/>", gcm=False),
        seal(world, good[:-1], gcm=False),
        seal(world, good + good, gcm=False),
        seal(world, evil, gcm=False),
        seal(world, evil.replace(b"rsa-sha256", b"rsa-sha1"), gcm=False),
        seal(world, etree.tostring(assertion_of(world.message(signed="none").tree())), gcm=False),
    ]
    said = set()
    for content in contents:
        with pytest.raises(Refused) as refused:
            cbc.verify(content)
        said.add((refused.value.reason, refused.value.detail))
    assert len(said) == 1
    assert said.pop()[0] is ENCRYPTION


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", Reason.STRUCTURE_REFUSED),
        (b"text", Reason.STRUCTURE_REFUSED),
        (b"\xff\xfe<\x00a\x00", Reason.MESSAGE_MALFORMED),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", Reason.STRUCTURE_REFUSED),
        (b"<a><!-- c --></a>", Reason.STRUCTURE_REFUSED),
        (b"<a/>", Reason.STRUCTURE_REFUSED),
        (b"<a/><b/>", Reason.STRUCTURE_REFUSED),
        (b"</fragment><fragment><a/>", Reason.MESSAGE_MALFORMED),
        (b"</fragment>", Reason.MESSAGE_MALFORMED),
        (b"<a>" * 40 + b"</a>" * 40, Reason.MESSAGE_TOO_LARGE),
        (b"<a/>" * 5000, Reason.MESSAGE_TOO_LARGE),
    ],
)
def test_decrypted_content_passes_the_same_preflight(world, content, reason):
    assert world.reason(seal(world, content)) is reason


def test_a_second_assertion_inside_the_decrypted_one_is_refused(world):
    root = world.message(advice_xml="<x xmlns='urn:x'/>").unsigned_tree()
    root.find(f".//{SAML}Advice").append(evil_twin(assertion_of(root)))
    sign(assertion_of(root), world.idp)
    assert world.reason(seal(world, etree.tostring(assertion_of(root)))) is Reason.STRUCTURE_REFUSED


def test_a_whole_response_inside_the_ciphertext_is_refused(world):
    assert world.reason(seal(world, etree.tostring(world.message().tree()))) is Reason.STRUCTURE_REFUSED


def test_an_encrypted_assertion_inside_the_decrypted_one_is_refused(world):
    inner = etree.tostring(world.message().encrypted(world.own.certificate_pem)[-1])
    assert world.reason(seal(world, inner)) is Reason.STRUCTURE_REFUSED


def test_a_declaration_before_the_decrypted_assertion_is_accepted(world):
    content = b'<?xml version="1.0" encoding="UTF-8"?>\n' + signed_assertion(world)
    assert world.verify(seal(world, content)).identity.subject == "ana@acme.example"


def test_a_key_beside_the_data_is_accepted_and_its_retrieval_method_is_not_followed(world):
    tree = world.message().encrypted(world.own.certificate_pem)
    holder = tree[-1]
    key = next(holder.iter(f"{XENC}EncryptedKey"))
    info = key.getparent()
    holder.append(key)
    key.set("Id", "_key")
    etree.SubElement(info, f"{DS}RetrievalMethod", URI="file:///dev/zero")
    start = time.process_time()
    assert world.accepts(tree).subject == "ana@acme.example"
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize("where", ["EncryptedData", "EncryptedKey"])
@pytest.mark.parametrize("uri", ["file:///dev/zero", "http://127.0.0.1:9/"])
def test_a_cipher_reference_is_refused_and_nothing_is_opened(world, where, uri):
    tree = world.message().encrypted(world.own.certificate_pem)
    data = next(tree.iter(f"{XENC}{where}")).find(f"{XENC}CipherData")
    data.remove(data[0])
    etree.SubElement(data, f"{XENC}CipherReference", URI=uri)
    start = time.process_time()
    assert world.refuses(tree) is Reason.STRUCTURE_REFUSED
    assert time.process_time() - start < 0.5


def _twice(tag):
    def bend(tree):
        found = next(tree.iter(tag))
        found.addnext(copy.deepcopy(found))

    return bend


def _without(tag):
    def bend(tree):
        found = next(tree.iter(tag))
        found.getparent().remove(found)

    return bend


def _with(tag, name, value):
    def bend(tree):
        next(tree.iter(tag)).set(name, value)

    return bend


def _oaep_parameters(tree):
    method = next(tree.iter(f"{XENC}EncryptedKey")).find(f"{XENC}EncryptionMethod")
    etree.SubElement(method, f"{XENC}OAEPparams").text = "AAAA"


def _unknown_digest(tree):
    method = next(tree.iter(f"{XENC}EncryptedKey")).find(f"{XENC}EncryptionMethod")
    etree.SubElement(method, f"{DS}DigestMethod", Algorithm="http://www.w3.org/2001/04/xmldsig-more#md5")


def _split_value(tree):
    etree.SubElement(next(tree.iter(f"{XENC}CipherValue")), "{urn:x}split")


def _bad_base64(tree):
    next(tree.iter(f"{XENC}CipherValue")).text = "***"


def _key_in_a_key(tree):
    key = next(tree.iter(f"{XENC}EncryptedKey"))
    info = etree.SubElement(key, f"{DS}KeyInfo")
    info.append(copy.deepcopy(key))


@pytest.mark.parametrize(
    "bend",
    [
        _twice(f"{XENC}EncryptedKey"),
        _twice(f"{XENC}EncryptedData"),
        _twice(f"{XENC}CipherData"),
        _twice(f"{XENC}EncryptionMethod"),
        _twice(f"{XENC}CipherValue"),
        _without(f"{XENC}EncryptedKey"),
        _without(f"{XENC}EncryptedData"),
        _without(f"{XENC}EncryptionMethod"),
        _without(f"{XENC}CipherData"),
        _with(f"{XENC}EncryptedData", "Type", "http://www.w3.org/2001/04/xmlenc#Content"),
        _with(f"{XENC}EncryptionMethod", "Algorithm", "http://www.w3.org/2001/04/xmlenc#kw-aes128"),
        _oaep_parameters,
        _unknown_digest,
        _split_value,
        _bad_base64,
        _key_in_a_key,
    ],
)
def test_another_form_of_encryption_is_refused(world, bend):
    tree = world.message().encrypted(world.own.certificate_pem)
    bend(tree)
    assert world.refuses(tree) is ENCRYPTION


@pytest.mark.parametrize(
    ("digest", "mask"),
    [
        ("http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2009/xmlenc11#mgf1sha256"),
        ("http://www.w3.org/2001/04/xmlenc#sha512", "http://www.w3.org/2009/xmlenc11#mgf1sha1"),
    ],
)
def test_the_newer_oaep_with_its_own_digests_is_accepted(world, digest, mask):
    names = {
        "sha256": hashes.SHA256(),
        "sha512": hashes.SHA512(),
        "mgf1sha256": hashes.SHA256(),
        "mgf1sha1": hashes.SHA1(),
    }
    tree = world.message().encrypted(world.own.certificate_pem)
    key_element = next(tree.iter(f"{XENC}EncryptedKey"))
    method = key_element.find(f"{XENC}EncryptionMethod")
    method.set("Algorithm", "http://www.w3.org/2009/xmlenc11#rsa-oaep")
    for child in list(method):
        method.remove(child)
    etree.SubElement(method, f"{DS}DigestMethod", Algorithm=digest)
    etree.SubElement(method, "{http://www.w3.org/2009/xmlenc11#}MGF", Algorithm=mask)
    key = AESGCM.generate_key(256)
    public = public_key_of(world)
    oaep = padding.OAEP(padding.MGF1(names[mask.rpartition("#")[2]]), names[digest.rpartition("#")[2]], None)
    sealed = b"n" * 12 + AESGCM(key).encrypt(b"n" * 12, signed_assertion(world), None)
    key_element.find(f".//{XENC}CipherValue").text = base64.b64encode(public.encrypt(key, oaep)).decode()
    data = next(tree.iter(f"{XENC}EncryptedData")).find(f"{XENC}CipherData/{XENC}CipherValue")
    data.text = base64.b64encode(sealed).decode()
    assert world.accepts(tree).subject == "ana@acme.example"
