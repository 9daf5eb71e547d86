"""`sso-gate demo`, `serve`, `worker`, `migrate` and `check`: the processes of an installation."""

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

import click

from sso_gate.cli.session import (
    ERROR,
    TRY_LATER,
    dry_run_option,
    json_option,
    say,
    settings_or_exit,
    show_json,
    stop,
    stop_for,
    yes_option,
)
from sso_gate.connections import store as connections
from sso_gate.embedded.defaults import with_own_keys, with_own_servers
from sso_gate.errors import Conflict, SsoGateError, Unavailable
from sso_gate.settings import Settings, unknown_variables
from sso_gate.storage import migrate
from sso_gate.storage.database import Database
from sso_gate.storage.open import open_runtime

DEMONSTRATION = "demo"
"""The maker that `sso_gate.demo` writes down beside its connections."""


@click.command("demo")
def demo_command() -> None:
    """Start everything on this machine, with a provider and an application to try it with. Ctrl-C stops all of it."""
    from sso_gate.demo.run import main as run_demo

    sys.exit(run_demo())


@click.command("serve")
@click.option("--no-worker", is_flag=True, help="Leave the worker's duties to `sso-gate worker`.")
def serve_command(*, no_worker: bool) -> None:
    """Serve the gate, and do the worker's duties."""
    settings = settings_or_exit()
    try:
        with with_own_servers(settings) as complete, _shared_metrics(complete):
            from sso_gate.server import serve

            asyncio.run(_prepare(complete))
            code = serve(complete, with_worker=not no_worker)
    except SsoGateError as error:
        stop_for(error)
    except OSError as error:
        stop(ERROR, str(error))
    sys.exit(code)


@contextlib.contextmanager
def _shared_metrics(settings: Settings) -> Iterator[None]:
    """Let several public processes count together: the library reads the variable when it is first imported."""
    if settings.workers == 1:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="sso-gate-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        yield


async def _prepare(settings: Settings) -> None:
    """Bring an empty database, or the one file of an embedded one, to this release; others are for `migrate`.

    Raises:
        Conflict: the database holds connections that the demonstration has made.
    """
    database = Database(settings.database_url)
    try:
        if database.is_sqlite or await migrate.current(database) is None:
            await migrate.migrate(database)
        shown = await database.read(lambda tx: connections.made_by(tx, DEMONSTRATION))
    finally:
        database.close()
    if shown:
        raise Conflict(f"{', '.join(shown)}: made by `sso-gate demo`, whose provider vouches for everybody; not served")


@click.command("worker")
def worker_command() -> None:
    """Do the worker's duties alone: outbox, holds, renewals, reconciliation. Its metrics are on SSO_GATE_ADMIN_BIND."""
    from sso_gate.server import run_worker

    try:
        with with_own_servers(settings_or_exit()) as complete:
            asyncio.run(run_worker(complete))
    except SsoGateError as error:
        stop_for(error)
    except OSError as error:
        stop(ERROR, str(error))


@click.command("migrate")
@yes_option
@dry_run_option
def migrate_command(*, yes: bool, dry_run: bool) -> None:
    """Bring the database to the version of this release."""
    del yes  # the step to a release is what was asked for
    settings = settings_or_exit()

    async def work() -> tuple[str | None, str]:
        database = Database(with_own_keys(settings).database_url)
        try:
            before = await migrate.current(database)
            return before, migrate.newest() if dry_run else await migrate.migrate(database)
        finally:
            database.close()

    try:
        before, after = asyncio.run(work())
    except SsoGateError as error:
        stop_for(error)
    say(
        f"database at version {after}"
        if before == after
        else f"{before or 'empty'} -> {after}{' (not done)' if dry_run else ''}"
    )


def _at(version: str | None) -> str:
    return f"at version {version}" if version else "empty"


@click.command("check")
@json_option
def check_command(*, as_json: bool) -> None:
    """Say whether the settings are valid and the servers that they name answer."""
    settings = settings_or_exit()
    for name in unknown_variables():
        say(f"{name}: means nothing to sso-gate")

    async def work(complete: Settings) -> dict[str, str]:
        runtime = open_runtime(complete)
        found = {}
        try:
            version = await migrate.current(runtime.database)
            found["database"] = "ok" if version == migrate.newest() else f"{_at(version)}: run sso-gate migrate"
        except Unavailable as trouble:
            found["database"] = trouble.detail
        try:
            await runtime.redis.ping()
            found["redis"] = "ok"
        except Unavailable as trouble:
            found["redis"] = trouble.detail
        await runtime.close()
        return found

    try:
        with with_own_servers(settings) as complete:
            found = asyncio.run(work(complete))
    except SsoGateError as error:
        stop_for(error)
    found = {"settings": "ok", **found}
    if as_json:
        show_json(found)
    else:
        for name, word in found.items():
            click.echo(f"{name}\t{word}")
    if any(word != "ok" and "run sso-gate migrate" not in word for word in found.values()):
        stop(TRY_LATER, "not everything answers")
