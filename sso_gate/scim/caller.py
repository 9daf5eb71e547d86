"""Who calls: the bearer token, its scope and its budget, asked before the request is read.

Source: RFC 6750 2.1, RFC 7644 2.
"""

import contextlib
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from sqlalchemy import Connection
from starlette.requests import Request

from sso_gate.audit.event import Action, Actor, Client, Event, Via, new_reference
from sso_gate.audit.flood import record_unproved
from sso_gate.audit.origin import client_of
from sso_gate.errors import Reason, Unavailable
from sso_gate.identity import new_id
from sso_gate.organizations import store as organizations
from sso_gate.organizations.organization import Organization
from sso_gate.scim.long_lists import LongLists, Notes
from sso_gate.scim.rations import Rations, portion
from sso_gate.scim.recorder import Recorder
from sso_gate.scim.rejection import Rejected
from sso_gate.scim.values import Dialect
from sso_gate.storage.runtime import Runtime
from sso_gate.tokens import store as tokens
from sso_gate.tokens.token import MAX_LENGTH, Scope, Token
from sso_gate.web.request_state import runtime_of

Kind = Literal["read", "write", "give_back"]
WINDOW_SECONDS = 10
# Requests of one token in a window. A client that meets a 429 may stop its whole job, so they are generous; giving
# seats back has a budget of its own, which no flood of creations can use up.
BUDGETS: dict[Kind, int] = {"read": 2000, "write": 1000, "give_back": 1000}
ROWS_PER_READ = 20  # rows that a question made the gate look at one by one, and that count as one more read


@dataclass(frozen=True, slots=True)
class Remembered:
    """What one process remembers of the requests before: nothing that decides who may do what."""

    lists: LongLists = field(default_factory=LongLists)
    rations: Rations = field(default_factory=Rations)


@dataclass(frozen=True, slots=True)
class Caller:
    """A provisioning client that may do what it asks for."""

    runtime: Runtime
    token: Token
    organization: Organization
    client: Client
    dialect: Dialect
    remembered: Remembered

    @property
    def notes(self) -> Notes:
        """What this process remembers of the organization's long lists."""
        return self.remembered.lists.of(self.organization.id, now=self.runtime.clock.now())

    @property
    def base(self) -> str:
        """The address of `/scim/v2`."""
        return f"{self.runtime.settings.origin}/scim/v2"

    @property
    def recorder(self) -> Recorder:
        """What remembers the words that were ignored."""
        return Recorder(self.runtime.redis, self.organization.id, self.token.id)

    def event(self, action: Action, *, event_id: str = "", reference: str = "", **parts: Any) -> Event:
        """Return an event of this client; `parts` are those that the action has besides: target, reason, changes."""
        return Event(
            id=event_id or new_id("evt", self.runtime.clock),
            organization=self.organization.id,
            at=self.runtime.clock.now(),
            action=action,
            actor=Actor("scim_token", self.token.id, self.token.name),
            reference=reference or new_reference(),
            via=Via(protocol="scim", token=self.token.id),
            client=self.client,
            **parts,
        )

    async def spend(self, kind: Kind) -> None:
        """Count the request against the token's budget.

        Raises:
            Rejected: 429. With Redis away everything passes: a deactivation must never wait for a counter.
        """
        budget, now, rations = self._budget(kind), self.runtime.clock.now(), self.remembered.rations
        if rations.pay(budget, now=now):
            return
        part = portion(BUDGETS[kind])
        try:
            taken = await self.runtime.redis.count(budget, seconds=WINDOW_SECONDS, by=part)
        except Unavailable:
            return
        if taken - part < BUDGETS[kind]:
            rations.fill(budget, part - 1, until=now + timedelta(seconds=WINDOW_SECONDS))
        else:
            event = self.event(Action.SCIM_THROTTLE, reason=Reason.RATE_LIMITED, check=kind)
            await record_unproved(self.runtime, event)
            said = f"more than {BUDGETS[kind]} requests of this kind in {WINDOW_SECONDS} seconds: try again later"
            raise Rejected(429, said, reason=Reason.RATE_LIMITED).recorded()

    async def note_looked_at(self, rows: int) -> None:
        """Let a question that no index answered count as the many reads that it was; the next ones feel it."""
        if rows < ROWS_PER_READ:
            return
        budget = self._budget("read")
        self.remembered.rations.forget(budget)  # the next one asks how much is left
        with contextlib.suppress(Unavailable):
            await self.runtime.redis.count(budget, seconds=WINDOW_SECONDS, by=rows // ROWS_PER_READ)

    async def note_refused(self, action: Action, target: str, rejected: Rejected) -> None:
        """Put a change that was refused on the audit record where its use case has not done so."""
        if not rejected.is_on_record:
            event = self.event(action, target=target[:64], reason=rejected.reason, check=rejected.check)
            await record_unproved(self.runtime, event)

    def _budget(self, kind: Kind) -> str:
        return f"sso:{{{self.organization.id}}}:scim-budget:{kind}:{self.token.id}"


async def caller_with(request: Request, remembered: Remembered, *, writes: bool) -> Caller:
    """Return the caller; `remembered` is what this process knows of the requests before.

    Raises:
        Rejected: 401 for a token that is missing or opens nothing, 403 for one that may not do this. What is known of a
            token is on the audit record then; an unknown one belongs to no organization.
    """
    runtime, secret = runtime_of(request), _bearer_secret(request)
    token, organization = await runtime.database.read(lambda tx: _look_up(tx, secret))
    if token is None or organization is None:
        raise Rejected(401, "the bearer token is not valid", reason=Reason.TOKEN_INVALID)
    dialect = Dialect(strict=organization.scim_mode == "strict")
    caller = Caller(runtime, token, organization, client_of(request), dialect, remembered)
    now = runtime.clock.now()
    ended = tokens.ended(token, now=now)
    if ended:
        raise await _denied(caller, 401, Reason.TOKEN_INVALID, "the bearer token is not valid any more", ended)
    if Scope.SCIM not in token.scopes and (writes or Scope.SCIM_READ not in token.scopes):
        needed = Scope.SCIM if writes else f"{Scope.SCIM} or {Scope.SCIM_READ}"
        said = f"the bearer token needs the scope {needed}"
        raise await _denied(caller, 403, Reason.INSUFFICIENT_SCOPE, said, f"needs {needed}")
    if tokens.is_use_worth_noting(token, now=now):
        await runtime.database.write(lambda tx: tokens.note_use(tx, token, now=now))
    return caller


def _bearer_secret(request: Request) -> str:
    values = request.headers.getlist("authorization")
    scheme, _, secret = values[0].partition(" ") if len(values) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Rejected(401, "a bearer token is needed", reason=Reason.TOKEN_MISSING)
    if len(secret) > MAX_LENGTH:
        raise Rejected(401, "the bearer token is not valid", reason=Reason.TOKEN_INVALID)
    return secret.strip()


def _look_up(tx: Connection, secret: str) -> tuple[Token | None, Organization | None]:
    token = tokens.known_by_secret(tx, secret)
    return token, organizations.get(tx, token.organization) if token else None


async def _denied(caller: Caller, status: int, reason: Reason, detail: str, check: str) -> Rejected:
    await record_unproved(caller.runtime, caller.event(Action.SCIM_AUTH, reason=reason, check=check))
    return Rejected(status, detail, reason=reason).recorded()
