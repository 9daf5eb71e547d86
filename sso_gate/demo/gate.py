"""The gate of the demonstration: a process of its own, with the settings of a small installation behind a proxy."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from sso_gate.demo.addresses import Addresses
from sso_gate.demo.folder import DemoFailed
from sso_gate.demo.leash import PARENT
from sso_gate.demo.servers import LOOPBACK
from sso_gate.settings import PREFIX

READY_SECONDS = 60.0
STOP_SECONDS = 15.0
POLL_SECONDS = 0.05
LOG_NAME = "gate.log"
LAST_LINES = 15


def gate_settings(addresses: Addresses, *, admin_port: int, folder: Path, redis_url: str) -> dict[str, str]:
    """Return the gate's SSO_GATE_… variables: all on loopback, the proxy trusted, the application a return host."""
    return {
        "SSO_GATE_PUBLIC_URL": addresses.gate.origin,
        "SSO_GATE_BIND": addresses.gate.address.removeprefix("http://"),
        "SSO_GATE_ADMIN_BIND": f"{LOOPBACK}:{admin_port}",
        "SSO_GATE_DATA_DIR": str(folder),
        "SSO_GATE_REDIS_URL": redis_url,
        "SSO_GATE_TRUSTED_PROXIES": f"{LOOPBACK}/32",
        "SSO_GATE_RETURN_HOSTS": addresses.app.host,
        "SSO_GATE_ALLOW_PRIVATE_NETWORKS": "127.0.0.0/8",
    }


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate: `settings` are its SSO_GATE_… variables, `address` its public listener, its log lies in `folder`.

    `listeners`, public and admin, become the process's own: a port that was only looked for could be another's by then.
    """

    settings: Mapping[str, str]
    folder: Path
    address: str
    listeners: tuple[socket.socket, socket.socket]

    @asynccontextmanager
    async def serving(self, file: Path) -> AsyncIterator[asyncio.subprocess.Process]:
        """Serve the organization of the file while the block runs; returns into it once the gate is ready.

        Raises:
            DemoFailed: it ended or was not ready in time; the message holds the end of its log.
        """
        public, admin = self.listeners
        numbers = public.fileno(), admin.fileno()
        with public, admin, (self.folder / LOG_NAME).open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "sso_gate.demo.leash", "-m", "sso_gate.demo.gate_process", os.fspath(file)),
                *map(str, numbers),
                pass_fds=numbers,
                env=self._environment(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the demonstration, which then ends the gate
            )
        try:
            await self._wait_until_ready(process)
            yield process
        finally:
            await _end(process)

    def last_words(self) -> str:
        """Return the end of the gate's log."""
        text = (self.folder / LOG_NAME).read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-LAST_LINES:])

    async def _wait_until_ready(self, process: asyncio.subprocess.Process) -> None:
        deadline = asyncio.get_running_loop().time() + READY_SECONDS
        async with httpx2.AsyncClient(trust_env=False, timeout=5) as client:
            while not await _answers(client, f"{self.address}/health/ready"):
                if process.returncode is not None or asyncio.get_running_loop().time() > deadline:
                    raise DemoFailed(f"the gate did not become ready:\n{self.last_words()}")
                await asyncio.sleep(POLL_SECONDS)

    def _environment(self) -> dict[str, str]:
        others = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        return {**others, **self.settings, PARENT: str(os.getpid())}


async def _answers(client: httpx2.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == 200
    except httpx2.HTTPError:
        return False


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
