"""Where things may stand in a SAML message: the grammar of what is read, and of what must not be anywhere else.

A closed grammar is what defeats signature wrapping: there is no place for a second assertion, for a signature over
something else, or for content that one reader sees and another does not.
"""

import re
from dataclasses import dataclass

from sso_gate.errors import Reason, Refused
from sso_gate.protocols.saml.document import child
from sso_gate.protocols.saml.names import DS, SAML, SAMLP, SUCCESS, XENC, Element

_LETTERS = {
    f"{SAML}Issuer": "i",
    f"{DS}Signature": "g",
    f"{SAMLP}Extensions": "x",
    f"{SAMLP}Status": "s",
    f"{SAML}Assertion": "a",
    f"{SAML}EncryptedAssertion": "e",
    f"{SAMLP}StatusCode": "c",
    f"{SAMLP}StatusMessage": "m",
    f"{SAMLP}StatusDetail": "d",
    f"{SAML}Subject": "u",
    f"{SAML}Conditions": "k",
    f"{SAML}Advice": "v",
    f"{SAML}AuthnStatement": "A",
    f"{SAML}AttributeStatement": "B",
    f"{SAML}AuthzDecisionStatement": "Z",
    f"{SAML}NameID": "n",
    f"{SAML}SubjectConfirmation": "f",
    f"{SAML}SubjectConfirmationData": "D",
    f"{SAML}AudienceRestriction": "r",
    f"{SAML}OneTimeUse": "o",
    f"{SAML}ProxyRestriction": "p",
    f"{SAML}Audience": "w",
    f"{SAML}SubjectLocality": "l",
    f"{SAML}AuthnContext": "t",
    f"{SAML}AuthnContextClassRef": "q",
    f"{SAML}AuthnContextDecl": "y",
    f"{SAML}AuthnContextDeclRef": "y",
    f"{SAML}AuthenticatingAuthority": "h",
    f"{SAML}Attribute": "b",
}
# The children that each element may have, in the order of its schema. A condition that we do not know makes an
# assertion invalid (SAML core 2.5.1), and so does everything else without a letter. Advice and Extensions are foreign
# by nature.
_GRAMMAR = {
    f"{SAMLP}Response": re.compile("i?g?x?s[ae]?"),
    f"{SAMLP}Status": re.compile("cm?d?"),
    f"{SAML}Assertion": re.compile("ig?ukv?[ABZ]*"),
    f"{SAML}Subject": re.compile("n?f+"),
    f"{SAML}SubjectConfirmation": re.compile("n?D?"),
    f"{SAML}Conditions": re.compile("[rop]*"),
    f"{SAML}AudienceRestriction": re.compile("w+"),
    f"{SAML}AuthnStatement": re.compile("l?t"),
    f"{SAML}AuthnContext": re.compile("(qy?|y)h*"),
    f"{SAML}AttributeStatement": re.compile("b*"),
}
MOST_IN_A_RESPONSE = 5
_READ = (f"{SAML}Subject", f"{SAML}Conditions", f"{SAML}AuthnStatement", f"{SAML}AttributeStatement")
# In any namespace: a reader that goes by local names must find what we find.
_COUNTED = ("{*}Assertion", "{*}EncryptedAssertion", "{*}Signature")
_FOREIGN = (
    f"{DS}Object",
    f"{DS}Manifest",
    f"{SAML}EncryptedID",
    f"{SAML}EncryptedAttribute",
    f"{SAML}BaseID",
    f"{XENC}CipherReference",
)


@dataclass(frozen=True, slots=True)
class ResponseShape:
    """The parts of a Response, each in its only place; `assertion` may be the encrypted one."""

    root: Element
    signature: Element | None
    assertion: Element
    encrypted: bool
    assertion_signature: Element | None


