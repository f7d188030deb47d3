"""`nightseal import axfr://…` from a name server on loopback."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import dns.message
import dns.rcode
import dns.rrset
import pytest

from scanner.app.cli import run

SOA = "ns1.example.com. hostmaster.example.com. 1 7200 3600 1209600 3600"
RECORDS = (
    ("example.com.", "SOA", SOA), ("example.com.", "NS", "ns1.example.com."), ("example.com.", "MX", "10 mail.example.com."),
    ("www.example.com.", "A", "192.0.2.1"), ("mail.example.com.", "A", "192.0.2.2"), ("*.example.com.", "A", "192.0.2.3"),
    ("example.com.", "SOA", SOA),
)  # fmt: skip


@pytest.fixture
def server() -> Iterator[int]:
    """A name server that gives example.com, cuts cut.example off, and refuses all others."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            with connection:
                head = connection.recv(2)
                if not head:
                    return
                query = dns.message.from_wire(connection.recv(struct.unpack("!H", head)[0]))
                name = query.question[0].name.to_text()
                answer = dns.message.make_response(query)
                if name == "example.com.":
                    answer.answer = [dns.rrset.from_text(owner, 60, "IN", kind, text) for owner, kind, text in RECORDS]
                elif name == "cut.example.":
                    answer.answer = [dns.rrset.from_text("cut.example.", 60, "IN", "SOA", SOA)]
                else:
                    answer.set_rcode(dns.rcode.REFUSED)
                wire = answer.to_wire()
                connection.sendall(struct.pack("!H", len(wire)) + wire)

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    with socket.create_connection(listener.getsockname()):
        pass
    thread.join()
    listener.close()


def test_a_zone_is_transferred(server: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["import", f"axfr://127.0.0.1:{server}/example.com", "--to", "csv"]) == 0

    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "host,port,role,starttls", "www.example.com,,,", "mail.example.com,,,", "mail.example.com,25,server,smtp",
    ]  # fmt: skip
    assert "left out: 1 wildcard in place of a host name" in said.err


@pytest.mark.parametrize(
    ("zone", "expected"),
    [("other.example", "the server refuses: "), ("cut.example", "cannot be transferred: ")],
)
def test_a_zone_that_is_not_given_is_an_error(
    server: int, zone: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["import", f"axfr://127.0.0.1:{server}/{zone}"]) == 2

    assert expected in capsys.readouterr().err
