"""Enveloped XML signatures: a narrow profile, pinned keys only, and the signed bytes re-parsed as a document of their
own.

What is handed on is never the tree that arrived. It is parsed anew from the canonical bytes, and those bytes are
shown here to be the ones whose digest the verified SignedInfo carries; so no difference between what was signed and
what is read can exist, whatever the tree looked like or a canonicalization did. Sources: SAML core 5.4, XML Signature
1.1, SAML metadata interoperability 2.
"""

import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from lxml import etree
from xmlsec import constants

from sso_gate.errors import Reason, Refused
from sso_gate.protocols.saml import document
from sso_gate.protocols.saml.names import (
    DIGESTS,
    DS,
    ECDSA_METHODS,
    ENVELOPED,
    EXCLUSIVE_C14N,
    INCLUSIVE_NAMESPACES,
    RSA_METHODS,
    Element,
)

# Once, for the whole process: from here on libxmlsec opens no file and no address, whatever a message refers to.
xmlsec.cleanup_callbacks()

MINIMUM_RSA_BITS = 2048
MAX_CERTIFICATES_NAMED = 8
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_REFERENCE_TRANSFORMS = (
    constants.TransformEnveloped,
    constants.TransformExclC14N,
    constants.TransformSha256,
    constants.TransformSha384,
    constants.TransformSha512,
)
_OCTET_TRANSFORMS = {
    transform.href: transform
    for transform in (
        constants.TransformRsaSha256,
        constants.TransformRsaSha384,
        constants.TransformRsaSha512,
        constants.TransformEcdsaSha256,
        constants.TransformEcdsaSha384,
        constants.TransformEcdsaSha512,
    )
}
_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]{0,255}")
_SIGNATURE_CHILDREN = (
    [f"{DS}SignedInfo", f"{DS}SignatureValue"],
    [f"{DS}SignedInfo", f"{DS}SignatureValue", f"{DS}KeyInfo"],
)
_SIGNED_INFO_CHILDREN = [f"{DS}CanonicalizationMethod", f"{DS}SignatureMethod", f"{DS}Reference"]
_REFERENCE_CHILDREN = [f"{DS}Transforms", f"{DS}DigestMethod", f"{DS}DigestValue"]


@dataclass(frozen=True, slots=True)
class PinnedKey:
    """The public key of a pinned certificate, ready to verify with; `usable` is false for keys that are too weak."""

    fingerprint: str
    kind: str
    usable: bool
    key: xmlsec.Key | None


@dataclass(frozen=True, slots=True)
class Profile:
    """A signature whose form has been checked, not yet its truth."""

    element: Element
    method: str
    digest: str
    digest_value: bytes
    inclusive_prefixes: tuple[str, ...]


def profile(signature: Element) -> Profile:
    """Return the signature's parts if it signs its own parent, whole, in the one way that we take.

    Raises:
        Refused: `signature_profile`, or `algorithm_refused` where an algorithm is not on the list.
    """
    if [child.tag for child in signature] not in _SIGNATURE_CHILDREN:
        raise _unfit("Signature holds other things than SignedInfo, SignatureValue and KeyInfo")
    signed_info, value = signature[0], signature[1]
    canonicalization, method, reference = _children(signed_info, _SIGNED_INFO_CHILDREN)
    transforms, digest_method, digest_value = _children(reference, _REFERENCE_CHILDREN)
    _children(transforms, [f"{DS}Transform", f"{DS}Transform"])
    parent_id = signature.getparent().get("ID") or ""
    if not _ID.fullmatch(parent_id) or dict(reference.attrib) != {"URI": f"#{parent_id}"}:
        raise _unfit("the Reference does not name the element around the signature")
    if _algorithm(canonicalization) != EXCLUSIVE_C14N or len(canonicalization) > 1:
        raise _unfit("SignedInfo is not canonicalized exclusively")
    _inclusive(canonicalization)
    if [_algorithm(transform) for transform in transforms] != [ENVELOPED, EXCLUSIVE_C14N] or len(transforms[0]):
        raise _unfit("the transforms are not enveloped signature, then exclusive canonicalization")
    digest = DIGESTS.get(_algorithm(digest_method))
    if not _kind(_algorithm(method)) or digest is None or len(method) or len(digest_method):
        raise Refused(Reason.ALGORITHM_REFUSED, f"{_algorithm(method)} with {_algorithm(digest_method)}"[:300])
    digest_bytes = _base64(digest_value)
    if len(digest_bytes) != hashlib.new(digest).digest_size or not _base64(value):
        raise _unfit("an empty or ill-sized DigestValue or SignatureValue")
    return Profile(signature, _algorithm(method), digest, digest_bytes, _inclusive(transforms[1]))


def verified(signed: Profile, certificates: Iterable[str]) -> Element:
    """Return the signed element, re-parsed from its canonical bytes as the root of its own document, without its
    signature.

    `certificates` are the pinned ones (PEM); their dates do not matter (SAML metadata interoperability 2.6.1), and
    nothing that the message says about keys does. The tree that `signed` stands in loses the signature.

    Raises:
        Refused: `signature_invalid`, `key_unknown` or `algorithm_refused`.
    """
    pinned = [pinned_key(certificate) for certificate in certificates]
    candidates = [key for key in pinned if key.kind == _kind(signed.method)]
    if candidates and not any(key.usable for key in candidates):
        raise Refused(Reason.ALGORITHM_REFUSED, "the pinned key is too weak: RSA below 2048 bits or an unknown curve")
    holds = any(_holds(signed.element, key) for key in candidates if key.usable)
    parent = signed.element.getparent()
    _detach(signed.element)
    canonical = _canonical(parent, signed.inclusive_prefixes)
    if not hmac.compare_digest(hashlib.new(signed.digest, canonical).digest(), signed.digest_value):
        raise Refused(Reason.SIGNATURE_INVALID, "the signed element was changed")
    if not holds:
        named, known = _named_fingerprints(signed.element), {key.fingerprint for key in pinned}
        if named and not named & known:
            raise Refused(
                Reason.KEY_UNKNOWN, f"signed with another key than the pinned ones: {', '.join(sorted(named))}"
            )
        raise Refused(Reason.SIGNATURE_INVALID, "no pinned key verifies the signature")
    return document.parse_signed(canonical)


