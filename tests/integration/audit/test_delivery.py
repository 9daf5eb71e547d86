"""Delivery: at least once, in order, each destination for itself; receivers are real servers on loopback."""

import asyncio
import codecs
import contextlib
import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from ipaddress import ip_network

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from sso_gate.audit.event import Client
from sso_gate.audit.sealer import seal
from sso_gate.errors import InvalidInput, Refused
from sso_gate.notify import streams
from sso_gate.notify.streams_delivery import deliver, send_sample
from sso_gate.notify.streams_wire import fitting, splunk_body, syslog_frames, webhook_body
from sso_gate.notify.webhooks import check_secret, new_secret, signed_headers
from sso_gate.protocols.outgoing import GuardedOutgoing
from tests.integration.audit.conftest import OWNER, START
from tests.support.frozen import frozen

SECRET = "whsec_" + b64encode(b"0123456789abcdef0123456789abcdef").decode()
VECTOR_SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
VECTOR_BODY = '{"type":"audit.events","timestamp":"2026-11-20T08:00:00Z","data":{"events":[]}}'
VECTOR_SIGNATURE = "v1,ialwsNYseX8oVvkgPB+YWHgVR41Jkin1DbOdMZRzBhE="


class Receiver:
    """An HTTP server that answers with `statuses` in turn (the last one for ever) and keeps what it was sent."""

    def __init__(self) -> None:
        self.statuses = [200]
        self.headers: dict[str, str] = {}
        self.got: list[tuple[dict[str, str], str]] = []
        self.seconds = 0.0
        self.ended = asyncio.Event()
        self.answering: set[asyncio.Task[None]] = set()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        port = self.server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/hook"
        return self

    async def __aexit__(self, *_):
        self.ended.set()
        self.server.close()
        await asyncio.gather(*self.answering, return_exceptions=True)

    async def _answer(self, reader, writer):
        self.answering.add(asyncio.current_task())
        try:
            await self._answer_one(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer_one(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = [line.partition(": ") for line in head.split("\r\n")[1:] if line]
        headers = {name.lower(): value for name, _, value in lines}
        body = (await reader.readexactly(int(headers.get("content-length", "0")))).decode()
        if self.seconds:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.ended.wait(), self.seconds)
        status = self.judge(headers, body)
        if status < 300:
            self.got.append((headers, body))
        more = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n{more}\r\n".encode())

    def judge(self, headers, body):
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]

    @property
    def positions(self):
        return [event["chain"]["pos"] for _, body in self.got for event in json.loads(body)["data"]["events"]]


@pytest.fixture
async def receiver():
    async with Receiver() as made:
        yield made


@pytest.fixture
async def outgoing():
    made = GuardedOutgoing((ip_network("127.0.0.0/8"),))
    yield made
    await made.aclose()


async def add(log, url, kind="webhook", secret=SECRET, **more):
    def work(tx):
        return streams.create(
            tx, log.organization, kind, url, secret, keyring=log.runtime.keyring, clock=log.clock, **more
        )

    return await log.runtime.database.write(work)


async def known(log):
    def work(tx):
        return streams.of_organization(tx, log.organization, keyring=log.runtime.keyring, now=log.clock.now())

    return await log.runtime.database.read(work)


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-3))])
def test_the_vector_of_the_signature_holds_in_every_zone(zone):
    at = datetime.fromtimestamp(1795161600, zone)
    headers = signed_headers([VECTOR_SECRET], message="msg_2mVZ4h5tq8", at=at, body=VECTOR_BODY)
    assert headers["webhook-signature"] == VECTOR_SIGNATURE
    assert headers["webhook-timestamp"] == "1795161600"


def test_a_receiver_refuses_what_is_changed_old_or_of_another_key():
    at, body = datetime(2026, 11, 20, 8, tzinfo=UTC), VECTOR_BODY
    headers = signed_headers([SECRET], message="msg_1", at=at, body=body)
    with frozen(at):
        Webhook(SECRET).verify(body, headers)
        for secret, text in ((SECRET, body.replace("audit", "audjt")), (new_secret(), body)):
            with pytest.raises(WebhookVerificationError):
                Webhook(secret).verify(text, headers)
    with frozen(at + timedelta(minutes=6)), pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body, headers)


