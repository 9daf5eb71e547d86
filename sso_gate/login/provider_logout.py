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
from sso_gate.login.sign_out import was_asked
from sso_gate.protocols.oidc.logout import verify_logout_token
from sso_gate.protocols.replay import ReplayGuard
from sso_gate.protocols.saml.logout import LogoutAnswered, answer_logout, receive_logout
from sso_gate.sessions.provider_names import ProviderNames
from sso_gate.sessions.store import SessionStore

ENDED_HERE = "/signed-out"
ENDED_BY_PROVIDER = "/signed-out?provider=1"


async def receive_saml(
    flow: LoginFlow, connection: Connection, message: bytes | Mapping[str, str], client: Client
) -> str:
    """Return where the browser goes next: to the provider with our answer, or to our own page.

    Raises:
        Refused: with its one reason; whoever calls puts it on record.
    """
    if not connection.enabled or not isinstance(connection.settings, SamlSettings):
        raise Refused(Reason.CONNECTION_DISABLED)
    now, endpoints = flow.runtime.clock.now(), flow.endpoints(connection)
    async with flow.turns.of(connection.id):
        said = await asyncio.to_thread(receive_logout, message, connection=connection, endpoints=endpoints, now=now)
    if isinstance(said, LogoutAnswered):
        return await _answered(flow, connection, said)
    await _use_up(flow, connection, said.replay_key, until=said.replay_until)
    found = await ProviderNames(flow.runtime.redis).find(connection.organization, connection.id, said.name_id.value)
    await _end(flow, connection, found, sessions=said.session_indexes)
    await _record(flow, connection, client, found)
    if not (connection.settings.slo_response_url or connection.settings.slo_url):
        return ENDED_BY_PROVIDER
    return answer_logout(connection, endpoints, request=said, keys=flow.keys.saml, now=now).url


async def _answered(flow: LoginFlow, connection: Connection, said: LogoutAnswered) -> str:
    if not await was_asked(flow, connection, said.in_response_to):
        raise Refused(Reason.REQUEST_UNKNOWN, "no log-out of ours waits for this answer")
    return ENDED_BY_PROVIDER if said.success else ENDED_HERE


async def receive_backchannel(flow: LoginFlow, connection: Connection, token: str, client: Client) -> None:
    """End the sessions that a logout token names. Source: OpenID Connect Back-Channel Logout 1.0, 2.6 and 2.7.

    Raises:
        Refused: with its one reason; whoever calls puts it on record.
    """
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
    name = f"sub:{said.sub}" if said.sub else f"sid:{said.sid}"
    found = await ProviderNames(flow.runtime.redis).find(connection.organization, connection.id, name)
    await _end(flow, connection, found, sessions=(said.sid,) if said.sid else ())
    await _record(flow, connection, client, found)


async def _use_up(flow: LoginFlow, connection: Connection, proof: str, *, until: datetime) -> None:
    now = flow.runtime.clock.now()
    if not await ReplayGuard(flow.runtime.redis).first_use(connection.id, proof, now=now, until=until):
        raise Refused(Reason.REPLAYED)


async def _end(
    flow: LoginFlow, connection: Connection, found: tuple[str, str] | None, *, sessions: tuple[str, ...]
) -> None:
    """End these sessions of the person, or all that came by the connection where none is named.

    A session whose index the provider never told us could be any of those that it means: it ends too.
    """
    if found is None:
        return
    store = SessionStore.of(flow.runtime)
    if not sessions:
        await store.end_matching(*found, connection=connection.id)
        return
    for index in (*sessions, ""):
        await store.end_matching(*found, connection=connection.id, session_index=index)


async def _record(flow: LoginFlow, connection: Connection, client: Client, person: tuple[str, str] | None) -> None:
    clock = flow.runtime.clock
    event = Event(
        id=new_id("evt", clock),
        organization=connection.organization,
        at=clock.now(),
        action=Action.LOGOUT,
        actor=Actor("user", person[1] if person else ""),
        reference=new_reference(),
        via=Via(connection.id, connection.protocol),
        client=client,
    )
    await flow.runtime.database.write(lambda tx: audit.record(tx, [event]))