def response(root: Element) -> ResponseShape:
    """Return the parts of a successful `samlp:Response` that has exactly one assertion, clear or encrypted.

    Raises:
        Refused: `structure_refused`, or `status_refused` where the provider reports a failure.
    """
    if root.tag != f"{SAMLP}Response" or root.get("Version") != "2.0":
        raise Refused(Reason.STRUCTURE_REFUSED, f"expected a SAML 2.0 Response, got {root.tag}")
    if len(root) > MOST_IN_A_RESPONSE:  # a flood is not looked at one by one
        raise Refused(Reason.STRUCTURE_REFUSED, "unexpected content of Response")
    _fits(root)
    require_success(root)
    last = root[-1]
    if last.tag not in (f"{SAML}Assertion", f"{SAML}EncryptedAssertion"):
        raise Refused(Reason.STRUCTURE_REFUSED, "no assertion")
    encrypted = last.tag == f"{SAML}EncryptedAssertion"
    signature, inner = child(root, f"{DS}Signature"), None if encrypted else assertion_signature(last)
    _nothing_hidden(root, last, signature, inner)
    return ResponseShape(root, signature, last, encrypted, inner)


def decrypted_assertion(root: Element) -> Element | None:
    """Return the signature, if there is one, of a decrypted element that is an assertion and nothing more."""
    if root.tag != f"{SAML}Assertion":
        raise Refused(Reason.STRUCTURE_REFUSED, f"an encrypted {root.tag} instead of an assertion")
    signature = assertion_signature(root)
    _nothing_hidden(root, root, signature)
    return signature


def again(envelope: Element, assertion: Element) -> None:
    """Return only if the re-parsed elements have the grammar too: libxml2 does not escape namespace names when it
    canonicalizes, so a tree and its canonical bytes may differ, and it is the bytes that are read.
    """
    require_success(envelope)
    if assertion_signature(assertion) is not None and assertion.getparent() is None:
        raise Refused(Reason.STRUCTURE_REFUSED, "a second signature in the signed assertion")


def assertion_signature(assertion: Element) -> Element | None:
    """Return the signature of an assertion whose parts all stand where the schema has them."""
    if assertion.get("Version") != "2.0":
        raise Refused(Reason.STRUCTURE_REFUSED, "not a SAML 2.0 assertion")
    for tag, part in _fits(assertion):
        if tag in _READ:
            _fits_throughout(part)
    return child(assertion, f"{DS}Signature")


def require_success(message: Element) -> None:
    """Return only if the provider reports success; the second-level code tells an operator more."""
    status = message.find(f"{SAMLP}Status")
    _fits(status)
    codes = [code.get("Value", "") for code in status.iter(f"{SAMLP}StatusCode")]
    if codes[0] != SUCCESS:
        words = status.findtext(f"{SAMLP}StatusMessage", default="")
        raise Refused(Reason.STATUS_REFUSED, f"the provider answered {' '.join(codes)} {words}"[:300].rstrip())


def _fits(element: Element) -> list[tuple[str, Element]]:
    """Return the children by name, each of which may stand where it does."""
    parts = [(part.tag, part) for part in element]
    letters = "".join([_LETTERS.get(tag, "-") for tag, _ in parts])
    if not _GRAMMAR[element.tag].fullmatch(letters):
        raise Refused(Reason.STRUCTURE_REFUSED, f"unexpected content of {element.tag.rpartition('}')[2]}")
    return parts


def _fits_throughout(element: Element) -> None:
    for tag, part in _fits(element):
        if tag in _GRAMMAR:
            _fits_throughout(part)


def _nothing_hidden(root: Element, assertion: Element, *signatures: Element | None) -> None:
    known = [assertion, *(signature for signature in signatures if signature is not None)]
    if any(element not in known for element in root.iter(*_COUNTED)):
        raise Refused(Reason.STRUCTURE_REFUSED, "an assertion or a signature where none may be")
    if next(root.iter(*_FOREIGN), None) is not None:
        raise Refused(Reason.STRUCTURE_REFUSED, "an element that may hide or fetch content")
