"""A forging kit: SAML responses that are right, and right ones bent in one place, with real signatures and encryption.

Made with lxml and xmlsec alone, so that it shares nothing with the code it tests. `Message` holds every value of a
response; `dataclasses.replace` bends one of them. What a value cannot say is done to the tree: `message.tree()`, then
`sign` and `encode`.
"""

from __future__ import annotations

import base64
import copy
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from lxml import etree

from tests.support.keys import KeyPair

dsig: Any = xmlsec  # its type information leaves out the names that are used here

SAML = "{urn:oasis:names:tc:SAML:2.0:assertion}"
SAMLP = "{urn:oasis:names:tc:SAML:2.0:protocol}"
DS = "{http://www.w3.org/2000/09/xmldsig#}"
XENC = "{http://www.w3.org/2001/04/xmlenc#}"
EXC_C14N = "{http://www.w3.org/2001/10/xml-exc-c14n#}"
EMAIL_FORMAT = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
PASSWORD = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
Tree = Any


def stamp(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def attribute(name: str, *values: str, raw: bool = False) -> str:
    """Return one Attribute; `raw` values are markup."""
    inner = "".join(
        f'<saml:AttributeValue xsi:type="xs:string">{value if raw else escape(value)}</saml:AttributeValue>'
        for value in values
    )
    return f"<saml:Attribute Name={quoteattr(name)}>{inner}</saml:Attribute>"


@dataclass(frozen=True, slots=True)
class Message:
    """A whole response, right in every respect when only the addresses are given; `None` leaves a thing out.

    `signed` is `assertion`, `response`, `both` or `none`. Times are offsets from `now`. The `…_xml` fields are markup
    put in where their names say.
    """

    key: KeyPair
    issuer: str
    acs: str
    audience: str
    in_response_to: str | None = "_request"
    now: datetime = NOW
    signed: str = "assertion"
    response_id: str = field(default_factory=lambda: f"_r{secrets.token_hex(16)}")
    assertion_id: str = field(default_factory=lambda: f"_a{secrets.token_hex(16)}")
    response_issuer: str | None = ""
    response_in_response_to: str | None = ""
    destination: str | None = ""
    recipient: str | None = ""
    status: str = SUCCESS
    name_id: str | None = "ana@acme.example"
    name_id_format: str | None = EMAIL_FORMAT
    audiences: Sequence[Sequence[str]] | None = None
    issued: timedelta = timedelta(0)
    conditions_not_before: timedelta | None = timedelta(minutes=-5)
    conditions_not_on_or_after: timedelta | None = timedelta(minutes=5)
    confirmation_not_on_or_after: timedelta | None = timedelta(minutes=5)
    confirmation_not_before: timedelta | None = None
    authn_instant: timedelta = timedelta(minutes=-1)
    session_not_on_or_after: timedelta | None = timedelta(hours=8)
    session_index: str | None = "_session"
    authn_context: str = PASSWORD
    method: str = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
    attributes: Mapping[str, Sequence[str]] = field(
        default_factory=lambda: {
            "mail": ["ana@acme.example"],
            "displayName": ["Ana Souza"],
            "groups": ["staff", "sales"],
        }
    )
    attributes_xml: str = ""
    subject_xml: str = ""
    conditions_xml: str = ""
    extensions_xml: str = ""
    advice_xml: str = ""
    statements_xml: str = ""
    name_id_xml: str | None = None

    def xml(self) -> str:
        """Return the unsigned response."""
        response_issuer = self.issuer if self.response_issuer == "" else self.response_issuer
        answered = self.in_response_to if self.response_in_response_to == "" else self.response_in_response_to
        destination = self.acs if self.destination == "" else self.destination
        return (
            '<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"'
            ' xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"'
            f' ID="{self.response_id}" Version="2.0" IssueInstant="{stamp(self.now + self.issued)}"'
            f"{_attribute('Destination', destination)}{_attribute('InResponseTo', answered)}>"
            f"{_element('saml:Issuer', response_issuer)}"
            f"{f'<samlp:Extensions>{self.extensions_xml}</samlp:Extensions>' if self.extensions_xml else ''}"
            f'<samlp:Status><samlp:StatusCode Value="{self.status}"/></samlp:Status>'
            f"{self.assertion_xml()}</samlp:Response>"
        )

    def assertion_xml(self) -> str:
        """Return the unsigned assertion, which needs the prefixes samlp and saml declared around it."""
        audiences = [[self.audience]] if self.audiences is None else self.audiences
        restrictions = "".join(
            f"<saml:AudienceRestriction>{''.join(_element('saml:Audience', one) for one in group)}"
            "</saml:AudienceRestriction>"
            for group in audiences
        )
        attributes = "".join(attribute(name, *values) for name, values in self.attributes.items()) + self.attributes_xml
        statement = f"<saml:AttributeStatement>{attributes}</saml:AttributeStatement>" if attributes else ""
        return (
            '<saml:Assertion xmlns:xs="http://www.w3.org/2001/XMLSchema"'
            ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
            f' ID="{self.assertion_id}" Version="2.0" IssueInstant="{stamp(self.now + self.issued)}">'
            f"<saml:Issuer>{escape(self.issuer)}</saml:Issuer>"
            f"<saml:Subject>{self._name_id()}{self.subject_xml}{self._confirmation()}</saml:Subject>"
            f"<saml:Conditions{_attribute('NotBefore', self._at(self.conditions_not_before))}"
            f"{_attribute('NotOnOrAfter', self._at(self.conditions_not_on_or_after))}>"
            f"{restrictions}{self.conditions_xml}</saml:Conditions>"
            f"{f'<saml:Advice>{self.advice_xml}</saml:Advice>' if self.advice_xml else ''}"
            f'<saml:AuthnStatement AuthnInstant="{self._at(self.authn_instant)}"'
            f"{_attribute('SessionIndex', self.session_index)}"
            f"{_attribute('SessionNotOnOrAfter', self._at(self.session_not_on_or_after))}>"
            f"<saml:AuthnContext><saml:AuthnContextClassRef>{self.authn_context}</saml:AuthnContextClassRef>"
            f"</saml:AuthnContext></saml:AuthnStatement>{self.statements_xml}{statement}</saml:Assertion>"
        )

    def unsigned_tree(self) -> Tree:
        """Return the response as a tree, without any signature."""
        return etree.fromstring(self.xml())

    def tree(self) -> Tree:
        """Return the response as a tree, signed as `signed` says: first the assertion, then around it the response."""
        root = self.unsigned_tree()
        if self.signed in ("assertion", "both"):
            sign(assertion_of(root), self.key)
        if self.signed in ("response", "both"):
            sign(root, self.key)
        return reparsed(root)

    def encoded(self) -> str:
        """Return the value of the form field `SAMLResponse`."""
        return encode(self.tree())

    def encrypted(self, certificate: str, **options: Any) -> Tree:
        """Return the response with its assertion encrypted to `certificate`, the assertion signed before, the
        response after.
        """
        root = self.unsigned_tree()
        if self.signed in ("assertion", "both"):
            sign(assertion_of(root), self.key)
        encrypt(assertion_of(root), certificate, **options)
        if self.signed in ("response", "both"):
            sign(root, self.key)
        return reparsed(root)

    def but(self, **changes: Any) -> Message:
        """Return the same message with some values bent."""
        return replace(self, **changes)

    def _at(self, offset: timedelta | None) -> str | None:
        return None if offset is None else stamp(self.now + offset)

    def _name_id(self) -> str:
        if self.name_id_xml is not None:
            return self.name_id_xml
        if self.name_id is None:
            return ""
        return f"<saml:NameID{_attribute('Format', self.name_id_format)}>{escape(self.name_id)}</saml:NameID>"

    def _confirmation(self) -> str:
        recipient = self.acs if self.recipient == "" else self.recipient
        return (
            f'<saml:SubjectConfirmation Method="{self.method}"><saml:SubjectConfirmationData'
            f"{_attribute('Recipient', recipient)}{_attribute('InResponseTo', self.in_response_to)}"
            f"{_attribute('NotBefore', self._at(self.confirmation_not_before))}"
            f"{_attribute('NotOnOrAfter', self._at(self.confirmation_not_on_or_after))}/></saml:SubjectConfirmation>"
        )


def _attribute(name: str, value: str | None) -> str:
    return "" if value is None else f" {name}={quoteattr(value)}"


def _element(name: str, text: str | None) -> str:
    return "" if text is None else f"<{name}>{escape(text)}</{name}>"


def reparsed(tree: Tree) -> Tree:
    """Return the same document anew: lxml does not find by name what xmlsec has put into a tree."""
    return etree.fromstring(etree.tostring(tree))


def assertion_of(root: Tree) -> Tree:
    """Return the assertion of a response tree."""
    return root.find(f"{SAML}Assertion")


def sign(
    element: Tree,
    key: KeyPair,
    *,
    method: Any = dsig.Transform.RSA_SHA256,
    digest: Any = dsig.Transform.SHA256,
    c14n: Any = dsig.Transform.EXCL_C14N,
    transforms: Sequence[Any] = (dsig.Transform.ENVELOPED, dsig.Transform.EXCL_C14N),
    prefixes: str = "",
    key_info: bool = True,
    uri: str | None = None,
    before_signing: Callable[[Tree], None] | None = None,
    secret: bytes | None = None,
) -> Tree:
    """Return the signature made over `element`, put behind its Issuer; `before_signing` may bend the template.

    `secret` signs with an HMAC instead of the key.
    """
    signature = dsig.template.create(element, c14n, method, ns="ds")
    if len(element) and element[0].tag == f"{SAML}Issuer":
        element[0].addnext(signature)
    else:
        element.insert(0, signature)
    reference = dsig.template.add_reference(signature, digest, uri=f"#{element.get('ID')}" if uri is None else uri)
    for transform in transforms:
        added = dsig.template.add_transform(reference, transform)
        if prefixes and transform == dsig.Transform.EXCL_C14N:
            etree.SubElement(added, f"{EXC_C14N}InclusiveNamespaces").set("PrefixList", prefixes)
    if key_info:
        dsig.template.add_x509_data(dsig.template.ensure_key_info(signature))
    if before_signing is not None:
        before_signing(signature)
    context = dsig.SignatureContext()
    context.key = _signing_key(key) if secret is None else _secret_key(secret)
    context.register_id(element, "ID")
    context.sign(signature)
    return signature


def _signing_key(key: KeyPair) -> Any:
    loaded = dsig.Key.from_memory(key.key, dsig.KeyFormat.PEM)
    loaded.load_cert_from_memory(key.certificate, dsig.KeyFormat.PEM)
    return loaded


def _secret_key(secret: bytes) -> Any:
    return dsig.Key.from_binary_data(dsig.KeyData.HMAC, secret)


def encrypt(
    element: Tree,
    certificate: str,
    *,
    cipher: Any = dsig.Transform.AES256_GCM,
    key_bits: int = 256,
    transport: Any = dsig.Transform.RSA_OAEP,
    des: bool = False,
    in_place_of: Tree | None = None,
) -> Tree:
    """Return the EncryptedAssertion that has taken the place of `element` (or of `in_place_of`)."""
    manager = dsig.KeysManager()
    manager.add_key(dsig.Key.from_memory(certificate, dsig.KeyFormat.CERT_PEM))
    data = dsig.template.encrypted_data_create(element, cipher, type=dsig.constants.TypeEncElement, ns="xenc")
    dsig.template.encrypted_data_ensure_cipher_value(data)
    info = dsig.template.encrypted_data_ensure_key_info(data, ns="ds")
    encrypted_key = dsig.template.add_encrypted_key(info, transport)
    dsig.template.encrypted_data_ensure_cipher_value(encrypted_key)
    context = dsig.EncryptionContext(manager)
    kind = dsig.KeyData.DES if des else dsig.KeyData.AES
    context.key = dsig.Key.generate(kind, key_bits, dsig.KeyDataType.SESSION)
    holder = etree.Element(f"{SAML}EncryptedAssertion")
    place = element if in_place_of is None else in_place_of
    parent, position = place.getparent(), place.getparent().index(place)
    sealed = context.encrypt_xml(data, element)
    if sealed.getparent() is not None:
        sealed.getparent().remove(sealed)
    if in_place_of is not None:
        parent.remove(in_place_of)
    holder.append(sealed)
    parent.insert(position, holder)
    return holder


def encode(message: Tree | str | bytes) -> str:
    """Return the base64 of a tree or of markup."""
    if isinstance(message, str):
        message = message.encode()
    if not isinstance(message, bytes):
        message = etree.tostring(message)
    return base64.b64encode(message).decode()


def evil_twin(assertion: Tree, name_id: str = "owner@acme.example") -> Tree:
    """Return a copy of a signed assertion without its signature, about somebody else and with an ID of its own."""
    twin = copy.deepcopy(assertion)
    for signature in twin.findall(f"{DS}Signature"):
        twin.remove(signature)
    twin.set("ID", f"_evil{secrets.token_hex(8)}")
    for named in twin.iter(f"{SAML}NameID"):
        named.text = name_id
    return twin


def make_ec_key_pair(curve: ec.EllipticCurve | None = None) -> KeyPair:
    """Return an elliptic-curve key (P-256) and its self-signed certificate."""
    key = ec.generate_private_key(curve or ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ec")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return KeyPair(pem.decode(), certificate.public_bytes(serialization.Encoding.PEM).decode())
