"""Enveloped XML signatures: a narrow profile, pinned keys only, and signed bytes re-parsed as documents of their own.

What is handed on is never the tree that arrived. SignedInfo is read from its canonical bytes, parsed anew, and those
bytes are what a pinned key verifies; the digest in them must be that of the canonical bytes of the signed element; and
those, parsed anew, are what the gate reads. So no difference between what was signed and what is read can exist,
whatever the tree looked like or a canonicalization did. A general library decides all of this on the tree that arrived,
at six times the cost (docs/decisions/0012).

Sources: SAML core 5.4, XML Signature 1.1, SAML metadata interoperability 2.
"""

import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from lxml import etree

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

MINIMUM_RSA_BITS = 2048
MAX_CERTIFICATES_NAMED = 8
MAX_SIGNED_INFO_BYTES = 16 * 1024  # a usual one has 740
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]{0,255}")
_SIGNATURE_CHILDREN = (
    [f"{DS}SignedInfo", f"{DS}SignatureValue"],
    [f"{DS}SignedInfo", f"{DS}SignatureValue", f"{DS}KeyInfo"],
)
_SIGNED_INFO_CHILDREN = [f"{DS}CanonicalizationMethod", f"{DS}SignatureMethod", f"{DS}Reference"]
_REFERENCE_CHILDREN = [f"{DS}Transforms", f"{DS}DigestMethod", f"{DS}DigestValue"]

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class PinnedKey:
    """The public key of a pinned certificate, ready to verify with; `key` is none where it is too weak, or no key."""

    fingerprint: str
    kind: str
    key: PublicKey | None

    @property
    def usable(self) -> bool:
        """Whether anything may be verified with it."""
        return self.key is not None


@dataclass(frozen=True, slots=True)
class SignedInfo:
    """What the bytes of a SignedInfo say: which ID is signed, with which method, and the digest of what bytes.

    `own_prefixes` are the inclusive prefixes of its own canonicalization, `prefixes` those of the signed element's.
    """

    signs: str
    method: str
    digest: str
    digest_value: bytes
    own_prefixes: tuple[str, ...]
    prefixes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """A signature whose form has been checked, not yet its truth; `octets` are what `value` has to sign."""

    element: Element
    octets: bytes
    value: bytes
    info: SignedInfo


def profile(signature: Element) -> Profile:
    """Return the signature's parts if it signs its own parent, whole, in the one way that we take.

    Raises:
        Refused: `signature_profile`, or `algorithm_refused` where an algorithm is not on the list.
    """
    if [child.tag for child in signature] not in _SIGNATURE_CHILDREN or not len(signature[0]):
        raise _unfit("Signature holds other things than SignedInfo, SignatureValue and KeyInfo")
    signed_info, value = signature[0], _base64(signature[1])
    prefixes = _inclusive(signed_info[0])
    octets = _canonical(signed_info, prefixes)
    if not value or len(octets) > MAX_SIGNED_INFO_BYTES:
        raise _unfit("an empty SignatureValue, or a SignedInfo that holds more than we take")
    info = _signed_info(document.parse_signed(octets))
    if info.signs != signature.getparent().get("ID") or info.own_prefixes != prefixes:
        raise _unfit("the Reference does not name the element around the signature")
    return Profile(signature, octets, value, info)


def _signed_info(signed_info: Element) -> SignedInfo:
    """Return what it says if all of it is of the one form that we take."""
    canonicalization, method, reference = _children(signed_info, _SIGNED_INFO_CHILDREN)
    transforms, digest_method, digest_value = _children(reference, _REFERENCE_CHILDREN)
    _children(transforms, [f"{DS}Transform", f"{DS}Transform"])
    signs = (reference.get("URI") or "")[1:]
    if not _ID.fullmatch(signs) or dict(reference.attrib) != {"URI": f"#{signs}"}:
        raise _unfit("the Reference is not to one ID of this document")
    if _algorithm(canonicalization) != EXCLUSIVE_C14N or len(canonicalization) > 1:
        raise _unfit("SignedInfo is not canonicalized exclusively")
    if [_algorithm(transform) for transform in transforms] != [ENVELOPED, EXCLUSIVE_C14N] or len(transforms[0]):
        raise _unfit("the transforms are not enveloped signature, then exclusive canonicalization")
    digest = DIGESTS.get(_algorithm(digest_method))
    if not _kind(_algorithm(method)) or digest is None or len(method) or len(digest_method):
        raise Refused(Reason.ALGORITHM_REFUSED, f"{_algorithm(method)} with {_algorithm(digest_method)}"[:300])
    digest_bytes = _base64(digest_value)
    if len(digest_bytes) != hashlib.new(digest).digest_size:
        raise _unfit("an empty or ill-sized DigestValue")
    own_prefixes, prefixes = _inclusive(canonicalization), _inclusive(transforms[1])
    return SignedInfo(signs, _algorithm(method), digest, digest_bytes, own_prefixes, prefixes)


