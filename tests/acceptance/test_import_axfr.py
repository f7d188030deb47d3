"""`nightseal import axfr://…` from name servers on loopback: Knot DNS, and one that does what none should."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.rcode
import dns.rrset
import pytest

from scanner.app.cli import run
from scanner.config.loading import load
from tests.build import signed_zone
from tests.build.ports import free_port

pytestmark = pytest.mark.xdist_group("import-axfr")

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

    assert f"axfr://127.0.0.1:{server}/{zone}: {expected}" in capsys.readouterr().err


ZONES = """
acl:
  - id: secondary
    address: 127.0.0.1
    action: transfer
template:
  - id: default
    storage: "{home}"
    file: "%s.zone"
zone:
  - domain: example.com
    acl: secondary
  - domain: closed.example
"""


@pytest.fixture(scope="module")
def knot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Knot DNS with a zone of 1,204 names, which needs several messages, and one that nobody may transfer."""
    home, port = tmp_path_factory.mktemp("knot"), free_port()
    start = "$TTL 60\n@ IN SOA ns1 hostmaster 1 3600 600 86400 60\n@ IN NS ns1\nns1 IN A 192.0.2.1\n"
    hosts = "".join(f"host-{number:04} IN A 192.0.2.{number % 250}\n" for number in range(1200))
    rest = "@ IN MX 10 mail\nmail IN AAAA 2001:db8::1\nwww IN CNAME host-0001\n*.apps IN A 192.0.2.9\n_dmarc IN TXT x\n"
    (home / "example.com.zone").write_text(f"$ORIGIN example.com.\n{start}{hosts}{rest}", "utf-8")
    (home / "closed.example.zone").write_text(f"$ORIGIN closed.example.\n{start}", "utf-8")
    with signed_zone.knot(home, port, ZONES.format(home=home)):
        signed_zone.answered(port, "example.com")
        signed_zone.answered(port, "closed.example")
        yield port


def test_a_real_name_server_transfers_a_zone(
    knot: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    source = f"axfr://127.0.0.1:{knot}/example.com"
    assert run(["import", source, "-o", "hosts.csv"]) == 0
    said = capsys.readouterr().err
    assert "left out: 1 wildcard in place of a host name: *.apps.example.com" in said
    (tmp_path / "config.toml").write_text(
        '[[environment]]\nname = "production"\nkind = "on-premises"\n'
        '[[environment.inventory]]\nfrom = "hosts.csv"\nexpected_count = 1204\n',
        "utf-8",
    )

    config = load(tmp_path / "config.toml")
    assert not config.warnings
    names = {(item.host, item.port) for item in config.inventory.endpoints}
    assert {("ns1.example.com", 443), ("www.example.com", 443), ("mail.example.com", 25)} <= names
    assert len(names) == 1204
    # Nothing has changed at the name server since, and then one host is struck out of what was written.
    assert run(["import", source, "--diff", "-e", "production"]) == 0
    assert capsys.readouterr().out == ""
    table = (tmp_path / "hosts.csv").read_text("utf-8")
    (tmp_path / "hosts.csv").write_text(table.replace("host-0007.example.com", "gone.example.com"), "utf-8")
    assert run(["import", source, "--diff", "-e", "production"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "+ production/host-0007.example.com:443", "- production/gone.example.com:443",
    ]  # fmt: skip


def test_a_real_name_server_refuses_what_it_keeps_to_itself(knot: int, capsys: pytest.CaptureFixture[str]) -> None:
    for zone in ("closed.example", "unknown.example"):
        assert run(["import", f"axfr://127.0.0.1:{knot}/{zone}"]) == 2
        said = capsys.readouterr().err
        assert f"axfr://127.0.0.1:{knot}/{zone}: the server refuses: " in said
        assert "let this machine transfer the zone, or import its file" in said
