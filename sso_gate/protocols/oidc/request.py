"""The way out: from a connection to the URL that sends a browser to its OpenID provider."""

import secrets
from datetime import datetime

from sso_gate.connections.connection import Connection
from sso_gate.protocols.oidc.client import OAuth
from sso_gate.protocols.oidc.keys import ClientKey
from sso_gate.protocols.oidc.provider import Providers, oidc_settings
from sso_gate.protocols.protocol import Departure, Endpoints

MAX_LOGIN_HINT_LENGTH = 254


async def begin(
    connection: Connection,
    endpoints: Endpoints,
    providers: Providers,
    *,
    handle: str,
    now: datetime,
    login_hint: str | None = None,
    force_authn: bool = False,
    client_key: ClientKey | None = None,
) -> Departure:
    """Return where to send the browser: code flow, PKCE S256 and nonce always, pushed where the provider takes that.

    `handle` is the caller's random, opaque text that names the pending login, and becomes `state`. The expectations are
    `nonce`, `code_verifier`, `issuer` and `fresh_since` (empty, or seconds since 1970 with `force_authn`); `finish`
    demands each again. Source: OpenID Connect Core 3.1.2.1, RFC 9700 2.1.

    Raises:
        Refused: `discovery_refused`, `provider_unreachable`, `provider_refused`.
        Unavailable: the connection uses `private_key_jwt` and no `client_key` is given.
    """
    settings = oidc_settings(connection)
    discovery = await providers.discovery(connection)
    nonce, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    extra = {"nonce": nonce}
    if login_hint and login_hint.isprintable() and len(login_hint) <= MAX_LOGIN_HINT_LENGTH:
        extra["login_hint"] = login_hint
    if force_authn:
        extra |= {"prompt": "login", "max_age": "0"}
    oauth = OAuth(
        settings,
        discovery,
        providers.fetcher,
        redirect_uri=endpoints.oidc_callback,
        client_key=client_key,
        now=now,
    )
    url = await oauth.authorization_url(state=handle, code_verifier=verifier, extra=extra)
    fresh_since = str(int(now.timestamp())) if force_authn else ""
    expectations = {"nonce": nonce, "code_verifier": verifier, "issuer": settings.issuer, "fresh_since": fresh_since}
    return Departure(url, expectations)