def verified(signed: Profile, certificates: Iterable[str]) -> Element:
    """Return the signed element, re-parsed from its canonical bytes as the root of its own document, without its
    signature.

    `certificates` are the pinned ones (PEM); their dates do not matter (SAML metadata interoperability 2.6.1), and
    nothing that the message says about keys does. The tree that `signed` stands in loses the signature.

    Raises:
        Refused: `signature_invalid`, `key_unknown` or `algorithm_refused`.
    """
    _require_key(signed, [pinned_key(certificate) for certificate in certificates])
    parent, info = signed.element.getparent(), signed.info
    _detach(signed.element)
    canonical = _canonical(parent, info.prefixes)
    if not hmac.compare_digest(hashlib.new(info.digest, canonical).digest(), info.digest_value):
        raise Refused(Reason.SIGNATURE_INVALID, "the signed element was changed")
    return document.parse_signed(canonical)


def _require_key(signed: Profile, pinned: list[PinnedKey]) -> None:
    """Return only if a pinned key has signed SignedInfo; nothing dear is done with a stranger's message before."""
    method = signed.info.method
    candidates = [key for key in pinned if key.kind == _kind(method)]
    if candidates and not any(key.usable for key in candidates):
        raise Refused(Reason.ALGORITHM_REFUSED, "the pinned key is too weak: RSA below 2048 bits or an unknown curve")
    if _any_holds(candidates, signed.octets, signed.value, method):
        return
    named, known = _named_fingerprints(signed.element), {key.fingerprint for key in pinned}
    if named and not named & known:
        raise Refused(Reason.KEY_UNKNOWN, f"signed with another key than the pinned ones: {', '.join(sorted(named))}")
    raise Refused(Reason.SIGNATURE_INVALID, "no pinned key verifies the signature")


@lru_cache(maxsize=1024)
def pinned_key(certificate: str) -> PinnedKey:
    """Return the public key of a certificate (PEM); one that cannot be read is a key that is never usable."""
    try:
        loaded = x509.load_pem_x509_certificate(certificate.encode())
        public = loaded.public_key()
    except ValueError:
        return PinnedKey("", "", None)
    fingerprint = _fingerprint(loaded.public_bytes(serialization.Encoding.DER))
    if isinstance(public, rsa.RSAPublicKey):
        return PinnedKey(fingerprint, "rsa", public if public.key_size >= MINIMUM_RSA_BITS else None)
    if isinstance(public, ec.EllipticCurvePublicKey):
        return PinnedKey(fingerprint, "ec", public if isinstance(public.curve, _CURVES) else None)
    return PinnedKey(fingerprint, "", None)


def verify_octets(octets: bytes, signature: bytes, method: str, certificates: Iterable[str]) -> bool:
    """Return whether a pinned key verifies a detached signature, as the HTTP-Redirect binding has it (SAML bindings
    3.4.4.1).
    """
    return _any_holds([pinned_key(certificate) for certificate in certificates], octets, signature, method)


def _any_holds(keys: Iterable[PinnedKey], octets: bytes, value: bytes, method: str) -> bool:
    usable = [key.key for key in keys if key.key is not None and key.kind == _kind(method)]
    return any(_holds(key, octets, value, _HASHES[method.rpartition("-")[2]]) for key in usable)


def _holds(key: PublicKey, octets: bytes, value: bytes, digest: hashes.HashAlgorithm) -> bool:
    """Return whether the key made this value over these octets (RFC 9231 2.3: RSASSA-PKCS1-v1_5, or ECDSA)."""
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(value, octets, padding.PKCS1v15(), digest)
        else:
            key.verify(_der(value, (key.key_size + 7) // 8), octets, ec.ECDSA(digest))
    except InvalidSignature:
        return False
    return True


def _der(value: bytes, size: int) -> bytes:
    """Return the two numbers of an ECDSA signature, each written in `size` bytes here, as DER has them (RFC 9231
    2.3.6).
    """
    if len(value) != 2 * size:
        raise InvalidSignature
    return encode_dss_signature(int.from_bytes(value[:size], "big"), int.from_bytes(value[size:], "big"))


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
