"""What an ID token must say, beyond being signed by the provider for us: this login, this access token, lately."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sso_gate.connections.connection import Connection
from sso_gate.errors import Reason, Refused
from sso_gate.protocols.oidc.provider import Providers, oidc_settings
from sso_gate.protocols.oidc.signed_token import (
    SKEW,
    check_audience,
    check_issuer,
    check_times,
    find_key,
    numeric_date,
    read_header,
    verify_signature,
)
from sso_gate.protocols.oidc.trace import Passed

WHAT = "the ID token"
ID_TOKEN_KINDS = frozenset(("", "jwt"))
# Keycloak says in the payload what a token is for; older versions put the nonce into access tokens too.
_OTHER_PURPOSES = frozenset(("bearer", "dpop", "refresh", "offline", "logout"))


async def verify_id_token(
    token: str,
    *,
    connection: Connection,
    providers: Providers,
    access_token: str | None,
    expected_nonce: str,
    expected_fresh_since: str,
    now: datetime,
    passed: Passed,
) -> Mapping[str, Any]:
    """Return the claims of an ID token after every check of OpenID Connect Core 3.1.3.7 and 3.1.3.8.

    `expected_fresh_since` is the instant (seconds since 1970, as text) after which the person must have authenticated,
    or empty.

    Raises:
        Refused: with the reason of the first check that fails.
    """
    settings = oidc_settings(connection)
    header = read_header(token, connection=connection, kinds=ID_TOKEN_KINDS, what=WHAT)
    passed("algorithm and type")
    key = await find_key(header, connection=connection, providers=providers)
    passed("key")
    claims = verify_signature(token, header, key, what=WHAT).claims
    if "events" in claims or str(claims.get("typ", "")).lower() in _OTHER_PURPOSES:
        raise Refused(Reason.TOKEN_REFUSED, "a token for another purpose in place of the ID token")
    passed("signature")
    check_issuer(claims, settings)
    passed("issuer")
    check_audience(claims, settings)
    passed("audience")
    check_times(claims, now, must_expire=True)
    passed("times")
    check_nonce(claims, expected_nonce)
    passed("nonce")
    check_access_token_hash(claims, access_token, header.algorithm)
    passed("access token hash")
    check_freshness(claims, expected_fresh_since)
    passed("freshness")
    return claims


def check_nonce(claims: Mapping[str, Any], expected_nonce: str) -> None:
    """Refuse (`nonce_mismatch`) a token that was not made for the login of this browser."""
    found = claims.get("nonce")
    if not isinstance(found, str) or not same_text(found, expected_nonce):
        raise Refused(Reason.NONCE_MISMATCH, "the nonce is missing" if found is None else "another login's nonce")


def check_access_token_hash(claims: Mapping[str, Any], access_token: str | None, algorithm: str) -> None:
    """Refuse (`token_refused`) an ID token that names another access token; without `at_hash` it names none."""
    found = claims.get("at_hash")
    if found is None:
        return
    if not isinstance(found, str) or access_token is None:
        raise Refused(Reason.TOKEN_REFUSED, "at_hash without an access token, or not a text")
    if not same_text(found.rstrip("="), half_hash(access_token, algorithm)):
        raise Refused(Reason.TOKEN_REFUSED, "at_hash names another access token")


def half_hash(text: str, algorithm: str) -> str:
    """Return base64url of the left half of the hash that goes with an algorithm (OpenID Connect Core 3.1.3.6)."""
    name = "sha512" if algorithm.startswith("Ed") else f"sha{algorithm[2:]}"
    digest = hashlib.new(name, text.encode("utf-8", "surrogatepass")).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode("ascii")


def check_freshness(claims: Mapping[str, Any], fresh_since: str) -> None:
    """Refuse (`token_refused`) an old session of the provider where we asked for a new authentication.

    `auth_time` is required then (OpenID Connect Core 3.1.2.1, max_age); otherwise it is information alone.
    """
    if not fresh_since:
        return
    authenticated = numeric_date(claims, "auth_time")
    if authenticated is None or authenticated < float(fresh_since) - SKEW.total_seconds():
        raise Refused(Reason.TOKEN_REFUSED, "the person was asked to authenticate anew, and auth_time does not say so")


def same_text(found: str, expected: str) -> bool:
    """Compare in constant time; an empty expectation is never met."""
    return bool(expected) and hmac.compare_digest(found.encode("utf-8", "surrogatepass"), expected.encode())
