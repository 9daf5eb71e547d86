"""A login, told top to bottom: the browser leaves (`begin`), comes back with proof (`finish_saml`, `finish_oidc`), and
is let in or not.

Protocols turn bytes into an `Identity`, admission turns an identity into a session or a refusal; this file leads from
one to the other and keeps the order: proof first, then single use, then the seat.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Self, cast

from sqlalchemy import Connection as Transaction
from starlette.requests import HTTPConnection

from sso_gate.admission.admit import Admission, Door
from sso_gate.admission.settle import Denied, Login
from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Actor, Client, Event, Via, new_reference
from sso_gate.audit.flood import record_unproved
from sso_gate.clock import to_micros
from sso_gate.connections import store as connections
from sso_gate.connections.connection import Connection, SamlSettings
from sso_gate.errors import NotFound, Reason, Refused
from sso_gate.identity import Identity, new_id
from sso_gate.login.answer import Answer, Said, said_by_oidc, said_by_saml
from sso_gate.login.keys import LoginKeys, load_login_keys
from sso_gate.login.pending import (
    LIFETIME_SECONDS,
    InTheWay,
    PendingLogin,
    PendingLogins,
    browser_hash,
    handle_proof,
    new_handle,
)
from sso_gate.login.trace import ANSWERED, SENT, not_enabled_yet
from sso_gate.login.trial import Trial, Trials, failed_trial, try_admission
from sso_gate.login.turns import Turns
from sso_gate.members.roles import Role
from sso_gate.members.store import higher
from sso_gate.protocols.fetch import Fetcher
from sso_gate.protocols.oidc import callback as oidc_callback
from sso_gate.protocols.oidc import request as oidc_request
from sso_gate.protocols.oidc.provider import Providers
from sso_gate.protocols.protocol import Endpoints
from sso_gate.protocols.replay import ReplayGuard
from sso_gate.protocols.saml import request as saml_request
from sso_gate.protocols.saml import response as saml_response
from sso_gate.protocols.saml.response import VerifiedResponse
from sso_gate.storage.runtime import Runtime
from sso_gate.web.return_to import ReturnTo


@dataclass(frozen=True, slots=True)
class Browser:
    """The browser at the door: its own key (a new one when it sent none) and where it comes from."""

    key: str
    client: Client


@dataclass(frozen=True, slots=True)
class Arrived:
    """Let in: the session, where to go, and the key that an application's host gave the browser, where it
    began there.
    """

    admission: Admission
    return_to: ReturnTo
    bind: str


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """A proved person who may not come in now."""

    denied: Denied
    identity: Identity
    return_to: ReturnTo


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that proves nothing: the visitor learns the reference, nothing else."""

    reason: Reason
    reference: str
    connection: str


@dataclass(frozen=True, slots=True)
class Tried:
    """A test login, by its name: no seat was taken, no session made."""

    name: str
    trial: Trial


@dataclass(frozen=True, slots=True)
class Restarted:
    """An unsolicited message was taken as a hint to start a login of our own."""

    url: str


SamlProof = VerifiedResponse | Refused
"""What a SAML response proves, or why it proves nothing."""

Finish = Arrived | TurnedAway | Rejected | Restarted | Tried

# What can stop a login before it leaves, and did so after it was back.
_ON_THE_WAY = frozenset({Reason.PROVIDER_UNREACHABLE, Reason.DISCOVERY_REFUSED, Reason.RATE_LIMITED})


