"""Bad messages that cost the most, many at once and from everywhere: what other organizations' people feel of them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from time import perf_counter
from urllib.parse import urlencode

import httpx2
import pytest

from tests.attacks.scene import Scene, new_address
from tests.bench.seats.measure import median, p95
from tests.integration.gate import RunningGate
from tests.support.browser_jar import BrowserJar
from tests.support.oidc_forge import Forge
from tests.support.postgres import ThrowAwayPostgres
from tests.support.saml_forge import encode

pytestmark = pytest.mark.bench
LOGINS = 60
AT_ONCE = 16
TIMES_CALM = 5
"""How much longer than in calm a bystander's login may take, at the 95th percentile."""


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    settings = {}
    if request.param == "PostgreSQL":
        server: ThrowAwayPostgres = request.getfixturevalue("postgres_server")
        settings["DATABASE_URL"] = server.create_database().replace("postgresql+psycopg", "postgresql")
    with Forge() as forge, closing(RunningGate(**settings)) as gate:
        yield Scene(gate, forge)


class Bystanders:
    """People of another organization, each on the way back from the provider with a good answer."""

    def __init__(self, scene: Scene) -> None:
        self.gate, self.path = scene.gate, f"/sso/saml/{scene.rivals}/acs"
        with BrowserJar() as jar:
            ready = [scene.begin(jar, scene.rivals) for _ in range(3 * LOGINS)]
            person = {"name_id": "eva@rival.example", "attributes": {"mail": ["eva@rival.example"]}}
            self.forms = [
                {"SAMLResponse": scene.world(one).message(**person).encoded(), "RelayState": one.relay_state}
                for one in ready
            ]
            cookie = jar.cookie("__Host-sso_gate_login", "gate.localhost")
            assert cookie is not None
        self.headers = {"Host": self.gate.host, "Cookie": f"{cookie.name}={cookie.value}"}

    def times(self) -> list[float]:
        """Return the seconds that each of them waits, one after another."""
        with httpx2.Client(base_url=self.gate.address, trust_env=False, timeout=60) as client:
            return [self._time(client) for _ in range(LOGINS)]

    def _time(self, client: httpx2.Client) -> float:
        began = perf_counter()
        answer = client.post(self.path, data=self.forms.pop(), headers={**self.headers, **new_address()})
        assert answer.status_code == 303, answer.text
        return perf_counter() - began


@contextmanager
def storm(scene: Scene, encoded: str) -> Iterator[list[int]]:
    """Have `AT_ONCE` clients post this message again and again, each time under another address; count the answers."""
    body = urlencode({"SAMLResponse": encoded, "RelayState": "x"})
    answered, over = [], threading.Event()

    def post() -> None:
        with closing(HTTPConnection("127.0.0.1", scene.gate.port, timeout=60)) as connection:
            while not over.is_set():
                kind = {"Content-Type": "application/x-www-form-urlencoded"}
                headers = {"Host": scene.gate.host, **kind, **new_address()}
                connection.request("POST", f"/sso/saml/{scene.saml}/acs", body, headers)
                answer = connection.getresponse()
                answer.read()
                answered.append(answer.status)

    clients = [threading.Thread(target=post) for _ in range(AT_ONCE)]
    for client in clients:
        client.start()
    try:
        yield answered
    finally:
        over.set()
        for client in clients:
            client.join()


def wrongly_signed(scene: Scene) -> str:
    """Sixty kilobytes that are right in everything but the key."""
    groups = [f"cn=group of people number {number},ou=groups,dc=acme,dc=example" for number in range(560)]
    return scene.world().message(key=scene.keys["stranger"], attributes={"groups": groups}).encoded()


def changed(scene: Scene) -> str:
    """As much as a message may be, changed after it was signed: everything is canonicalized before that shows."""
    groups = [f"cn=group of people number {number},ou=groups,dc=acme,dc=example" for number in range(1500)]
    tree = scene.world().message(attributes={"groups": groups}).tree()
    next(tree.iter("{*}NameID")).text = "owner@acme.example"
    return encode(tree)


@pytest.mark.parametrize("bad", [wrongly_signed, changed])
def test_a_storm_of_costly_bad_messages_holds_nobody_elses_logins_up(scene: Scene, bad: Callable[[Scene], str]):
    encoded, bystanders = bad(scene), Bystanders(scene)
    bystanders.times()
    calm = bystanders.times()
    with storm(scene, encoded) as answered:
        began = perf_counter()
        meanwhile = bystanders.times()
        rate = len(answered) / (perf_counter() - began)
    assert set(answered) == {400}
    times, middle = p95(meanwhile) / p95(calm), median(meanwhile) / median(calm)
    sys.stdout.write(
        f"\n  {bad.__name__}, {len(encoded)} bytes of base64, {rate:.0f} a second: a bystander's p95 in calm"
        f" {p95(calm) * 1e3:.1f} ms, meanwhile {p95(meanwhile) * 1e3:.1f} ms: {times:.1f} x (median {middle:.1f} x)\n"
    )
    assert times < TIMES_CALM
