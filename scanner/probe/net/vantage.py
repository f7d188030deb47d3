"""Where this machine looks from: found out without sending a packet."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import dns.resolver
import psutil

from scanner.inventory import address_of, is_address
from scanner.standpoint import Vantage

if TYPE_CHECKING:
    from scanner.probe import ProbeSettings

_MOST_ASKED: Final = 1000
"""Targets whose route is looked up; a machine has few addresses."""
_ANY_PORT: Final = 443


def vantage_of(name: str, targets: Iterable[str], settings: ProbeSettings) -> Vantage:
    """Tell where a run looks from.

    Args:
        name: what the place is called; empty where nobody named it.
        targets: addresses that are connected to.
        settings: what the probes are told: a proxy or a source address decides.
    """
    proxy = urlsplit(settings.proxy or "")
    if settings.source_address:
        addresses = {settings.source_address}
    else:
        reached = [proxy.hostname or ""] if settings.proxy else sorted(set(targets))[:_MOST_ASKED]
        addresses = set(_sources(reached))
    ordered = sorted(addresses, key=lambda item: (ipaddress.ip_address(item).version, ipaddress.ip_address(item)))
    return Vantage(
        name=name,
        addresses=tuple(ordered),
        networks=tuple(dict.fromkeys(_networks(ordered))),
        resolvers=() if settings.proxy else _resolvers(settings.resolver),
        proxy=f"{proxy.scheme}://{_place(proxy.hostname, proxy.port)}" if settings.proxy else "",
    )


def _place(host: str | None, port: int | None) -> str:
    return address_of(host or "", port) if port else host or ""


def _sources(reached: Iterable[str]) -> Iterator[str]:
    """The addresses from which connections to these would leave: a datagram socket that is connected sends nothing."""
    for address in reached:
        if not is_address(address):
            continue
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as ours:
                ours.connect((address, _ANY_PORT))
                yield ours.getsockname()[0].partition("%")[0]
        except OSError:
            continue  # there is no route; the target says so itself


def _networks(addresses: Iterable[str]) -> Iterator[str]:
    masks = {
        item.address.partition("%")[0]: item.netmask
        for items in psutil.net_if_addrs().values()
        for item in items
        if item.netmask and item.family in {socket.AF_INET, socket.AF_INET6}
    }
    for address in addresses:
        mask = masks.get(address)
        if mask is None:
            continue
        bits = mask if "." in mask else str(int(ipaddress.ip_address(mask)).bit_count())
        yield str(ipaddress.ip_network(f"{address}/{bits}", strict=False))


def _resolvers(server: str | None) -> tuple[str, ...]:
    """The name server that is asked, or those of this machine, as far as they are configured where programs look."""
    if server:
        return (server,)
    try:
        return tuple(str(item) for item in dns.resolver.Resolver().nameservers)
    except (dns.resolver.NoResolverConfiguration, OSError):
        return ()
