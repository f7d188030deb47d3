"""DNS zones: files, and what a name server gives of one (AXFR)."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from typing import Final

from scanner import dns_library  # noqa: F401  # before dnspython is loaded

# isort: split

import dns.exception
import dns.name
import dns.query
import dns.rdatatype
import dns.xfr
import dns.zone

from scanner.inventories.source import MOST_ROWS, Contents, KnownService, Options, add_name, endpoint, refused, text_of
from scanner.inventory import Role, StartTls, address_of
from scanner.untrusted import printable

_DNS_PORT: Final = 53
_SECONDS: Final = 30.0
_GENERATE: Final = re.compile(r"^\s*\$GENERATE\s+(\d+)-(\d+)", re.IGNORECASE)
_INCLUDE: Final = re.compile(r"^\s*\$INCLUDE\b", re.IGNORECASE)
_ORIGIN: Final = re.compile(r"^\s*\$ORIGIN\s+(\S+\.)", re.IGNORECASE | re.MULTILINE)
_SOA: Final = re.compile(r"^(\S+\.)\s+(?:\d\S*\s+)?(?:IN\s+)?SOA\s", re.IGNORECASE | re.MULTILINE)
_LINE: Final = re.compile(r"^(?:.*?):(\d+): ")
_READ_ON: Final = 4
"""Lines that are looked back over."""
_ORIGINS: Final = 'say its origin: --origin, or origin = "example.com"'
_AXFR: Final = "axfr://SERVER/ZONE, such as axfr://192.0.2.53/example.com"
_ONE: Final = "one zone a file; or say its origin: --origin"
_MAIL: Final = KnownService(Role.SERVER, StartTls.SMTP)


def read_zone(name: str, data: bytes, options: Options) -> Contents:
    """Read a zone file (RFC 1035 section 5): names with an address or an alias, and the zone's own mail servers.

    Raises:
        ConfigError: it is not a zone file, its origin is not known, it includes others, or generates too many names.
    """
    text = text_of(name, data)
    _refuse_directives(name, text)
    origin = options.origin or _said(text)
    if origin is None:
        raise refused(name, "does not name its zone", 1, _ORIGINS)
    whose = _zone_name(name, origin, _ORIGINS)
    try:
        zone = _parsed(name, text, whose)
    except dns.exception.DNSException as error:
        said = str(error) or type(error).__name__
        found = _LINE.match(said)
        line = _first_wrong(name, text, whose, int(found[1])) if found else 0
        raise refused(name, f"is not a zone file: {said[found.end() :] if found else said}", line) from error
    except (ValueError, RecursionError) as error:
        if "non-origin SOA" in str(error):
            raise refused(name, f"has an SOA record of another zone than {whose.to_text()}", hint=_ONE) from error
        raise refused(name, f"is not a zone file: {error}") from error
    return _contents(name, zone)


def _zone_name(name: str, text: str, hint: str) -> dns.name.Name:
    """The name of a zone, from the root.

    Raises:
        ConfigError: it is none.
    """
    try:
        return dns.name.from_text(text.strip())
    except (dns.exception.DNSException, UnicodeError) as error:
        raise refused(
            name, f'"{printable(text, 80)}" is not the name of a zone: {str(error).rstrip(".")}', hint=hint
        ) from error


def _parsed(name: str, text: str, origin: dns.name.Name) -> dns.zone.Zone:
    return dns.zone.from_text(text, origin=origin, relativize=False, check_origin=False, filename=name)


def _first_wrong(name: str, text: str, origin: dns.name.Name, line: int) -> int:
    """The line without which the file would be one: the parser has read on when it finds that one is wrong."""
    lines = text.splitlines(keepends=True)
    for earlier in range(line - 1, max(line - _READ_ON, 0), -1):
        try:
            _parsed(name, "".join(lines[:earlier]), origin)
        except (dns.exception.DNSException, ValueError, RecursionError):
            line = earlier
        else:
            break
    return line


def _refuse_directives(name: str, text: str) -> None:
    generated = 0
    for line, said in enumerate(text.splitlines(), 1):
        if _INCLUDE.match(said):
            raise refused(name, "includes another file", line, "named-compilezone writes a zone as one file")
        if found := _GENERATE.match(said):
            generated += max(int(found[2]) - int(found[1]) + 1, 0)
            if generated > MOST_ROWS:
                raise refused(name, f"generates more than {MOST_ROWS} names", line)


def _said(text: str) -> str | None:
    """The origin that a file says itself: by $ORIGIN, or by the whole name of its SOA record."""
    found = _ORIGIN.search(text) or _SOA.search(text)
    return found[1] if found else None


def transferred(server: str, zone_name: str, *, port: int = _DNS_PORT) -> Contents:
    """What a name server gives of a zone that it lets us have (RFC 5936).

    Raises:
        ConfigError: it gives nothing.
    """
    place = address_of(server, port) if port != _DNS_PORT or ":" in server else server
    name = f"axfr://{place}/{zone_name}"
    zone = dns.zone.Zone(_zone_name(name, zone_name, _AXFR), relativize=False)
    try:
        address = socket.getaddrinfo(server, port, type=socket.SOCK_STREAM)[0][4][0]
        dns.query.inbound_xfr(str(address), zone, port=port, timeout=_SECONDS, lifetime=_SECONDS)
    except dns.xfr.TransferError as error:
        hint = "let this machine transfer the zone, or import its file"
        raise refused(name, f"the server refuses: {error}", hint=hint) from error
    except (dns.exception.DNSException, OSError, EOFError, ValueError) as error:
        raise refused(name, f"cannot be transferred: {error or type(error).__name__}") from error
    return _contents(name, zone)


def _contents(name: str, zone: dns.zone.Zone) -> Contents:
    contents = Contents(name)
    origin = zone.origin or dns.name.root
    mail: list[dns.name.Name] = []
    with_address = {dns.rdatatype.A, dns.rdatatype.AAAA, dns.rdatatype.CNAME}
    for owner, node in zone.nodes.items():
        kinds = {rdataset.rdtype for rdataset in node.rdatasets}
        if kinds & with_address:
            add_name(contents, _text(owner))
        elif kinds - {dns.rdatatype.SOA, dns.rdatatype.RRSIG, dns.rdatatype.NSEC}:
            contents.leave_out("name", "without an address", _text(owner))
        mail += (
            rdata.exchange for rdataset in node.rdatasets if rdataset.rdtype == dns.rdatatype.MX for rdata in rdataset
        )
    _add_mail(contents, mail, origin)
    return contents.once()


def _add_mail(contents: Contents, servers: Iterable[dns.name.Name], origin: dns.name.Name) -> None:
    for server in dict.fromkeys(servers):
        if server == dns.name.root:
            continue
        if server.is_subdomain(origin):
            contents.add(endpoint(_text(server), 25, _MAIL))
        else:
            contents.leave_out("mail server", "of somebody else", _text(server))


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True)
