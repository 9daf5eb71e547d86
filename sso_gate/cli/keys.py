"""`sso-gate keys`."""

import json
from datetime import datetime, timedelta

import click

from sso_gate.cli.session import (
    OPERATOR,
    agreed,
    dry_run_option,
    json_option,
    run,
    say,
    show_json,
    show_table,
    yes_option,
)
from sso_gate.clock import iso
from sso_gate.connections.certificates import certificates_expiry
from sso_gate.login.keys import Protocol, all_keys, retire, rotate
from sso_gate.settings import parse_duration
from sso_gate.storage.installation_keys import KeptKey
from sso_gate.storage.runtime import Runtime

PROTOCOLS: tuple[Protocol, ...] = ("saml", "oidc")
protocol_argument = click.argument("protocol", type=click.Choice(PROTOCOLS))


@click.group("keys")
def keys_group() -> None:
    """The gate's own keys, which identity providers know: changing them without a break."""


@keys_group.command("list")
@json_option
def list_keys(*, as_json: bool) -> None:
    """Print the keys that are published, and which of them signs."""

    async def work(runtime: Runtime) -> list[dict[str, object]]:
        now = runtime.clock.now()
        return [
            _row(protocol, key, signs=at == 0, now=now)
            for protocol in PROTOCOLS
            for at, key in enumerate(await all_keys(runtime, protocol))
        ]

    rows = run(work)
    if as_json:
        show_json(rows)
    else:
        show_table(("Protocol", "Number", "State", "Made", "Signs from", "Name"), [list(row.values()) for row in rows])


def _row(protocol: Protocol, key: KeptKey, *, signs: bool, now: datetime) -> dict[str, object]:
    return {
        "protocol": protocol,
        "number": key.number,
        "state": "signs" if signs else "next" if key.signs_from > now else "old",
        "made": iso(key.made_at),
        "signs_from": iso(key.signs_from),
        "name": _name(protocol, key, now),
    }


def _name(protocol: Protocol, key: KeptKey, now: datetime) -> str:
    """Return how providers show the key: a certificate's SHA-256, or a key id."""
    if protocol == "saml":
        return certificates_expiry([key.material.public], now=now)[0].fingerprint
    return str(json.loads(key.material.public)["kid"])


@keys_group.command("rotate")
@protocol_argument
@click.option(
    "--signs-after", metavar="7d", default="7d", show_default=True, help="How long providers have to learn it."
)
@click.option("--now", "at_once", is_flag=True, help="Sign with it at once: for a key that is no secret any more.")
@yes_option
@dry_run_option
def rotate_key(*, protocol: Protocol, signs_after: str, at_once: bool, yes: bool, dry_run: bool) -> None:
    """Publish a new key beside the old one. It decrypts at once and signs later; the old one decrypts until retired."""
    try:
        after = timedelta(0) if at_once else parse_duration(signs_after)
    except ValueError as error:
        raise click.UsageError(f"--signs-after: {error}") from error
    agreed(f"publish a new {protocol} key of the gate", yes=yes, dry_run=dry_run)

    async def work(runtime: Runtime) -> KeptKey:
        return await rotate(runtime, protocol, signs_after=after, by=OPERATOR)

    made = run(work)
    say(f"{protocol} key {made.number} published; it signs from {iso(made.signs_from)} on")


@keys_group.command("retire")
@protocol_argument
@click.argument("number", type=click.IntRange(min=1))
@yes_option
@dry_run_option
def retire_key(*, protocol: Protocol, number: int, yes: bool, dry_run: bool) -> None:
    """Delete a key that no longer signs. What a provider still encrypts to it is refused from then on."""
    agreed(f"delete {protocol} key {number} for ever", yes=yes, dry_run=dry_run)

    async def work(runtime: Runtime) -> None:
        await retire(runtime, protocol, number, by=OPERATOR)

    run(work)
    say(f"{protocol} key {number} retired")
