"""The one guarded HTTP client: nothing else in the gate opens a connection to an address that somebody typed in.

https only; a name is resolved once, every address it has is checked, and the connection goes to a checked address, so
a second answer of the DNS changes nothing. One connection per exchange, none kept: a one-time code is never sent into a
connection that the other side has just closed. No redirects, no proxy from the environment, no cookies; limits on time,
bytes (also after decompression) and type.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import urlencode

import httpx2

from sso_gate.errors import Reason, Refused

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Sequence[str]]

MAX_URL_LENGTH = 2048
MAX_ADDRESSES_TRIED = 3
MAX_RESOLVER_THREADS = 32  # a lookup that hangs keeps its thread for as long as the system's resolver tries
ENCODINGS = ("", "identity", "gzip", "deflate")
JSON = ("application/json",)
_SIZE_HEADERS = (b"content-encoding", b"content-length", b"transfer-encoding")

# Addresses with an owner on the public Internet that `ipaddress` calls global on some Python versions, or that are
# global and still answer for the machine's own cloud. Sources: the IANA special-purpose address registries (RFC 6890).
_NOT_PUBLIC = tuple(
    ip_network(text)
    for text in (
        "192.0.0.0/24",  # protocol assignments
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "2001::/23",  # Teredo, ORCHID, benchmarking
        "2001:db8::/32",
        "2002::/16",  # 6to4: carries an IPv4 address
        "3fff::/20",
    )
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
# These hand out credentials of the machine: a wide network in the settings does not open them, only their very address.
_METADATA = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",
        "168.63.129.16",  # Azure
        "100.100.100.200",  # Alibaba Cloud
        "192.0.0.192",  # Oracle Cloud
        "fd00:ec2::254",  # EC2
        "fd20:ce::254",  # Google Cloud
        "fe80::a9fe:a9fe",  # OpenStack
        "169.254.170.2",  # ECS tasks
        "169.254.170.23",  # EKS Pod Identity
        "fd00:ec2::23",
    )
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long one exchange may take, in seconds, all of it and each step, and how many bytes it may bring."""

    total_seconds: float = 10.0
    step_seconds: float = 5.0
    max_bytes: int = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Expected:
    """What an answer must be like; `refusal` is the reason given when the URL or the answer is not acceptable.

    An empty `content_types` takes any. A provider that cannot be reached, is too slow or fails by itself (5xx, 429)
    is always `provider_unreachable`.
    """

    refusal: Reason
    statuses: Collection[int] = (200,)
    content_types: tuple[str, ...] = ()
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole answer within the limits: status, media type in lower case without parameters, decoded body."""

    status: int
    content_type: str
    body: bytes


@cache
def shared_tls_context() -> ssl.SSLContext:
    """Return the process's one client context: building it costs 35-49 ms of CPU. `SSL_CERT_FILE` names another CA."""
    context = httpx2.create_ssl_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # a distribution's Python leaves it to the system's settings
    return context


