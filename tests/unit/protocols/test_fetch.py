"""The guarded client: where it goes, whom it believes, how much it takes, how long it waits."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import threading
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sso_gate.errors import Reason, Refused
from sso_gate.protocols.fetch import (
    MAX_RESOLVER_THREADS,
    Expected,
    Fetcher,
    Limits,
    is_public,
    parse_url,
    shared_tls_context,
)

LOOPBACK = (ip_network("127.0.0.0/8"),)
ANY = Expected(Reason.DISCOVERY_REFUSED)
QUICK = Limits(total_seconds=0.6, step_seconds=0.3, max_bytes=64 * 1024)
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@dataclass(slots=True)
class Server:
    """A server that reads one request per connection and writes what it was told, byte for byte."""

    port: int
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    server_names: list[str | None] = field(default_factory=list)

    def url(self, host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}/path?q=1"


@asynccontextmanager
async def serving(
    answer: bytes | Callable[..., Awaitable[None]] = PLAIN, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    server = Server(0)

    async def handle(reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            server.heads.append(head)
            length = next(
                (int(x.split(":")[1]) for x in head.lower().split("\r\n") if x.startswith("content-length")), 0
            )
            server.bodies.append(await reader.readexactly(length))
            if callable(answer):
                await answer(writer)
            else:
                writer.write(answer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client under test hung up, as some of these tests want it to
        finally:
            writer.close()

    if tls:
        tls.sni_callback = lambda _socket, name, _context: server.server_names.append(name)
    listening = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield server


def resolving(*addresses: str) -> Callable[[str, int], list[str]]:
    return lambda _host, _port: list(addresses)


def answering(body: bytes, **headers: str) -> bytes:
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode() + body


async def refusal_of(awaited):
    with pytest.raises(Refused) as refusal:
        await awaited
    return refusal.value.reason


FORBIDDEN = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.1.1",
    "169.254.169.254", "169.254.170.2", "168.63.129.16", "100.64.0.1", "100.100.100.200", "192.0.0.192", "192.0.2.1",
    "198.18.0.1", "192.88.99.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "fe80::1", "fe80::1%2", "fec0::1", "fc00::1",
    "fd00:ec2::254", "ff02::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1",
    "2001:db8::1", "2002:7f00:1::", "3fff::1", "4000::1", "not an address", "",
]  # fmt: skip


@pytest.mark.parametrize("address", FORBIDDEN)
async def test_ssrf_a_name_that_leads_to_a_forbidden_address_is_refused(address):
    fetcher = Fetcher(resolve=resolving(address))
    assert await refusal_of(fetcher.get("https://provider.example/", expected=ANY)) is Reason.DISCOVERY_REFUSED


@pytest.mark.parametrize("address", ["10.0.0.1", "::1", "169.254.169.254"])
async def test_ssrf_one_forbidden_address_among_good_ones_spoils_the_name(address):
    fetcher = Fetcher(resolve=resolving("8.8.8.8", "1.1.1.1", "9.9.9.9", address))
    assert await refusal_of(fetcher.get("https://provider.example/", expected=ANY)) is Reason.DISCOVERY_REFUSED


@pytest.mark.parametrize("host", ["127.1", "0x7f.0.0.1", "2130706433", "0177.0.0.1", "0x7f000001"])
async def test_ssrf_another_spelling_of_loopback_is_refused(host):
    fetcher = Fetcher(resolve=lambda name, _port: [socket.inet_ntoa(socket.inet_aton(name))])
    assert await refusal_of(fetcher.get(f"https://{host}/", expected=ANY)) is Reason.DISCOVERY_REFUSED


@pytest.mark.parametrize("url", ["https://127.0.0.1/", "https://[::1]/", "https://localhost/", "https://a.localhost/"])
async def test_ssrf_loopback_is_refused_by_the_systems_own_resolver_too(url):
    assert await refusal_of(Fetcher().get(url, expected=ANY)) is Reason.DISCOVERY_REFUSED


@pytest.mark.parametrize("address", ["8.8.8.8", "193.99.144.80", "2001:4860:4860::8888", "64:ff9b::808:808"])
async def test_a_public_address_may_be_saved_with_https_and_not_with_http(address):
    fetcher = Fetcher(resolve=resolving(address))
    await fetcher.check_url("https://provider.example/", refusal=Reason.DISCOVERY_REFUSED)
    refused = fetcher.check_url("http://provider.example/", refusal=Reason.DISCOVERY_REFUSED)
    assert await refusal_of(refused) is Reason.DISCOVERY_REFUSED


def test_public_is_what_belongs_to_one_machine_on_the_internet():
    assert is_public(ip_address("8.8.8.8"))
    assert is_public(ip_address("2a00:1450::1"))
    assert not any(is_public(ip_address(text)) for text in ("10.0.0.1", "224.0.0.1", "fe80::1", "2002:808:808::"))


@pytest.mark.parametrize(
    ("allowed", "address", "passes"),
    [
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "::ffff:10.1.2.3", True),
        ("10.0.0.0/8", "192.168.0.1", False),
        ("fd00::/8", "fd12::1", True),
        ("fd00::/8", "fd00:ec2::254", False),
        ("fd00::/8", "fd00:ec2::23", False),
        ("fd00::/8", "fd20:ce::254", False),
        ("fe80::/10", "fe80::a9fe:a9fe%2", False),
        ("169.254.0.0/16", "169.254.169.254", False),
        ("169.254.0.0/16", "169.254.170.23", False),
        ("0.0.0.0/0", "169.254.169.254", False),
        ("169.254.169.254/32", "169.254.169.254", True),
        ("100.64.0.0/10", "100.100.100.200", False),
        ("0.0.0.0/0", "224.0.0.1", False),
        ("0.0.0.0/0", "0.0.0.0", False),
    ],
)
async def test_a_setting_opens_its_networks_and_never_what_hands_out_the_machines_credentials(allowed, address, passes):
    fetcher = Fetcher((ip_network(allowed),), resolve=resolving(address))
    checking = fetcher.check_url("http://internal.example/", refusal=Reason.DISCOVERY_REFUSED)
    if passes:
        await checking
    else:
        assert await refusal_of(checking) is Reason.DISCOVERY_REFUSED


@pytest.mark.parametrize(
    "url",
    [
        "", "/path", "provider.example", "ftp://provider.example/", "file:///etc/passwd", "https://", "https:///x",
        "https://user@provider.example/", "https://user:secret@provider.example/", "https://provider.example/#f",
        "https://provider.example:0/", "https://provider.example:99999/", "https://pro vider.example/",
        "https://provider.example\\@evil.example/", "https://provider.example/\r\nHost: x", "https://prövider.example/",
        "https://provider.example/" + "x" * 2048, "javascript:alert(1)", "https://[::1", "gopher://x/", "data:,x",
    ],
)  # fmt: skip
def test_a_url_that_readers_could_understand_differently_is_refused(url):
    with pytest.raises(Refused) as refusal:
        parse_url(url, Reason.DISCOVERY_REFUSED)
    assert refusal.value.reason is Reason.DISCOVERY_REFUSED


def test_a_url_may_have_an_at_sign_and_a_port_where_they_belong():
    assert parse_url("https://provider.example:8443/a@b?c=d@e", Reason.DISCOVERY_REFUSED).port == 8443


async def test_a_name_that_does_not_resolve_is_unreachable():
    assert await refusal_of(Fetcher().get("https://nowhere.example/", expected=ANY)) is Reason.PROVIDER_UNREACHABLE
    empty = Fetcher(resolve=resolving())
    assert await refusal_of(empty.get("https://nowhere.example/", expected=ANY)) is Reason.PROVIDER_UNREACHABLE


async def test_plain_http_reaches_an_allowed_network_and_nothing_else():
    async with serving() as server:
        fetched = await Fetcher(LOOPBACK).get(server.url(), expected=ANY)
        assert (fetched.status, fetched.content_type, fetched.body) == (200, "application/json", b"{}")
        assert await refusal_of(Fetcher().get(server.url(), expected=ANY)) is Reason.DISCOVERY_REFUSED
        assert len(server.heads) == 1


async def test_the_request_says_who_asks_and_where_and_nothing_of_the_machine():
    async with serving() as server:
        await Fetcher(LOOPBACK).get(
            server.url(), expected=Expected(Reason.TOKEN_REFUSED, content_types=("application/json",))
        )
        lines = server.heads[0].split("\r\n")
        assert lines[0] == "GET /path?q=1 HTTP/1.1"
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        assert headers == {
            "host": f"127.0.0.1:{server.port}",
            "accept": "application/json",
            "accept-encoding": "gzip",
            "user-agent": "sso-gate",
        }


async def test_dns_rebinding_a_second_answer_is_never_asked_for():
    answers = [["127.0.0.1"], ["10.0.0.1"]]
    async with serving() as server:
        fetcher = Fetcher(LOOPBACK, resolve=lambda _host, _port: answers.pop(0))
        await fetcher.get(server.url("rebind.example"), expected=ANY)
        assert f"Host: rebind.example:{server.port}" in server.heads[0]
        assert len(answers) == 1
        assert await refusal_of(fetcher.get(server.url("rebind.example"), expected=ANY)) is Reason.DISCOVERY_REFUSED


async def test_dns_rebinding_what_was_checked_when_saved_is_checked_again_at_each_connect():
    answers = [["8.8.8.8"], ["127.0.0.1"]]
    fetcher = Fetcher(resolve=lambda _host, _port: answers.pop(0))
    await fetcher.check_url("https://rebind.example/", refusal=Reason.DISCOVERY_REFUSED)
    assert await refusal_of(fetcher.get("https://rebind.example/", expected=ANY)) is Reason.DISCOVERY_REFUSED


@dataclass(frozen=True, slots=True)
class Authority:
    server: ssl.SSLContext
    client: ssl.SSLContext


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    """TLS for `provider.example`, and a client that trusts its issuer."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "provider.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("provider.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = serialization.PrivateFormat.PKCS8
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    file.write_bytes(pem + key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption()))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return Authority(server, ssl.create_default_context(cadata=pem.decode()))


