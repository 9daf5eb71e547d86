"""`sso-gate connections`."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import click

from sso_gate.apply.metadata_refresh import Look, fetch_metadata, last_look
from sso_gate.cli.session import (
    CONFLICT,
    ERROR,
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
from sso_gate.connections import store as connections
from sso_gate.connections.certificates import certificates_expiry
from sso_gate.connections.connection import Connection, SamlSettings
from sso_gate.connections.manage import change_connection, connection_of
from sso_gate.errors import Conflict, InvalidInput
from sso_gate.login.trial import LIFETIME_SECONDS, Trial, Trials
from sso_gate.protocols.saml.metadata import MetadataChange, compare, parse_identity_provider

WARN_DAYS = 30
_MARKS = {"passed": "ok", "failed": "FAILED", "not reached": "-", "not done": "-"}


@click.group("connections")
def connections_group() -> None:
    """Connections to identity providers."""


@connections_group.command("list")
@org_option
@json_option
def list_connections(*, slug: str, as_json: bool) -> None:
    """Print the connections, when their certificates expire, and what of their metadata waits for an approval."""

    async def work(caller: Caller) -> list[dict[str, object]]:
        keyring, now = caller.runtime.keyring, caller.runtime.clock.now()
        found = await caller.runtime.database.read(
            lambda tx: connections.of_organization(tx, keyring, caller.organization.id)
        )
        return [_row(one, await last_look(caller.runtime, one.id), now) for one in found]

    rows = run_for(slug, work)
    for row in rows:
        _warn(row)
    if as_json:
        show_json(rows)
    else:
        shown = [(*list(row.values())[:6], "held" if row["metadata_held"] else "") for row in rows]
        show_table(("Id", "Protocol", "Name", "Enabled", "Revision", "Days left", "Metadata"), shown)


def _row(one: Connection, look: Look, now: datetime) -> dict[str, object]:
    return {
        "id": one.id,
        "protocol": one.protocol,
        "name": one.name,
        "enabled": one.enabled,
        "revision": one.revision,
        "certificate_days_left": _days_left(one, now),
        "metadata_held": list(look.held),
        "metadata_problem": look.problem,
    }


def _warn(row: dict[str, object]) -> None:
    days, name = row["certificate_days_left"], row["id"]
    if isinstance(days, int) and days < WARN_DAYS:
        say(f"{name}: the last certificate {'has expired' if days < 0 else f'expires in {days} days'}")
    if row["metadata_held"]:
        say(f"{name}: a change of the metadata is held; approve it with import-metadata")
    if row["metadata_problem"]:
        say(f"{name}: metadata not refreshed: {row['metadata_problem']}")


def _days_left(one: Connection, now: datetime) -> int | None:
    if not isinstance(one.settings, SamlSettings):
        return None
    expiries = certificates_expiry(one.settings.certificates, now=now)
    return max((expiry.days_left for expiry in expiries), default=None)


@connections_group.command("import-metadata")
@click.argument("connection_id", metavar="ID")
@click.argument("source", metavar="FILE|URL")
@org_option
@dry_run_option
@yes_option
def import_metadata(*, connection_id: str, source: str, slug: str, dry_run: bool, yes: bool) -> None:
    """Take over what an identity provider's metadata says. Shows what would change; new keys and hosts need a yes."""

    async def look(caller: Caller) -> tuple[Connection, MetadataChange]:
        known = await _saml(caller, connection_id)
        settings = known.settings
        assert isinstance(settings, SamlSettings)  # noqa: S101 - _saml says so
        xml = await _read(caller, source)
        now = caller.runtime.clock.now()
        found = parse_identity_provider(xml, now=now, entity_id=settings.idp_entity_id, pinned=settings.certificates)
        return known, compare(settings, found)

    known, change = run_for(slug, look)
    for line in change.changes:
        say(line)
    if not change.changes:
        say("nothing to change")
        return
    if dry_run:
        return
    if change.held and not yes:
        click.confirm(f"Approve: {', '.join(change.held)}", abort=True, err=True)

    async def work(caller: Caller) -> None:
        def changed(current: Connection) -> Connection:
            if current.revision != known.revision:
                raise Conflict(f"{connection_id} was changed meanwhile: look again")
            return replace(current, settings=change.settings)

        await _save(caller, connection_id, changed, {"metadata": list(change.changes)})

    run_for(slug, work)
    say(f"{connection_id} changed")