async def test_while_a_secret_is_exchanged_either_key_accepts(log, receiver, outgoing):
    await add(log, receiver.url)
    newer = new_secret()
    stream = (await known(log))[0]
    await log.runtime.database.write(
        lambda tx: streams.exchange_secret(tx, stream, newer, keyring=log.runtime.keyring, now=log.clock.now())
    )
    await log.sealed(1)
    await deliver(log.runtime, outgoing)
    headers, body = receiver.got[0]
    with frozen(START):
        Webhook(SECRET).verify(body, headers)
        Webhook(newer).verify(body, headers)
    log.clock.move(hours=25)
    assert (await known(log))[0].secrets == (newer,)


async def test_every_event_arrives_once_in_order_in_small_bodies(log, receiver, outgoing):
    await add(log, receiver.url)
    await log.sealed(120)
    assert await deliver(log.runtime, outgoing) == 120
    assert receiver.positions == list(range(1, 121))
    assert max(len(body) for _, body in receiver.got) < 20_000
    assert await deliver(log.runtime, outgoing) == 0


async def test_what_is_pushed_is_what_is_pulled(log, receiver, outgoing):
    await add(log, receiver.url)
    await log.sealed(2)
    await deliver(log.runtime, outgoing)
    assert receiver.got[0][1].endswith(f'"events":[{",".join((await log.page()).events)}]}}}}')


async def test_an_hour_of_errors_ends_in_a_complete_back_fill_and_holds_up_nobody(log, outgoing):
    async with Receiver() as broken, Receiver() as healthy:
        broken.statuses = [500]
        await add(log, broken.url)
        await add(log, healthy.url)
        for _ in range(12):
            await log.sealed(5)
            await deliver(log.runtime, outgoing)
            log.clock.move(minutes=5)
        assert broken.got == []
        assert len([one for one in healthy.positions if one]) >= 60
        broken.statuses = [200]
        log.clock.move(hours=3)
        await seal(log.runtime)
        while await deliver(log.runtime, outgoing):
            pass
        assert broken.positions == healthy.positions == list(range(1, max(healthy.positions) + 1))


async def test_retries_follow_the_schedule_and_end_with_the_destination_off(log, receiver, outgoing):
    receiver.statuses = [503]
    await add(log, receiver.url)
    await log.sealed(1)
    waited = []
    for _ in range(len(streams.RETRIES) + 1):
        await deliver(log.runtime, outgoing)
        stream = (await known(log))[0]
        waited.append(stream.due - log.clock.at)
        log.clock.at = stream.due
    seconds = [round(wait.total_seconds()) for wait in waited[:9]]
    assert seconds == [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    assert not (await known(log))[0].enabled
    await seal(log.runtime)
    told = [json.loads(line)["changes"]["switched_off"] for line in (await log.page(action="audit.stream.fail")).events]
    assert told == [False, True]


async def test_a_retry_is_the_same_message(log, receiver, outgoing):
    receiver.statuses = [500, 200]
    await add(log, receiver.url)
    await log.sealed(2)
    await deliver(log.runtime, outgoing)
    log.clock.move(seconds=6)
    await log.sealed(3)
    await deliver(log.runtime, outgoing)
    first, *_ = receiver.got
    assert [event["chain"]["pos"] for event in json.loads(first[1])["data"]["events"]] == [1, 2]
    assert first[0]["webhook-id"].endswith("_0_2")
    assert receiver.positions[:2] == [1, 2]


async def test_gone_switches_the_destination_off(log, receiver, outgoing):
    receiver.statuses = [410]
    await add(log, receiver.url)
    await log.sealed(1)
    await deliver(log.runtime, outgoing)
    assert not (await known(log))[0].enabled


async def test_a_redirect_is_not_followed(log, outgoing):
    async with Receiver() as target, Receiver() as pointing:
        pointing.statuses, pointing.headers = [302], {"Location": target.url}
        await add(log, pointing.url)
        await log.sealed(1)
        assert await deliver(log.runtime, outgoing) == 0
        assert target.got == []
        assert "302" in (await known(log))[0].problem


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "https://10.0.0.1/", "https://169.254.169.254/", "https://[::ffff:127.0.0.1]/"]
)
async def test_addresses_that_are_not_public_are_refused(small_log, url):
    guarded = GuardedOutgoing(())
    with pytest.raises(Refused):
        await guarded.post(url, b"{}", {})
    with pytest.raises(Refused):
        await guarded.send_tls(url.replace("https", "syslog+tls").replace("http", "syslog+tls"), b"x")
    await guarded.aclose()


