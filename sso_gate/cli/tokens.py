"""`sso-gate token`."""

import click
from sqlalchemy import Connection

from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Event
from sso_gate.cli.session import OPERATOR, Caller, json_option, org_option, run_for, say, show_json, show_table
from sso_gate.clock import iso
from sso_gate.errors import NotFound
from sso_gate.identity import new_id
from sso_gate.settings import parse_duration
from sso_gate.tokens import store as tokens
from sso_gate.tokens.token import Scope, Token, new_secret


@click.group("token")
def token_group() -> None:
    """API and SCIM tokens."""


@token_group.command("create")
@org_option
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice([str(scope) for scope in Scope]))
@click.option("--name", default="", help="What it is for.")
@click.option("--expires", metavar="90d", help="How long it is valid; for ever when not given.")
def create(*, slug: str, scopes: tuple[str, ...], name: str, expires: str | None) -> None:
    """Make a token and print its secret, alone, on stdout. It is shown this once."""
    try:
        lifetime = parse_duration(expires) if expires else None
    except ValueError as error:
        raise click.UsageError(f"--expires: {error}") from error
    secret = new_secret()

    async def work(caller: Caller) -> Token:
        clock, organization = caller.runtime.clock, caller.organization.id

        def write(tx: Connection) -> Token:
            until = clock.now() + lifetime if lifetime else None
            wanted = frozenset(Scope(scope) for scope in scopes)
            made = tokens.add(tx, organization, name=name, scopes=wanted, secret=secret, expires=until, clock=clock)
            changes = {"scopes": sorted(scopes), "name": name}
            event = Event(
                new_id("evt", clock),
                organization,
                clock.now(),
                Action.TOKEN_CREATE,
                OPERATOR,
                target=made.id,
                changes=changes,
            )
            audit.record(tx, [event])
            return made

        return await caller.runtime.database.write(write)

    made = run_for(slug, work)
    say(f"token {made.id} made")
    click.echo(secret)


@token_group.command("list")
@org_option
@json_option
def list_tokens(*, slug: str, as_json: bool) -> None:
    """Print the tokens, without their secrets."""

    async def work(caller: Caller) -> list[Token]:
        return await caller.runtime.database.read(lambda tx: tokens.of_organization(tx, caller.organization.id))

    rows = [
        {
            "id": one.id,
            "name": one.name,
            "scopes": sorted(one.scopes),
            "created": iso(one.created),
            "expires": iso(one.expires) if one.expires else None,
            "revoked": iso(one.revoked) if one.revoked else None,
        }
        for one in run_for(slug, work)
    ]
    if as_json:
        show_json(rows)
    else:
        show_table(
            ("Id", "Name", "Scopes", "Expires", "Revoked"),
            [
                (row["id"], row["name"], " ".join(row["scopes"] or ()), row["expires"] or "", row["revoked"] or "")
                for row in rows
            ],
        )


@token_group.command("revoke")
@click.argument("token_id")
@org_option
def revoke(*, token_id: str, slug: str) -> None:
    """End a token."""

    async def work(caller: Caller) -> None:
        clock, organization = caller.runtime.clock, caller.organization.id

        def write(tx: Connection) -> None:
            if not tokens.revoke(tx, organization, token_id, now=clock.now()):
                raise NotFound(f"no living token {token_id}")
            event = Event(
                new_id("evt", clock), organization, clock.now(), Action.TOKEN_REVOKE, OPERATOR, target=token_id
            )
            audit.record(tx, [event])

        await caller.runtime.database.write(write)

    run_for(slug, work)
    say(f"token {token_id} revoked")
