"""Signing out: here and on every application's host first, then at the identity provider where it can be asked to."""

import hashlib
import json

from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Actor, Client, Event, Via
from sso_gate.connections.connection import Connection, SamlSettings
from sso_gate.errors import NotFound, Refused, Unavailable
from sso_gate.identity import new_id
from sso_gate.login.flow import LoginFlow
from sso_gate.login.pending import LIFETIME_SECONDS, new_handle
from sso_gate.protocols.oidc.logout import end_session_url
from sso_gate.protocols.saml.logout import begin_logout
from sso_gate.protocols.saml.name_id import NameId
from sso_gate.sessions.session import Session
from sso_gate.sessions.store import SessionStore
from sso_gate.storage.keyring import CannotUnseal


async def sign_out(flow: LoginFlow, session: Session, client: Client) -> str | None:
    """End the session and those that stem from it, on record; return the provider's log-out address, or None where it
    has none.

    The provider's trouble never keeps a session alive: it is ended first.
    """
    await SessionStore.of(flow.runtime).end_family(session)
    await _record(flow, session, client)
    if not session.logout:
        return None
    kept = json.loads(session.logout)
    try:
        connection = await flow.connection(session.connection)
        # The connection may speak another protocol by now than when the session began.
        if connection.protocol == "saml" and "name_id" in kept:
            return await _saml(flow, connection, session, NameId(**kept["name_id"]))
        if connection.protocol == "oidc" and "id_token" in kept:
            return await _oidc(flow, connection, kept["id_token"])
        return None
    except (NotFound, Refused, Unavailable, CannotUnseal):
        return None


async def was_asked(flow: LoginFlow, connection: Connection, request_id: str) -> bool:
    """Return whether a log-out of ours with this id waits for its answer, and use it up."""
    return await flow.runtime.redis.take(_key(connection, request_id)) is not None


async def _record(flow: LoginFlow, session: Session, client: Client) -> None:
    clock = flow.runtime.clock
    event = Event(
        id=new_id("evt", clock),
        organization=session.organization,
        at=clock.now(),
        action=Action.LOGOUT,
        actor=Actor("user", session.member, session.email, session=session.mark),
        via=Via(session.connection),
        client=client,
    )
    await flow.runtime.database.write(lambda tx: audit.record(tx, [event]))


async def _saml(flow: LoginFlow, connection: Connection, session: Session, name_id: NameId) -> str | None:
    if not isinstance(connection.settings, SamlSettings) or not connection.settings.slo_url:
        return None
    departure = begin_logout(
        connection,
        flow.endpoints(connection),
        name_id=name_id,
        session_index=session.session_index or None,
        handle=new_handle(),
        keys=flow.keys.saml,
        now=flow.runtime.clock.now(),
    )
    request = _key(connection, departure.expectations["request_id"])
    await flow.runtime.redis.put(request, "1", seconds=LIFETIME_SECONDS)
    return departure.url


async def _oidc(flow: LoginFlow, connection: Connection, sealed: str) -> str | None:
    return await end_session_url(
        connection,
        flow.providers,
        id_token_hint=flow.runtime.keyring.unseal(sealed),
        post_logout_redirect_uri=f"{flow.runtime.settings.origin}/signed-out",
        state=None,
    )


def _key(connection: Connection, request_id: str) -> str:
    return f"sso:{{connection:{connection.id}}}:logout:{hashlib.sha256(request_id.encode()).hexdigest()}"
