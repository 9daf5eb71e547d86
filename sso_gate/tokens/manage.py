"""Making and ending tokens, with the audit record of it: the same for the settings and the command line."""

from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import Connection

from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Actor, Event
from sso_gate.errors import NotFound
from sso_gate.identity import new_id
from sso_gate.storage.runtime import Runtime
from sso_gate.tokens import store as tokens
from sso_gate.tokens.token import Scope, Token, new_secret


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that was just made, with its secret, which is nowhere kept."""

    token: Token
    secret: str


async def create_token(
    runtime: Runtime,
    organization: str,
    *,
    name: str,
    scopes: frozenset[Scope],
    lifetime: timedelta | None,
    by: Actor,
) -> NewToken:
    """Return a new token; it is valid for ever where no lifetime is given."""
    clock, secret = runtime.clock, new_secret()

    def work(tx: Connection) -> Token:
        until = clock.now() + lifetime if lifetime else None
        made = tokens.add(tx, organization, name=name, scopes=scopes, secret=secret, expires=until, clock=clock)
        event = _event(runtime, organization, Action.TOKEN_CREATE, by, made.id)
        audit.record(tx, [replace(event, changes={"scopes": sorted(scopes), "name": name})])
        return made

    return NewToken(await runtime.database.write(work), secret)


async def revoke_token(runtime: Runtime, organization: str, token_id: str, *, by: Actor) -> None:
    """End a token now.

    Raises:
        NotFound: the organization has no such living token.
    """

    def work(tx: Connection) -> None:
        if not tokens.revoke(tx, organization, token_id, now=runtime.clock.now()):
            raise NotFound(f"no living token {token_id}")
        audit.record(tx, [_event(runtime, organization, Action.TOKEN_REVOKE, by, token_id)])

    await runtime.database.write(work)


async def living_tokens(runtime: Runtime, organization: str) -> list[Token]:
    """Return the tokens that work now, oldest first."""
    now = runtime.clock.now()
    found = await runtime.database.read(lambda tx: tokens.of_organization(tx, organization))
    return [one for one in found if not one.revoked and not (one.expires and one.expires <= now)]


def _event(runtime: Runtime, organization: str, action: Action, by: Actor, target: str) -> Event:
    return Event(new_id("evt", runtime.clock), organization, runtime.clock.now(), action, by, target=target)
