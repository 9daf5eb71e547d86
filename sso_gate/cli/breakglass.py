"""`sso-gate breakglass`."""

import click
from sqlalchemy import Connection

from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Event
from sso_gate.breakglass import store as codes
from sso_gate.breakglass.code import IssuedCode, new_code
from sso_gate.cli.session import (
    NOT_PERMITTED,
    OPERATOR,
    Caller,
    json_option,
    org_option,
    run_for,
    say,
    show_json,
    show_table,
    stop,
    yes_option,
)
from sso_gate.clock import iso
from sso_gate.errors import NotFound
from sso_gate.identity import new_id
from sso_gate.members import store as members
from sso_gate.members.roles import OWNERS
from sso_gate.settings import parse_duration
from sso_gate.storage import outbox

BREAKGLASS_ISSUED = "breakglass.issued"


@click.group("breakglass")
def breakglass_group() -> None:
    """Emergency codes for owners, for when single sign-on is down."""


@breakglass_group.command("issue")
@click.argument("email")
@org_option
@click.option("--expires", metavar="7d", default="7d", show_default=True, help="How long the code is valid.")
@yes_option
def issue(*, email: str, slug: str, expires: str, yes: bool) -> None:
    """Make a code for the owner EMAIL and print it, alone, on stdout. It is shown this once; all owners are told."""
    try:
        lifetime = parse_duration(expires)
    except ValueError as error:
        raise click.UsageError(f"--expires: {error}") from error
    if not yes:
        click.confirm(f"Issue an emergency code for {email}", abort=True, err=True)
    code = new_code()

    async def work(caller: Caller) -> bool:
        clock, organization = caller.runtime.clock, caller.organization.id

        def write(tx: Connection) -> bool:
            member = members.find(tx, organization, email)
            if member is None:
                raise NotFound(f"no member {email}")
            if member.role not in OWNERS:
                return False
            code_id = codes.add(tx, organization, member.id, code, expires=clock.now() + lifetime, clock=clock)
            event = Event(
                new_id("evt", clock), organization, clock.now(), Action.BREAKGLASS_ISSUE, OPERATOR, target=member.id
            )
            audit.record(tx, [event])
            outbox.add(tx, organization, BREAKGLASS_ISSUED, clock=clock, subject=member.id, payload={"code": code_id})
            return True

        return await caller.runtime.database.write(write)

    if not run_for(slug, work):
        stop(NOT_PERMITTED, f"{email} is no owner: emergency codes are for owners only")
    say("open /login/break-glass with it; it works once")
    click.echo(code)


@breakglass_group.command("list")
@org_option
@json_option
def list_codes(*, slug: str, as_json: bool) -> None:
    """Print the codes that were issued, without their texts."""

    async def work(caller: Caller) -> list[IssuedCode]:
        return await caller.runtime.database.read(lambda tx: codes.of_organization(tx, caller.organization.id))

    rows = [
        {
            "id": one.id,
            "email": one.email,
            "created": iso(one.created),
            "expires": iso(one.expires),
            "used": iso(one.used) if one.used else None,
            "revoked": iso(one.revoked) if one.revoked else None,
        }
        for one in run_for(slug, work)
    ]
    if as_json:
        show_json(rows)
    else:
        show_table(
            ("Id", "Email", "Expires", "Used", "Revoked"),
            [(row["id"], row["email"], row["expires"], row["used"] or "", row["revoked"] or "") for row in rows],
        )


@breakglass_group.command("revoke")
@click.argument("code_id")
@org_option
@yes_option
def revoke(*, code_id: str, slug: str, yes: bool) -> None:
    """End a code that was not used."""
    del yes  # nothing is lost by it

    async def work(caller: Caller) -> None:
        clock, organization = caller.runtime.clock, caller.organization.id

        def write(tx: Connection) -> None:
            if not codes.revoke(tx, organization, code_id, now=clock.now()):
                raise NotFound(f"no living code {code_id}")
            event = Event(
                new_id("evt", clock), organization, clock.now(), Action.BREAKGLASS_REVOKE, OPERATOR, target=code_id
            )
            audit.record(tx, [event])

        await caller.runtime.database.write(write)

    run_for(slug, work)
    say(f"code {code_id} revoked")
