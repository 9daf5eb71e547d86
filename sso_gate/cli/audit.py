"""`sso-gate audit`."""

import json

import click

from sso_gate.audit import store as audit
from sso_gate.audit.store import AuditFilter
from sso_gate.cli.session import Caller, json_option, org_option, run_for, show_json, show_table

PAGE = 200


@click.group("audit")
def audit_group() -> None:
    """The audit log: every login, admitted or refused, with its reason."""


@audit_group.command("list")
@org_option
@click.option("--outcome", type=click.Choice(["success", "denied"]), default=None)
@click.option("--reason", default="")
@click.option("--action", default="")
@click.option("--person", default="", help="An email address.")
@click.option("--reference", default="", help="The code on an employee's page.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=1000, show_default=True)
@json_option
def list_events(
    *,
    slug: str,
    outcome: str | None,
    reason: str,
    action: str,
    person: str,
    reference: str,
    limit: int,
    as_json: bool,
) -> None:
    """Print events, oldest first."""

    async def work(caller: Caller) -> list[str]:
        found: list[str] = []
        after = ""
        while len(found) < limit:
            wanted = AuditFilter(
                outcome=outcome or "", reason=reason, action=action, person=person, reference=reference, after=after
            )
            size = min(PAGE, limit - len(found))
            page = await caller.runtime.database.read(
                lambda tx, asked=wanted, most=size: audit.page(tx, caller.organization.id, asked, limit=most)  # type: ignore[misc]
            )
            found += page.events
            after = page.next_after
            if not after:
                break
        return found

    events = [json.loads(line) for line in run_for(slug, work)]
    if as_json:
        show_json(events)
        return
    show_table(
        ("Time", "Outcome", "Action", "Reason", "Person", "Connection", "Reference"),
        [
            (
                event["time"],
                event["outcome"],
                event["action"],
                event["reason"] or "",
                event["actor"]["name"],
                event["via"]["connection"],
                event["reference"],
            )
            for event in events
        ],
    )
