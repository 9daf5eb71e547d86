"""A real DNS server on loopback that knows some TXT records, and can be silent."""

from __future__ import annotations

from socketserver import BaseRequestHandler, UDPServer
from threading import Thread
from typing import Self

import dns.flags
import dns.message
import dns.rcode
import dns.rrset


class NameServer:
    """Answers TXT questions from `records`; what is not there is NXDOMAIN. `broken` makes it say SERVFAIL."""

    def __init__(self) -> None:
        self.records: dict[str, list[str]] = {}
        self.broken = False
        owner = self

        class Handler(BaseRequestHandler):
            def handle(self) -> None:
                data, socket = self.request
                socket.sendto(owner.answer(data), self.client_address)

        self._server = UDPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def address(self) -> str:
        """Where it listens, as `SSO_GATE_DNS_SERVERS` has it."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def answer(self, question: bytes) -> bytes:
        """The answer to one packet."""
        asked = dns.message.from_wire(question)
        answer = dns.message.make_response(asked)
        answer.flags |= dns.flags.RA
        name = asked.question[0].name
        texts = self.records.get(name.to_text(omit_final_dot=True).lower(), [])
        if self.broken:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif texts:
            answer.answer.append(dns.rrset.from_text_list(name, 60, "IN", "TXT", [f'"{text}"' for text in texts]))
        else:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer.to_wire()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
