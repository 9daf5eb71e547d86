"""`sso-gate breakglass`."""

import click

from sso_gate.breakglass.code import IssuedCode
from sso_gate.breakglass.manage import NotAnOwner, issue_code, issued_codes, revoke_code
from sso_gate.cli.session import (
    NOT_PERMITTED,
    OPERATOR,
    Caller,
    agreed,
    dry_run_option,
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
from sso_gate.settings import parse_duration


@click.group("breakglass")
def breakglass_group() -> None:
    """Emergency codes for owners, for when single sign-on is down."""


@breakglass_group.command("issue")
@click.argument("email")
@org_option
@click.option("--expires", metavar="7d", default="7d", show_default=True, help="How long the code is valid.")
@yes_option
@dry_run_option
@json_option
def issue(*, email: str, slug: str, expires: str, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Make a code for the owner EMAIL and print it, alone, on stdout. It is shown this once; all owners are told."""
    try:
        lifetime = parse_duration(expires)
    except ValueError as error:
        raise click.UsageError(f"--expires: {error}") from error
    agreed(f"issue an emergency code for {email}", yes=yes, dry_run=dry_run, slug=slug)

    async def work(caller: Caller) -> str | None:
        try:
            return await issue_code(caller.runtime, caller.organization.id, email, lifetime=lifetime, by=OPERATOR)
        except NotAnOwner:
            return None

    code = run_for(slug, work)
    if code is None:
        stop(NOT_PERMITTED, f"{email} is no owner: emergency codes are for owners only")
    say("open /login/break-glass with it; it works once")
    if as_json:
        show_json({"email": email, "code": code, "expires_after_seconds": int(lifetime.total_seconds())})
    else:
        click.echo(code)


@breakglass_group.command("list")
@org_option
@json_option
def list_codes(*, slug: str, as_json: bool) -> None:
    """Print the codes that were issued, without their texts."""

    async def work(caller: Caller) -> list[IssuedCode]:
        return await issued_codes(caller.runtime, caller.organization.id)

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
@dry_run_option
def revoke(*, code_id: str, slug: str, yes: bool, dry_run: bool) -> None:
    """End a code that was not used."""
    agreed(f"revoke {code_id}", yes=yes, dry_run=dry_run, slug=slug)

    async def work(caller: Caller) -> None:
        await revoke_code(caller.runtime, caller.organization.id, code_id, by=OPERATOR)

    run_for(slug, work)
    say(f"code {code_id} revoked")
