"""Who calls: the bearer token and its scope, asked before the request is read. Source: RFC 6750 2.1, 3.1."""

from dataclasses import dataclass

from sqlalchemy import Connection
from starlette.requests import Request

from sso_gate.audit.event import Action, Actor, Client, Event, Via, new_reference
from sso_gate.audit.flood import record_unproved
from sso_gate.audit.origin import client_of
from sso_gate.billing.purchase import may_buy
from sso_gate.errors import Reason, Refused
from sso_gate.identity import new_id
from sso_gate.members import store as members
from sso_gate.members.member import MemberState
from sso_gate.organizations import store as organizations
from sso_gate.organizations.organization import Organization
from sso_gate.storage.runtime import Runtime
from sso_gate.tokens import store as tokens
from sso_gate.tokens.token import MAX_LENGTH, Scope, Token
from sso_gate.web.request_state import runtime_of


@dataclass(frozen=True, slots=True)
class Caller:
    """A program with a token that may do what it asks for."""

    runtime: Runtime
    token: Token
    organization: Organization
    client: Client

    @property
    def actor(self) -> Actor:
        """The program, as the audit record names it."""
        return Actor("api_token", self.token.id, self.token.name, client=self.client)

    @property
    def via(self) -> Via:
        """The way it came."""
        return Via(protocol="api", token=self.token.id)


async def caller_with(request: Request, scope: Scope) -> Caller:
    """Return the caller.

    Raises:
        Refused: `token_missing`, `token_invalid`, `insufficient_scope`, or `organization_disabled` for one that buys.
            It is on the record of the organization whose token it is, or was; a secret that nobody has ever been given
            is nobody's.
    """
    runtime, secret = runtime_of(request), bearer_secret(request)
    token, organization = await runtime.database.read(lambda tx: _look_up(tx, secret))
    if token is None or organization is None:
        raise Refused(Reason.TOKEN_INVALID)
    caller = Caller(runtime, token, organization, client_of(request))
    now = runtime.clock.now()
    ended = tokens.ended(token, now=now)
    if ended:
        raise await _refused(caller, Reason.TOKEN_INVALID, ended)
    if scope not in token.scopes:
        raise await _refused(caller, Reason.INSUFFICIENT_SCOPE, f"needs {scope}")
    if scope is Scope.SEATS_WRITE:
        await _check_may_buy(caller)
    if tokens.is_use_worth_noting(token, now=now):
        await runtime.database.write(lambda tx: tokens.note_use(tx, token, now=now))
    return caller


async def _check_may_buy(caller: Caller) -> None:
    """Return where the token may buy seats now: of a member's, only as long as the member may do so."""
    organization, maker = caller.organization, caller.token.made_by
    if not organization.enabled:
        raise await _refused(caller, Reason.ORGANIZATION_DISABLED, "buys nothing")
    if not maker:
        return
    member = await caller.runtime.database.read(lambda tx: members.get(tx, organization.id, maker))
    if member is None or member.state is MemberState.BLOCKED or not may_buy(organization, member):
        raise await _refused(caller, Reason.INSUFFICIENT_SCOPE, "its maker may not buy any more")


async def _refused(caller: Caller, reason: Reason, check: str) -> Refused:
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
