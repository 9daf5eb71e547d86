"""The UserInfo endpoint: asked only for what the ID token lacks, believed only about the same subject."""

from collections.abc import Mapping
from typing import Any

from sso_gate.connections.connection import Connection
from sso_gate.errors import Reason, Refused
from sso_gate.protocols.fetch import JSON, Expected
from sso_gate.protocols.oidc.person import DOMAIN_OWNER_VERIFIED
from sso_gate.protocols.oidc.provider import Discovery, Providers
from sso_gate.protocols.oidc.strict_json import parse_object

MAX_USERINFO_BYTES = 256 * 1024
_EXPECTED = Expected(Reason.TOKEN_REFUSED, content_types=JSON, max_bytes=MAX_USERINFO_BYTES)
# Claims about the token, not the person: never taken from an answer that nobody signed.
_OF_THE_TOKEN = frozenset(
    ("iss", "sub", "aud", "azp", "exp", "iat", "nbf", "nonce", "at_hash", "auth_time", "sid", "jti", "acr", "amr")
)
_OF_THE_EMAIL = frozenset(("email_verified", DOMAIN_OWNER_VERIFIED))


async def complete_claims(
    claims: Mapping[str, Any],
    *,
    connection: Connection,
    discovery: Discovery,
    providers: Providers,
    answer: Mapping[str, Any],
) -> Mapping[str, Any]:
    """Return the claims with what UserInfo adds, when a needed one is missing and the provider has the endpoint.

    Needed are the email, a mapped subject and, where the connection maps roles, the groups. A claim of the ID token is
    never replaced, and an address and whether it is verified come from the same place. Source: OpenID Connect Core 5.3.

    Raises:
        Refused: `token_refused` (another subject, no usable access token or answer) or `provider_unreachable`.
    """
    if not discovery.userinfo_endpoint or not _lacks_something(claims, connection):
        return claims
    told = await _ask(discovery.userinfo_endpoint, providers, answer)
    if not isinstance(told.get("sub"), str) or told["sub"] != claims.get("sub"):
        raise Refused(Reason.TOKEN_REFUSED, "UserInfo tells of another subject (OpenID Connect Core 5.3.2)")
    withheld = _OF_THE_TOKEN | (_OF_THE_EMAIL if "email" in claims else frozenset())
    added = {name: value for name, value in told.items() if name not in withheld}
    return {**added, **_without_unverified_mix(claims, added)}


def _lacks_something(claims: Mapping[str, Any], connection: Connection) -> bool:
    attributes = connection.attributes
    needed = [attributes.email or "email", attributes.subject or "sub"]
    if connection.roles:
        needed.append(attributes.groups or "groups")
    return any(claims.get(name) in (None, "") for name in needed)


def _without_unverified_mix(claims: Mapping[str, Any], added: Mapping[str, Any]) -> Mapping[str, Any]:
    if "email" in claims or "email" not in added:
        return claims
    return {name: value for name, value in claims.items() if name not in _OF_THE_EMAIL}


async def _ask(url: str, providers: Providers, answer: Mapping[str, Any]) -> Mapping[str, Any]:
    token = answer.get("access_token")
    if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable() or " " in token:
        raise Refused(Reason.TOKEN_REFUSED, "no access token to ask UserInfo with")
    if str(answer.get("token_type", "")).lower() != "bearer":
        raise Refused(Reason.TOKEN_REFUSED, "the access token is not a bearer token")
    fetched = await providers.fetcher.get(url, expected=_EXPECTED, headers={"Authorization": f"Bearer {token}"})
    return parse_object(fetched.body, refusal=Reason.TOKEN_REFUSED, what="UserInfo")
