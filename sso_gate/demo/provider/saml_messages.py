"""SAML messages of the provider: what it reads and what it signs. Source: SAML core, bindings, metadata 2.0."""

import base64
import binascii
import secrets
import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import xmlsec
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree
from lxml.builder import ElementMaker
from xmlsec import constants

from sso_gate.demo.provider.keys import SigningKeys
from sso_gate.demo.provider.memory import SignedIn
from sso_gate.demo.provider.registry import CannotAnswer, ServiceProvider

ASSERTION = "urn:oasis:names:tc:SAML:2.0:assertion"
PROTOCOL = "urn:oasis:names:tc:SAML:2.0:protocol"
METADATA = "urn:oasis:names:tc:SAML:2.0:metadata"
SIGNATURE = "http://www.w3.org/2000/09/xmldsig#"
BINDINGS = "urn:oasis:names:tc:SAML:2.0:bindings:"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
BASIC = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
PASSWORD = "urn:oasis:names:tc:SAML:2.0:ac:classes:Password"  # noqa: S105 - the name of an authentication context
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
ASSERTION_LIFETIME = timedelta(minutes=5)
LONGEST_MESSAGE_BYTES = 64 * 1024

_saml = ElementMaker(namespace=ASSERTION, nsmap={"saml": ASSERTION})
_samlp = ElementMaker(namespace=PROTOCOL, nsmap={"samlp": PROTOCOL, "saml": ASSERTION})
_md = ElementMaker(namespace=METADATA, nsmap={"md": METADATA, "ds": SIGNATURE})
_ds = ElementMaker(namespace=SIGNATURE, nsmap={"ds": SIGNATURE})


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of the gate: `kind` is `AuthnRequest` or `LogoutRequest`."""

    kind: str
    id: str
    issuer: str
    acs_url: str
    force_authn: bool


def read_request(encoded: str, *, deflated: bool) -> Asked:
    """Return what a `SAMLRequest` parameter asks; `deflated` by HTTP-Redirect (SAML bindings 3.4.4.1).

    Raises:
        CannotAnswer: it is no such message. Signatures are not looked at: answers go to registered addresses alone.
    """
    try:
        data = base64.b64decode(encoded, validate=True)
        root = _parse(_inflate(data) if deflated else data)
    except (binascii.Error, zlib.error, etree.XMLSyntaxError, ValueError) as error:
        raise CannotAnswer("SAMLRequest is not a SAML message") from error
    kind = etree.QName(root)
    if kind.namespace != PROTOCOL or kind.localname not in ("AuthnRequest", "LogoutRequest"):
        raise CannotAnswer(f"a {kind.localname} is not answered here")
    return Asked(
        kind=kind.localname,
        id=root.get("ID", ""),
        issuer=(root.findtext(f"{{{ASSERTION}}}Issuer") or "").strip(),
        acs_url=root.get("AssertionConsumerServiceURL", ""),
        force_authn=root.get("ForceAuthn") in ("true", "1"),
    )


def _inflate(data: bytes) -> bytes:
    inflater = zlib.decompressobj(-15)
    text = inflater.decompress(data, LONGEST_MESSAGE_BYTES)
    if inflater.unconsumed_tail:
        raise ValueError("too long")
    return text


def _parse(data: bytes) -> Any:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    root = etree.fromstring(data[: LONGEST_MESSAGE_BYTES + 1], parser)
    if root.getroottree().docinfo.doctype:
        raise ValueError("a DOCTYPE")
    return root


def signed_response(
    issuer: str, service: ServiceProvider, asked: Asked, signed_in: SignedIn, *, keys: SigningKeys, now: datetime
) -> str:
    """Return the `SAMLResponse` form field: a Response whose assertion about the person is signed."""
    assertion = _assertion(issuer, service, asked, signed_in, now)
    _sign(assertion, keys)
    response = _samlp.Response(
        _saml.Issuer(issuer),
        _samlp.Status(_samlp.StatusCode(Value=SUCCESS)),
        assertion,
        **_head(now),
        InResponseTo=asked.id,
        Destination=service.acs_url,
    )
    return base64.b64encode(etree.tostring(response)).decode("ascii")


def _assertion(issuer: str, service: ServiceProvider, asked: Asked, signed_in: SignedIn, now: datetime) -> Any:
    person, until = signed_in.person, _instant(now + ASSERTION_LIFETIME)
    return _saml.Assertion(
        _saml.Issuer(issuer),
        _saml.Subject(
            _saml.NameID(person.subject, Format=PERSISTENT),
            _saml.SubjectConfirmation(
                _saml.SubjectConfirmationData(InResponseTo=asked.id, Recipient=service.acs_url, NotOnOrAfter=until),
                Method="urn:oasis:names:tc:SAML:2.0:cm:bearer",
            ),
        ),
        _saml.Conditions(
            _saml.AudienceRestriction(_saml.Audience(service.entity_id)), NotBefore=_instant(now), NotOnOrAfter=until
        ),
        _saml.AuthnStatement(
            _saml.AuthnContext(_saml.AuthnContextClassRef(PASSWORD)),
            AuthnInstant=_instant(signed_in.at),
            SessionIndex=signed_in.index,
        ),
        _saml.AttributeStatement(
            _attribute("mail", person.email),
            _attribute("displayName", person.name),
            _attribute("groups", *person.groups),
        ),
        **_head(now),
    )


def _head(now: datetime) -> dict[str, str]:
    return {"ID": f"_{secrets.token_hex(16)}", "Version": "2.0", "IssueInstant": _instant(now)}


def _attribute(name: str, *values: str) -> Any:
    return _saml.Attribute(*(_saml.AttributeValue(value) for value in values), Name=name, NameFormat=BASIC)


def _sign(assertion: Any, keys: SigningKeys) -> None:
    template = xmlsec.template.create(assertion, constants.TransformExclC14N, constants.TransformRsaSha256, ns="ds")
    assertion.insert(1, template)  # after the Issuer, where the schema has it
    reference = xmlsec.template.add_reference(template, constants.TransformSha256, uri=f"#{assertion.get('ID')}")
    xmlsec.template.add_transform(reference, constants.TransformEnveloped)
    xmlsec.template.add_transform(reference, constants.TransformExclC14N)
    xmlsec.tree.add_ids(assertion, ["ID"])
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(keys.saml_key_pem(), constants.KeyDataFormatPem)
    context.sign(template)


def logout_answer_url(
    issuer: str, service: ServiceProvider, asked: Asked, *, relay_state: str, keys: SigningKeys, now: datetime
) -> str:
    """Return where the browser goes after a logout: a signed LogoutResponse (SAML bindings 3.4.4.1)."""
    response = _samlp.LogoutResponse(
        _saml.Issuer(issuer),
        _samlp.Status(_samlp.StatusCode(Value=SUCCESS)),
        **_head(now),
        InResponseTo=asked.id,
        Destination=service.slo_url,
    )
    deflater = zlib.compressobj(wbits=-15)
    message = base64.b64encode(deflater.compress(etree.tostring(response)) + deflater.flush()).decode("ascii")
    fields = {"SAMLResponse": message, **({"RelayState": relay_state} if relay_state else {}), "SigAlg": RSA_SHA256}
    query = urlencode(fields)
    signature = keys.saml_key.sign(query.encode("ascii"), PKCS1v15(), SHA256())
    return f"{service.slo_url}?{query}&{urlencode({'Signature': base64.b64encode(signature)})}"


def metadata(entity_id: str, origin: str, keys: SigningKeys) -> bytes:
    """Return what the provider publishes about itself. Source: SAML metadata 2.4.3."""
    certificate = base64.b64encode(keys.certificate.public_bytes(Encoding.DER)).decode("ascii")
    document = _md.EntityDescriptor(
        _md.IDPSSODescriptor(
            _md.KeyDescriptor(_ds.KeyInfo(_ds.X509Data(_ds.X509Certificate(certificate))), use="signing"),
            _md.SingleLogoutService(Binding=f"{BINDINGS}HTTP-Redirect", Location=f"{origin}/saml/slo"),
            _md.NameIDFormat(PERSISTENT),
            _md.SingleSignOnService(Binding=f"{BINDINGS}HTTP-Redirect", Location=f"{origin}/saml/sso"),
            _md.SingleSignOnService(Binding=f"{BINDINGS}HTTP-POST", Location=f"{origin}/saml/sso"),
            protocolSupportEnumeration=PROTOCOL,
            WantAuthnRequestsSigned="false",
        ),
        entityID=entity_id,
    )
    published: bytes = etree.tostring(document, xml_declaration=True, encoding="UTF-8")
    return published


def _instant(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