async def test_tls_is_for_the_name_though_the_connection_is_to_the_checked_address(authority):
    async with serving(tls=authority.server) as server:
        fetcher = Fetcher(LOOPBACK, tls=authority.client, resolve=resolving("127.0.0.1"))
        fetched = await fetcher.get(server.url("provider.example", "https"), expected=ANY)
        assert fetched.body == b"{}"
        assert server.server_names == ["provider.example"]
        assert f"Host: provider.example:{server.port}" in server.heads[0]


async def test_a_certificate_for_another_name_or_of_an_unknown_issuer_is_not_believed(authority):
    async with serving(tls=authority.server) as server:
        other = Fetcher(LOOPBACK, tls=authority.client, resolve=resolving("127.0.0.1"))
        url = server.url("other.example", "https")
        assert await refusal_of(other.get(url, expected=ANY)) is Reason.PROVIDER_UNREACHABLE
        stranger = Fetcher(LOOPBACK, resolve=resolving("127.0.0.1"))
        url = server.url("provider.example", "https")
        assert await refusal_of(stranger.get(url, expected=ANY)) is Reason.PROVIDER_UNREACHABLE
        assert server.heads == []


def test_the_tls_context_is_made_once():
    assert shared_tls_context() is shared_tls_context()
    assert shared_tls_context().minimum_version >= ssl.TLSVersion.TLSv1_2
    assert shared_tls_context().verify_mode is ssl.CERT_REQUIRED


