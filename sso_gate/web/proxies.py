"""Whom a request comes from, and what it first asked for: `X-Forwarded-*` counts only from peers that the settings
trust.

The gate's own scheme and host never come from a request (they are `SSO_GATE_PUBLIC_URL`); what a proxy forwards is
kept beside the request, for forward auth. Headers of an untrusted peer are as if they had not been sent.
"""

from collections.abc import Awaitable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from sso_gate.settings import Network

MAX_HOPS = 32
MAX_ADDRESS_LENGTH = 100  # IPv6 in brackets with a zone and a port has fewer characters


@dataclass(frozen=True, slots=True)
class Forwarded:
    """The client's address (empty where the server knows none) and the original request as a trusted proxy tells it.

    `by_trusted_proxy` says whether the peer is one; `scheme`, `host`, `method` and `uri` are empty where it said
    nothing, or said two things at once.
    """

    client_address: str = ""
    by_trusted_proxy: bool = False
    scheme: str = ""
    host: str = ""
    method: str = ""
    uri: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """An address in its usual form, and whether it is a trusted proxy's."""

    text: str
    trusted: bool


class Trust:
    """Which addresses are trusted proxies'. Remembers those that it was asked about: the standard library takes longer
    to read an address than the rest of this file together.
    """

    def __init__(self, networks: Collection[Network]) -> None:
        self._networks = tuple(networks)
        self._known = lru_cache(maxsize=4096)(self._seen)

    def look(self, text: str) -> Seen | None:
        """Return what the text names, or None where it is no address."""
        return self._known(text) if len(text) <= MAX_ADDRESS_LENGTH else None

    def _seen(self, text: str) -> Seen | None:
        address = _parsed(text)
        if address is None:
            return None
        return Seen(str(address), any(address in network for network in self._networks))


def forwarded(peer: str, headers: Headers, *, trust: Trust) -> Forwarded:
    """Return what is known about the original request.

    The client's address is the last one in `X-Forwarded-For` that is not itself a trusted proxy: everything left of
    it may be forged.
    """
    nearest = trust.look(peer)
    if nearest is None or not nearest.trusted:
        return Forwarded(client_address=nearest.text if nearest else peer)
    said = _said(headers)
    return Forwarded(
        client_address=_client(nearest, said.get(b"x-forwarded-for", []), trust),
        by_trusted_proxy=True,
        scheme=_only(said, b"x-forwarded-proto").lower(),
        host=_only(said, b"x-forwarded-host").lower(),
        method=_only(said, b"x-forwarded-method").upper(),
        uri=_only(said, b"x-forwarded-uri", listed=False),
    )


def _said(headers: Headers) -> Mapping[bytes, list[str]]:
    """Return the values of every `X-Forwarded-*`, found in one pass."""
    said: dict[bytes, list[str]] = {}
    for name, value in headers.raw:
        if name.startswith(b"x-forwarded-"):
            said.setdefault(name, []).append(value.decode("latin-1"))
    return said


class Proxies:
    """Middleware: puts a `Forwarded` on the request's state."""

    def __init__(self, app: ASGIApp, *, trusted: Collection[Network]) -> None:
        self.app = app
        self.trust = Trust(trusted)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "http":
            peer = (scope.get("client") or ("", 0))[0]
            found = forwarded(peer, Headers(scope=scope), trust=self.trust)
            scope.setdefault("state", {})["forwarded"] = found
            scope["state"]["client_address"] = found.client_address
        return self.app(scope, receive, send)


def _client(peer: Seen, lines: list[str], trust: Trust) -> str:
    nearest = peer
    hops = ",".join(lines).rsplit(",", MAX_HOPS)[-MAX_HOPS:]
    for hop in reversed(hops):
        seen = trust.look(hop.strip())
        if seen is None:
            break
        nearest = seen
        if not seen.trusted:
            break
    return nearest.text


def _only(said: Mapping[bytes, list[str]], name: bytes, *, listed: bool = True) -> str:
    values = said.get(name, [])
    if len(values) != 1 or (listed and "," in values[0]):
        return ""
    return values[0].strip()


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    host = text[1 : text.index("]")] if text.startswith("[") and "]" in text else text
    if host.count(":") == 1:
        host = host.split(":")[0]
    try:
        address = ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
