"""A DNS server on loopback that knows CAA records, and addresses of version 4."""

from __future__ import annotations

import socket
import threading
from collections.abc import Collection, Mapping, Sequence

import dns.asyncresolver
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest


class DnsServer:
    """Answers CAA queries from `zone`; everything under `broken.net` with SERVFAIL, under `mute.net` not at all.

    `existing` holds names without such records; whatever else is asked for does not exist.
    """

    def __init__(
        self,
        zone: Mapping[str, Sequence[str]],
        existing: Collection[str] = (),
        addresses: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._zone, self._existing, self._addresses = zone, existing, addresses or {}
        self.asked: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def stop(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            data, source = self._socket.recvfrom(4096)
            if not data:
                return
            query = dns.message.from_wire(data)
            name = query.question[0].name.to_text()
            self.asked.append(name)
            if not name.endswith("mute.net."):
                self._socket.sendto(self._answer(query, name).to_wire(max_size=65_000), source)

    def _answer(self, query: dns.message.Message, name: str) -> dns.message.Message:
        answer = dns.message.make_response(query, recursion_available=True)
        if name.endswith("broken.net."):
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif query.question[0].rdtype != dns.rdatatype.CAA and name in self._addresses:
            if query.question[0].rdtype == dns.rdatatype.A:
                answer.answer.append(dns.rrset.from_text(name, 60, "IN", "A", *self._addresses[name]))
        elif name in self._zone:
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", "CAA", *self._zone[name]))
        elif name not in self._existing:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer

    def be_the_resolver(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let it seem to be what this machine's resolver configuration names."""
        unconfigured = dns.asyncresolver.Resolver

        def configured() -> dns.asyncresolver.Resolver:
            resolver = unconfigured(configure=False)
            resolver.nameservers = ["127.0.0.1"]
            resolver.port = self.port
            return resolver

        monkeypatch.setattr(dns.asyncresolver, "Resolver", configured)