async def test_the_next_address_is_tried_when_one_does_not_answer():
    async with serving() as server:
        fetcher = Fetcher(LOOPBACK, resolve=resolving("127.0.0.9", "127.0.0.1"))
        assert (await fetcher.get(server.url("provider.example"), expected=ANY)).status == 200


async def test_nobody_listening_is_unreachable():
    async with serving() as server:
        port = server.port
    url = f"http://127.0.0.1:{port}/"
    assert await refusal_of(Fetcher(LOOPBACK).get(url, expected=ANY)) is Reason.PROVIDER_UNREACHABLE


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(status):
    async with serving() as target:
        moved = f"HTTP/1.1 {status} Moved\r\nLocation: {target.url()}\r\nContent-Length: 0\r\n\r\n".encode()
        async with serving(moved) as server:
            assert await refusal_of(Fetcher(LOOPBACK).get(server.url(), expected=ANY)) is Reason.DISCOVERY_REFUSED
        assert target.heads == []


async def test_a_client_of_a_library_cannot_be_told_to_follow_redirects_or_to_reach_more():
    async with serving() as target:
        moved = f"HTTP/1.1 302 Moved\r\nLocation: {target.url()}\r\nContent-Length: 0\r\n\r\n".encode()
        async with serving(moved) as server:
            transport = Fetcher(LOOPBACK).transport(ANY)
            async with httpx2.AsyncClient(transport=transport, follow_redirects=True) as client:
                assert await refusal_of(client.get(server.url())) is Reason.DISCOVERY_REFUSED
                assert await refusal_of(client.get("http://10.0.0.1/")) is Reason.DISCOVERY_REFUSED
        assert target.heads == []