async def _read(caller: Caller, source: str) -> bytes:
    if source.startswith(("https://", "http://")):
        return await fetch_metadata(caller.runtime, source)
    try:
        return await asyncio.to_thread(Path(source).read_bytes)
    except OSError as error:
        raise InvalidInput("FILE", f"cannot be read ({error.__class__.__name__})") from error


@connections_group.command("test")
@click.argument("connection_id", metavar="ID")
@org_option
@click.option(
    "--wait", "seconds", type=click.IntRange(0, LIFETIME_SECONDS), default=LIFETIME_SECONDS, show_default=True
)
@json_option
def test(*, connection_id: str, slug: str, seconds: int, as_json: bool) -> None:
    """Print a link for a test login and wait for what comes of it. Takes no seat, makes no session."""

    async def work(caller: Caller) -> Trial | None:
        known = await _known(caller, connection_id)
        trials = Trials.of(caller.runtime)
        name = await trials.ask(known.id)
        say(f"open in a browser: {caller.runtime.settings.origin}/login/{known.id}?trial={name}")
        for _ in range(seconds):
            found = await trials.result(known.id, name)
            if found:
                return found
            await asyncio.sleep(1)
        return await trials.result(known.id, name)

    found = run_for(slug, work)
    if found is None:
        stop(ERROR, "nobody has come back yet")
    if as_json:
        steps = [{"check": step.name, "result": step.mark, "note": step.said} for step in found.steps]
        show_json({"steps": steps, "person": found.person})
    else:
        rows = [(at, step.name, _MARKS[step.mark], step.said) for at, step in enumerate(found.steps, 1)]
        show_table(("", "Check", "Result", "Note"), rows)
    if any(step.mark == "failed" for step in found.steps):
        stop(CONFLICT, "the test login did not pass")


@connections_group.command("enable")
@click.argument("connection_id", metavar="ID")
@org_option
@yes_option
@dry_run_option
def enable(*, connection_id: str, slug: str, yes: bool, dry_run: bool) -> None:
    """Let people log in by this connection."""
    agreed(f"enable {connection_id}", yes=yes, dry_run=dry_run, slug=slug)
    _switch(connection_id, slug, enabled=True)


@connections_group.command("disable")
@click.argument("connection_id", metavar="ID")
@org_option
@yes_option
@dry_run_option
def disable(*, connection_id: str, slug: str, yes: bool, dry_run: bool) -> None:
    """Let nobody log in by this connection; sessions that came by it end within a minute."""
    agreed(f"disable {connection_id}", yes=yes, dry_run=dry_run, slug=slug)
    _switch(connection_id, slug, enabled=False)


def _switch(connection_id: str, slug: str, *, enabled: bool) -> None:
    async def work(caller: Caller) -> None:
        def changed(current: Connection) -> Connection:
            return replace(current, enabled=enabled)

        await _save(caller, connection_id, changed, {"enabled": enabled})

    run_for(slug, work)
    say(f"{connection_id} {'enabled' if enabled else 'disabled'}")


async def _known(caller: Caller, connection_id: str) -> Connection:
    return await connection_of(caller.runtime, caller.organization.id, connection_id)


async def _saml(caller: Caller, connection_id: str) -> Connection:
    found = await _known(caller, connection_id)
    if found.protocol != "saml":
        raise InvalidInput("ID", f"{connection_id} is no SAML connection")
    return found


async def _save(
    caller: Caller, connection_id: str, changed: Callable[[Connection], Connection], changes: dict[str, object]
) -> None:
    await change_connection(
        caller.runtime, caller.organization.id, connection_id, changed, changes=changes, by=OPERATOR
    )
