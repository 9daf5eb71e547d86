"""A login beside a destination of the log that accepts and never answers, to a login beside none, in the same run."""

from __future__ import annotations

import asyncio
import statistics
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import ip_network
from pathlib import Path

import pytest

from sso_gate.admission.admit import Admission
from sso_gate.audit.sealer import seal
from sso_gate.identity import Identity
from sso_gate.notify import streams
from sso_gate.notify.streams_delivery import Courier
from sso_gate.protocols.outgoing import GuardedOutgoing
from tests.bench.seats.measure import seconds
from tests.integration.audit.test_delivery import SECRET, Receiver
from tests.integration.audit.test_destinations import soon
from tests.support.gates import Gate, Migrated, make_organization, open_gate, person
from tests.support.valkey import ThrowAwayValkey

pytestmark = pytest.mark.bench

LOGINS = 40
ROUNDS = 15


@asynccontextmanager
async def worker(gate: Gate, courier: Courier) -> AsyncIterator[None]:
    """Seal and deliver as often as the worker does, in the same process: it may take turns, not wait."""

    async def round_after_round() -> None:
        while True:
            await seal(gate.runtime)
            await courier.begin_due(gate.runtime)
            await asyncio.sleep(0.1)

    task = asyncio.create_task(round_after_round())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def login_milliseconds(gate: Gate, who: Identity) -> list[float]:
    async def once() -> None:
        assert isinstance(await gate.login(who), Admission)

    return [await seconds(once) * 1000 for _ in range(LOGINS)]


async def test_a_login_beside_a_destination_that_hangs(migrated: Migrated, tmp_path: Path, valkey: ThrowAwayValkey):
    async with open_gate(migrated.sqlite(tmp_path), valkey.socket_url) as gate, Receiver() as hanging:
        hanging.seconds = 600
        organization = await make_organization(gate.runtime)
        who, runtime = person(organization, "owner"), gate.runtime
        outgoing = GuardedOutgoing((ip_network("127.0.0.0/8"),))
        courier = Courier(outgoing)
        add = partial(streams.create, organization=organization.id, kind="webhook", url=hanging.url, secret=SECRET)
        spent: dict[bool, list[float]] = {False: [], True: []}
        await login_milliseconds(gate, who)
        async with worker(gate, courier):
            for _ in range(ROUNDS):
                spent[False] += await login_milliseconds(gate, who)
                before = len(hanging.answering)
                made = await runtime.database.write(partial(add, keyring=runtime.keyring, clock=runtime.clock))
                assert await soon(lambda known=before: len(hanging.answering) > known)
                spent[True] += await login_milliseconds(gate, who)
                await runtime.database.write(partial(streams.remove, organization=organization.id, stream=made))
        calm, beside = (statistics.median(spent[stalled]) for stalled in (False, True))
        late = {stalled: statistics.quantiles(spent[stalled], n=20)[-1] for stalled in (False, True)}
        sys.stdout.write(
            f"\n  a login beside a destination that hangs: {beside:.2f} ms, {beside / calm:.2f} times one beside none; "
            f"p95 {late[True]:.2f} ms, {late[True] / late[False]:.2f} times"
        )
        assert hanging.answering
        assert hanging.got == []
        assert beside < 2 * calm
        await courier.aclose()
        await outgoing.aclose()