@dataclass(frozen=True, slots=True)
class LoginFlow:
    """What a login needs; one for each process."""

    runtime: Runtime
    door: Door
    pending: PendingLogins
    keys: LoginKeys
    providers: Providers
    turns: Turns = field(default_factory=Turns)

    @classmethod
    async def of(cls, runtime: Runtime, door: Door) -> Self:
        """Return the flow of a process, with the installation's keys."""
        providers = Providers(Fetcher(runtime.settings.allow_private_networks), runtime.clock)
        return cls(runtime, door, PendingLogins(runtime.redis), await load_login_keys(runtime), providers)

    async def connection(self, connection_id: str) -> Connection:
        """Return the connection that the route names; `NotFound` where there is none."""
        found = await self.runtime.database.read(self._get(connection_id))
        if found is None:
            raise NotFound(f"connection {connection_id}")
        return found

    def _get(self, connection_id: str) -> Callable[[Transaction], Connection | None]:
        return lambda tx: connections.get(tx, self.runtime.keyring, connection_id)

    def endpoints(self, connection: Connection) -> Endpoints:
        """Return the gate's own addresses for the connection."""
        return Endpoints(self.runtime.settings.origin, connection.id)

    async def begin(
        self,
        connection: Connection,
        *,
        browser: Browser,
        return_to: ReturnTo,
        bind: str = "",
        email: str = "",
        restarted: bool = False,
        trial: str = "",
    ) -> str:
        """Return the URL of the identity provider, having remembered this login for this browser.

        Raises:
            Refused: `connection_disabled`, or what the provider's discovery came to.
        """
        if not connection.enabled and not trial:
            raise Refused(Reason.CONNECTION_DISABLED)
        handle, now = new_handle(), self.runtime.clock.now()
        endpoints, hint = self.endpoints(connection), email or None
        if connection.protocol == "saml":
            departure = saml_request.begin(
                connection, endpoints, handle=handle, keys=self.keys.saml, now=now, login_hint=hint
            )
        else:
            departure = await oidc_request.begin(
                connection,
                endpoints,
                self.providers,
                handle=handle,
                now=now,
                login_hint=hint,
                client_key=self.keys.oidc,
            )
        pending = PendingLogin(
            connection.id,
            browser_hash(browser.key),
            departure.expectations,
            return_to.url,
            bind,
            restarted,
            trial,
            sent_at=to_micros(now) if trial else 0,
        )
        await self.pending.save(handle, pending)
        return departure.url

    async def answer_saml(
        self, connection_id: str, response: str, *, relay_state: str, browser: Browser
    ) -> tuple[Connection, Finish]:
        """Return the connection that the route names, and how the login ended that this SAML response belongs to. What
        proves nothing keeps its turn until it is on record.

        Raises:
            NotFound: there is no such connection.
        """
        async with self.turns.of(connection_id):
            connection, proof = await self._prove_saml(connection_id, response)
            if isinstance(proof, Refused):
                return connection, await self.finish_saml(connection, proof, relay_state=relay_state, browser=browser)
        return connection, await self.finish_saml(connection, proof, relay_state=relay_state, browser=browser)

    async def _prove_saml(self, connection_id: str, response: str) -> tuple[Connection, SamlProof]:
        """Return the connection, and what this SAML response proves by its settings, or why it proves nothing. Read and
        verified by one thread: handing a login to another costs as much as reading.
        """

        def prove(found: Connection | None) -> tuple[Connection, SamlProof] | None:
            return (found, self._proof(found, response)) if found else None

        proved = await self.runtime.database.read_then(self._get(connection_id), prove)
        if proved is None:
            raise NotFound(f"connection {connection_id}")
        return proved

    def _proof(self, connection: Connection, response: str) -> SamlProof:
        try:
            return saml_response.verify(
                response,
                connection=connection,
                endpoints=self.endpoints(connection),
                keys=self.keys.saml,
                now=self.runtime.clock.now(),
            )
        except Refused as refusal:
            return refusal

    async def finish_saml(
        self, connection: Connection, proof: SamlProof, *, relay_state: str, browser: Browser
    ) -> Finish:
        """Return how the login that this SAML response belongs to ended. Every refusal is on the audit record."""
        try:
            return await self._finish_saml(connection, proof, relay_state, browser)
        except Refused as refusal:
            return await self._refused(connection, refusal, relay_state, browser)

    async def _finish_saml(
        self, connection: Connection, proof: SamlProof, relay_state: str, browser: Browser
    ) -> Finish:
        if not isinstance(connection.settings, SamlSettings) or not await self._serves(
            connection, relay_state, browser
        ):
            raise Refused(Reason.CONNECTION_DISABLED)
        if isinstance(proof, Refused):
            raise proof
        if proof.in_response_to is None:
            return await self._unsolicited(connection, connection.settings, proof, relay_state, browser)
        pending = await self._consume(connection, proof, proof.in_response_to, relay_state, browser)
        saml_response.require_request(proof, expected_request_id=pending.expectations["request_id"])
        return await self._admit_saml(connection, proof, pending, browser)

    async def _serves(self, connection: Connection, handle: str, browser: Browser) -> bool:
        """Return whether an answer counts: a connection that is not enabled yet can be tested."""
        if connection.enabled:
            return True
        pending = await self.pending.find(connection.id, handle, browser_key=browser.key)
        return pending is not None and bool(pending.trial)

    async def _unsolicited(
        self,
        connection: Connection,
        settings: SamlSettings,
        verified: VerifiedResponse,
        relay_state: str,
        browser: Browser,
    ) -> Finish:
        match settings.accept_unsolicited:
            case "accept":
                await self._use_up(connection, verified)
                blank = PendingLogin(connection.id, "", {}, ReturnTo.home().url)
                return await self._admit_saml(connection, verified, blank, browser)
            case "restart" if await self._may_restart(connection, relay_state, browser):
                url = await self.begin(connection, browser=browser, return_to=ReturnTo.home(), restarted=True)
                return Restarted(url)
            case _:
                raise Refused(Reason.UNSOLICITED_REFUSED)

    async def _admit_saml(
        self, connection: Connection, verified: VerifiedResponse, pending: PendingLogin, browser: Browser
    ) -> Finish:
        if pending.trial:
            return await self._try(connection, verified.identity, said_by_saml(verified), pending, browser)
        return await self._admit(
            connection, verified.identity, pending, browser, logout=_saml_logout(verified), names=_saml_names(verified)
        )

    async def _may_restart(self, connection: Connection, relay_state: str, browser: Browser) -> bool:
        pending = await self.pending.find(connection.id, relay_state, browser_key=browser.key)
        restarted = pending is not None and pending.restarted
        return not restarted and await self.pending.may_restart(connection.id, browser.key)

    async def _use_up(self, connection: Connection, verified: VerifiedResponse) -> None:
        guard, now = ReplayGuard(self.runtime.redis), self.runtime.clock.now()
        if not await guard.first_use(connection.id, verified.assertion_key, now=now, until=verified.replay_until):
            raise Refused(Reason.REPLAYED)

    async def _consume(
        self, connection: Connection, verified: VerifiedResponse, request_id: str, relay_state: str, browser: Browser
    ) -> PendingLogin:
        """Return the login that this response answers, used up together with it, or refuse."""
        consumed = await self.pending.consume(
            connection.id,
            relay_state,
            verified.assertion_key,
            browser_key=browser.key,
            request_id=request_id,
            now=self.runtime.clock.now(),
            until=verified.replay_until,
        )
        if consumed == "mismatch":
            waits = await self.pending.find(connection.id, relay_state, browser_key=browser.key)
            # Empty too where that login began while the connection spoke OpenID Connect.
            expected = waits.expectations.get("request_id", "") if waits else ""
            saml_response.require_request(verified, expected_request_id=expected)
        return _consumed(consumed, unknown=Reason.REQUEST_UNKNOWN)

    async def finish_oidc(self, connection: Connection, *, answer: Answer, browser: Browser) -> Finish:
        """Return how the login that this redirect belongs to ended; `answer` hears the ID token. Every refusal is on
        the audit record.
        """
        try:
            return await self._finish_oidc(connection, answer, browser)
        except Refused as refusal:
            return await self.reject(connection, refusal, browser.client)

    async def _finish_oidc(self, connection: Connection, answer: Answer, browser: Browser) -> Finish:
        handle = next((value for name, value in answer.parameters if name == "state"), "")
        if connection.protocol != "oidc" or not await self._serves(connection, handle, browser):
            raise Refused(Reason.CONNECTION_DISABLED)
        now = self.runtime.clock.now()
        consumed = await self.pending.consume(
            connection.id,
            handle,
            handle_proof(handle),
            browser_key=browser.key,
            request_id="",
            now=now,
            until=now + timedelta(seconds=LIFETIME_SECONDS),
        )
        pending = _consumed(consumed, unknown=Reason.STATE_MISMATCH)
        try:
            return await self._use_oidc(connection, answer, handle, pending, browser)
        except Refused as refusal:
            if not pending.trial:
                raise
            return await self._not_proved(connection, pending, browser, refusal)

    async def _use_oidc(
        self,
        connection: Connection,
        answer: Answer,
        handle: str,
        pending: PendingLogin,
        browser: Browser,
    ) -> Finish:
        expected = pending.expectations
        if "nonce" not in expected:
            raise Refused(Reason.STATE_MISMATCH, "the login began while the connection spoke SAML")
        proof = await oidc_callback.finish(
            answer.parameters,
            connection=connection,
            endpoints=self.endpoints(connection),
            providers=self.providers,
            expected_handle=handle,
            expected_nonce=expected["nonce"],
            expected_issuer=expected["issuer"],
            expected_fresh_since=expected["fresh_since"],
            code_verifier=expected["code_verifier"],
            client_key=self.keys.oidc,
            now=self.runtime.clock.now(),
            heard=answer.hear,
        )
        if pending.trial:
            return await self._try(connection, proof.identity, said_by_oidc(proof), pending, browser)
        logout = json.dumps({"sub": proof.sub, "sid": proof.sid, "id_token": self.runtime.keyring.seal(proof.id_token)})
        names = [f"sub:{proof.sub}", *([f"sid:{proof.sid}"] if proof.sid else [])]
        return await self._admit(connection, proof.identity, pending, browser, logout=logout, names=names)

    async def _admit(
        self,
        connection: Connection,
        identity: Identity,
        pending: PendingLogin,
        browser: Browser,
        *,
        logout: str,
        names: list[str],
    ) -> Finish:
        if pending.restarted:
            await self.pending.forget_restart(connection.id, browser.key)
        return_to = ReturnTo.checked(pending.return_to, self.runtime.settings)
        attempt = new_id("att", self.runtime.clock)
        login = Login(identity, attempt, browser.client, mapped_role(connection, identity))
        answer = await self.door.admit(login, logout=logout, names=names)
        if isinstance(answer, Denied):
            return TurnedAway(answer, identity, return_to)
        return Arrived(answer, return_to, pending.bind)

    async def _try(
        self, connection: Connection, identity: Identity, said: Said, pending: PendingLogin, browser: Browser
    ) -> Tried:
        trial = await try_admission(self.runtime, identity, mapped_role(connection, identity), said)
        trial = trial.on_the_way(sent_at=pending.sent_at, answered=self.runtime.clock.now())
        return await self._tried(connection, pending.trial, trial, browser)

    async def _not_proved(
        self, connection: Connection, pending: PendingLogin, browser: Browser, refusal: Refused
    ) -> Tried:
        at = ANSWERED if refusal.reason in _ON_THE_WAY else ""
        trial = failed_trial(refusal, at=at)
        trial = trial.on_the_way(sent_at=pending.sent_at, answered=self.runtime.clock.now())
        return await self._tried(connection, pending.trial, trial, browser, refusal)

    async def not_sent(self, connection: Connection, name: str, refusal: Refused, browser: Browser) -> Tried:
        """Return how a test login ended that could not even begin, on record as every other."""
        return await self._tried(connection, name, failed_trial(refusal, at=SENT), browser, refusal)

    async def _tried(
        self, connection: Connection, name: str, trial: Trial, browser: Browser, refusal: Refused | None = None
    ) -> Tried:
        if not connection.enabled:
            trial = replace(trial, steps=not_enabled_yet(trial.steps))
        await Trials.of(self.runtime).keep(connection, name, trial)
        event = self._event(connection, Action.CONNECTION_TEST, browser.client, refusal or trial.refusal)
        await self.runtime.database.write(lambda tx: audit.record(tx, [event]))
        return Tried(name, trial)

    async def _refused(self, connection: Connection, refusal: Refused, handle: str, browser: Browser) -> Finish:
        """Return the refusal as its visitor may see it: a test login's operator sees the checks."""
        pending = await self.pending.find(connection.id, handle, browser_key=browser.key)
        if pending is not None and pending.trial:
            return await self._not_proved(connection, pending, browser, refusal)
        return await self.reject(connection, refusal, browser.client)

    async def reject(
        self, connection: Connection, refusal: Refused, client: Client, *, action: Action = Action.LOGIN
    ) -> Rejected:
        """Record a message that proved nothing, and return what its sender may know."""
        event = self._event(connection, action, client, refusal)
        reference = await record_unproved(self.runtime, event)
        return Rejected(refusal.reason, reference, connection.id)

    def _event(self, connection: Connection, action: Action, client: Client, refusal: Refused | None) -> Event:
        clock = self.runtime.clock
        return Event(
            id=new_id("evt", clock),
            organization=connection.organization,
            at=clock.now(),
            action=action,
            actor=Actor("user"),
            reason=refusal.reason if refusal else None,
            reference=new_reference(),
            via=Via(connection.id, connection.protocol),
            client=client,
            check=refusal.detail if refusal else "",
        )


def flow_of(request: HTTPConnection) -> LoginFlow:
    """Return the flow of the process that answers this request."""
    return cast("LoginFlow", request.state.login_flow)


def _consumed(told: PendingLogin | InTheWay, *, unknown: Reason) -> PendingLogin:
    """Return the login that was used up, or refuse."""
    if isinstance(told, PendingLogin):
        return told
    if told == "replayed":
        raise Refused(Reason.REPLAYED)
    raise Refused(unknown, "no login of this browser waits for this answer")


def mapped_role(connection: Connection, identity: Identity) -> Role | None:
    """Return the highest role that the identity's groups bring by the connection's mapping; never the
    primary owner's.
    """
    best: Role | None = None
    for group in identity.groups:
        name = connection.roles.get(group)
        if name and name != Role.PRIMARY_OWNER:
            best = higher(best, Role(name)) if best else Role(name)
    return best


def _saml_names(verified: VerifiedResponse) -> list[str]:
    return [verified.name_id.value] if verified.name_id else []


def _saml_logout(verified: VerifiedResponse) -> str:
    return json.dumps({"name_id": verified.name_id.to_dict()}) if verified.name_id else ""
