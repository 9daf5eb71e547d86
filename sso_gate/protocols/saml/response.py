"""A posted SAML response becomes one verified identity or one refusal: the order of the checks, written out.

1. The route has chosen the connection; the message's Issuer never does (done by the caller, who limits the rate too).
2. Base64, size, UTF-8, one parse, limits (`document`).
3. Everything stands where it may, and nothing else anywhere (`shape`).
4. Every signature has the one form that we take (`signature.profile`).
5. What is encrypted is decrypted, and passes 2 to 4 again (`encryption`).
6. Pinned keys verify; from here on only re-parsed, verified elements are read (`signature.verified`).
7. Issuer, audience, recipient, times, authentication context (`assertion`).
8. The caller compares the request (`require_request`) and consumes request and assertion, once.
9. The subject, whole or not at all, and the attributes (`attributes`).

A signature over the Response is verified before anything inside of it is decrypted: the cheaper order for us, and the
one that gives nobody a decryption oracle.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import date, datetime

from sso_gate.connections.connection import Connection, SamlSettings
from sso_gate.errors import Reason, Refused
from sso_gate.identity import Identity
from sso_gate.protocols.protocol import Endpoints
from sso_gate.protocols.saml import assertion, attributes, document, encryption, shape, signature
from sso_gate.protocols.saml.encryption import Envelope
from sso_gate.protocols.saml.instants import SKEW
from sso_gate.protocols.saml.keys import ServiceProviderKeys
from sso_gate.protocols.saml.name_id import NameId
from sso_gate.protocols.saml.names import SAML, Element
from sso_gate.protocols.saml.refusals import only_refusals
from sso_gate.protocols.saml.request import saml_settings
from sso_gate.protocols.saml.shape import ResponseShape


@dataclass(frozen=True, slots=True)
class VerifiedResponse:
    """Everything that a login needs of a response whose every check but one has passed: `require_request` is the
    caller's.

    `in_response_to` is the signed one; none means an unsolicited response. `assertion_key` (64 hex digits, also the
    identity's `login_id`) must be taken once only until `replay_until`. `name_id` is what single logout needs later.
    `issued` is the provider's clock, and `said` every attribute of the assertion, for a test login to show.
    """

    identity: Identity
    in_response_to: str | None
    assertion_key: str
    replay_until: datetime
    name_id: NameId | None
    issued: datetime
    said: attributes.Attributes = field(repr=False)


def verify(
    encoded: str, *, connection: Connection, endpoints: Endpoints, keys: ServiceProviderKeys, now: datetime
) -> VerifiedResponse:
    """Return what the `SAMLResponse` form field proves about a person, by the pinned settings of `connection`.

    Raises:
        Refused: with exactly one reason, whatever was posted; nothing else is raised for a stranger's message.
    """
    with only_refusals():
        return _verify(encoded, connection, endpoints, keys, now)


def require_request(response: VerifiedResponse, *, expected_request_id: str) -> None:
    """Return only if the signed assertion answers exactly this request of ours. Source: SAML profiles 4.1.4.3.

    Raises:
        Refused: `request_mismatch`.
    """
    if not expected_request_id or response.in_response_to != expected_request_id:
        raise Refused(
            Reason.REQUEST_MISMATCH, f"expected {expected_request_id}, got {(response.in_response_to or 'none')[:256]}"
        )


def _verify(
    encoded: str, connection: Connection, endpoints: Endpoints, keys: ServiceProviderKeys, now: datetime
) -> VerifiedResponse:
    settings = connection.settings
    if not isinstance(settings, SamlSettings):
        raise Refused(Reason.CONNECTION_MISMATCH, f"{connection.id} is not a SAML connection")
    parts = shape.response(document.parse(document.from_base64(encoded)))
    envelope, signed = _verified_parts(parts, settings, keys, now.date())
    shape.again(envelope, signed)
    _check_envelope(envelope, settings, endpoints, signed=parts.signature is not None)
    checked = assertion.check(
        signed,
        issuer=settings.idp_entity_id,
        audience=endpoints.saml_entity_id,
        recipient=endpoints.saml_acs,
        authn_context=settings.authn_context,
        force_authn=settings.force_authn,
        now=now,
    )
    _check_agreement(envelope, checked)
    return _proof(checked, connection)


def _verified_parts(
    parts: ResponseShape, settings: SamlSettings, keys: ServiceProviderKeys, today: date
) -> tuple[Element, Element]:
    """Return the Response (verified where it is signed) and the assertion, which is always verified, each re-parsed."""
    outer = None if parts.signature is None else signature.profile(parts.signature)
    inner = None if parts.assertion_signature is None else signature.profile(parts.assertion_signature)
    if settings.encrypted_assertions == "require" and not parts.encrypted:
        raise Refused(Reason.ENCRYPTION_REFUSED, "this connection takes encrypted assertions only")
    if outer is None and inner is None and not parts.encrypted:
        raise Refused(Reason.SIGNATURE_MISSING, "neither the Response nor the Assertion is signed")
    envelope = parts.root if outer is None else signature.verified(outer, settings.certificates)
    if parts.encrypted:
        return envelope, _decrypted(envelope, settings, keys, today, covered=outer is not None)
    if inner is not None:
        return envelope, signature.verified(inner, settings.certificates)
    return envelope, document.child(envelope, f"{SAML}Assertion")


def _decrypted(
    envelope: Element, settings: SamlSettings, keys: ServiceProviderKeys, today: date, *, covered: bool
) -> Element:
    """Return the decrypted assertion, verified by its own signature, by that around the ciphertext (`covered`), or
    both.
    """
    allow_cbc = settings.allow_cbc_until is not None and today <= settings.allow_cbc_until
    sealed = encryption.envelope(document.child(envelope, f"{SAML}EncryptedAssertion"), allow_cbc=allow_cbc)
    try:
        return _opened(sealed, settings, keys, covered=covered)
    except Exception as error:
        if sealed.authenticated:
            raise
        raise Refused(Reason.ENCRYPTION_REFUSED, encryption.CBC_REFUSED) from error


def _opened(sealed: Envelope, settings: SamlSettings, keys: ServiceProviderKeys, *, covered: bool) -> Element:
    opened = encryption.decrypt(sealed, keys.decryption)
    found = shape.decrypted_assertion(opened)
    if found is not None:
        return signature.verified(signature.profile(found), settings.certificates)
    if not covered:
        raise Refused(Reason.SIGNATURE_MISSING, "neither the Response nor the decrypted Assertion is signed")
    return opened


def _check_envelope(envelope: Element, settings: SamlSettings, endpoints: Endpoints, *, signed: bool) -> None:
    """Hold the Response itself against the connection; unsigned, its words can only refuse, never admit."""
    issuer = document.child(envelope, f"{SAML}Issuer")
    if issuer is not None:
        assertion.require_issuer(issuer, expected=settings.idp_entity_id)
    destination = envelope.get("Destination")
    # SAML bindings 3.5.5.2: a signed message must say where it goes; an unsigned one may leave it out.
    if destination != endpoints.saml_acs and (signed or destination is not None):
        raise Refused(
            Reason.DESTINATION_MISMATCH, f"expected {endpoints.saml_acs}, got {(destination or 'none')[:512]}"
        )


def _check_agreement(envelope: Element, checked: assertion.Checked) -> None:
    """The Response's InResponseTo may be missing or unsigned; what it says must be what the signed assertion says."""
    answered = envelope.get("InResponseTo")
    if answered and answered != checked.confirmation.in_response_to:
        raise Refused(Reason.REQUEST_MISMATCH, "Response and assertion answer different requests")


def _proof(checked: assertion.Checked, connection: Connection) -> VerifiedResponse:
    found, settings = attributes.by_name(checked.attribute_statements), saml_settings(connection)
    email = attributes.email(checked.name_id, found, connection.attributes)
    key = hashlib.sha256(f"{checked.issuer}\0{checked.id}".encode()).hexdigest()
    identity = Identity(
        connection=connection.id,
        organization=connection.organization,
        protocol="saml",
        subject=attributes.subject(
            checked.name_id, found, connection.attributes, name_id_format=settings.name_id_format
        ),
        email=email,
        # The connection is the organization's own; its domains decide what an address is worth.
        email_verified=email is None or attributes.keeps_its_letters(email),
        name=attributes.name(found, connection.attributes),
        groups=attributes.groups(found, connection.attributes),
        authenticated_at=checked.authentication.instant,
        session_index=checked.authentication.session_index,
        login_id=key,
        session_ends_at=checked.authentication.session_not_on_or_after,
        proof_id=checked.id,
        began_at_provider=checked.confirmation.in_response_to is None,
        multi_factor=attributes.multi_factor(checked.authentication.context, found),
    )
    return VerifiedResponse(
        identity=identity,
        in_response_to=checked.confirmation.in_response_to,
        assertion_key=key,
        replay_until=checked.confirmation.not_on_or_after + SKEW,
        name_id=checked.name_id,
        issued=checked.issued,
        said=found,
    )
