"""The gate's own process in the demonstration: what `migrate`, `apply` and `serve` do, one after the other.

`python -m sso_gate.demo.gate_process FILE.toml PUBLIC ADMIN`, the last two the numbers of sockets that listen. One
thing differs from the commands: the connections are marked as made by the demonstration, whose provider vouches for
everybody, so that the ordinary `serve` refuses them. Between `apply` and `serve` the year before today passes
(`history.py`).
"""

import asyncio
import socket
import sys
from datetime import UTC, datetime, time
from pathlib import Path

from sso_gate.apply.apply import apply
from sso_gate.apply.file import read_file
from sso_gate.clock import SystemClock
from sso_gate.demo.history import Travelled, live_through
from sso_gate.embedded.defaults import with_own_servers
from sso_gate.errors import SsoGateError
from sso_gate.server import serve_on
from sso_gate.settings import Settings, load_settings
from sso_gate.storage import migrate
from sso_gate.storage.open import open_runtime

MAKER = "demo"


def main() -> int:
    """Serve the file's organization until a signal ends it; return the exit code."""
    file, *numbers = sys.argv[1:]
    public, admin = (socket.socket(fileno=int(number)) for number in numbers)
    try:
        with with_own_servers(load_settings()) as settings:
            asyncio.run(_prepare(settings, Path(file)))
            return serve_on(public, admin, settings=settings, with_worker=True)
    except SsoGateError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the log of this process
        return 1


async def _prepare(settings: Settings, file: Path) -> None:
    wanted, text = read_file(file)
    begins, today = wanted.contract.anchor_date, SystemClock().now()
    clock = Travelled(datetime.combine(begins, time(12), UTC))
    runtime = open_runtime(settings, clock)
    try:
        await migrate.migrate(runtime.database)
        await apply(runtime, wanted, folder=file.parent, text=text, name=file.name, maker=MAKER)
        await live_through(runtime, clock, begins=begins, until=today)
    finally:
        await runtime.close()


if __name__ == "__main__":
    sys.exit(main())
