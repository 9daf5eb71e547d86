"""`sso-gate members` and `sso-gate waiting`."""

from functools import partial

import click

from sso_gate.admission import invites
from sso_gate.admission.revoke import Revoker
from sso_gate.cli.session import (
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
    yes_option,
)
from sso_gate.clock import iso
from sso_gate.members import store as members
from sso_gate.members.member import Member
from sso_gate.seats.waitlist import Invite, WaitingRow
from sso_gate.waiting import people

PAGE = 200


@click.group("members")
def members_group() -> None:
    """Members: who they are, and whose seat goes where."""


@members_group.command("list")
@org_option
@json_option
def list_members(*, slug: str, as_json: bool) -> None:
    """Print the members by address."""

    async def work(caller: Caller) -> list[Member]:
        found: list[Member] = []
        while True:
            after = found[-1].email if found else ""
            page = await caller.runtime.database.read(
                partial(members.page, organization=caller.organization.id, after=after, limit=PAGE)
            )
            found += page
            if len(page) < PAGE:
                return found

    rows = run_for(slug, work)
    if as_json:
        show_json(
            [{"id": one.id, "email": one.email, "name": one.name, "role": one.role, "state": one.state} for one in rows]
        )
    else:
        show_table(("Email", "Name", "Role", "State"), [(one.email, one.name, one.role, one.state) for one in rows])


@members_group.command("release-seat")
@click.argument("email")
@org_option
@yes_option
@dry_run_option
def release_seat(*, email: str, slug: str, yes: bool, dry_run: bool) -> None:
    """Take the seat of EMAIL back. Their sessions end at once; the next login is a first one."""
    agreed(f"release the seat of {email}", yes=yes, dry_run=dry_run, slug=slug, people=[email])

    async def work(caller: Caller) -> None:
        await Revoker.of(caller.runtime).release(caller.organization.id, email, by=OPERATOR)

    run_for(slug, work)
    say(f"{email} holds no seat any more")


@members_group.command("reassign")
@click.argument("giver", metavar="FROM")
@click.argument("taker", metavar="TO")
@org_option
@yes_option
@dry_run_option
def reassign(*, giver: str, taker: str, slug: str, yes: bool, dry_run: bool) -> None:
    """Give the seat of FROM to TO, both named by address."""
    agreed(f"give the seat of {giver} to {taker}", yes=yes, dry_run=dry_run, slug=slug, people=[giver])

    async def work(caller: Caller) -> None:
        await Revoker.of(caller.runtime).reassign(caller.organization.id, giver, taker, by=OPERATOR)

    run_for(slug, work)
    say(f"{taker} holds the seat of {giver}")


@members_group.command("invite")
@click.argument("email")
@org_option
@yes_option
@dry_run_option
def invite(*, email: str, slug: str, yes: bool, dry_run: bool) -> None:
    """Keep a free seat for EMAIL, who has not come yet; their first login takes it."""
    agreed(f"keep a seat for {email} for {invites.INVITED_FOR.days} days", yes=yes, dry_run=dry_run, slug=slug)

    async def work(caller: Caller) -> None:
        await invites.invite(caller.runtime, caller.organization.id, email, by=OPERATOR)

    run_for(slug, work)
    say(f"a seat is kept for {email}")


@members_group.command("list-invites")
@org_option
@json_option
def list_invites(*, slug: str, as_json: bool) -> None:
    """Print who was invited and has not come yet, with the end of each invite."""

    async def work(caller: Caller) -> list[Invite]:
        return await invites.invites(caller.runtime, caller.organization.id)

    rows = run_for(slug, work)
    if as_json:
        show_json([{"email": one.email, "invited": iso(one.since), "until": iso(one.until)} for one in rows])
    else:
        show_table(("Email", "Invited", "Until"), [(one.email, iso(one.since), iso(one.until)) for one in rows])


@members_group.command("withdraw-invite")
@click.argument("email")
@org_option
@yes_option
@dry_run_option
def withdraw_invite(*, email: str, slug: str, yes: bool, dry_run: bool) -> None:
    """Take the invite of EMAIL back; its seat is free, or the next one's in line."""
    agreed(f"withdraw the invite of {email}", yes=yes, dry_run=dry_run, slug=slug)

    async def work(caller: Caller) -> None:
        await invites.withdraw(caller.runtime, caller.organization.id, email, by=OPERATOR)

    run_for(slug, work)
    say(f"{email} is not invited any more")


@click.group("waiting")
def waiting_group() -> None:
    """People who were refused for want of a seat."""


@waiting_group.command("list")
@org_option
@json_option
def list_waiting(*, slug: str, as_json: bool) -> None:
    """Print who waits, in the order in which they will be helped."""

    async def work(caller: Caller) -> list[WaitingRow]:
        return await people.waiting_people(caller.runtime, caller.organization.id)

    rows = run_for(slug, work)
    if as_json:
        show_json([_waiting_json(row) for row in rows])
    else:
        show_table(
            ("Email", "First refused", "Tries", "State"),
            [(row.email, iso(row.first_refused), row.tries, _state(row)) for row in rows],
        )


def _waiting_json(row: WaitingRow) -> dict[str, object]:
    return {
        "member": row.member,
        "email": row.email,
        "first_refused": iso(row.first_refused),
        "tries": row.tries,
        "asked": iso(row.asked) if row.asked else None,
        "message": row.message,
        "held_until": iso(row.held_until) if row.held_until else None,
        "state": _state(row),
    }


def _state(row: WaitingRow) -> str:
    if row.held_until:
        return "held"
    if row.declined:
        return "declined"
    return "asked" if row.asked else "blocked"


@waiting_group.command("hold")
@click.argument("email")
@org_option
@yes_option
@dry_run_option
def hold(*, email: str, slug: str, yes: bool, dry_run: bool) -> None:
    """Keep a free seat for EMAIL."""
    agreed(f"keep a seat for {email}", yes=yes, dry_run=dry_run, slug=slug, people=[email])

    async def work(caller: Caller) -> None:
        await people.hold_seat(caller.runtime, caller.organization.id, email, by=OPERATOR)

    run_for(slug, work)
    say(f"a seat is kept for {email}")


@waiting_group.command("decline")
@click.argument("email")
@org_option
@click.option("--answer", default="", help="What they are told.")
@yes_option
@dry_run_option
def decline(*, email: str, slug: str, answer: str, yes: bool, dry_run: bool) -> None:
    """Tell EMAIL no; they may ask again after a week."""
    agreed(f"decline {email}", yes=yes, dry_run=dry_run, slug=slug, people=[email])

    async def work(caller: Caller) -> None:
        await people.decline(caller.runtime, caller.organization.id, email, answer, by=OPERATOR)

    run_for(slug, work)
    say(f"{email} was declined")
