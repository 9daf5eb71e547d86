"""Who calls: the bearer token and its scope, asked before the request is read. Source: RFC 6750 2.1, 3.1."""

from dataclasses import dataclass

from sqlalchemy import Connection
from starlette.requests import Request

from sso_gate.audit.event import Action, Actor, Client, Event, Via, new_reference
from sso_gate.audit.flood import record_unproved
from sso_gate.errors import Reason, Refused
from sso_gate.identity import new_id
from sso_gate.organizations import store as organizations
from sso_gate.organizations.organization import Organization
from sso_gate.storage.runtime import Runtime
from sso_gate.tokens import store as tokens
from sso_gate.tokens.token import MAX_LENGTH, Scope, Token
from sso_gate.web.request_state import client_address, request_id, runtime_of


@dataclass(frozen=True, slots=True)
class Caller:
    """A program with a token that may do what it asks for."""

    runtime: Runtime
    token: Token
    organization: Organization

    @property
    def actor(self) -> Actor:
        """The program, as the audit record names it."""
        return Actor("api_token", self.token.id, self.token.name)

    @property
    def via(self) -> Via:
        """The way it came."""
        return Via(protocol="api", token=self.token.id)


async def caller_with(request: Request, scope: Scope) -> Caller:
    """Return the caller.

    Raises:
        Refused: `token_missing`, `token_invalid` or `insufficient_scope`. It is on the record of the organization whose
            token it is, or was; a secret that nobody has ever been given is nobody's.
    """
    runtime, secret = runtime_of(request), bearer_secret(request)
    token, organization = await runtime.database.read(lambda tx: _look_up(tx, secret))
    if token is None or organization is None:
        raise Refused(Reason.TOKEN_INVALID)
    caller = Caller(runtime, token, organization)
    ended = tokens.ended(token, now=runtime.clock.now())
    if ended:
        raise await _refused(request, caller, Reason.TOKEN_INVALID, ended)
    if scope not in token.scopes:
        raise await _refused(request, caller, Reason.INSUFFICIENT_SCOPE, f"needs {scope}")
    return caller


async def _refused(request: Request, caller: Caller, reason: Reason, check: str) -> Refused:
    """Return the refusal, which is on record now; many equal ones are counted."""
    event = Event(
        id=new_id("evt", caller.runtime.clock),
        organization=caller.organization.id,
        at=caller.runtime.clock.now(),
        action=Action.API_AUTH,
        actor=caller.actor,
        reason=reason,
        reference=new_reference(),
        via=caller.via,
        client=Client(client_address(request), "", request_id(request)),
        check=check,
    )
    await record_unproved(caller.runtime, event)
    return Refused(reason, check)


def bearer_secret(request: Request) -> str:
    """Return the secret of the Authorization header; `Refused` where there is none."""
    values = request.headers.getlist("authorization")
    scheme, _, secret = values[0].partition(" ") if len(values) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Refused(Reason.TOKEN_MISSING)
    if len(secret) > MAX_LENGTH:
        raise Refused(Reason.TOKEN_INVALID)
    return secret.strip()


def _look_up(tx: Connection, secret: str) -> tuple[Token | None, Organization | None]:
    token = tokens.known_by_secret(tx, secret)
    return token, organizations.get(tx, token.organization) if token else None
