"""What verified claims say about a person: subject whole or refused, the rest only where it is what it should be."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sso_gate.connections.connection import AttributeMap
from sso_gate.errors import Reason, Refused
from sso_gate.protocols.oidc.signed_token import SKEW

MAX_SUBJECT_LENGTH = 255
MAX_NAME_LENGTH = 256
MAX_GROUP_LENGTH = 256
MAX_EMAIL_LENGTH = 254
DOMAIN_OWNER_VERIFIED = "xms_edov"
_ENTRA = ("https://login.microsoftonline.com/", "https://login.microsoftonline.us/", "https://sts.windows.net/")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


def read_subject(claims: Mapping[str, Any], attributes: AttributeMap) -> str:
    """Return the whole subject (OpenID Connect Core 2: `sub`, at most 255 characters), never a part of it.

    Raises:
        Refused: `subject_invalid`.
    """
    value = claims.get(attributes.subject or "sub")
    if not isinstance(value, str) or not 0 < len(value) <= MAX_SUBJECT_LENGTH or not value.isprintable():
        raise Refused(Reason.SUBJECT_INVALID, "the subject is missing, too long or holds control characters")
    if value != value.strip():
        raise Refused(Reason.SUBJECT_INVALID, "the subject begins or ends with a space")
    return value


def read_email(
    claims: Mapping[str, Any], attributes: AttributeMap, *, issuer: str, trusted: bool
) -> tuple[str | None, bool]:
    """Return the address and whether it is verified: the provider says so, or the connection is `trusted` to hand out
    no other addresses and the provider does not say the contrary.

    `preferred_username` is never taken for an address. `email_verified` speaks of the claim `email` alone, and only
    true or "true" is a yes. An address with letters beyond ASCII counts as unverified: folding case can turn it into
    somebody else's (U+212A becomes k).

    Raises:
        Refused: `token_refused`, there is an address that is none.
    """
    name = attributes.email or "email"
    value = claims.get(name)
    if value in (None, ""):
        return None, False
    if not isinstance(value, str) or len(value) > MAX_EMAIL_LENGTH or not _EMAIL.fullmatch(value):
        raise Refused(Reason.TOKEN_REFUSED, f"the claim {name} is not an email address")
    if not value.isprintable():
        raise Refused(Reason.TOKEN_REFUSED, f"the claim {name} holds control characters")
    verified = (name == "email" and _says_verified(claims, issuer)) or (trusted and not _says_unverified(claims))
    return value, value.isascii() and verified


def _says_verified(claims: Mapping[str, Any], issuer: str) -> bool:
    """Return whether the provider has verified the address: by the standard claim, or by Entra ID's own (Microsoft
    identity platform, optional claims: true, 1 or "1" when the owner of the address's domain was verified).
    """
    if issuer.startswith(_ENTRA) and str(claims.get(DOMAIN_OWNER_VERIFIED)).lower() in ("true", "1"):
        return not _says_unverified(claims)
    return str(claims.get("email_verified")).lower() == "true"


def _says_unverified(claims: Mapping[str, Any]) -> bool:
    return claims.get("email_verified") is not None and str(claims["email_verified"]).lower() != "true"


def read_name(claims: Mapping[str, Any], attributes: AttributeMap) -> str | None:
    """Return the person's name where it can be shown as it is, made of its parts where there is no whole one."""
    parts = (claims.get("given_name"), claims.get("family_name"))
    joined = " ".join(part for part in parts if isinstance(part, str))
    for candidate in (claims.get(attributes.name or "name"), joined):
        if isinstance(candidate, str) and candidate.strip() and _showable(candidate, MAX_NAME_LENGTH):
            return candidate.strip()
    return None


def read_groups(claims: Mapping[str, Any], attributes: AttributeMap) -> tuple[str, ...]:
    """Return the groups, each once, in the provider's order; what is not a short, printable text is no group."""
    value = claims.get(attributes.groups or "groups")
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list):
        return ()
    return tuple(
        dict.fromkeys(item for item in listed if isinstance(item, str) and item and _showable(item, MAX_GROUP_LENGTH))
    )


def read_session(claims: Mapping[str, Any]) -> str | None:
    """Return the provider's session id (`sid`), by which a back-channel logout may name the session."""
    value = claims.get("sid")
    return value if isinstance(value, str) and value and _showable(value, MAX_SUBJECT_LENGTH) else None


def read_authenticated_at(claims: Mapping[str, Any], now: datetime) -> datetime:
    """Return when the person authenticated: `auth_time`, or `iat` where that is missing, 0, to come or no number."""
    latest = (now + SKEW).timestamp()
    for value in (claims.get("auth_time"), claims.get("iat")):
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= latest:
            return datetime.fromtimestamp(value, UTC)
    return now


def read_multi_factor(claims: Mapping[str, Any]) -> bool | None:
    """Return True where `amr` says that several factors were shown (RFC 8176 2); None where it does not say."""
    methods = claims.get("amr")
    return True if isinstance(methods, list) and "mfa" in methods else None


def _showable(text: str, longest: int) -> bool:
    return len(text) <= longest and text.isprintable()
