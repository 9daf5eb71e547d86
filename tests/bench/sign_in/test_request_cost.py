"""What a whole assertion-consumer request costs the server against the floor: CPU time of its process, one core.

The aim is 5; measured last: 14, and 8.5 in one process without the HTTP server, on a machine that was busy. What
remains there, in floors: 2.5 for the response itself, 1.5 for the decision and its commit, 0.5 for reading the
connection, and 4 on the event loop (six Redis commands, middleware and routing, the form, the log line, the cookies).
"""

from __future__ import annotations

import statistics
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.attacks.scene import Scene, new_address
from tests.bench.saml.test_response_cost import cpu_seconds, floor_of
from tests.integration.gate import RunningGate
from tests.support.browser_jar import BrowserJar
from tests.support.oidc_forge import Forge

pytestmark = pytest.mark.bench
LOGINS = 300


def server_seconds(pid: int) -> float:
    """Return the processor time of a process in nanosecond steps: the kernel's schedstat, not its coarse ticks."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()) / 1e9


def test_a_whole_request_costs_at_most_five_times_the_floor():
    with Forge() as forge, closing(RunningGate()) as gate, closing(Scene(gate, forge, with_rival=False)) as scene:
        with BrowserJar() as jar:
            ready = [scene.begin(jar) for _ in range(LOGINS + 20)]
            forms = [
                {"SAMLResponse": scene.world(one).message(attributes=_big()).encoded(), "RelayState": one.relay_state}
                for one in ready
            ]
            cookie = jar.cookie("__Host-sso_gate_login", "gate.localhost")
        headers = {"Host": gate.host, "Cookie": f"{cookie.name}={cookie.value}"}
        floor = floor_of(forms[0]["SAMLResponse"], scene.keys["idp"].certificate)
        path = f"/sso/saml/{scene.saml}/acs"
        for form in forms[:20]:
            assert gate.client.post(path, data=form, headers={**headers, **new_address()}).status_code == 303
        began, wall = server_seconds(gate.process.pid), time.monotonic()
        for form in forms[20:]:
            assert gate.client.post(path, data=form, headers={**headers, **new_address()}).status_code == 303
        request = (server_seconds(gate.process.pid) - began) / LOGINS
        wall = (time.monotonic() - wall) / LOGINS
        least = statistics.median(cpu_seconds(floor) for _ in range(300))
    sys.stdout.write(
        f"\n  {len(forms[0]['SAMLResponse'])} bytes of base64: floor {least * 1000:.3f} ms, whole request"
        f" {request * 1000:.3f} ms of CPU ({wall * 1000:.1f} ms by the clock): {request / least:.1f} x floor\n"
    )
    assert request / least < 40, "the aim is 5; this bound only catches a slip, because machines differ"


def _big() -> dict[str, list[str]]:
    attributes = {f"urn:example:attribute:{number}": [f"value {number}"] for number in range(9)}
    groups = [f"cn=group of people number {number},ou=groups,dc=acme,dc=example,o=somewhere" for number in range(20)]
    return {**attributes, "mail": ["ana@acme.example"], "groups": groups}
