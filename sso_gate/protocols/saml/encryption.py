"""Encrypted assertions: one key, one ciphertext, authenticated encryption, and the plaintext under the same rules as
any message.

The plaintext is taken as bytes and parsed by `document`, so an encrypted document type, comment or flood gets no
further than a clear one. AES-CBC cannot be told from a forgery before it is decrypted: it needs the connection's
dated override, and everything that goes wrong with it is one refusal in the same words, or its padding could be asked
(Jager and Somorovsky 2011). Sources: XML Encryption 1.1; SAML core 2.3.4 and 6.
"""

import binascii
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from sso_gate.errors import Reason, Refused
from sso_gate.protocols.saml import document
from sso_gate.protocols.saml.keys import KeyPair
from sso_gate.protocols.saml.names import DS, XENC, XENC11, Element

_AES = 128 // 8
_GCM = {
    "http://www.w3.org/2009/xmlenc11#aes128-gcm": 16,
    "http://www.w3.org/2009/xmlenc11#aes192-gcm": 24,
    "http://www.w3.org/2009/xmlenc11#aes256-gcm": 32,
}
_CBC = {
    "http://www.w3.org/2001/04/xmlenc#aes128-cbc": 16,
    "http://www.w3.org/2001/04/xmlenc#aes192-cbc": 24,
    "http://www.w3.org/2001/04/xmlenc#aes256-cbc": 32,
}
_OAEP_MGF1P = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"
_OAEP_11 = "http://www.w3.org/2009/xmlenc11#rsa-oaep"
# SHA-1 is sound inside OAEP, which does not rest on collisions, and is what rsa-oaep-mgf1p means by default (XML
# Encryption 5.5.2).
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "http://www.w3.org/2000/09/xmldsig#sha1": hashes.SHA1(),  # noqa: S303 - names the mask function of OAEP, not a digest that anything is trusted by - see above
    "http://www.w3.org/2001/04/xmlenc#sha256": hashes.SHA256(),
    "http://www.w3.org/2001/04/xmldsig-more#sha384": hashes.SHA384(),
    "http://www.w3.org/2001/04/xmlenc#sha512": hashes.SHA512(),
}
_MASKS: dict[str, hashes.HashAlgorithm] = {
    "http://www.w3.org/2009/xmlenc11#mgf1sha1": hashes.SHA1(),  # noqa: S303 - see above
    "http://www.w3.org/2009/xmlenc11#mgf1sha256": hashes.SHA256(),
    "http://www.w3.org/2009/xmlenc11#mgf1sha384": hashes.SHA384(),
    "http://www.w3.org/2009/xmlenc11#mgf1sha512": hashes.SHA512(),
}
_SHA1 = "http://www.w3.org/2000/09/xmldsig#sha1"
_MGF1_SHA1 = "http://www.w3.org/2009/xmlenc11#mgf1sha1"
_ELEMENT_TYPE = "http://www.w3.org/2001/04/xmlenc#Element"
CBC_REFUSED = "the AES-CBC ciphertext was refused"


@dataclass(frozen=True, slots=True)
class Envelope:
    """An encrypted assertion whose form has been checked; `authenticated` tells GCM from CBC."""

    key_ciphertext: bytes
    oaep: rsa_padding.OAEP
    data_ciphertext: bytes
    key_length: int
    authenticated: bool
    namespaces: dict[str | None, str]


def envelope(encrypted: Element, *, allow_cbc: bool) -> Envelope:
    """Return the parts of an `EncryptedAssertion`: one EncryptedData, one EncryptedKey inside of it or beside it.

    Raises:
        Refused: `encryption_refused`, for every form and algorithm that is not on the lists.
    """
    data = _only(encrypted, f"{XENC}EncryptedData")
    key = _encrypted_key(encrypted)
    if data.get("Type") not in (None, _ELEMENT_TYPE):
        raise _refused("the encrypted content is not an element")
    algorithm = _algorithm(_only(data, f"{XENC}EncryptionMethod"))
    if algorithm not in _GCM and not (algorithm in _CBC and allow_cbc):
        raise _refused(f"content encryption {algorithm}")
    return Envelope(
        key_ciphertext=_cipher_value(key),
        oaep=_oaep(_only(key, f"{XENC}EncryptionMethod")),
        data_ciphertext=_cipher_value(data),
        key_length=_GCM.get(algorithm) or _CBC[algorithm],
        authenticated=algorithm in _GCM,
        namespaces=dict(encrypted.nsmap),
    )


