"""Where everything listens and what browsers call it: three host names, because cookies do not tell ports apart.

Names under `localhost` mean this machine in browsers (RFC 6761 6.3); our own servers talk to each other by number.
"""

from dataclasses import dataclass
from typing import Self

from sso_gate.demo.servers import LOOPBACK

GATE_PORT = 8080
APP_PORT = 8081
PROVIDER_PORT = 9090


@dataclass(frozen=True, slots=True)
class Site:
    """One server: `host` is what browsers send as Host, `origin` its URL for browsers, `address` its URL by number."""

    host: str
    origin: str
    address: str

    @classmethod
    def at(cls, name: str, port: int) -> Self:
        """Return the site `name`.localhost on this loopback port."""
        host = f"{name}.localhost:{port}"
        return cls(host, f"http://{host}", f"http://{LOOPBACK}:{port}")


@dataclass(frozen=True, slots=True)
class Addresses:
    """The sites of one demonstration; people visit `app` and `gate`, and are sent to `provider`."""

    gate: Site
    app: Site
    provider: Site
