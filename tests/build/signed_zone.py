"""A signed zone of Knot DNS (package knot) on loopback, and unbound (package unbound), which validates it.

with signed_zone(tmp_path, 'mail IN A 192.0.2.1') as zone:
    ...  # zone.resolver is the validating resolver, as --resolver wants it; zone.authority the server itself
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dns.dnssec
import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode

from tests.build.ports import free_port
from tests.build.servers import program

ORIGIN = "example.net"
_START_SECONDS = 120.0
_KNOT = """
server:
  rundir: "{home}"
  listen: 127.0.0.1@{port}
database:
  storage: "{home}"
log:
  - target: stderr
    any: warning
"""
_SIGNING = """
policy:
  - id: test
    algorithm: ecdsap256sha256
    single-type-signing: on
    nsec3: off
zone:
  - domain: {origin}
    storage: "{home}"
    file: "zone"
    dnssec-signing: {signing}
    dnssec-policy: test
    zonefile-sync: -1
    zonefile-load: difference
    journal-content: all
"""
_UNBOUND = """
server:
  interface: 127.0.0.1
  port: {port}
  access-control: 127.0.0.0/8 allow
  do-daemonize: no
  use-syslog: no
  username: ""
  chroot: ""
  directory: "{home}"
  pidfile: "{home}/unbound.pid"
  do-not-query-localhost: no
  module-config: "validator iterator"
  {anchor}
  cache-max-ttl: 0
  so-rcvbuf: 0
remote-control:
  control-enable: no
stub-zone:
  name: "{origin}"
  stub-addr: 127.0.0.1@{authority}
"""
_SOA = "@ 60 IN SOA ns hostmaster 1 3600 600 86400 60\n@ 60 IN NS ns\nns 60 IN A 127.0.0.1\n"


@dataclass(frozen=True, slots=True)
class SignedZone:
    """Where the zone is asked for: at its authority, and at a resolver that vouches for its signatures."""

    origin: str
    authority: str
    resolver: str


@contextlib.contextmanager
def knot(home: Path, port: int, zones: str) -> Iterator[None]:
    """Knot DNS on loopback, with its files in `home`, and what `zones` says of its zones."""
    (home / "knot.conf").write_text(_KNOT.format(home=home, port=port) + zones, "utf-8")
    with contextlib.ExitStack() as stack:
        _run(stack, home, [program("knotd", "knot"), "-c", str(home / "knot.conf")])
        yield


@contextlib.contextmanager
def signed_zone(
    folder: Path, records: str, *, origin: str = ORIGIN, signed: bool = True, trusted: str | None = None
) -> Iterator[SignedZone]:
    """Serve these records (in a zone file's form, with names below `origin`), signed, and a resolver for them.

    Args:
        folder: where files are kept.
        records: lines of the zone file beside SOA and NS.
        origin: the zone's name.
        signed: whether it is signed at all.
        trusted: the DS record that the resolver takes for right in the zone's place, to show one that is bogus.
    """
    home = folder / f"zone-{free_port()}"
    home.mkdir()
    (home / "zone").write_text(f"$ORIGIN {origin}.\n$TTL 60\n{_SOA}{records}\n", "utf-8")
    authority, resolver = free_port(), free_port()
    with contextlib.ExitStack() as stack:
        signing = "on" if signed else "off"
        stack.enter_context(knot(home, authority, _SIGNING.format(home=home, origin=origin, signing=signing)))
        anchor = _anchor(authority, origin, signed=signed)
        text = _UNBOUND.format(home=home, port=resolver, authority=authority, origin=origin, anchor=trusted or anchor)
        (home / "unbound.conf").write_text(text, "utf-8")
        _run(stack, home, [program("unbound", "unbound"), "-d", "-c", str(home / "unbound.conf")])
        answered(resolver, origin)
        yield SignedZone(origin, f"127.0.0.1:{authority}", f"127.0.0.1:{resolver}")


def _anchor(port: int, origin: str, *, signed: bool) -> str:
    """The line of unbound's configuration that trusts the zone's key, or leaves it unsigned."""
    if not signed:
        answered(port, origin)
        return f'domain-insecure: "{origin}"'
    name = dns.name.from_text(origin)
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(dns.exception.Timeout, OSError):
            answer = dns.query.udp(dns.message.make_query(name, "DNSKEY"), "127.0.0.1", timeout=1, port=port)
            for keys in answer.answer:
                made = dns.dnssec.make_ds(name, keys[0], "SHA256")
                return f'trust-anchor: "{origin}. DS {made.to_text()}"'
        time.sleep(0.1)
    message = f"the zone {origin} was not signed in time"
    raise TimeoutError(message)


def answered(port: int, origin: str) -> None:
    """Wait until a name server on loopback answers for a zone."""
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(dns.exception.Timeout, OSError):
            answer = dns.query.udp(dns.message.make_query(origin, "SOA"), "127.0.0.1", timeout=1, port=port)
            if answer.answer or answer.rcode() == dns.rcode.SERVFAIL:
                return
        time.sleep(0.1)
    message = f"no name server answers for {origin} at port {port}"
    raise TimeoutError(message)


def _run(stack: contextlib.ExitStack, home: Path, command: list[str]) -> None:
    log = stack.enter_context((home / f"{Path(command[0]).name}.log").open("wb"))
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def end() -> None:
        process.terminate()
        process.wait(60)

    stack.callback(end)