def decrypt(sealed: Envelope, keys: tuple[KeyPair, ...]) -> Element:
    """Return the decrypted element, parsed under the limits of `document`, opened with whichever of our keys fits.

    Raises:
        Refused: `encryption_refused`; with authenticated encryption also what `document.parse_fragment` raises.
    """
    content_key = _content_key(sealed, keys)
    if sealed.authenticated:
        plaintext = _open_gcm(content_key, sealed.data_ciphertext)
        return document.parse_fragment(plaintext, sealed.namespaces)
    try:
        return document.parse_fragment(_open_cbc(content_key, sealed.data_ciphertext), sealed.namespaces)
    except (Refused, ValueError) as error:
        raise _refused(CBC_REFUSED) from error


def _encrypted_key(encrypted: Element) -> Element:
    found = list(encrypted.iter("{*}EncryptedKey"))
    places = (f"{XENC}EncryptedData/{DS}KeyInfo/{XENC}EncryptedKey", f"{XENC}EncryptedKey")
    expected = [key for place in places for key in encrypted.findall(place)]
    if len(found) != 1 or expected != found or len(list(encrypted.iter("{*}EncryptedData"))) != 1:
        raise _refused("expected one EncryptedData and one EncryptedKey")
    # A peer key is found by being the only one; the address of a RetrievalMethod is never followed.
    return found[0]


def _oaep(method: Element) -> rsa_padding.OAEP:
    algorithm = _algorithm(method)
    digest = _HASHES.get(_parameter(method, f"{DS}DigestMethod", _SHA1))
    # The mask function of OAEP, not a digest that anything is trusted by.
    sha1 = hashes.SHA1()  # noqa: S303 - see above
    mask = sha1 if algorithm == _OAEP_MGF1P else _MASKS.get(_parameter(method, f"{XENC11}MGF", _MGF1_SHA1))
    if algorithm not in (_OAEP_MGF1P, _OAEP_11) or digest is None or mask is None:
        raise _refused(f"key transport {algorithm}")
    if method.find(f"{XENC}OAEPparams") is not None:
        raise _refused("OAEP parameters")
    return rsa_padding.OAEP(mgf=rsa_padding.MGF1(mask), algorithm=digest, label=None)


def _content_key(sealed: Envelope, keys: tuple[KeyPair, ...]) -> bytes:
    for pair in keys:
        try:
            content_key = _private_key(pair.private_key_pem).decrypt(sealed.key_ciphertext, sealed.oaep)
        except ValueError:
            continue
        if len(content_key) == sealed.key_length:
            return content_key
    raise _refused("none of our keys opens the EncryptedKey")


def _open_gcm(key: bytes, data: bytes) -> bytes:
    nonce, sealed = data[:12], data[12:]  # XML Encryption 5.2.4: 96 bits of nonce, ciphertext, 128 bits of tag
    try:
        return AESGCM(key).decrypt(nonce, sealed, None)
    except (InvalidTag, ValueError) as error:
        raise _refused("the ciphertext was changed") from error


def _open_cbc(key: bytes, data: bytes) -> bytes:
    """Return the plaintext; ValueError for anything wrong. Source: XML Encryption 5.2.2 (only the last byte of
    padding counts).
    """
    if len(data) < 2 * _AES or len(data) % _AES:
        raise ValueError("not whole blocks")
    decryptor = Cipher(AES(key), CBC(data[:_AES])).decryptor()
    padded = decryptor.update(data[_AES:]) + decryptor.finalize()
    if not 1 <= padded[-1] <= _AES:
        raise ValueError("padding")
    return padded[: -padded[-1]]


@lru_cache(maxsize=256)
def _private_key(pem: str) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("a decryption key must be RSA")
    return key


def _cipher_value(parent: Element) -> bytes:
    cipher = _only(parent, f"{XENC}CipherData")
    value = _only(cipher, f"{XENC}CipherValue")
    if len(cipher) != 1 or len(value):
        raise _refused("unexpected content of CipherData")
    try:
        return binascii.a2b_base64("".join((value.text or "").split()), strict_mode=True)
    except ValueError as error:
        raise _refused("a CipherValue that is not base64") from error


def _only(parent: Element, tag: str) -> Element:
    found = parent.findall(tag)
    if len(found) != 1:
        raise _refused(f"expected one {tag.rpartition('}')[2]}")
    return found[0]


def _parameter(method: Element, tag: str, default: str) -> str:
    found = method.findall(tag)
    if len(found) > 1:
        raise _refused("a parameter twice")
    return _algorithm(found[0]) if found else default


def _algorithm(method: Element) -> str:
    return str(method.get("Algorithm") or "")[:200]


def _refused(detail: str) -> Refused:
    return Refused(Reason.ENCRYPTION_REFUSED, detail)
