"""The gate through which every URL goes that a scanned host named: in a redirect, in a certificate.

A hostile host names what it likes: the metadata service of a cloud, a console on loopback, a host behind the firewall.
By default nothing but public addresses is let through. Exceptions are the addresses that are scanned anyway, and the
hosts and networks that `[scan] fetch_from` names.

A name is resolved once, all its addresses are judged, and the address that was judged is the one to connect to: a
second look-up could give another (DNS rebinding). The form of a URL is read strictly here. Browsers mend more, and what
two readers read differently is how filters are passed.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Callable, Iterable
from collections.abc import Set as AbstractSet
from typing import Final, Self
from urllib.parse import urlsplit

import idna
from msgspec import Struct

from scanner.evidence import Failure
from scanner.inventory import is_address

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str], Awaitable[tuple[str, ...] | Failure]]

_PORTS: Final = {"http": 80, "https": 443}
_LONGEST: Final = 2048
_NOT_IN_A_URL: Final = re.compile(r"[^\x21-\x7e\x80-\U0010ffff]|[\\<>\"^`{|}]")
_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_METADATA: Final = frozenset(
    {
        ipaddress.ip_address("168.63.129.16"),  # Azure's, among public addresses; the others' are link-local or private
        ipaddress.ip_address("fd00:ec2::254"),
        ipaddress.ip_address("100.100.100.200"),
        ipaddress.ip_address("192.0.0.192"),
    }
)
_NAT64: Final = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
_6TO4: Final = ipaddress.IPv6Network("2002::/16")
_TEREDO: Final = ipaddress.IPv6Network("2001::/32")
_SPECIAL: Final = (
    (ipaddress.ip_network("192.0.0.0/24"), "it is reserved for protocols (RFC 6890)"),
    (ipaddress.ip_network("192.88.99.0/24"), "it is a relay of 6to4 (RFC 7526)"),
    (ipaddress.ip_network("3fff::/20"), "it is reserved for documentation (RFC 9637)"),
    (ipaddress.ip_network("5f00::/16"), "it is reserved for segment routing (RFC 9602)"),
)
"""What no server of the public has, whichever of them the version of Python knows."""
_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")
_TRANSLATED: Final = ipaddress.IPv6Network("::ffff:0:0:0/96")
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})


class GateError(Exception):
    """The gate does not let a URL through; the text says why."""


class UnresolvedError(GateError):
    """The name in a URL gave no address; `failure` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.detail or failure.reason.value)
        self.failure = failure


class UrlParts(Struct, frozen=True):
    """What a URL names: scheme, host (in lower case, an IPv6 literal without brackets), port, path with query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """What the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


