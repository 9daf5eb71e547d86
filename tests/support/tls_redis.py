"""A throw-away Redis that speaks TLS alone: Debian's `redis-server`, since the embedded Valkey has no TLS."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from tests.support.keys import make_key_pair
from tests.support.servers import LOOPBACK, ServerFailed, free_port, program, stop, wait_for_port


class TlsRedis:
    """One Redis on a loopback port; `certificate` is the file that a client has to trust."""

    def __init__(self) -> None:
        """Start it with a certificate of its own."""
        executable = program("redis-server")
        if executable is None:
            raise ServerFailed("redis-server is not installed")
        self._folder = tempfile.TemporaryDirectory(prefix="tls-redis-")
        folder = Path(self._folder.name)
        pair = make_key_pair("redis for tests")
        self.certificate = folder / "certificate.pem"
        self.certificate.write_text(pair.certificate)
        (folder / "key.pem").write_text(pair.key)
        self.port = free_port()
        options = {
            "port": "0",
            "tls-port": str(self.port),
            "bind": LOOPBACK,
            "tls-cert-file": str(self.certificate),
            "tls-key-file": str(folder / "key.pem"),
            "tls-ca-cert-file": str(self.certificate),
            "tls-auth-clients": "no",
            "save": "",
            "dir": str(folder),
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen([executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_port(self.port, self._process)

    @property
    def url(self) -> str:
        """Return `rediss://…`, which names the certificate to trust."""
        return f"rediss://{LOOPBACK}:{self.port}/0?ssl_ca_certs={self.certificate}"

    def close(self) -> None:
        """Stop it and forget its keys."""
        stop(self._process)
        self._folder.cleanup()