@lru_cache(maxsize=1024)
def pinned_key(certificate: str) -> PinnedKey:
    """Return the public key of a certificate (PEM); one that cannot be read is a key that is never usable."""
    try:
        loaded = x509.load_pem_x509_certificate(certificate.encode())
        public = loaded.public_key()
    except ValueError:
        return PinnedKey("", "", usable=False, key=None)
    kind, usable = "", False
    if isinstance(public, rsa.RSAPublicKey):
        kind, usable = "rsa", public.key_size >= MINIMUM_RSA_BITS
    elif isinstance(public, ec.EllipticCurvePublicKey):
        kind, usable = "ec", isinstance(public.curve, _CURVES)
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    key = xmlsec.Key.from_memory(pem, constants.KeyDataFormatPem) if usable else None
    return PinnedKey(_fingerprint(loaded.public_bytes(serialization.Encoding.DER)), kind, usable, key)


def verify_octets(octets: bytes, signature: bytes, method: str, certificates: Iterable[str]) -> bool:
    """Return whether a pinned key verifies a detached signature, as the HTTP-Redirect binding has it (SAML bindings
    3.4.4.1).
    """
    transform = _OCTET_TRANSFORMS[method]
    pinned = [pinned_key(certificate) for certificate in certificates]
    return any(
        _octets_hold(octets, signature, transform, key.key)
        for key in pinned
        if key.usable and key.kind == _kind(method)
    )


def _octets_hold(octets: bytes, signature: bytes, transform: Any, key: xmlsec.Key | None) -> bool:
    context = xmlsec.SignatureContext()
    context.key = key
    try:
        context.verify_binary(octets, transform, signature)
    except xmlsec.Error:
        return False
    return True


def _holds(signature: Element, key: PinnedKey) -> bool:
    context = xmlsec.SignatureContext()
    context.key = key.key  # a context with a key never looks for one in KeyInfo
    for transform in _REFERENCE_TRANSFORMS:
        context.enable_reference_transform(transform)
    context.register_id(signature.getparent(), "ID")
    try:
        context.verify(signature)
    except xmlsec.Error:
        return False
    return True


def _detach(signature: Element) -> None:
    """Take the signature out as the enveloped transform does: the text after it stays (XML Signature 6.6.4)."""
    tail, parent, before = signature.tail or "", signature.getparent(), signature.getprevious()
    if before is not None:
        before.tail = (before.tail or "") + tail
    else:
        parent.text = (parent.text or "") + tail
    signature.tail = None
    parent.remove(signature)


def _canonical(element: Element, prefixes: tuple[str, ...]) -> bytes:
    """Return the exclusive canonical form of an element, as the transform has it (Exclusive C14N 2 to 4)."""
    around = element.getparent()
    if "#default" in prefixes or (around is not None and any(prefix in around.nsmap for prefix in prefixes)):
        # lxml canonicalizes a part without the declarations around it, which are asked for here: it must be a whole.
        # And it passes on only prefixes that this thread's parser has met, which `#default` never is but as a name.
        document.parse_signed(b'<met xmlns:default="#default"/>')
        element = document.parse_signed(etree.tostring(element, with_tail=False))
    canonical: bytes = etree.tostring(
        element,
        method="c14n",
        exclusive=True,
        with_comments=False,
        with_tail=False,
        inclusive_ns_prefixes=list(prefixes),
    )
    return canonical


def _inclusive(method: Element) -> tuple[str, ...]:
    """Return the prefixes of an optional InclusiveNamespaces, the only thing that may stand there (Exclusive C14N
    4).
    """
    if not len(method):
        return ()
    if [child.tag for child in method] != [INCLUSIVE_NAMESPACES] or len(method[0]):
        raise _unfit("something else than InclusiveNamespaces in a canonicalization")
    return tuple((method[0].get("PrefixList") or "").split())


def _named_fingerprints(signature: Element) -> set[str]:
    """Return the certificates that a message claims to be signed with: for the operator's eyes, never for the
    verdict.
    """
    found = set()
    for element in list(signature.iter(f"{DS}X509Certificate"))[:MAX_CERTIFICATES_NAMED]:
        try:
            found.add(_fingerprint(binascii.a2b_base64("".join((element.text or "").split()))))
        except ValueError:
            continue
    return found


def _fingerprint(der: bytes) -> str:
    return hashlib.sha256(der).hexdigest()


def _kind(method: str) -> str:
    return "rsa" if method in RSA_METHODS else "ec" if method in ECDSA_METHODS else ""


def _algorithm(method: Element) -> str:
    return str(method.get("Algorithm") or "")


def _children(parent: Element, tags: list[str]) -> Element:
    if [child.tag for child in parent] != tags:
        raise _unfit(f"unexpected content of {parent.tag.rpartition('}')[2]}")
    return parent


def _base64(element: Element) -> bytes:
    if len(element):
        raise _unfit("elements inside a base64 value")
    try:
        return binascii.a2b_base64("".join((element.text or "").split()), strict_mode=True)
    except ValueError as error:
        raise _unfit("a value that is not base64") from error


def _unfit(detail: str) -> Refused:
    return Refused(Reason.SIGNATURE_PROFILE, detail)
