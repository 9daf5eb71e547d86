"""`sso-gate demo`, told top to bottom: everything is started, the guide is printed, and one Ctrl-C ends all of it.

The provider, the proxy and the sample application share this process's event loop; the gate is a process of its own,
Valkey a third.
"""

import asyncio
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from sso_gate.clock import SystemClock
from sso_gate.demo.addresses import APP_PORT, GATE_PORT, PROVIDER_PORT, Addresses, Site
from sso_gate.demo.folder import DemoFailed, fresh_folder
from sso_gate.demo.gate import Gate, gate_settings
from sso_gate.demo.guide import show, write_for_programs
from sso_gate.demo.people import PEOPLE
from sso_gate.demo.provider.app import create_provider_app
from sso_gate.demo.provider.keys import make_keys
from sso_gate.demo.provider.registry import Provider
from sso_gate.demo.proxy import create_proxy_app
from sso_gate.demo.sample_app import Assertions, create_sample_app
from sso_gate.demo.servers import LOOPBACK, bind, port_of, serving
from sso_gate.demo.story import registered_client, registered_service, write_story
from sso_gate.embedded import valkey
from sso_gate.errors import SsoGateError

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Run the demonstration until Ctrl-C; return the exit code: 0 when asked to end, 1 when it could not go on."""
    folder = Path(os.environ.get("SSO_GATE_DATA_DIR", "./var")) / "demo"
    return run(folder)


def run(folder: Path, *, settings: Mapping[str, str] | None = None, console: Console | None = None) -> int:
    """Run the demonstration in `folder` until a signal ends it; return the exit code.

    `settings` are SSO_GATE_… variables that win over the demonstration's own.
    """
    console = console or Console()
    try:
        return asyncio.run(_until_stopped(folder, settings or {}, console))
    except SsoGateError as error:
        Console(stderr=True).print(f"sso-gate demo: {error}", markup=False, highlight=False, soft_wrap=True)
        return 1


async def _until_stopped(folder: Path, settings: Mapping[str, str], console: Console) -> int:
    story = asyncio.create_task(_tell(folder, settings, console))
    for number in STOPPING:
        asyncio.get_running_loop().add_signal_handler(number, story.cancel)
    try:
        await story
    except asyncio.CancelledError:
        console.print("\nEverything has stopped.")
    return 0


async def _tell(path: Path, overrides: Mapping[str, str], console: Console) -> None:
    clock = SystemClock()
    with fresh_folder(path) as folder, valkey.start(folder) as redis:
        gate_socket, admin_socket = bind(GATE_PORT), bind(0)
        app_socket, provider_socket, sample_socket = bind(APP_PORT), bind(PROVIDER_PORT), bind(0)
        addresses = Addresses(
            gate=Site.at("gate", port_of(gate_socket)),
            app=Site.at("app", port_of(app_socket)),
            provider=Site.at("idp", port_of(provider_socket)),
        )
        sample_address = f"http://{LOOPBACK}:{port_of(sample_socket)}"
        own = gate_settings(addresses, admin_port=port_of(admin_socket), folder=folder, redis_url=redis.redis_url)
        gate = Gate({**own, **overrides}, folder, addresses.gate.address, (gate_socket, admin_socket))
        provider = Provider(
            origin=addresses.provider.origin,
            people=PEOPLE,
            service_providers=(registered_service(addresses),),
            clients=(registered_client(addresses),),
            keys=make_keys(clock.now()),
            clock=clock,
        )
        assertions = Assertions(
            gate=addresses.gate.address, issuer=addresses.gate.origin, audience=addresses.app.host, clock=clock
        )
        sample_app = create_sample_app(assertions, gate_origin=addresses.gate.origin)
        proxy = create_proxy_app(gate=addresses.gate.address, application=sample_address, host=addresses.app.host)
        apps = [
            (create_provider_app(provider), provider_socket),
            (sample_app, sample_socket),
            (proxy, app_socket),
        ]
        async with serving(apps):
            file = write_story(folder, provider, today=clock.now().date())
            async with gate.serving(file) as process:
                write_for_programs(folder, addresses, gate.settings)
                show(console, folder, addresses)
                await process.wait()
                raise DemoFailed(f"the gate has ended:\n{gate.last_words()}")
