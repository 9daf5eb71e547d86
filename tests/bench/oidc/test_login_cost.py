"""What an OpenID login costs the gate: median CPU time of the event loop's thread; the provider runs in another one.

The floor is one verification of the same token by joserfc with a key that is there.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest
from joserfc import jws

from sso_gate.protocols.fetch import Fetcher, shared_tls_context
from sso_gate.protocols.oidc.id_token import verify_id_token
from sso_gate.protocols.oidc.trace import unrecorded
from tests.support.oidc_forge import Forge, usual_key
from tests.unit.protocols.oidc.journey import LOOPBACK_NETWORKS, Journey, new_journey

pytestmark = pytest.mark.bench

ROUNDS = 60


@pytest.fixture
def journey() -> Iterator[Journey]:
    with Forge() as forge:
        yield new_journey(forge)


async def cost_ms(work: Callable[[], Awaitable[object]]) -> float:
    spent = []
    for _ in range(ROUNDS):
        start = time.thread_time()
        await work()
        spent.append((time.thread_time() - start) * 1000)
    return statistics.median(spent)


def say(line: str) -> None:
    """Write one figure to the terminal: `pytest -m bench -s` is how these are read."""
    sys.stdout.write(f"\n  {line}")


async def test_a_login_costs_little_beside_its_two_exchanges(journey):
    journey.forge.claims["groups"] = [f"group-{number}" for number in range(20)]
    token = journey.forge.id_token("n" * 43)
    key = usual_key()

    async def floor() -> None:
        jws.deserialize_compact(token, key, algorithms=["RS256"])

    async def verify() -> None:
        await verify_id_token(
            token,
            connection=journey.connection,
            providers=journey.providers,
            access_token=None,
            expected_nonce="n" * 43,
            expected_fresh_since="",
            now=journey.clock.now(),
            passed=unrecorded,
        )

    async def refuse() -> None:
        await journey.logout_refused("e30.e30.e30")

    await journey.log_in()
    verification, token_ms = await cost_ms(floor), await cost_ms(verify)
    begin_ms, login_ms, garbage_ms = await cost_ms(journey.begin), await cost_ms(journey.log_in), await cost_ms(refuse)
    say(f"joserfc alone {verification:.2f} ms; ID token with every check {token_ms:.2f} ms")
    say(f"begin {begin_ms:.2f} ms; begin and finish with the exchange {login_ms:.2f} ms; garbage {garbage_ms:.3f} ms")
    assert token_ms < 3 * verification + 0.2
    assert garbage_ms < token_ms


def test_a_fetcher_shares_the_processs_tls_context(journey):
    shared_tls_context()
    start = time.process_time()
    for _ in range(20):
        Fetcher(LOOPBACK_NETWORKS)
    each = (time.process_time() - start) * 1000 / 20
    say(f"a fetcher {each:.2f} ms")
    assert each < 2
