"""Making and ending tokens, with the audit record of it: the same for the settings and the command line."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection

from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Actor, new_event
from sso_gate.errors import InvalidInput, NotFound
from sso_gate.storage.runtime import Runtime
from sso_gate.tokens import store as tokens
from sso_gate.tokens.token import Scope, Token, new_secret

MAX_NAME = 100


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
    """Return a new token; it is valid for ever where no lifetime is given. One that a member makes is theirs: what it
    may buy they must be allowed to buy then.

    Raises:
        InvalidInput: the name is longer than 100 characters or cannot be shown: invoices and the audit log name it.
    """
    if len(name) > MAX_NAME or not name.isprintable():
        raise InvalidInput("name", f"at most {MAX_NAME} characters that can be shown")
    clock, secret = runtime.clock, new_secret()
    until = clock.now() + lifetime if lifetime else None
    maker = by.id if by.type == "user" else ""

    def work(tx: Connection) -> Token:
        made = tokens.add(
            tx, organization, name=name, scopes=scopes, secret=secret, expires=until, clock=clock, made_by=maker
        )
        event = new_event(runtime.clock, organization, Action.TOKEN_CREATE, by, target=made.id, target_name=name)
        audit.record(tx, [event._replace(changes={"scopes": sorted(scopes), "name": name})])
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
        audit.record(tx, [new_event(runtime.clock, organization, Action.TOKEN_REVOKE, by, target=token_id)])

    await runtime.database.write(work)


async def living_tokens(runtime: Runtime, organization: str) -> list[Token]:
    """Return the tokens that work now, oldest first."""
    now = runtime.clock.now()
    found = await runtime.database.read(lambda tx: tokens.of_organization(tx, organization))
    return [one for one in found if not one.revoked and not (one.expires and one.expires <= now)]
