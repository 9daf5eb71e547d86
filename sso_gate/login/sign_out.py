"""Signing out: here and on every application's host first, then at the identity provider where it can be asked to."""

import json

from sso_gate.connections.connection import Connection, SamlSettings
from sso_gate.errors import NotFound, Refused, Unavailable
from sso_gate.login.flow import LoginFlow
from sso_gate.login.pending import new_handle
from sso_gate.protocols.oidc.logout import end_session_url
from sso_gate.protocols.saml.logout import begin_logout
from sso_gate.protocols.saml.name_id import NameId
from sso_gate.sessions.session import Session
from sso_gate.sessions.store import SessionStore
from sso_gate.storage.keyring import CannotUnseal


async def sign_out(flow: LoginFlow, session: Session) -> str | None:
    """End the session and those that stem from it; return the provider's log-out address, or None where it has none.

    The provider's trouble never keeps a session alive: it is ended first.
    """
    await SessionStore.of(flow.runtime).end_family(session)
    if not session.logout:
        return None
    try:
        connection = await flow.connection(session.connection)
        if connection.protocol == "saml":
            return _saml(flow, connection, session)
        return await _oidc(flow, connection, session)
    except (NotFound, Refused, Unavailable, CannotUnseal):
        return None


def _saml(flow: LoginFlow, connection: Connection, session: Session) -> str | None:
    if not isinstance(connection.settings, SamlSettings) or not connection.settings.slo_url:
        return None
    name_id = json.loads(session.logout)["name_id"]
    departure = begin_logout(
        connection,
        flow.endpoints(connection),
        name_id=NameId(**name_id),
        session_index=session.session_index or None,
        handle=new_handle(),
        keys=flow.keys.saml,
        now=flow.runtime.clock.now(),
    )
    return departure.url


async def _oidc(flow: LoginFlow, connection: Connection, session: Session) -> str | None:
    return await end_session_url(
        connection,
        flow.providers,
        id_token_hint=flow.runtime.keyring.unseal(json.loads(session.logout)["id_token"]),
        post_logout_redirect_uri=f"{flow.runtime.settings.origin}/signed-out",
        state=None,
    )
