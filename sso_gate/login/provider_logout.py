"""Logout that begins at the identity provider: SAML single logout through the browser, OpenID back-channel logout
behind it.

Only a signed message that was not used before ends anything, and only sessions of the connection that it came in by.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime

from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Actor, Client, Event, Via, new_reference
from sso_gate.connections.connection import Connection, SamlSettings
from sso_gate.errors import Reason, Refused
from sso_gate.identity import new_id
from sso_gate.login.flow import LoginFlow
from sso_gate.protocols.oidc.logout import verify_logout_token
from sso_gate.protocols.replay import ReplayGuard
from sso_gate.protocols.saml.logout import LogoutAnswered, answer_logout, receive_logout
from sso_gate.sessions.provider_names import ProviderNames
from sso_gate.sessions.store import SessionStore


async def receive_saml(
    flow: LoginFlow, connection: Connection, message: bytes | Mapping[str, str], client: Client
) -> str | None:
    """Return where the browser goes next: to the provider with our answer, or None when the provider answered us.

    Raises:
        Refused: with its one reason; it is on the audit record.
    """
    try:
        return await _receive_saml(flow, connection, message, client)
    except Refused as refusal:
        await _record(flow, connection, client, refusal=refusal)
        raise


async def _receive_saml(
    flow: LoginFlow, connection: Connection, message: bytes | Mapping[str, str], client: Client
) -> str | None:
    if not connection.enabled or not isinstance(connection.settings, SamlSettings):
        raise Refused(Reason.CONNECTION_DISABLED)
    now, endpoints = flow.runtime.clock.now(), flow.endpoints(connection)
    said = await asyncio.to_thread(receive_logout, message, connection=connection, endpoints=endpoints, now=now)
    if isinstance(said, LogoutAnswered):
        return None
    await _use_up(flow, connection, said.replay_key, until=said.replay_until)
    names = ProviderNames(flow.runtime.redis)
    found = await names.find(connection.id, said.name_id.value)
    indexes = said.session_indexes or ("",)
    for index in indexes if found else ():
        await _end(flow, connection, found, session_index=index)
    await _record(flow, connection, client, person=found)
    if not (connection.settings.slo_response_url or connection.settings.slo_url):
        return None
    return answer_logout(connection, endpoints, request=said, keys=flow.keys.saml, now=now).url


async def receive_backchannel(flow: LoginFlow, connection: Connection, token: str, client: Client) -> None:
    """End the sessions that a logout token names. Source: OpenID Connect Back-Channel Logout 1.0, 2.6 and 2.7.

    Raises:
        Refused: with its one reason; it is on the audit record.
    """
    try:
        await _receive_backchannel(flow, connection, token, client)
    except Refused as refusal:
        await _record(flow, connection, client, refusal=refusal)
        raise


async def _receive_backchannel(flow: LoginFlow, connection: Connection, token: str, client: Client) -> None:
    if not connection.enabled or connection.protocol != "oidc":
        raise Refused(Reason.CONNECTION_DISABLED)
    said = await verify_logout_token(
        token,
        connection=connection,
        endpoints=flow.endpoints(connection),
        providers=flow.providers,
        now=flow.runtime.clock.now(),
    )
    await _use_up(flow, connection, f"jti:{said.jti}", until=said.replay_until)
    found = await ProviderNames(flow.runtime.redis).find(connection.id, said.sub or f"sid:{said.sid}")
    await _end(flow, connection, found, session_index=said.sid or "")
    await _record(flow, connection, client, person=found)


async def _use_up(flow: LoginFlow, connection: Connection, proof: str, *, until: datetime) -> None:
    now = flow.runtime.clock.now()
    if not await ReplayGuard(flow.runtime.redis).first_use(connection.id, proof, now=now, until=until):
        raise Refused(Reason.REPLAYED)


async def _end(flow: LoginFlow, connection: Connection, found: tuple[str, str] | None, *, session_index: str) -> None:
    if found is None:
        return
    fields = {"connection": connection.id, **({"session_index": session_index} if session_index else {})}
    await SessionStore.of(flow.runtime).end_matching(*found, **fields)


async def _record(
    flow: LoginFlow,
    connection: Connection,
    client: Client,
    *,
    person: tuple[str, str] | None = None,
    refusal: Refused | None = None,
) -> None:
    clock = flow.runtime.clock
    event = Event(
        id=new_id("evt", clock),
        organization=connection.organization,
        at=clock.now(),
        action=Action.LOGOUT,
        actor=Actor("user", person[1] if person else ""),
        reason=refusal.reason if refusal else None,
        reference=new_reference(),
        via=Via(connection.id, connection.protocol),
        client=client,
        check=refusal.detail if refusal else "",
    )
    await flow.runtime.database.write(lambda tx: audit.record(tx, [event]))
