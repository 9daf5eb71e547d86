"""One command from beginning to end: settings, runtime, the use case, and errors as exit codes."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
from sqlalchemy import Connection

from sso_gate.audit.event import Actor
from sso_gate.embedded.defaults import with_own_servers
from sso_gate.errors import Conflict, InvalidInput, NoSeatFree, NotFound, Reason, Refused, SsoGateError, Unavailable
from sso_gate.members import store as members
from sso_gate.members.member import Member
from sso_gate.organizations import store as organizations
from sso_gate.organizations.organization import Organization
from sso_gate.settings import Settings, SettingsInvalid, load_settings
from sso_gate.storage import migrate
from sso_gate.storage.keyring import CannotUnseal
from sso_gate.storage.open import open_runtime
from sso_gate.storage.runtime import Runtime

T = TypeVar("T")

ERROR, USAGE, NOT_FOUND, NOT_PERMITTED, CONFLICT, NO_SEAT, SETTINGS_INVALID, TRY_LATER = 1, 2, 3, 4, 5, 6, 7, 75

OPERATOR = Actor("admin", "operator", "operator")
"""Whoever may run this program on the gate's machine, as the audit record names them."""


@dataclass(frozen=True, slots=True)
class Caller:
    """What a command of one organization works with."""

    runtime: Runtime
    organization: Organization


def settings_or_exit() -> Settings:
    """Return the settings of the environment; end with 7 and every problem on stderr where they are invalid."""
    try:
        return load_settings()
    except SettingsInvalid as invalid:
        stop(SETTINGS_INVALID, *invalid.problems)


def run(work: Callable[[Runtime], Awaitable[T]]) -> T:
    """Return what the work returned, on a runtime of the environment's settings; errors become exit codes."""
    settings = settings_or_exit()
    try:
        with with_own_servers(settings) as complete:
            return asyncio.run(_on_runtime(complete, work))
    except SsoGateError as error:
        stop_for(error)


async def _on_runtime(settings: Settings, work: Callable[[Runtime], Awaitable[T]]) -> T:
    runtime = open_runtime(settings)
    try:
        await _usable(runtime)
        return await work(runtime)
    finally:
        await runtime.close()


async def _usable(runtime: Runtime) -> None:
    version = await migrate.current(runtime.database)
    if version is None:
        await migrate.migrate(runtime.database)  # an empty database: nobody's data is at stake
    elif version != migrate.newest():
        raise Conflict(
            f"the database is at version {version}, this release needs {migrate.newest()}: run sso-gate migrate"
        )


def run_for(slug: str, work: Callable[[Caller], Awaitable[T]]) -> T:
    """Return what the work returned for the organization with this short name; exit code 3 where there is none."""

    async def for_organization(runtime: Runtime) -> T:
        organization = await runtime.database.read(lambda tx: organizations.by_slug(tx, slug))
        if organization is None:
            raise NotFound(f"no organization {slug}")
        return await work(Caller(runtime, organization))

    return run(for_organization)


def stop_for(error: SsoGateError) -> NoReturn:
    """Say what went wrong and end with the exit code of its kind."""
    match error:
        case SettingsInvalid(problems=problems):
            stop(SETTINGS_INVALID, *problems)
        case CannotUnseal():
            stop(SETTINGS_INVALID, str(error))
        case NotFound():
            stop(NOT_FOUND, str(error))
        case NoSeatFree():
            stop(NO_SEAT, str(error))
        case Conflict():
            stop(CONFLICT, str(error))
        case InvalidInput():
            stop(USAGE, str(error))
        case Unavailable():
            stop(TRY_LATER, f"try later: {error.detail}")
        case Refused(reason=Reason.SEAT_UNAVAILABLE):
            stop(NO_SEAT, "no seat is free")
        case _:
            stop(ERROR, str(error))


def agreed(question: str, *, yes: bool, dry_run: bool, slug: str = "", people: Sequence[str] = ()) -> None:
    """Return when the change may be made: by `--yes`, by a person's yes, or with no terminal there to ask at.

    What costs money asks in every case. `--dry-run` ends the command here: with 0, or with 3 when the organization, or
    a member of it whose address is among `people`, is not known.
    """
    if dry_run:
        if slug:
            run_for(slug, partial(_know, people))
        say(f"would do: {question}")
        sys.exit(0)
    if not yes and sys.stdin.isatty():
        click.confirm(question, abort=True, err=True)


async def _know(people: Sequence[str], caller: Caller) -> None:
    organization = caller.organization.id
    for email in people:
        if await caller.runtime.database.read(partial(_member, organization=organization, email=email)) is None:
            raise NotFound(f"no member {email}")


def _member(tx: Connection, *, organization: str, email: str) -> Member | None:
    return members.find(tx, organization, email)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Let the block write to the path; say why and end with 1 where that cannot be."""
    try:
        yield
    except OSError as error:
        stop(ERROR, f"{path} cannot be written: {error.strerror or error}")


def stop(code: int, *lines: str) -> NoReturn:
    """Say why on stderr and end with this exit code."""
    for line in lines:
        click.echo(line, err=True)
    sys.exit(code)


def say(text: str) -> None:
    """Say words to the person, on stderr."""
    click.echo(text, err=True)


def show_json(value: Any) -> None:
    """Print data as JSON."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def show_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print data as a table on a terminal, as tab-separated lines elsewhere; None is an empty cell."""
    texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in texts:
            click.echo("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*headings, box=None, pad_edge=False)
    for row in texts:
        table.add_row(*row)
    Console().print(table)


org_option = click.option("--org", "slug", required=True, metavar="SLUG", help="The organization's short name.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Only say what would be done.")
