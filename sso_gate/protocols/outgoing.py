"""The gate's own messages to addresses that somebody typed in, guarded like everything that is fetched."""

import asyncio
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

from sso_gate.errors import Reason, Refused
from sso_gate.protocols.fetch import Expected, Fetcher, Limits, Network, shared_tls_context

SECONDS = 15.0
SYSLOG_TLS_PORT = 6514  # RFC 5425 4.1
_ANY_ANSWER = Expected(refusal=Reason.PROVIDER_REFUSED, statuses=range(200, 600), max_bytes=64 * 1024)


class GuardedOutgoing:
    """Posts and sends to public addresses, and to the private networks that are allowed; fifteen seconds at most."""

    def __init__(self, allow_private_networks: tuple[Network, ...] = (), *, tls: ssl.SSLContext | None = None) -> None:
        limits = Limits(total_seconds=SECONDS, step_seconds=SECONDS)
        self._tls = tls or shared_tls_context()
        self._fetcher = Fetcher(allow_private_networks, tls=self._tls, limits=limits)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Return the status of the answer; a redirect is an answer. Refused when there is none."""
        sent = await self._fetcher.post(
            url, body, content_type="application/json", expected=_ANY_ANSWER, headers=headers
        )
        return sent.status

    async def put(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Return the status of the answer; a redirect is an answer. Refused when there is none."""
        return (await self._fetcher.put(url, body, expected=_ANY_ANSWER, headers=headers)).status

    async def send_tls(self, url: str, data: bytes) -> None:
        """Send bytes to `syslog+tls://host:port` and close, so that everything has left when this returns."""
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or SYSLOG_TLS_PORT
        addresses = await self._fetcher.addresses(f"https://{parts.netloc}", refusal=Reason.PROVIDER_REFUSED)
        try:
            async with asyncio.timeout(SECONDS):
                _, writer = await asyncio.open_connection(addresses[0], port, ssl=self._tls, server_hostname=host)
                try:
                    writer.write(data)
                    await writer.drain()
                finally:
                    writer.close()
                    await writer.wait_closed()
        except (OSError, TimeoutError) as error:
            raise Refused(Reason.PROVIDER_UNREACHABLE, f"{host}: {type(error).__name__}") from error

    async def check(self, url: str) -> None:
        """Return when the URL's host may be reached as things stand; each message checks again. Refused otherwise."""
        await self._fetcher.check_url(url, refusal=Reason.PROVIDER_REFUSED)

    async def aclose(self) -> None:
        """Give the resolver's threads back."""
        await self._fetcher.aclose()