async def test_a_process_that_dies_while_delivering_loses_nothing(log, receiver, outgoing):
    await add(log, receiver.url)
    for _ in range(50):
        await log.sealed(3)
        now = log.clock.now()
        await log.runtime.database.write(lambda tx, at=now: streams.claim(tx, keyring=log.runtime.keyring, now=at))
        assert await deliver(log.runtime, outgoing) == 0  # the dead one's lease
        log.clock.move(seconds=streams.LEASE.total_seconds() + 1)
        await deliver(log.runtime, outgoing)
    assert receiver.positions == list(range(1, 151))


async def test_only_what_was_asked_for_is_delivered(log, receiver, outgoing):
    from sso_gate.errors import Reason

    await add(log, receiver.url, outcome="denied")
    await log.sealed(3)
    await log.sealed(1, reason=Reason.SEAT_UNAVAILABLE)
    await log.sealed(2)
    assert await deliver(log.runtime, outgoing) == 1
    assert receiver.positions == [4]
    assert (await known(log))[0].position == 6


async def test_a_destination_can_be_moved_back(log, receiver, outgoing):
    await log.sealed(3)
    await add(log, receiver.url)
    assert await deliver(log.runtime, outgoing) == 0  # from now on
    stream = (await known(log))[0]
    await log.runtime.database.write(lambda tx: streams.move(tx, stream, now=log.clock.now(), position=1))
    await deliver(log.runtime, outgoing)
    assert receiver.positions == [2, 3]


async def test_a_sample_is_signed_and_on_record(log, receiver, outgoing):
    await add(log, receiver.url)
    assert (await send_sample(log.runtime, outgoing, (await known(log))[0], by=OWNER)).problem == ""
    headers, body = receiver.got[0]
    with frozen(START):
        sent = Webhook(SECRET).verify(body, headers)
    assert sent["type"] == "webhook.test"
    assert sent["data"]["events"][0]["action"] == "audit.stream.test"
    await seal(log.runtime)
    assert len((await log.page(action="audit.stream.test")).events) == 1


async def test_splunk_gets_its_token_and_one_object_a_line(log, receiver, outgoing):
    await add(log, receiver.url, kind="splunk", secret="splunk-token")
    await log.sealed(2)
    assert await deliver(log.runtime, outgoing) == 2
    headers, body = receiver.got[0]
    assert headers["authorization"] == "Splunk splunk-token"
    assert [json.loads(line)["event"]["chain"]["pos"] for line in body.splitlines()] == [1, 2]


async def test_headers_of_its_own_go_with_a_webhook_and_never_in_place_of_ours(small_log, receiver, outgoing):
    await add(small_log, receiver.url, headers=[("X-Route", "siem one"), ("Authorization", "Bearer abc")])
    stream = (await known(small_log))[0]
    newer = new_secret()
    await small_log.runtime.database.write(
        partial(streams.exchange_secret, stream=stream, secret=newer, keyring=small_log.runtime.keyring, now=START)
    )
    await small_log.sealed(1)
    assert await deliver(small_log.runtime, outgoing) == 1
    headers, body = receiver.got[0]
    assert (headers["x-route"], headers["authorization"]) == ("siem one", "Bearer abc")
    with frozen(START):
        Webhook(newer).verify(body, headers)
    assert "Bearer abc" not in repr(stream)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Webhook-Signature", "v1,x"), ("content-length", "0"), ("Host", "other.example"), ("X Space", "a"), ("", "a"),
        ("Transfer-Encoding", "chunked"), ("X-Split", "a\r\nHost: b"), ("X-Empty", ""), ("X-Letters", "é"),
    ],
)  # fmt: skip
async def test_a_header_that_would_say_something_for_us_is_refused(small_log, name, value):
    with pytest.raises(InvalidInput):
        await add(small_log, "https://siem.example/hook", headers=[(name, value)])


