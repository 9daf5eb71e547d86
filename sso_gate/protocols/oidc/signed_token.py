"""A JWT of the provider whose signature and origin hold; what it says is checked by whoever asked for it."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from joserfc import jws
from joserfc.errors import BadSignatureError, JoseError

from sso_gate.connections.connection import Connection, OidcSettings
from sso_gate.errors import Reason, Refused
from sso_gate.protocols.oidc.jwks import ASYMMETRIC, AsymmetricRegistry, VerificationKey
from sso_gate.protocols.oidc.provider import Providers, oidc_settings
from sso_gate.protocols.oidc.strict_json import parse_object

MAX_TOKEN_LENGTH = 64 * 1024
MAX_AUDIENCES = 50
SKEW = timedelta(seconds=60)
MAX_AGE = timedelta(minutes=10)
_MAX_NUMERIC_DATE = 10**11  # the year 5138; milliseconds by mistake are beyond it


@dataclass(frozen=True, slots=True)
class TokenHeader:
    """The header of a JWT: read before anything is trusted, so it only chooses among what is allowed anyway."""

    algorithm: str
    kid: str | None
    kind: str


@dataclass(frozen=True, slots=True)
class SignedToken:
    """A JWT that one of the provider's keys has signed."""

    header: TokenHeader
    claims: Mapping[str, Any]


def allowed_algorithms(settings: OidcSettings) -> frozenset[str]:
    """Return the algorithms fixed for the connection: never `none`, never HMAC, whatever its settings say."""
    return ASYMMETRIC.intersection(settings.algorithms)


def read_header(token: str, *, connection: Connection, kinds: frozenset[str], what: str) -> TokenHeader:
    """Return the header of a compact JWS that may be looked at further.

    `kinds` are the accepted values of `typ` in lower case, the empty text standing for an absent one (RFC 8725 3.11).

    Raises:
        Refused: `message_too_large`, `token_refused`, `algorithm_refused` or `signature_missing`.
    """
    if len(token) > MAX_TOKEN_LENGTH:
        raise Refused(Reason.MESSAGE_TOO_LARGE, f"{what} has {len(token)} characters")
    parts = token.split(".")
    if len(parts) != 3 or not token.isascii():
        raise Refused(Reason.TOKEN_REFUSED, f"{what} is not a signed token: {len(parts)} parts")
    header = parse_object(_decoded(parts[0], what), refusal=Reason.TOKEN_REFUSED, what=f"the header of {what}")
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "")
    if not isinstance(algorithm, str) or algorithm not in allowed_algorithms(oidc_settings(connection)):
        raise Refused(Reason.ALGORITHM_REFUSED, f"{what} is signed with {str(algorithm)[:40]!r}")
    if "crit" in header or "b64" in header or not isinstance(kid, str | None):
        raise Refused(Reason.TOKEN_REFUSED, f"{what} has a header that the gate does not know how to honour")
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in kinds:
        raise Refused(Reason.TOKEN_REFUSED, f"{what} is of the type {str(kind)[:40]!r}")
    if not parts[2]:
        raise Refused(Reason.SIGNATURE_MISSING, f"{what} is not signed")
    return TokenHeader(algorithm, kid, kind.lower())


async def find_key(header: TokenHeader, *, connection: Connection, providers: Providers) -> VerificationKey:
    """Return the provider's key that the header means. Raises Refused: `key_unknown`, or the provider's trouble."""
    return await providers.verification_key(connection, kid=header.kid, algorithm=header.algorithm)


def verify_signature(token: str, header: TokenHeader, key: VerificationKey, *, what: str) -> SignedToken:
    """Return the token's claims after its signature has been verified with this key and the header's algorithm.

    Raises:
        Refused: `signature_invalid` or `token_refused`.
    """
    registry = AsymmetricRegistry(algorithms=(header.algorithm,), strict_check_header=False)
    try:
        verified = jws.deserialize_compact(token, key.key, registry=registry)
    except BadSignatureError as error:
        raise Refused(Reason.SIGNATURE_INVALID, f"{what}: the signature does not verify") from error
    except (JoseError, ValueError, TypeError) as error:
        raise Refused(Reason.TOKEN_REFUSED, f"{what}: {type(error).__name__}") from error
    claims = parse_object(verified.payload or b"", refusal=Reason.TOKEN_REFUSED, what=what)
    return SignedToken(header, claims)


def check_issuer(claims: Mapping[str, Any], settings: OidcSettings) -> None:
    """Refuse (`issuer_mismatch`) all but exactly the connection's issuer (OpenID Connect Core 3.1.3.7, 2)."""
    if claims.get("iss") != settings.issuer:
        raise Refused(Reason.ISSUER_MISMATCH, f"expected {settings.issuer!r}, got {str(claims.get('iss'))[:200]!r}")


def check_audience(claims: Mapping[str, Any], settings: OidcSettings) -> None:
    """Refuse (`audience_mismatch`) what is not for us; for others too only when issued to us (`azp`).

    Source: OpenID Connect Core 3.1.3.7, 3-5.
    """
    named, party = claims.get("aud"), claims.get("azp")
    audiences = [named] if isinstance(named, str) else named
    if not isinstance(audiences, list) or settings.client_id not in audiences[:MAX_AUDIENCES]:
        raise Refused(Reason.AUDIENCE_MISMATCH, f"the audience does not name {settings.client_id!r}")
    if party is None and all(audience == settings.client_id for audience in audiences):
        return
    if party != settings.client_id:
        raise Refused(Reason.AUDIENCE_MISMATCH, f"issued to {str(party)[:200]!r}")


def check_times(claims: Mapping[str, Any], now: datetime, *, must_expire: bool) -> None:
    """Refuse what is over, not yet valid, or not issued within the last ten minutes; a minute of skew each way.

    Raises:
        Refused: `response_expired`, `response_from_future`, or `token_refused` where a time is missing or no number.
    """
    instant, skew = now.timestamp(), SKEW.total_seconds()
    issued, not_before, expires = (numeric_date(claims, name) for name in ("iat", "nbf", "exp"))
    if issued is None or (must_expire and expires is None):
        raise Refused(Reason.TOKEN_REFUSED, "iat or exp is missing")
    if expires is not None and instant >= expires + skew:
        raise Refused(Reason.RESPONSE_EXPIRED, f"expired {instant - expires:.0f} s ago")
    if instant > issued + MAX_AGE.total_seconds() + skew:
        raise Refused(Reason.RESPONSE_EXPIRED, f"issued {instant - issued:.0f} s ago")
    latest = max(issued, not_before or issued)
    if latest > instant + skew:
        raise Refused(Reason.RESPONSE_FROM_FUTURE, f"valid only in {latest - instant:.0f} s")


def numeric_date(claims: Mapping[str, Any], name: str) -> float | None:
    """Return seconds since 1970 from a claim (RFC 7519 2, NumericDate), None where it is absent.

    Raises:
        Refused: `token_refused`, it is no finite number or beyond the year 5138.
    """
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _MAX_NUMERIC_DATE:
        raise Refused(Reason.TOKEN_REFUSED, f"{name} is not a time")
    return float(value)


def _decoded(segment: str, what: str) -> bytes:
    try:
        return base64.b64decode(segment + "=" * (-len(segment) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(Reason.TOKEN_REFUSED, f"the header of {what} is not base64url") from error