def system_resolver(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a name as the system knows them; OSError when there are none. Blocks.

    Names under `localhost` are this machine without asking anybody (RFC 6761 6.3), as they are in browsers; whether the
    gate may go there is decided like for any other loopback address.
    """
    if host.lower().rstrip(".").endswith(".localhost"):
        return ["127.0.0.1"]
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Fetcher:
    """Makes guarded requests; one per process, shared by everybody who fetches."""

    def __init__(
        self,
        allow_private_networks: Sequence[Network] = (),
        *,
        tls: ssl.SSLContext | None = None,
        limits: Limits | None = None,
        resolve: Resolve = system_resolver,
    ) -> None:
        self._allowed = tuple(allow_private_networks)
        self._tls = tls or shared_tls_context()
        self._limits = limits or Limits()
        self._resolve = resolve
        # Threads of its own: a name server that hangs must not take the threads that the database needs.
        self._threads = ThreadPoolExecutor(MAX_RESOLVER_THREADS, "fetch-resolve")
        self._lookups: dict[tuple[str, int], asyncio.Future[Sequence[str]]] = {}

    async def get(self, url: str, *, expected: Expected, headers: Mapping[str, str] | None = None) -> Fetched:
        """Return the answer to a GET. Raises Refused, see `Expected`."""
        return await self._request("GET", url, expected, headers=dict(headers or {}))

    async def post(
        self, url: str, body: bytes, *, content_type: str, expected: Expected, headers: Mapping[str, str] | None = None
    ) -> Fetched:
        """Return the answer to a POST of these bytes. Raises Refused, see `Expected`."""
        return await self._request(
            "POST", url, expected, content=body, headers={**(headers or {}), "Content-Type": content_type}
        )

    async def put(self, url: str, body: bytes, *, expected: Expected, headers: Mapping[str, str]) -> Fetched:
        """Return the answer to a PUT of these bytes. Raises Refused, see `Expected`."""
        return await self._request("PUT", url, expected, content=body, headers=headers)

    async def post_form(
        self, url: str, fields: Mapping[str, str], *, expected: Expected, headers: Mapping[str, str] | None = None
    ) -> Fetched:
        """Return the answer to a POST of form fields. Raises Refused, see `Expected`."""
        body = urlencode(fields).encode("ascii")
        return await self.post(
            url, body, content_type="application/x-www-form-urlencoded", expected=expected, headers=headers
        )

    async def addresses(self, url: str, *, refusal: Reason) -> list[str]:
        """Return the addresses of the URL's host, checked, for what is not HTTP. Raises like `check_url`."""
        async with self._limited():
            return await self._checked_addresses(parse_url(url, refusal), refusal)

    async def check_url(self, url: str, *, refusal: Reason) -> None:
        """Return when `url` may be fetched as things stand now: for "checked when saved"; each fetch checks again.

        Raises:
            Refused: with `refusal`; or `provider_unreachable`, the name does not resolve.
        """
        async with self._limited():
            await self._checked_addresses(parse_url(url, refusal), refusal)

    def transport(self, expected: Expected) -> httpx2.AsyncBaseTransport:
        """Return a transport for a client of a library, guarded like every fetch; whatever that client is told."""
        return _GuardedTransport(self, expected)

    async def aclose(self) -> None:
        """Give the resolver's threads back."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _request(self, method: str, url: str, expected: Expected, **parts: Any) -> Fetched:
        request = httpx2.Request(method, parse_url(url, expected.refusal), **parts)
        if "accept" not in request.headers:
            request.headers["Accept"] = ", ".join(expected.content_types) or "*/*"
        response = await self.exchange(request, expected)
        return Fetched(response.status_code, _media_type(response), response.content)

    async def exchange(self, request: httpx2.Request, expected: Expected) -> httpx2.Response:
        """Return the complete, decoded answer to a request. Raises Refused, see `Expected`."""
        url = parse_url(str(request.url), expected.refusal)
        request.headers["User-Agent"] = "sso-gate"
        request.headers["Accept-Encoding"] = "gzip"
        async with self._limited():
            addresses = await self._checked_addresses(url, expected.refusal)
            return await self._send_to_one_of(addresses, request, expected)

    @asynccontextmanager
    async def _limited(self) -> AsyncIterator[None]:
        seconds = self._limits.total_seconds
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError as late:
            raise Refused(Reason.PROVIDER_UNREACHABLE, f"took more than {seconds} s") from late

    async def _checked_addresses(self, url: httpx2.URL, refusal: Reason) -> list[str]:
        host, port = url.raw_host.decode("ascii"), _port(url)
        try:
            texts = await self._lookup(host, port)
        except (OSError, UnicodeError) as error:
            raise Refused(Reason.PROVIDER_UNREACHABLE, f"{host} does not resolve: {error}") from error
        for text in texts:
            problem = self._problem(text, url.scheme)
            if problem:
                raise Refused(refusal, f"{host} has the address {text}: {problem}")
        if not texts:
            raise Refused(Reason.PROVIDER_UNREACHABLE, f"{host} has no address")
        return list(texts[:MAX_ADDRESSES_TRIED])

    async def _lookup(self, host: str, port: int) -> Sequence[str]:
        """Return what the resolver says. Whoever asks while it is looking waits for the same answer: one name whose
        server hangs holds one thread, however many want it, and whenever they give up.
        """
        asked = (host, port)
        if asked not in self._lookups:
            loop = asyncio.get_running_loop()
            self._lookups[asked] = loop.run_in_executor(self._threads, self._resolve, host, port)
            self._lookups[asked].add_done_callback(lambda done: self._forget(asked, done))
        lookup = self._lookups[asked]
        await asyncio.wait([lookup])
        return lookup.result()

    def _forget(self, asked: tuple[str, int], lookup: "asyncio.Future[Sequence[str]]") -> None:
        del self._lookups[asked]
        if not lookup.cancelled():
            lookup.exception()  # nobody may be left to hear it, which is no news for the log

    def _problem(self, text: str, scheme: str) -> str:
        address = _true_address(text)
        if address is None or address.is_multicast or address.is_unspecified:
            return "not the address of one machine"
        if address in _METADATA:
            exactly = {ip_network(address)}
            return "" if exactly & set(self._allowed) else "hands out credentials of the machine"
        if any(address in network for network in self._allowed):
            return ""
        if not is_public(address):
            return "not public, and not in SSO_GATE_ALLOW_PRIVATE_NETWORKS"
        return "" if scheme == "https" else "plain http is for allowed private networks alone"

    async def _send_to_one_of(
        self, addresses: Sequence[str], request: httpx2.Request, expected: Expected
    ) -> httpx2.Response:
        failure: Exception | None = None
        for address in addresses:
            try:
                return await self._send(address, request, expected)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                failure = error
            except httpx2.DecodingError as error:
                raise Refused(expected.refusal, f"{request.url.host} sent what cannot be decoded") from error
            except httpx2.TransportError as error:
                raise _unreachable(request, error) from error
        raise _unreachable(request, failure) from failure

    async def _send(self, address: str, request: httpx2.Request, expected: Expected) -> httpx2.Response:
        step = self._limits.step_seconds
        # The URL names the checked address; the Host header and the name in TLS stay what the caller asked for.
        pinned = httpx2.Request(
            request.method,
            request.url.copy_with(host=address),
            headers=request.headers,
            content=await request.aread(),
            extensions={
                "sni_hostname": request.url.raw_host.decode("ascii"),
                "timeout": {"connect": step, "read": step, "write": step, "pool": step},
            },
        )
        async with httpx2.AsyncHTTPTransport(verify=self._tls, trust_env=False) as transport:
            response = await transport.handle_async_request(pinned)
            try:
                return await _read(response, request, expected, expected.max_bytes or self._limits.max_bytes)
            finally:
                await response.aclose()


class _GuardedTransport(httpx2.AsyncBaseTransport):
    def __init__(self, fetcher: Fetcher, expected: Expected) -> None:
        self._fetcher = fetcher
        self._expected = expected

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return await self._fetcher.exchange(request, self._expected)


def parse_url(url: str, refusal: Reason) -> httpx2.URL:
    """Return an absolute http(s) URL without credentials, fragment or odd characters; one parser for check and use.

    Raises:
        Refused: with `refusal`.
    """
    if len(url) > MAX_URL_LENGTH or not url.isascii() or not url.isprintable() or set(url) & set(' \\"<>^`{|}'):
        raise Refused(refusal, "the URL is too long or holds characters that no URL has")
    try:
        parsed = httpx2.URL(url)
    except (httpx2.InvalidURL, ValueError) as error:
        raise Refused(refusal, f"not a URL: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.raw_host:
        raise Refused(refusal, "not an absolute https URL")
    if parsed.userinfo or "#" in url or not 0 < _port(parsed) < 65536:
        raise Refused(refusal, "the URL holds credentials, a fragment or an impossible port")
    return parsed


def _port(url: httpx2.URL) -> int:
    if url.port is not None:
        return url.port
    return 443 if url.scheme == "https" else 80


def is_public(address: Address) -> bool:
    """Return whether an address belongs to one machine on the public Internet."""
    if any(address.version == network.version and address in network for network in _NOT_PUBLIC):
        return False
    if isinstance(address, IPv6Address):
        return address in _GLOBAL_UNICAST
    return address.is_global and not address.is_multicast and not address.is_reserved


def _true_address(text: str) -> Address | None:
    """The address that a connection would reach: the IPv4 inside an IPv6 that only wraps one."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


async def _read(
    response: httpx2.Response, request: httpx2.Request, expected: Expected, max_bytes: int
) -> httpx2.Response:
    host = request.url.host
    status = response.status_code
    if status not in expected.statuses:
        ours = status >= 500 or status == 429
        raise Refused(Reason.PROVIDER_UNREACHABLE if ours else expected.refusal, f"{host} answered with {status}")
    if expected.content_types and _media_type(response) not in expected.content_types:
        raise Refused(expected.refusal, f"{host} answered with {_media_type(response)[:80]!r}")
    if response.headers.get("content-encoding", "").strip().lower() not in ENCODINGS:
        raise Refused(expected.refusal, f"{host} sent an unknown content encoding")
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > max_bytes or response.num_bytes_downloaded > max_bytes:
            raise Refused(expected.refusal, f"{host} sent more than {max_bytes} bytes")
    # As bytes: a value may hold what is not ASCII (RFC 9110 5.5), which a text could not be made of again.
    headers = [(name, value) for name, value in response.headers.raw if name.lower() not in _SIZE_HEADERS]
    return httpx2.Response(status, headers=headers, content=bytes(body), request=request)


def _media_type(response: httpx2.Response) -> str:
    return str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()


def _unreachable(request: httpx2.Request, error: Exception | None) -> Refused:
    return Refused(Reason.PROVIDER_UNREACHABLE, f"{request.url.host}: {type(error).__name__}: {error}"[:300])