async def test_no_proxy_of_the_environment_is_used(monkeypatch):
    async with serving() as proxy, serving() as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        await Fetcher(LOOPBACK).get(server.url(), expected=ANY)
        assert (len(proxy.heads), len(server.heads)) == (0, 1)


async def test_no_cookie_is_kept_and_no_connection_used_twice():
    async with serving(answering(b"", Set_Cookie="a=b", Content_Length="0")) as server:
        fetcher = Fetcher(LOOPBACK)
        for _ in range(2):
            await fetcher.get(server.url(), expected=ANY)
        assert len(server.heads) == 2
        assert "cookie" not in server.heads[1].lower()


async def test_a_form_and_a_body_arrive_as_they_were_given():
    async with serving() as server:
        await Fetcher(LOOPBACK).post_form(server.url(), {"a": "1 &", "b": "é"}, expected=ANY)
        await Fetcher(LOOPBACK).post(
            server.url(), b"{}", content_type="application/json", expected=ANY, headers={"X-Signature": "s"}
        )
        assert server.bodies == [b"a=1+%26&b=%C3%A9", b"{}"]
        assert "Content-Type: application/x-www-form-urlencoded" in server.heads[0]
        assert "X-Signature: s" in server.heads[1]


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (404, Reason.TOKEN_REFUSED),
        (204, Reason.TOKEN_REFUSED),
        (429, Reason.PROVIDER_UNREACHABLE),
        (500, Reason.PROVIDER_UNREACHABLE),
    ],
)
async def test_a_status_that_was_not_expected_is_refused_and_a_failing_provider_is_unreachable(status, reason):
    async with serving(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode()) as server:
        fetching = Fetcher(LOOPBACK).get(server.url(), expected=Expected(Reason.TOKEN_REFUSED))
        assert await refusal_of(fetching) is reason
        accepting = Expected(Reason.TOKEN_REFUSED, statuses=range(100, 600))
        assert (await Fetcher(LOOPBACK).get(server.url(), expected=accepting)).status == status


@pytest.mark.parametrize(
    ("sent", "passes"),
    [
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("text/html", False),
        ("", False),
        ("application/json2", False),
    ],
)
async def test_the_media_type_must_be_an_expected_one(sent, passes):
    expected = Expected(Reason.DISCOVERY_REFUSED, content_types=("application/json",))
    async with serving(answering(b"{}", Content_Type=sent, Content_Length="2")) as server:
        fetching = Fetcher(LOOPBACK).get(server.url(), expected=expected)
        if passes:
            assert (await fetching).content_type == "application/json"
        else:
            assert await refusal_of(fetching) is Reason.DISCOVERY_REFUSED


