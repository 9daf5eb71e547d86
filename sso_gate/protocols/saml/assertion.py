"""What a verified assertion says, held against what this connection expects of it.

Every function here reads an element whose signature has been verified and nothing else. Source: SAML profiles 4.1.4.2
and 4.1.4.3, SAML core 2.3 to 2.7.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sso_gate.errors import Reason, Refused
from sso_gate.protocols.saml import instants, name_id
from sso_gate.protocols.saml.document import child, text_of
from sso_gate.protocols.saml.instants import SKEW
from sso_gate.protocols.saml.name_id import NameId
from sso_gate.protocols.saml.names import BEARER, SAML, Element

MAX_ID_CHARACTERS = 256
# ForceAuthn asks for an authentication after our request, and a login lasts ten minutes at most.
MAX_FORCED_AUTHENTICATION_AGE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The bearer confirmation that holds: which request it answers, and until when the assertion may be presented."""

    in_response_to: str | None
    not_on_or_after: datetime


@dataclass(frozen=True, slots=True)
class Authentication:
    """How and when the provider authenticated the person."""

    instant: datetime
    session_index: str | None
    session_not_on_or_after: datetime | None
    context: str


@dataclass(frozen=True, slots=True)
class Checked:
    """An assertion whose every condition holds here and now."""

    id: str
    issuer: str
    issued: datetime
    name_id: NameId | None
    confirmation: Confirmation
    authentication: Authentication
    attribute_statements: Sequence[Element]


def check(
    assertion: Element,
    *,
    issuer: str,
    audience: str,
    recipient: str,
    authn_context: tuple[str, ...],
    force_authn: bool,
    now: datetime,
) -> Checked:
    """Return what the verified assertion says if it comes from `issuer`, is meant for us, and holds at `now`.

    Raises:
        Refused: with the reason of the first check that fails, in this order: issuer, audience, recipient, times,
        context.
    """
    identifier = assertion.get("ID") or ""
    if not 0 < len(identifier) <= MAX_ID_CHARACTERS:
        raise Refused(Reason.STRUCTURE_REFUSED, "an assertion without a usable ID")
    require_issuer(child(assertion, f"{SAML}Issuer"), expected=issuer)
    conditions = child(assertion, f"{SAML}Conditions")
    _require_audience(conditions, audience)
    issued = instants.parse(assertion.get("IssueInstant"), "Assertion IssueInstant")
    subject = child(assertion, f"{SAML}Subject")
    confirmation = _bearer(subject, recipient=recipient, issued=issued, now=now)
    _require_times(conditions, issued=issued, now=now)
    authentication = _authentication(assertion, authn_context=authn_context, now=now)
    if force_authn and authentication.instant < issued - MAX_FORCED_AUTHENTICATION_AGE - SKEW:
        raise Refused(Reason.RESPONSE_EXPIRED, f"authenticated at {authentication.instant}, before we asked")
    named = child(subject, f"{SAML}NameID")
    return Checked(
        id=identifier,
        issuer=issuer,
        issued=issued,
        name_id=None if named is None else name_id.read(named),
        confirmation=confirmation,
        authentication=authentication,
        attribute_statements=list(assertion.iterchildren(f"{SAML}AttributeStatement")),
    )


def require_issuer(element: Element | None, *, expected: str) -> None:
    """Return only if the Issuer is the connection's provider, to the letter (SAML core 2.2.5, 1.3.2)."""
    if element is None:
        raise Refused(Reason.ISSUER_MISMATCH, f"expected {expected}, got no Issuer")
    if text_of(element).strip() != expected:
        raise Refused(Reason.ISSUER_MISMATCH, f"expected {expected}, got {text_of(element).strip()[:256]}")