@pytest.mark.parametrize(("kind", "form"), [("webhook", "cef"), ("splunk", "cef")])
async def test_cef_is_for_syslog_alone(small_log, kind, form):
    with pytest.raises(InvalidInput):
        await add(small_log, "https://siem.example/hook", kind=kind, form=form)


async def test_events_are_written_in_the_words_that_a_destination_reads(small_log, receiver, outgoing):
    await add(small_log, receiver.url, form="ocsf")
    await add(small_log, receiver.url, kind="splunk", secret="token", form="ecs")
    await small_log.sealed(2)
    await small_log.runtime.database.write(
        partial(streams.choose, stream=(await known(small_log))[0], outcome="success", actions=())
    )
    assert await deliver(small_log.runtime, outgoing) == 4
    bodies = [body for _, body in receiver.got]
    [ocsf] = [json.loads(body)["data"]["events"] for body in bodies if "data" in json.loads(body.splitlines()[0])]
    assert [(one["class_uid"], one["metadata"]["sequence"]) for one in ocsf] == [(3002, 1), (3002, 2)]
    [ecs] = [body.splitlines() for body in bodies if "sourcetype" in body]
    told = [json.loads(line) for line in ecs]
    assert [(one["sourcetype"], one["event"]["event"]["sequence"]) for one in told] == [
        ("sso-gate:audit:ecs", 1),
        ("sso-gate:audit:ecs", 2),
    ]


async def test_syslog_carries_cef_in_counted_frames_and_marks_what_is_not_ascii(small_log):
    await small_log.write(client=Client("198.51.100.7", 'Agent|=\\ "é"\r\n', "req_1"))
    await seal(small_log.runtime)
    frames = syslog_frames((await small_log.page()).events, host="gate.example", form="cef")
    size, _, message = frames.partition(b" ")
    assert len(message) == int(size)
    head, _, text = message.partition(b"] ")
    assert head.startswith(b"<110>1 ")
    assert text.startswith(codecs.BOM_UTF8 + b"CEF:0|sso-gate|")
    assert 'requestClientApplication=Agent|\\=\\\\ "é"\\n ' in text.decode("utf-8-sig")


async def test_secrets_are_sealed_in_the_database(log):
    from sqlalchemy import select

    from sso_gate.storage.tables import audit_stream

    await add(log, "https://siem.example/hook")
    row = await log.runtime.database.read(lambda tx: tx.execute(select(audit_stream)).one())
    assert SECRET not in "".join(str(cell) for cell in row)


async def test_syslog_frames_are_counted_one_line_and_escaped(small_log):
    await small_log.sealed(2)
    lines = (await small_log.page()).events
    rest, frames = syslog_frames(lines, host="gate.example"), []
    while rest:
        size, _, rest = rest.partition(b" ")
        frames.append(rest[: int(size)].decode("ascii"))
        rest = rest[int(size) :]
    assert len(frames) == 2
    assert frames[0].startswith("<110>1 2026-11-20T08:00:00.")
    assert frames[0].isprintable()
    assert json.loads(frames[0].partition("] ")[2]) == json.loads(lines[0])


def test_one_event_is_never_split_and_a_batch_has_a_size():
    assert fitting("webhook", ["x" * 50_000]) == 1
    assert fitting("webhook", ["x" * 8_000] * 9) == 2
    assert json.loads(webhook_body(["{}", "{}"], at=START))["data"] == {"events": [{}, {}]}
    assert splunk_body([]) == ""


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "nothing", "whsec_***"])
def test_a_weak_secret_is_refused(secret):
    with pytest.raises(InvalidInput):
        check_secret(secret)


def test_a_new_secret_is_a_good_one():
    assert check_secret(new_secret()).startswith("whsec_")