async def test_an_answer_of_exactly_the_limit_passes_and_one_byte_more_does_not():
    for size, passes in ((1000, True), (1001, False)):
        async with serving(answering(b"x" * size, Content_Length=str(size))) as server:
            fetching = Fetcher(LOOPBACK).get(server.url(), expected=Expected(Reason.DISCOVERY_REFUSED, max_bytes=1000))
            if passes:
                assert len((await fetching).body) == size
            else:
                assert await refusal_of(fetching) is Reason.DISCOVERY_REFUSED


async def test_an_endless_answer_is_cut_off_at_the_limit():
    sent = 0

    async def endless(writer):
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
            sent += 4096
            await writer.drain()

    async with serving(endless) as server:
        assert (
            await refusal_of(Fetcher(LOOPBACK, limits=QUICK).get(server.url(), expected=ANY))
            is Reason.DISCOVERY_REFUSED
        )
    assert sent < 64 * 1024 * 1024


async def test_a_compressed_answer_is_read_and_a_bomb_is_stopped_early():
    honest = gzip.compress(b"x" * 2000)
    async with serving(answering(honest, Content_Encoding="gzip", Content_Length=str(len(honest)))) as server:
        assert (await Fetcher(LOOPBACK, limits=QUICK).get(server.url(), expected=ANY)).body == b"x" * 2000
    bomb = gzip.compress(b"\0" * (200 * 1024 * 1024), 9)
    async with serving(answering(bomb, Content_Encoding="gzip", Content_Length=str(len(bomb)))) as server:
        tracemalloc.start()
        started = time.process_time()
        fetching = Fetcher(LOOPBACK).get(server.url(), expected=ANY)
        assert await refusal_of(fetching) is Reason.DISCOVERY_REFUSED
        peak, spent = tracemalloc.get_traced_memory()[1], time.process_time() - started
        tracemalloc.stop()
    assert peak < 16 * 1024 * 1024
    assert spent < 1


async def test_bytes_that_say_nothing_count_too():
    whole = gzip.compress(b"x", mtime=0)
    padded = whole[:3] + b"\x08" + whole[4:10] + b"n" * 100_000 + b"\0" + whole[10:]  # RFC 1952 2.3.1: a file name
    assert gzip.decompress(padded) == b"x"
    async with serving(answering(padded, Content_Encoding="gzip", Content_Length=str(len(padded)))) as server:
        fetching = Fetcher(LOOPBACK, limits=QUICK).get(server.url(), expected=ANY)
        assert await refusal_of(fetching) is Reason.DISCOVERY_REFUSED


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "zstd", "compress", "gzip, identity"])
async def test_an_encoding_that_was_not_asked_for_is_refused(encoding):
    async with serving(answering(b"xx", Content_Encoding=encoding, Content_Length="2")) as server:
        assert await refusal_of(Fetcher(LOOPBACK).get(server.url(), expected=ANY)) is Reason.DISCOVERY_REFUSED


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_broken_compression_is_refused(encoding):
    body = zlib.compress(b"x" * 100)[:2] + b"garbage"
    async with serving(answering(body, Content_Encoding=encoding, Content_Length=str(len(body)))) as server:
        assert await refusal_of(Fetcher(LOOPBACK).get(server.url(), expected=ANY)) is Reason.DISCOVERY_REFUSED


async def _silent(_writer):
    await asyncio.sleep(5)