def _require_audience(conditions: Element, audience: str) -> None:
    """Every restriction must name us (SAML core 2.5.1.4), and there must be one (SAML profiles 4.1.4.2)."""
    restrictions = list(conditions.iterchildren(f"{SAML}AudienceRestriction"))
    for restriction in restrictions:
        audiences = [text_of(element).strip() for element in restriction]
        if audience not in audiences:
            raise Refused(Reason.AUDIENCE_MISMATCH, f"expected {audience}, got {' '.join(audiences)[:512]}")
    if not restrictions:
        raise Refused(Reason.AUDIENCE_MISMATCH, f"expected {audience}, got no audience")


def _bearer(subject: Element, *, recipient: str, issued: datetime, now: datetime) -> Confirmation:
    """Return the first bearer confirmation that holds; one is enough (SAML profiles 4.1.4.3)."""
    refusal = Refused(Reason.STRUCTURE_REFUSED, "no bearer confirmation")
    for confirmation in subject.iterchildren(f"{SAML}SubjectConfirmation"):
        data = child(confirmation, f"{SAML}SubjectConfirmationData")
        if confirmation.get("Method") != BEARER or data is None:
            continue
        try:
            return _confirmed(data, recipient=recipient, issued=issued, now=now)
        except Refused as error:
            refusal = error
    raise refusal


def _confirmed(data: Element, *, recipient: str, issued: datetime, now: datetime) -> Confirmation:
    if data.get("Recipient") != recipient:
        raise Refused(Reason.RECIPIENT_MISMATCH, f"expected {recipient}, got {(data.get('Recipient') or 'none')[:512]}")
    not_before = instants.optional(data.get("NotBefore"), "SubjectConfirmationData NotBefore")
    instants.not_before(not_before, "SubjectConfirmationData NotBefore", now=now)
    if data.get("NotOnOrAfter") is None:
        raise Refused(Reason.VALIDITY_TOO_LONG, "SubjectConfirmationData has no NotOnOrAfter")
    end = instants.parse(data.get("NotOnOrAfter"), "SubjectConfirmationData NotOnOrAfter")
    instants.not_on_or_after(end, "SubjectConfirmationData NotOnOrAfter", issued=issued, now=now)
    return Confirmation(data.get("InResponseTo") or None, end)


def _require_times(conditions: Element, *, issued: datetime, now: datetime) -> None:
    instants.not_before(issued, "Assertion IssueInstant", now=now)
    start = instants.optional(conditions.get("NotBefore"), "Conditions NotBefore")
    instants.not_before(start, "Conditions NotBefore", now=now)
    end = instants.optional(conditions.get("NotOnOrAfter"), "Conditions NotOnOrAfter")
    instants.not_on_or_after(end, "Conditions NotOnOrAfter", issued=issued, now=now)


def _authentication(assertion: Element, *, authn_context: tuple[str, ...], now: datetime) -> Authentication:
    """Return the one authentication that the assertion states (SAML profiles 4.1.4.2, SAML core 2.7.2)."""
    statements = list(assertion.iterchildren(f"{SAML}AuthnStatement"))
    if len(statements) != 1:
        raise Refused(Reason.STRUCTURE_REFUSED, f"expected one AuthnStatement, got {len(statements)}")
    statement = statements[0]
    instant = instants.parse(statement.get("AuthnInstant"), "AuthnInstant")
    instants.not_before(instant, "AuthnInstant", now=now)
    session_end = instants.optional(statement.get("SessionNotOnOrAfter"), "SessionNotOnOrAfter")
    if session_end is not None and now >= session_end:  # without skew: no session of ours could live
        raise Refused(Reason.RESPONSE_EXPIRED, "the provider's own session has ended")
    context = child(child(statement, f"{SAML}AuthnContext"), f"{SAML}AuthnContextClassRef")
    got = "" if context is None else text_of(context).strip()
    if authn_context and got not in authn_context:
        raise Refused(Reason.STATUS_REFUSED, f"authentication context {got[:256] or 'missing'} is not one we asked for")
    return Authentication(instant, statement.get("SessionIndex"), session_end, got)
