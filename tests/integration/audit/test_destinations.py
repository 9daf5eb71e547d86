"""Each kind of destination as it really is: a TLS server with a certificate, a collector that checks its token, one
that hangs, one that has failed for long.
"""

import asyncio
import contextlib
import json
import ssl
import time
from ipaddress import ip_network

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import select

from sso_gate.audit.sealer import seal
from sso_gate.notify import streams
from sso_gate.notify.letters import STREAM_FAILS
from sso_gate.notify.streams_delivery import Courier, deliver
from sso_gate.notify.streams_gauges import audit_gauges
from sso_gate.protocols.outgoing import GuardedOutgoing
from sso_gate.storage.tables import outbox
from tests.integration.audit.test_delivery import Receiver, add, known
from tests.support.keys import make_key_pair


def shown(page):
    return [json.loads(line) for line in page.events]


LOOPBACK = (ip_network("127.0.0.0/8"),)


class SyslogServer:
    """A server of RFC 5425: TLS, and messages behind their length."""

    def __init__(self, folder):
        pair = make_key_pair("syslog for tests")
        self.certificate = folder / "certificate.pem"
        self.certificate.write_text(pair.certificate)
        (folder / "key.pem").write_text(pair.key)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.certificate, folder / "key.pem")
        self.messages: list[str] = []

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._read, "127.0.0.1", 0, ssl=self.context)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.server.close()

    async def _read(self, reader, writer):
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                size = int(await reader.readuntil(b" "))
                self.messages.append((await reader.readexactly(size)).decode("ascii"))


async def soon(condition):
    for _ in range(500):
        if condition():
            return True
        await asyncio.sleep(0.01)
    return False


def trusting(certificate):
    return GuardedOutgoing(LOOPBACK, tls=ssl.create_default_context(cafile=str(certificate)))


async def to_syslog(log, port, host="127.0.0.1"):
    await add(log, f"syslog+tls://{host}:{port}", kind="syslog", secret="")
    await log.sealed(3)


async def test_syslog_arrives_whole_over_tls_with_a_checked_certificate(small_log, tmp_path):
    async with SyslogServer(tmp_path) as server:
        await to_syslog(small_log, server.port)
        outgoing = trusting(server.certificate)
        assert await deliver(small_log.runtime, outgoing) == 3
        await outgoing.aclose()
        assert await soon(lambda: len(server.messages) == 3)
        bodies = [json.loads(message.partition("] ")[2]) for message in server.messages]
        assert [body["chain"]["pos"] for body in bodies] == [1, 2, 3]
        assert server.messages[0].startswith("<110>1 2026-11-20T08:00:00.")


@pytest.mark.parametrize("why", ["a certificate of somebody else", "a certificate for another name"])
async def test_syslog_says_nothing_to_a_server_that_proves_nothing(small_log, tmp_path, why):
    async with SyslogServer(tmp_path) as server:
        host = "localhost" if "another name" in why else "127.0.0.1"
        await to_syslog(small_log, server.port, host)
        outgoing = trusting(server.certificate) if host == "localhost" else GuardedOutgoing(LOOPBACK)
        assert await deliver(small_log.runtime, outgoing) == 0
        await outgoing.aclose()
        assert server.messages == []
        assert (await known(small_log))[0].problem


class Collector(Receiver):
    """Splunk's HTTP Event Collector by its manual: 401 without a token, 403 for a wrong one, 400 for no event."""

    token = "00000000-0000-0000-0000-000000000001"

    def judge(self, headers, body):
        if not headers.get("authorization", "").startswith("Splunk "):
            return 401
        if headers["authorization"] != f"Splunk {self.token}":
            return 403
        events, decoder, rest = [], json.JSONDecoder(), body
        while rest.strip():  # the collector takes objects one behind the other
            event, end = decoder.raw_decode(rest.lstrip())
            rest = rest.lstrip()[end:]
            events.append(event)
        fine = events and all(event.get("event") and isinstance(event["time"], float) for event in events)
        return 200 if fine else 400


async def test_splunk_takes_what_is_sent_with_its_token_and_nothing_without(small_log):
    async with Collector() as right, Collector() as wrong:
        await add(small_log, right.url, kind="splunk", secret=Collector.token)
        await add(small_log, wrong.url, kind="splunk", secret="another")
        await small_log.sealed(3)
        outgoing = GuardedOutgoing(LOOPBACK)
        assert await deliver(small_log.runtime, outgoing) == 3
        await outgoing.aclose()
        assert "403" in (await known(small_log))[1].problem
        _, body = right.got[0]
        assert [json.loads(line)["event"]["chain"]["pos"] for line in body.splitlines()] == [1, 2, 3]


