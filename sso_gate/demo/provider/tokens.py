"""Tokens of the provider: what it says about a person, signed. Source: OpenID Connect Core 1.0, section 2."""

import base64
import hashlib
import hmac
from datetime import datetime
from typing import Any

from joserfc import jwt

from sso_gate.demo.people import Person
from sso_gate.demo.provider.keys import TOKEN_ALGORITHM, SigningKeys
from sso_gate.demo.provider.memory import Grant
from sso_gate.demo.provider.registry import TOKEN_LIFETIME


def person_claims(person: Person) -> dict[str, Any]:
    """Return what the ID token and UserInfo say about a person."""
    return {
        "sub": person.subject,
        "email": person.email,
        "email_verified": True,
        "name": person.name,
        "groups": list(person.groups),
    }


def id_token(issuer: str, grant: Grant, access_token: str, *, keys: SigningKeys, now: datetime) -> str:
    """Return the signed ID token for the client that was granted it."""
    issued = int(now.timestamp())
    claims = {
        "iss": issuer,
        "aud": grant.client_id,
        "iat": issued,
        "exp": issued + int(TOKEN_LIFETIME.total_seconds()),
        "auth_time": int(grant.signed_in.at.timestamp()),
        "sid": grant.signed_in.index,
        "at_hash": _left_half_hash(access_token),
        **person_claims(grant.signed_in.person),
    }
    if grant.nonce:
        claims["nonce"] = grant.nonce
    header = {"alg": TOKEN_ALGORITHM, "typ": "JWT", "kid": keys.token_key.kid}
    return jwt.encode(header, claims, keys.token_key)


def matches_challenge(verifier: str, challenge: str) -> bool:
    """Return whether the PKCE verifier is the one that was promised (RFC 7636 4.6, S256)."""
    digest = hashlib.sha256(verifier.encode("ascii", "replace")).digest()
    return hmac.compare_digest(_base64url(digest), challenge)


def _left_half_hash(access_token: str) -> str:
    return _base64url(hashlib.sha256(access_token.encode("ascii")).digest()[:16])


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
