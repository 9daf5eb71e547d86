"""What `sso-gate demo` tells whoever started it: links, people, what to try; and the same for programs, as JSON."""

import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from sso_gate.demo.addresses import Addresses
from sso_gate.demo.people import ANA, BRUNO, CARLA, DAVI, ELENA, PEOPLE
from sso_gate.demo.story import OIDC_CONNECTION, SAML_CONNECTION, SLUG

CONNECTIONS = {"saml": SAML_CONNECTION, "oidc": OIDC_CONNECTION}


def write_for_programs(folder: Path, addresses: Addresses, settings: Mapping[str, str]) -> None:
    """Write `demo.json` (addresses and people) and `environment`, which a shell sources to use the command line."""
    people = [{**asdict(person), "connection": CONNECTIONS[person.protocol]} for person in PEOPLE]
    facts = {
        "gate": addresses.gate.origin,
        "application": addresses.app.origin,
        "provider": addresses.provider.origin,
        "organization": SLUG,
        "people": people,
    }
    (folder / "demo.json").write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in settings.items()]
    programs = shlex.quote(str(Path(sys.executable).parent))  # `sso-gate` is in a virtual environment, not on the path
    lines.append(f"export PATH={programs}:$PATH\n")
    (folder / "environment").write_text("".join(lines), encoding="utf-8")


def show(console: Console, folder: Path, addresses: Addresses) -> None:
    """Print the guide."""
    console.print()
    console.print("[bold]sso-gate is running, with everything around it, on this machine alone.[/bold]")
    console.print()
    console.print(_links(addresses))
    console.print(_people())
    for number, step in enumerate(_steps(addresses), start=1):
        console.print(f" [bold]{number}.[/bold] {step}", soft_wrap=True)
    console.print()
    console.print(
        "One browser window is one person: take a private window for each, in Chrome, Edge or Firefox.", soft_wrap=True
    )
    command = f". {shlex.quote(str(folder / 'environment'))}; sso-gate seats show --org {SLUG}"
    console.print("Look behind it from another terminal:")
    console.print(f"    {command}", soft_wrap=True, markup=False, highlight=False)
    console.print("[bold]Ctrl-C[/bold] stops all of it; the next start begins the story anew.")


def _links(addresses: Addresses) -> Table:
    table = Table(title="Links", title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 1))
    table.add_row("the protected application", addresses.app.origin + "/")
    table.add_row("the gate", addresses.gate.origin + "/")
    table.add_row("its billing settings", addresses.gate.origin + "/settings/billing")
    table.add_row("the identity provider", addresses.provider.origin + "/")
    return table


def _people() -> Table:
    table = Table(title="\nPeople", title_justify="left", box=None, padding=(0, 2, 0, 1))
    for column in ("name", "email", "connection", "in the story"):
        table.add_column(column)
    for person in PEOPLE:
        table.add_row(person.name, person.email, CONNECTIONS[person.protocol], person.note)
    table.add_row()
    return table


def _steps(addresses: Addresses) -> list[str]:
    app, billing = addresses.app.origin + "/", addresses.gate.origin + "/settings/billing"
    return [
        f"Open {app} as {BRUNO.email} ({SAML_CONNECTION}): the application knows who you are.",
        f"In another window the same as {CARLA.email} ({OIDC_CONNECTION}): both were invited; no seat is left now.",
        f"In a third window as {DAVI.email} or {ELENA.email}: no seat is free. Ask for one, and leave the page open.",
        f"Open {billing} as {ANA.email} ({SAML_CONNECTION}): press the pencil, add seats, review the price, Update.",
        "Look at the third window again: it has gone on into the application. Ana's invoice is under Billing.",
    ]