async def _dripping(writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(1000):
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def _dripping_headers(writer):
    writer.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(1000):
        writer.write(f"X-{number}: x\r\n".encode())
        await writer.drain()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("slowly", [_silent, _dripping, _dripping_headers])
async def test_a_provider_that_takes_its_time_is_given_up(slowly):
    async with serving(slowly) as server:
        started = time.monotonic()
        reason = await refusal_of(Fetcher(LOOPBACK, limits=QUICK).get(server.url(), expected=ANY))
        assert reason is Reason.PROVIDER_UNREACHABLE
        assert time.monotonic() - started < 2


async def test_headers_without_an_end_are_refused():
    async def endless(writer):
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X-A: " + b"x" * 4000 + b"\r\n")
            await writer.drain()

    async with serving(endless) as server:
        reason = await refusal_of(Fetcher(LOOPBACK, limits=QUICK).get(server.url(), expected=ANY))
        assert reason is Reason.PROVIDER_UNREACHABLE


@pytest.mark.parametrize(
    "answer", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", b"SSH-2.0-x\r\n"]
)
async def test_what_is_not_http_is_unreachable(answer):
    async with serving(answer) as server:
        assert await refusal_of(Fetcher(LOOPBACK).get(server.url(), expected=ANY)) is Reason.PROVIDER_UNREACHABLE


async def test_a_name_server_that_hangs_is_given_up_and_holds_nobody_else_up():
    def hanging(_host, _port):
        time.sleep(1)
        return ["127.0.0.1"]

    fetcher = Fetcher(LOOPBACK, limits=QUICK, resolve=hanging)
    started = time.monotonic()
    waiting = [refusal_of(fetcher.get("http://hanging.example/", expected=ANY)) for _ in range(8)]
    others = asyncio.create_task(asyncio.to_thread(time.monotonic))
    assert set(await asyncio.gather(*waiting)) == {Reason.PROVIDER_UNREACHABLE}
    assert time.monotonic() - started < 1.5
    assert await others - started < 0.5
    await fetcher.aclose()


async def test_a_name_whose_server_hangs_takes_one_thread_and_not_all_of_them():
    asked, answered = [], threading.Event()

    def resolve(host, _port):
        asked.append(host)
        if host.startswith("hanging"):
            answered.wait(30)
        return ["127.0.0.1"]

    fetcher = Fetcher(LOOPBACK, limits=QUICK, resolve=resolve)

    async def check(host):
        await fetcher.check_url(f"http://{host}/", refusal=Reason.DISCOVERY_REFUSED)

    waiting = asyncio.gather(*(refusal_of(check("hanging.example")) for _ in range(MAX_RESOLVER_THREADS * 2)))
    await asyncio.sleep(0)
    await check("honest.example")
    assert set(await waiting) == {Reason.PROVIDER_UNREACHABLE}
    late = asyncio.create_task(check("hanging.example"))  # the others have given up, the thread has not
    await asyncio.sleep(0)
    answered.set()
    await late
    assert asked == ["hanging.example", "honest.example"]
    await check("honest.example")
    assert asked[2:] == ["honest.example"], "an answer is not kept"
    await fetcher.aclose()


async def test_a_caller_that_goes_away_is_not_told_a_refusal():
    async with serving(_silent) as server:
        fetching = asyncio.create_task(Fetcher(LOOPBACK).get(server.url(), expected=ANY))
        await asyncio.sleep(0.1)
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetching


async def test_a_header_that_is_not_ascii_spoils_no_answer():
    answer = b"HTTP/1.1 200 OK\r\nX-Owner: " + "Zoë".encode() + b"\r\nContent-Length: 2\r\n\r\n{}"
    async with serving(answer) as server:
        assert (await Fetcher(LOOPBACK).get(server.url(), expected=ANY)).body == b"{}"


async def test_no_refusal_tells_what_was_sent_or_asked():
    async with serving(answering(b"secret-of-the-provider", Content_Length="22", Content_Type="text/secret")) as server:
        with pytest.raises(Refused) as refusal:
            await Fetcher(LOOPBACK).post_form(
                server.url(), {"code": "the-code"}, expected=Expected(Reason.TOKEN_REFUSED, max_bytes=5)
            )
        assert "secret-of" not in str(refusal.value)
        assert "the-code" not in str(refusal.value)
        assert "q=1" not in str(refusal.value)
