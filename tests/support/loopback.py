"""Keeps this process's connections on loopback, as on a machine without a network.

No proxy and no public certificate authority is known here, nor to the programs that tests start: reading the hundred
and fifty public ones costs each HTTP client 50 ms.

Names under `localhost` resolve to 127.0.0.1 (RFC 6761 6.3), as they do in browsers; every other name does not exist.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.keys import make_key_pair


def _is_loopback_address(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def is_local_name(host: str) -> bool:
    """Return whether a name is `localhost` or lies under it."""
    return host.rstrip(".").lower().rpartition(".")[2] == "localhost"


def _refuse_unless_loopback(connection: socket.socket, address: Any) -> None:
    if connection.family not in (socket.AF_INET, socket.AF_INET6):
        return
    host = str(address[0])
    if not (_is_loopback_address(host) or is_local_name(host)):
        # Fails the test itself: an `except Exception` in the code under test must not turn this into a passing refusal.
        pytest.fail(f"a test tried to reach {address!r}; tests talk to loopback only")


@contextmanager
def only() -> Iterator[None]:
    """Guard every socket and every look-up of this process while the block runs."""
    connect, connect_ex, look_up = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> None:
        _refuse_unless_loopback(self, address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        _refuse_unless_loopback(self, address)
        return connect_ex(self, address)

    def guarded_look_up(host: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name is None or _is_address(name):
            return look_up(host, *arguments, **options)
        if is_local_name(name):
            return look_up("127.0.0.1", *arguments, **options)
        raise socket.gaierror(socket.EAI_NONAME, f"{name} is not looked up by tests")

    with pytest.MonkeyPatch.context() as patch, tempfile.NamedTemporaryFile("w", suffix=".pem") as authority:
        authority.write(make_key_pair("the only authority").certificate)
        authority.flush()
        patch.setenv("SSL_CERT_FILE", authority.name)
        for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
            patch.delenv(name)
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
        patch.setattr(socket, "getaddrinfo", guarded_look_up)
        yield


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
