"""Single logout, both directions: every message signed, nothing unsigned is ever believed. Source: SAML core 3.7,
profiles 4.4.

Whoever receives a `LogoutRequested` must take its `replay_key` once only; whoever receives a `LogoutAnswered` must
compare `in_response_to` with the logout it began.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from xml.sax.saxutils import quoteattr

from onelogin.saml2.xml_templates import OneLogin_Saml2_Templates

from sso_gate.connections.connection import Connection, SamlSettings
from sso_gate.errors import Reason, Refused
from sso_gate.protocols.protocol import Departure, Endpoints
from sso_gate.protocols.saml import document, instants, name_id, redirect, schemas, signature
from sso_gate.protocols.saml.assertion import require_issuer
from sso_gate.protocols.saml.instants import SKEW
from sso_gate.protocols.saml.keys import ServiceProviderKeys
from sso_gate.protocols.saml.name_id import NameId
from sso_gate.protocols.saml.names import DS, PARTIAL_LOGOUT, RESPONDER, SAML, SAMLP, SUCCESS, XENC, Element
from sso_gate.protocols.saml.refusals import only_refusals
from sso_gate.protocols.saml.request import escaped, fill, new_message_id, saml_settings

MAX_SESSION_INDEXES = 64
MAX_RELAY_STATE_BYTES = 1024  # 80 by the book (SAML bindings 3.4.3), which not every provider has read
LIFETIME = timedelta(minutes=5)  # a logout message travels at once, through one redirect


@dataclass(frozen=True, slots=True)
class LogoutRequested:
    """The provider asks to end these sessions (all of the subject's where `session_indexes` is empty).

    `replay_key` (64 hex digits) must be taken once only until `replay_until`.
    """

    name_id: NameId
    session_indexes: tuple[str, ...]
    request_id: str
    replay_key: str
    replay_until: datetime
    relay_state: str | None


@dataclass(frozen=True, slots=True)
class LogoutAnswered:
    """The provider answers a logout of ours; `success` is false where some of its sessions may live on."""

    in_response_to: str
    success: bool
    relay_state: str | None


def begin_logout(
    connection: Connection,
    endpoints: Endpoints,
    *,
    name_id: NameId,
    session_index: str | None,
    handle: str,
    keys: ServiceProviderKeys,
    now: datetime,
) -> Departure:
    """Return where the browser goes to end the provider's session too; `expectations` holds `request_id`.

    Raises:
        ValueError: the provider has no logout address; ask `settings.slo_url` before.
    """
    settings = saml_settings(connection)
    if not settings.slo_url:
        raise ValueError(f"{connection.id} has no logout address")
    request_id = new_message_id()
    index = "" if session_index is None else f"<samlp:SessionIndex>{escaped(session_index)}</samlp:SessionIndex>"
    xml = fill(
        OneLogin_Saml2_Templates.LOGOUT_REQUEST,
        {
            "id": request_id,
            "issue_instant": instants.saml(now),
            "single_logout_url": settings.slo_url,
            "entity_id": endpoints.saml_entity_id,
        },
        name_id=_name_id_markup(name_id),
        session_index=index,
    )
    relay_state = redirect.handle_of_ours(handle)
    url = redirect.address(
        settings.slo_url, kind=redirect.REQUEST, xml=xml, relay_state=relay_state, signing=keys.signing
    )
    return Departure(url, {"request_id": request_id})


def answer_logout(
    connection: Connection,
    endpoints: Endpoints,
    *,
    request: LogoutRequested,
    keys: ServiceProviderKeys,
    now: datetime,
    success: bool = True,
) -> Departure:
    """Return where the browser goes with our signed answer to the provider's request; nothing is expected back.

    Raises:
        ValueError: the provider has no logout address.
    """
    settings = saml_settings(connection)
    destination = settings.slo_response_url or settings.slo_url
    if not destination:
        raise ValueError(f"{connection.id} has no logout address")
    xml = fill(
        OneLogin_Saml2_Templates.LOGOUT_RESPONSE,
        {
            "id": new_message_id(),
            "issue_instant": instants.saml(now),
            "destination": destination,
            "in_response_to": request.request_id,
            "entity_id": endpoints.saml_entity_id,
            "status": SUCCESS if success else RESPONDER,
        },
    )
    url = redirect.address(
        destination, kind=redirect.RESPONSE, xml=xml, relay_state=request.relay_state, signing=keys.signing
    )
    return Departure(url, {})


def receive_logout(
    message: bytes | Mapping[str, str], *, connection: Connection, endpoints: Endpoints, now: datetime
) -> LogoutRequested | LogoutAnswered:
    """Return what the provider says: `message` is the raw query (HTTP-Redirect) or the form's fields (HTTP-POST).

    Raises:
        Refused: with exactly one reason: not signed by a pinned key, not from the provider, not for us, not fresh.
    """
    settings = saml_settings(connection)
    with only_refusals():
        root, relay_state = _signed_message(message, settings)
        _check(root, settings, endpoints, now)
        if len((relay_state or "").encode()) > MAX_RELAY_STATE_BYTES:
            raise Refused(Reason.MESSAGE_TOO_LARGE, "a RelayState that is too long to be given back")
        if root.tag == f"{SAMLP}LogoutResponse":
            return _answered(root, relay_state)
        return _requested(root, settings, now, relay_state)


def _signed_message(message: bytes | Mapping[str, str], settings: SamlSettings) -> tuple[Element, str | None]:
    """Return the root of a message that a pinned key has verified, and its RelayState."""
    if isinstance(message, bytes):
        arrived = redirect.receive(message, settings.certificates)
        root = document.parse(arrived.xml)
        _require_kind(root, arrived.kind)
        return root, arrived.relay_state
    kinds = [kind for kind in (redirect.REQUEST, redirect.RESPONSE) if kind in message]
    if len(kinds) != 1:
        raise Refused(Reason.MESSAGE_MALFORMED, "expected one SAML message in the form")
    root = document.parse(document.from_base64(message[kinds[0]]))
    _require_kind(root, kinds[0])
    return _enveloped(root, settings), message.get("RelayState")


def _require_kind(root: Element, kind: str) -> None:
    expected = "LogoutRequest" if kind == redirect.REQUEST else "LogoutResponse"
    if root.tag != f"{SAMLP}{expected}" or root.get("Version") != "2.0":
        raise Refused(Reason.STRUCTURE_REFUSED, f"expected a SAML 2.0 {expected}")


def _enveloped(root: Element, settings: SamlSettings) -> Element:
    """Return the message of the POST binding, whose own signature must be the only one and cover all of it."""
    signatures = list(root.iter("{*}Signature"))
    if not signatures:
        raise Refused(Reason.SIGNATURE_MISSING, "the message is not signed")
    if len(signatures) != 1 or signatures[0].getparent() is not root or signatures[0].tag != f"{DS}Signature":
        raise Refused(Reason.STRUCTURE_REFUSED, "a signature where none may be")
    return signature.verified(signature.profile(signatures[0]), settings.certificates)


def _check(root: Element, settings: SamlSettings, endpoints: Endpoints, now: datetime) -> None:
    if next(root.iter(f"{XENC}EncryptedData"), None) is not None:
        raise Refused(Reason.ENCRYPTION_REFUSED, "an encrypted name cannot be matched with a session")
    if not schemas.protocol().validate(root):
        raise Refused(Reason.STRUCTURE_REFUSED, "not what the SAML protocol schema has")
    require_issuer(document.child(root, f"{SAML}Issuer"), expected=settings.idp_entity_id)
    if root.get("Destination") != endpoints.saml_slo:  # both bindings demand it of signed messages (3.4.5.2, 3.5.5.2)
        got = (root.get("Destination") or "none")[:512]
        raise Refused(Reason.DESTINATION_MISMATCH, f"expected {endpoints.saml_slo}, got {got}")
    issued = instants.parse(root.get("IssueInstant"), "IssueInstant")
    instants.not_before(issued, "IssueInstant", now=now)
    if now - issued > LIFETIME + SKEW:
        raise Refused(Reason.RESPONSE_EXPIRED, f"issued {now - issued} ago")


def _requested(root: Element, settings: SamlSettings, now: datetime, relay_state: str | None) -> LogoutRequested:
    issued = instants.parse(root.get("IssueInstant"), "IssueInstant")
    end = instants.optional(root.get("NotOnOrAfter"), "NotOnOrAfter")
    instants.not_on_or_after(end, "NotOnOrAfter", issued=issued, now=now)
    named = document.child(root, f"{SAML}NameID")
    if named is None:
        raise Refused(Reason.SUBJECT_INVALID, "a logout without NameID")
    indexes = [document.text_of(index) for index in root.iterchildren(f"{SAMLP}SessionIndex")]
    if len(indexes) > MAX_SESSION_INDEXES:
        raise Refused(Reason.MESSAGE_TOO_LARGE, f"{len(indexes)} session indexes")
    identifier = str(root.get("ID"))
    return LogoutRequested(
        name_id=name_id.read(named),
        session_indexes=tuple(indexes),
        request_id=identifier,
        replay_key=hashlib.sha256(f"{settings.idp_entity_id}\0{identifier}".encode()).hexdigest(),
        replay_until=issued + LIFETIME + 2 * SKEW,
        relay_state=relay_state,
    )


def _answered(root: Element, relay_state: str | None) -> LogoutAnswered:
    answered = root.get("InResponseTo")
    if not answered:
        raise Refused(Reason.REQUEST_MISMATCH, "a logout answer without InResponseTo")
    codes = [code.get("Value") for code in root.iter(f"{SAMLP}StatusCode")]
    return LogoutAnswered(answered, codes[0] == SUCCESS and PARTIAL_LOGOUT not in codes, relay_state)


def _name_id_markup(named: NameId) -> str:
    """Return the NameID as the provider wrote it: it must match to the letter (SAML profiles 4.4.4.1)."""
    pairs = (
        ("Format", named.format),
        ("NameQualifier", named.name_qualifier),
        ("SPNameQualifier", named.sp_name_qualifier),
    )
    attributes = "".join(f" {name}={quoteattr(value)}" for name, value in pairs if value is not None)
    return f"<saml:NameID{attributes}>{escaped(named.value)}</saml:NameID>"
