"""The HTTP-Redirect binding: XML deflated into a URL, and signatures over the raw query. Source: SAML bindings 3.4."""

import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from onelogin.saml2.utils import OneLogin_Saml2_Utils

from sso_gate.errors import Reason, Refused
from sso_gate.protocols.saml import document, signature
from sso_gate.protocols.saml.keys import KeyPair
from sso_gate.protocols.saml.names import ECDSA_METHODS, RSA_METHODS, RSA_SHA256

MAX_QUERY_BYTES = 64 * 1024
MAX_RELAY_STATE_BYTES = 80  # SAML bindings 3.4.3
DEFLATE = "urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE"
REQUEST, RESPONSE = "SAMLRequest", "SAMLResponse"
_KNOWN = frozenset({REQUEST, RESPONSE, "RelayState", "SigAlg", "Signature", "SAMLEncoding"})


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message out of a query whose signature has been verified."""

    kind: str
    xml: bytes
    relay_state: str | None


def handle_of_ours(handle: str) -> str:
    """Return the handle, which every provider must give back whole: at most 80 bytes, else ValueError."""
    if len(handle.encode()) > MAX_RELAY_STATE_BYTES:
        raise ValueError("a RelayState holds at most 80 bytes")
    return handle


def address(url: str, *, kind: str, xml: str, relay_state: str | None, signing: KeyPair | None) -> str:
    """Return `url` with the message in its query, signed with RSA-SHA256 where a key is given."""
    fields = [(kind, OneLogin_Saml2_Utils.deflate_and_base64_encode(xml))]
    if relay_state is not None:
        fields.append(("RelayState", relay_state))
    if signing is not None:
        fields.append(("SigAlg", RSA_SHA256))
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in fields)
    if signing is not None:
        signed = OneLogin_Saml2_Utils.sign_binary(query, signing.private_key_pem)
        query += f"&Signature={quote(OneLogin_Saml2_Utils.b64encode(signed), safe='')}"
    return f"{url}{'&' if '?' in url else '?'}{query}"


def receive(query: bytes, certificates: Iterable[str]) -> Arrived:
    """Return the message that a raw query holds, once a pinned key has verified it; nothing is inflated before that.

    Raises:
        Refused: `signature_missing`, `algorithm_refused`, `signature_invalid`, or what a malformed query deserves.
    """
    raw = _fields(query)
    kinds = [kind for kind in (REQUEST, RESPONSE) if kind in raw]
    if len(kinds) != 1:
        raise Refused(Reason.MESSAGE_MALFORMED, "expected one SAML message in the query")
    if _text(raw.get("SAMLEncoding", quote(DEFLATE).encode())) != DEFLATE:
        raise Refused(Reason.MESSAGE_MALFORMED, "an encoding other than DEFLATE")
    _require_signature(raw, kinds[0], certificates)
    relay_state = _text(raw["RelayState"]) if "RelayState" in raw else None
    return Arrived(kinds[0], document.inflate(_base64(raw[kinds[0]])), relay_state)


def _fields(query: bytes) -> dict[str, bytes]:
    """Return the known fields as they stand in the query, still percent-encoded: that is what was signed (3.4.4.1)."""
    if len(query) > MAX_QUERY_BYTES:
        raise Refused(Reason.MESSAGE_TOO_LARGE, f"more than {MAX_QUERY_BYTES} bytes of query")
    found: dict[str, bytes] = {}
    for part in query.split(b"&"):
        encoded_name, _, value = part.partition(b"=")
        name = _text(encoded_name)
        if name not in _KNOWN:
            continue
        if name in found or name.encode() != encoded_name:
            raise Refused(Reason.MESSAGE_MALFORMED, f"{name} twice or in disguise")
        found[name] = value
    return found


def _require_signature(raw: dict[str, bytes], kind: str, certificates: Iterable[str]) -> None:
    if "Signature" not in raw or "SigAlg" not in raw:
        raise Refused(Reason.SIGNATURE_MISSING, "the query is not signed")
    method = _text(raw["SigAlg"])
    if method not in RSA_METHODS | ECDSA_METHODS:
        raise Refused(Reason.ALGORITHM_REFUSED, method[:200])
    names = [name for name in (kind, "RelayState", "SigAlg") if name in raw]
    octets = b"&".join(name.encode() + b"=" + raw[name] for name in names)
    if not signature.verify_octets(octets, _base64(raw["Signature"]), method, certificates):
        raise Refused(Reason.SIGNATURE_INVALID, "no pinned key verifies the query")


def _text(raw: bytes) -> str:
    try:
        return unquote_to_bytes(raw.replace(b"+", b" ")).decode()
    except UnicodeDecodeError as error:
        raise Refused(Reason.MESSAGE_MALFORMED, "a query that is not UTF-8") from error


def _base64(raw: bytes) -> bytes:
    # Line breaks may stand in it (RFC 2045 6.8), encoded as every other character.
    compact = unquote_to_bytes(raw).replace(b"\r", b"").replace(b"\n", b"")
    try:
        return binascii.a2b_base64(compact, strict_mode=True)
    except ValueError as error:
        raise Refused(Reason.MESSAGE_MALFORMED, "a value that is not strict base64") from error
