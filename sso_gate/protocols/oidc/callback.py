"""The way back: from the parameters of the redirect to one proof, told in the order of its checks (`trace.CHECKS`)."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sso_gate.connections.connection import AttributeMap, Connection
from sso_gate.errors import Reason, Refused
from sso_gate.identity import Identity
from sso_gate.protocols.oidc.client import OAuth, refused_by_provider
from sso_gate.protocols.oidc.id_token import same_text, verify_id_token
from sso_gate.protocols.oidc.keys import ClientKey
from sso_gate.protocols.oidc.person import (
    read_authenticated_at,
    read_email,
    read_groups,
    read_multi_factor,
    read_name,
    read_session,
    read_subject,
)
from sso_gate.protocols.oidc.provider import Discovery, Providers, oidc_settings
from sso_gate.protocols.oidc.trace import Passed, unrecorded
from sso_gate.protocols.oidc.userinfo import complete_claims
from sso_gate.protocols.protocol import Endpoints

MAX_PARAMETERS = 20
MAX_PARAMETER_LENGTH = 8 * 1024


@dataclass(frozen=True, slots=True)
class OidcProof:
    """An identity and what its logout will need: `sub` and `sid` as the provider will name them, the ID token (secret).

    `sub` differs from the identity's subject where the connection maps the subject to another claim. `claims` are all
    that the provider said, for a test login to show.
    """

    identity: Identity
    sub: str
    sid: str | None
    id_token: str = field(repr=False)
    claims: Mapping[str, Any] = field(repr=False)


async def finish(
    params: Sequence[tuple[str, str]],
    *,
    connection: Connection,
    endpoints: Endpoints,
    providers: Providers,
    expected_handle: str,
    expected_nonce: str,
    expected_issuer: str,
    expected_fresh_since: str,
    code_verifier: str,
    client_key: ClientKey | None,
    now: datetime,
    passed: Passed = unrecorded,
    heard: Passed = unrecorded,
) -> OidcProof:
    """Return the proof that a provider's answer carries, after every check in `trace.CHECKS`.

    `params` are all parameters of the request as they came, with duplicates. The pending login must have been taken
    (single use) before. `passed` hears the name of each check that holds, `heard` the ID token before it is verified.

    Raises:
        Refused: with the reason of the first check that fails.
        Unavailable: the gate's client key is missing.
    """
    found = read_parameters(params)
    passed("parameters")
    if not same_text(found.get("state", ""), expected_handle):
        raise Refused(Reason.STATE_MISMATCH, "state does not name the login of this browser")
    passed("state")
    settings, discovery = oidc_settings(connection), await providers.discovery(connection)
    if settings.issuer != expected_issuer:
        raise Refused(Reason.ISSUER_MISMATCH, "the connection's issuer was changed while the person was away")
    check_issuer_parameter(found, discovery)
    passed("issuer of the response")
    code = read_code(found)
    passed("answer of the provider")
    oauth = OAuth(
        settings,
        discovery,
        providers.fetcher,
        redirect_uri=endpoints.oidc_callback,
        client_key=client_key,
        now=now,
    )
    answer = await oauth.exchange_code(code, code_verifier=code_verifier)
    passed("token exchange")
    id_token = answer.get("id_token")
    if not isinstance(id_token, str) or not id_token:
        raise Refused(Reason.TOKEN_REFUSED, "the provider sent no ID token (OpenID Connect Core 3.1.3.3)")
    heard(id_token)
    passed("ID token")
    access_token = answer.get("access_token")
    claims = await verify_id_token(
        id_token,
        connection=connection,
        providers=providers,
        access_token=access_token if isinstance(access_token, str) else None,
        expected_nonce=expected_nonce,
        expected_fresh_since=expected_fresh_since,
        now=now,
        passed=passed,
    )
    sub = read_subject(claims, AttributeMap())
    passed("subject")
    claims = await complete_claims(
        claims, connection=connection, discovery=discovery, providers=providers, answer=answer
    )
    passed("userinfo")
    identity = _identity(claims, connection, login_id(settings.issuer, expected_nonce), now)
    passed("person")
    return OidcProof(identity, sub, identity.session_index, id_token, claims)


def read_parameters(params: Sequence[tuple[str, str]]) -> Mapping[str, str]:
    """Return the parameters of a redirect, each of which came once (RFC 6749 3.1).

    Raises:
        Refused: `message_too_large`; `message_malformed`, one came twice or holds control characters.
    """
    if len(params) > MAX_PARAMETERS or any(len(name) + len(value) > MAX_PARAMETER_LENGTH for name, value in params):
        raise Refused(Reason.MESSAGE_TOO_LARGE, "too many or too long parameters")
    found = dict(params)
    if len(found) != len(params):
        raise Refused(Reason.MESSAGE_MALFORMED, "a parameter came twice")
    if not all(value.isprintable() for value in found.values()):
        raise Refused(Reason.MESSAGE_MALFORMED, "a parameter holds control characters")
    return found


def check_issuer_parameter(found: Mapping[str, str], discovery: Discovery) -> None:
    """Refuse (`issuer_mismatch`) another provider's answer: required where it is announced (RFC 9207 2.4)."""
    named = found.get("iss")
    if named is None and not discovery.issuer_in_response:
        return
    if named != discovery.issuer:
        raise Refused(Reason.ISSUER_MISMATCH, f"the response names {str(named)[:200]!r}")


def read_code(found: Mapping[str, str]) -> str:
    """Return the authorization code.

    Raises:
        Refused: `provider_refused` with the provider's error code; `message_malformed`, there is neither.
    """
    if "error" in found:
        raise refused_by_provider(found["error"])
    if not found.get("code"):
        raise Refused(Reason.MESSAGE_MALFORMED, "neither a code nor an error")
    return found["code"]


def login_id(issuer: str, nonce: str) -> str:
    """Return 64 hex digits that name one proof: a nonce has one answer of one issuer."""
    return hashlib.sha256(f"{issuer}\0{nonce}".encode()).hexdigest()


def _identity(claims: Mapping[str, Any], connection: Connection, proof: str, now: datetime) -> Identity:
    attributes, settings = connection.attributes, oidc_settings(connection)
    email, verified = read_email(claims, attributes, issuer=settings.issuer, trusted=settings.trust_email)
    return Identity(
        connection=connection.id,
        organization=connection.organization,
        protocol="oidc",
        subject=read_subject(claims, attributes),
        email=email,
        email_verified=verified,
        name=read_name(claims, attributes),
        groups=read_groups(claims, attributes),
        authenticated_at=read_authenticated_at(claims, now),
        session_index=read_session(claims),
        login_id=proof,
        multi_factor=read_multi_factor(claims),
    )