class Gate(Struct, frozen=True):
    """Judges URLs and addresses. `hosts`, `addresses` and `networks` are let through, whatever the port.

    `addresses` may grow while it is used. `resolver` resolves names in the place of whom the caller would ask.
    """

    hosts: frozenset[str] = frozenset()
    addresses: AbstractSet[Address] = frozenset()
    networks: tuple[Network, ...] = ()
    resolver: Resolve | None = None

    @classmethod
    def of(cls, exceptions: Iterable[str] = ()) -> Self:
        """A gate that lets these through as well: host names, addresses and networks.

        Raises:
            ValueError: an entry is neither.
        """
        names: set[str] = set()
        addresses: set[Address] = set()
        networks: list[Network] = []
        for entry in exceptions:
            if is_address(entry):
                addresses.add(ipaddress.ip_address(entry))
            elif "/" in entry:
                networks.append(ipaddress.ip_network(entry))
            elif _NAME.fullmatch(_plain(entry)):
                names.add(_plain(entry))
            else:
                message = f"{entry!r} is not a host name, an address or a network"
                raise ValueError(message)
        return cls(frozenset(names), frozenset(addresses), tuple(networks))

    def read(self, url: str, schemes: Iterable[str] = ("http",)) -> UrlParts:
        """Read a URL, and judge its form. Only exceptions may have another port than their scheme's.

        Raises:
            GateError: it is not allowed.
        """
        if len(url) > _LONGEST:
            raise GateError(f"the URL has more than {_LONGEST} characters")
        if _NOT_IN_A_URL.search(url):
            raise GateError("it contains characters that a URL cannot have")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise GateError("it is not a URL") from None
        if parts.scheme not in schemes or parts.scheme not in _PORTS:
            raise GateError(f"the scheme {parts.scheme or '(none)'} is not allowed")
        if "@" in parts.netloc:
            raise GateError("it contains user information")
        host = _host(parts.hostname or "", bracketed=parts.netloc.startswith("["))
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if not target.isascii():
            raise GateError("its path is not encoded")
        place = UrlParts(parts.scheme, host, _PORTS[parts.scheme] if port is None else port, target)
        if place.port != _PORTS[parts.scheme] and not self._excepts(host):
            raise GateError(f"port {place.port} is not allowed")
        return place

    def judge(self, ip: str, host: str = "") -> None:
        """Judge an address, be it that of `host`.

        Raises:
            GateError: it is not allowed.
        """
        if _plain(host) in self.hosts:
            return
        address = ipaddress.ip_address(ip.partition("%")[0])
        embedded = _embedded(address)
        mapped = getattr(address, "ipv4_mapped", None) is not None  # the same address, written otherwise
        for form in embedded if mapped else (address, *embedded):
            if not self._excepts_address(form) and (why := _why_not(form)):
                raise GateError(f"{address} is not allowed: {why}")

    async def address_of(self, host: str, resolve: Resolve) -> str:
        """The address to connect to for a host: resolve it once, and judge every address that it has.

        Raises:
            GateError: one of them is not allowed.
            UnresolvedError: it has none.
        """
        found = (host,) if is_address(host) else await (self.resolver or resolve)(host)
        if isinstance(found, Failure):
            raise UnresolvedError(found)
        for ip in found:
            self.judge(ip, host)
        return found[0]

    def _excepts(self, host: str) -> bool:
        return host in self.hosts or (is_address(host) and self._excepts_address(ipaddress.ip_address(host)))

    def _excepts_address(self, address: Address) -> bool:
        return address in self.addresses or any(
            address in network for network in self.networks if network.version == address.version
        )


def _plain(host: str) -> str:
    return host.lower().removesuffix(".")


def _host(text: str, *, bracketed: bool) -> str:
    """A host in one of the three forms that all readers read alike: a name, a dotted quad, an IPv6 literal.

    Raises:
        GateError: it is in none.
    """
    if bracketed:
        if "%" in text or not is_address(text) or ":" not in text:
            raise GateError("the address in brackets is not an IPv6 address")
        return ipaddress.ip_address(text).compressed
    if not text.isascii():
        try:
            text = idna.encode(text, uts46=True).decode("ascii")
        except idna.IDNAError:
            raise GateError("its host is not a name") from None
    name = _plain(text)
    if is_address(name):
        return name
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        raise GateError("its host is a number that some programs read as an address")
    if not _NAME.fullmatch(name):
        raise GateError("its host is not a name")
    return name


def _embedded(address: Address) -> list[Address]:
    """The IPv4 address that an IPv6 address stands for or leads to."""
    if address.version == 4 or not isinstance(address, ipaddress.IPv6Address):  # noqa: PLR2004  # for the type checker too
        return []
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.sixtofour is not None:
        return [address.sixtofour]
    if address.teredo is not None:
        return list(address.teredo)
    low = ipaddress.IPv4Address(address.packed[-4:])
    isatap = int.from_bytes(address.packed[8:12]) in _ISATAP
    translated = isatap or any(address in network for network in (*_NAT64, _TRANSLATED))
    compatible = address in _COMPATIBLE and int(address) > 1
    return [low] if translated or compatible else []


def _why_not(address: Address) -> str | None:
    """Why nobody may be sent to an address who named it himself; None where there is no reason."""
    if address in _METADATA:
        return "cloud metadata services use it"
    for network, words in ((_6TO4, "6to4"), (_TEREDO, "Teredo"), (_NAT64[0], "NAT64"), (_NAT64[1], "NAT64")):
        if address.version == network.version and address in network:
            return f"{words} leads to another address"
    for special, words in _SPECIAL:
        if address.version == special.version and address in special:
            return words
    kinds = (
        (address.is_loopback or address.is_unspecified, "it is this machine"),
        (address.is_link_local, "it is link-local"),
        (address.is_multicast, "it is multicast"),
        (address.is_private or getattr(address, "is_site_local", False), "it is private"),
        (address.is_reserved or not address.is_global, "it is not public"),
    )
    return next((words for applies, words in kinds if applies), None)