async def test_a_destination_that_hangs_holds_up_no_other_round_after_round(small_log):
    async with Receiver() as hanging, Receiver() as healthy:
        hanging.seconds = 60
        await add(small_log, hanging.url)
        await add(small_log, healthy.url)
        outgoing = GuardedOutgoing(LOOPBACK)
        courier, begin = Courier(outgoing), time.monotonic()
        for number in range(1, 4):
            await small_log.sealed(2)
            for _ in range(500):  # the worker looks as often, while the other hangs
                await courier.begin_due(small_log.runtime)
                if healthy.positions == list(range(1, 2 * number + 1)):
                    break
                await asyncio.sleep(0.01)
            assert healthy.positions == list(range(1, 2 * number + 1))
        assert time.monotonic() - begin < 10, "the one that hangs takes fifteen seconds"
        await courier.aclose()
        await outgoing.aclose()
        assert hanging.got == []


async def test_no_decision_waits_for_a_destination_that_hangs(log):
    async with Receiver() as hanging:
        hanging.seconds = 60
        await add(log, hanging.url)
        await log.sealed(2)
        outgoing = GuardedOutgoing(LOOPBACK)
        courier = Courier(outgoing)
        assert await courier.begin_due(log.runtime) == 1
        assert await soon(lambda: hanging.answering)
        async with asyncio.timeout(5):  # no transaction is open, and no lock is held, while the answer is waited for
            for _ in range(10):
                await log.sealed(1)
        assert hanging.got == []
        assert len(shown(await log.page())) == 12
        await courier.aclose()
        await outgoing.aclose()


async def test_what_a_stopping_process_leaves_is_taken_up_after_its_lease(small_log):
    async with Receiver() as receiver:
        receiver.seconds = 60
        await add(small_log, receiver.url)
        await small_log.sealed(2)
        outgoing = GuardedOutgoing(LOOPBACK)
        courier = Courier(outgoing)
        assert await courier.begin_due(small_log.runtime) == 1
        await asyncio.sleep(0)
        await courier.aclose()
        receiver.seconds = 0
        assert await deliver(small_log.runtime, outgoing) == 0
        small_log.clock.move(seconds=streams.LEASE.total_seconds() + 1)
        assert await deliver(small_log.runtime, outgoing) == 2
        await outgoing.aclose()


async def failing_until(log, outgoing, times):
    for _ in range(times):
        await deliver(log.runtime, outgoing)
        log.clock.at = (await known(log))[0].due


async def test_owners_are_told_when_a_destination_has_failed_for_long_and_when_it_is_switched_off(small_log):
    async with Receiver() as receiver:
        receiver.statuses = [500]
        await add(small_log, receiver.url.replace("hook", "hook/secret-in-a-path"))
        await small_log.sealed(1)
        outgoing = GuardedOutgoing(LOOPBACK)
        await failing_until(small_log, outgoing, 3)
        assert await promised(small_log) == []
        await failing_until(small_log, outgoing, 1)
        assert [one["switched_off"] for one in await promised(small_log)] == [False]
        await failing_until(small_log, outgoing, 6)
        await outgoing.aclose()
        told = await promised(small_log)
        assert [one["switched_off"] for one in told] == [False, True]
        assert "secret" not in json.dumps(told)
        assert told[0]["destination"] == receiver.url.removesuffix("/hook")


async def promised(log):
    wanted = select(outbox.c.payload).where(outbox.c.kind == STREAM_FAILS).order_by(outbox.c.id)
    return [json.loads(text) for text in await log.runtime.database.read(lambda tx: tx.execute(wanted).scalars().all())]


async def test_those_on_call_see_how_far_a_destination_is_behind(small_log):
    async with Receiver() as receiver:
        receiver.statuses = [500]
        stream = await add(small_log, receiver.url)
        await small_log.sealed(4)
        await small_log.write(2)
        outgoing = GuardedOutgoing(LOOPBACK)
        await deliver(small_log.runtime, outgoing)
        assert f'lag_events{{kind="webhook",org="{slug(small_log)}",stream="{stream}"}} 4.0' in await scraped(small_log)
        assert f'failures{{kind="webhook",org="{slug(small_log)}",stream="{stream}"}} 1.0' in await scraped(small_log)
        # the two that were just written, and the event of the failure
        assert "sso_gate_audit_unsealed_events 3.0" in await scraped(small_log)
        await seal(small_log.runtime)
        receiver.statuses = [200]
        small_log.clock.move(seconds=6)
        while await deliver(small_log.runtime, outgoing):
            pass
        await outgoing.aclose()
        assert f'lag_events{{kind="webhook",org="{slug(small_log)}",stream="{stream}"}} 0.0' in await scraped(small_log)


def slug(log):
    return log.organization.replace("_", "-")


async def scraped(log):
    registry = CollectorRegistry()
    registry.register(await log.runtime.database.read(audit_gauges))
    return generate_latest(registry).decode()
