"""Both ways of ending a session together with the provider: our request in the browser, its notice behind our back."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx2

from sso_gate.connections.connection import Connection
from sso_gate.errors import Reason, Refused
from sso_gate.protocols.oidc.provider import Providers, oidc_settings
from sso_gate.protocols.oidc.signed_token import (
    MAX_AGE,
    SKEW,
    check_audience,
    check_issuer,
    check_times,
    find_key,
    read_header,
    verify_signature,
)
from sso_gate.protocols.protocol import Endpoints

EVENT = "http://schemas.openid.net/event/backchannel-logout"
WHAT = "the logout token"
# "logout+jwt" is recommended; providers older than the final text say JWT or nothing (Back-Channel Logout 1.0, 2.4).
LOGOUT_TOKEN_KINDS = frozenset(("logout+jwt", "jwt", ""))
MAX_HINT_LENGTH = 4096
MAX_JTI_LENGTH = 255


@dataclass(frozen=True, slots=True)
class LogoutToken:
    """A verified notice: end the session `sid`, or every session of `sub` where no session is named.

    The caller must refuse (`replayed`) a `jti` that this connection has sent before, and remember it until
    `replay_until`, after which the token is refused as expired.
    """

    sub: str | None
    sid: str | None
    jti: str
    replay_until: datetime


async def end_session_url(
    connection: Connection,
    providers: Providers,
    *,
    id_token_hint: str | None,
    post_logout_redirect_uri: str,
    state: str | None,
) -> str | None:
    """Return where to send the browser to end the provider's session too, None where the provider has no such place.

    Never refuses: our own session has ended by then, whatever the provider's state. A hint that makes the URL too long
    is left out; `client_id` is there always. Source: OpenID Connect RP-Initiated Logout 1.0, section 2.
    """
    try:
        discovery = await providers.discovery(connection)
    except Refused:
        return None
    if not discovery.end_session_endpoint:
        return None
    fields = {
        "client_id": oidc_settings(connection).client_id,
        "post_logout_redirect_uri": post_logout_redirect_uri,
    }
    if id_token_hint and len(id_token_hint) <= MAX_HINT_LENGTH:
        fields["id_token_hint"] = id_token_hint
    if state:
        fields["state"] = state
    return str(httpx2.URL(discovery.end_session_endpoint).copy_merge_params(fields))


async def verify_logout_token(
    token: str, *, connection: Connection, endpoints: Endpoints, providers: Providers, now: datetime
) -> LogoutToken:
    """Return what a logout token says, after every check of OpenID Connect Back-Channel Logout 1.0, section 2.6.

    Raises:
        Refused: with the reason of the first check that fails.
    """
    if endpoints.connection != connection.id:
        raise Refused(Reason.CONNECTION_MISMATCH, "sent to another connection's address")
    settings = oidc_settings(connection)
    header = read_header(token, connection=connection, kinds=LOGOUT_TOKEN_KINDS, what=WHAT)
    key = await find_key(header, connection=connection, providers=providers)
    claims = verify_signature(token, header, key, what=WHAT).claims
    check_issuer(claims, settings)
    check_audience(claims, settings)
    check_times(claims, now, must_expire=False)
    _check_purpose(claims)
    subject, sid, jti = (_text(claims, name) for name in ("sub", "sid", "jti"))
    if jti is None or (subject is None and sid is None):
        raise Refused(Reason.TOKEN_REFUSED, "a logout token needs jti, and sub or sid (Back-Channel Logout 1.0, 2.4)")
    return LogoutToken(subject, sid, jti, _last_valid(claims))


def _check_purpose(claims: Mapping[str, Any]) -> None:
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
        raise Refused(Reason.TOKEN_REFUSED, "the token does not tell of a logout")
    if "nonce" in claims:
        raise Refused(Reason.TOKEN_REFUSED, "a logout token has no nonce: this may be an ID token")


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= MAX_JTI_LENGTH or not value.isprintable():
        raise Refused(Reason.TOKEN_REFUSED, f"{name} is not a short, printable text")
    return value


def _last_valid(claims: Mapping[str, Any]) -> datetime:
    return datetime.fromtimestamp(claims["iat"], UTC) + MAX_AGE + SKEW * 2
