"""`sso-gate audit streams`: where the audit log is delivered to."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import click

from sso_gate.audit.event import Action
from sso_gate.cli.session import (
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
from sso_gate.clock import iso
from sso_gate.errors import InvalidInput, NotFound
from sso_gate.notify import streams
from sso_gate.notify.destinations import add_destination, all_destinations, change_destination, check_address
from sso_gate.notify.streams import Stream
from sso_gate.notify.streams_delivery import Delivery, send_sample
from sso_gate.notify.streams_objects import check_keys
from sso_gate.notify.webhooks import check_secret, new_secret
from sso_gate.protocols.outgoing import GuardedOutgoing


@click.group("streams")
def streams_group() -> None:
    """Destinations of the audit log: webhooks, Splunk, syslog over TLS, buckets."""


@streams_group.command("list")
@org_option
@json_option
def list_streams(*, slug: str, as_json: bool) -> None:
    """Print the destinations, how far each is, and what was wrong with the last attempt."""
    rows = [_row(one) for one in run_for(slug, _all)]
    if as_json:
        show_json(rows)
        return
    show_table(("Id", "Kind", "URL", "Enabled", "Position", "Problem"), [tuple(row.values())[:6] for row in rows])


def _row(one: Stream) -> dict[str, Any]:
    return {
        "id": one.id, "kind": one.kind, "url": one.url, "enabled": one.enabled, "position": one.position,
        "problem": one.problem, "attempts": one.attempts, "due": iso(one.due), "outcome": one.outcome,
        "actions": list(one.actions), "format": one.form, "headers": [name for name, _ in one.headers],
        "delivered": iso(one.delivered) if one.delivered else None,
    }  # fmt: skip


async def _all(caller: Caller) -> list[Stream]:
    return await all_destinations(caller.runtime, caller.organization.id)


async def _one(caller: Caller, stream: str) -> Stream:
    for one in await _all(caller):
        if one.id == stream:
            return one
    raise NotFound(f"no stream {stream}")


@streams_group.command("add")
@org_option
@click.argument("kind", type=click.Choice(["webhook", "splunk", "syslog", "s3"]))
@click.argument("url")
@click.option("--secret-file", type=click.File(), help="A token, a bucket's ACCESS:SECRET, or a webhook secret.")
@click.option("--outcome", type=click.Choice(["success", "denied"]), help="Deliver only these.")
@click.option("--action", "actions", multiple=True, help="Deliver only this action; may be said again.")
@click.option("--after", type=click.IntRange(0), help="Begin behind this position; 0 is everything. Default: from now.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "ocsf", "ecs", "cef"]),
    default="json",
    show_default=True,
    help="The words in which events are written; cef for syslog alone.",
)
@click.option("--region", default="us-east-1", show_default=True, help="Of a bucket.")
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="Send it too, with webhooks.")
@dry_run_option
@yes_option
@json_option
def add_stream(
    *,
    slug: str,
    kind: streams.Kind,
    url: str,
    secret_file: Any,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    **wanted: Any,
) -> None:
    """Add a destination and print its id; the secret of a webhook is printed once, on the second line."""
    agreed(f"deliver the audit log of {slug} to {url}", yes=yes, dry_run=dry_run)
    given = secret_file.read().strip() if secret_file else ""
    secret = _secret(kind, given)

    async def work(caller: Caller) -> str:
        await _check(caller, kind, url)
        return await add_destination(
            caller.runtime, caller.organization.id, kind, url, secret, outcome=wanted["outcome"] or "",
            actions=wanted["actions"], position=wanted["after"], form=wanted["form"],
            region=wanted["region"] if kind == "s3" else "", headers=[_header(one) for one in wanted["headers"]],
            by=OPERATOR,
        )  # fmt: skip

    made = run_for(slug, work)
    shown = secret if kind == "webhook" and not given else ""
    if as_json:
        show_json({"id": made, "secret": shown or None})
    else:
        click.echo("\n".join(filter(None, (made, shown))))


def _header(text: str) -> tuple[str, str]:
    name, _, value = text.partition(":")
    return name.strip(), value.strip()


def _secret(kind: streams.Kind, given: str) -> str:
    if kind == "webhook":
        return check_secret(given) if given else new_secret()
    if kind == "splunk" and not given:
        raise click.UsageError("splunk needs --secret-file with its token")
    if kind == "s3":
        return check_keys(given)
    return given


async def _check(caller: Caller, kind: streams.Kind, url: str) -> None:
    outgoing = GuardedOutgoing(caller.runtime.settings.allow_private_networks)
    try:
        await check_address(caller.runtime, outgoing, kind, url)
    finally:
        await outgoing.aclose()


def _changing(slug: str, stream: str, action: Action, change: Callable[[Caller, Any, Stream], dict[str, Any]]) -> None:
    """Make a change to one destination, and the record of it, in one transaction."""

    async def work(caller: Caller) -> None:
        made = partial(change, caller)
        await change_destination(caller.runtime, caller.organization.id, stream, made, action=action, by=OPERATOR)

    run_for(slug, work)


@streams_group.command("remove")
@org_option
@click.argument("stream")
@dry_run_option
@yes_option
def remove_stream(*, slug: str, stream: str, dry_run: bool, yes: bool) -> None:
    """Remove a destination. Nothing more is delivered to it."""
    agreed(f"remove {stream} of {slug}", yes=yes, dry_run=dry_run)

    def change(caller: Caller, tx: Any, one: Stream) -> dict[str, Any]:
        streams.remove(tx, caller.organization.id, one.id)
        return {"url": streams.shown(one.url), "position": one.position}

    _changing(slug, stream, Action.STREAM_DELETE, change)


@streams_group.command("enable")
@org_option
@click.argument("stream")
@click.option("--after", type=click.IntRange(0), help="Deliver again everything behind this position.")
@dry_run_option
@yes_option
def enable_stream(*, slug: str, stream: str, after: int | None, dry_run: bool, yes: bool) -> None:
    """Try a destination again at once, also one that was switched off; it goes on where it was."""
    agreed(f"deliver to {stream} of {slug} from {'where it was' if after is None else after}", yes=yes, dry_run=dry_run)

    def change(caller: Caller, tx: Any, one: Stream) -> dict[str, Any]:
        streams.move(tx, one, now=caller.runtime.clock.now(), position=after)
        return {"enabled": True, "position": one.position if after is None else after}

    _changing(slug, stream, Action.STREAM_UPDATE, change)


@streams_group.command("rotate")
@org_option
@click.argument("stream")
@dry_run_option
@yes_option
@json_option
def rotate_secret(*, slug: str, stream: str, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Print a new secret of a webhook, once. For a day the secret before signs too."""
    agreed(f"exchange the secret of {stream} of {slug}", yes=yes, dry_run=dry_run)
    secret = new_secret()

    def change(caller: Caller, tx: Any, one: Stream) -> dict[str, Any]:
        if one.kind != "webhook":
            raise InvalidInput("stream", "only webhooks have a secret of ours")
        streams.exchange_secret(tx, one, secret, keyring=caller.runtime.keyring, now=caller.runtime.clock.now())
        return {"secret": "exchanged"}

    _changing(slug, stream, Action.STREAM_UPDATE, change)
    if as_json:
        show_json({"id": stream, "secret": secret})
    else:
        click.echo(secret)


@streams_group.command("test")
@org_option
@click.argument("stream")
@dry_run_option
@yes_option
def test_stream(*, slug: str, stream: str, dry_run: bool, yes: bool) -> None:
    """Send a sample, signed like every event, and say how that ended."""
    agreed(f"send a sample to {stream} of {slug}", yes=yes, dry_run=dry_run)
    outcome = run_for(slug, _sample(stream))
    if outcome.problem:
        stop(ERROR, outcome.problem)
    say("delivered")


def _sample(stream: str) -> Callable[[Caller], Awaitable[Delivery]]:
    async def work(caller: Caller) -> Delivery:
        outgoing = GuardedOutgoing(caller.runtime.settings.allow_private_networks)
        try:
            return await send_sample(caller.runtime, outgoing, await _one(caller, stream), by=OPERATOR)
        finally:
            await outgoing.aclose()

    return work
