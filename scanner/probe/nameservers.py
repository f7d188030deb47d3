"""Name servers that are asked instead of the system's resolver, where somebody says which (`--resolver`)."""

from __future__ import annotations

import ipaddress
from typing import Final, Literal

import dns.asyncresolver
import dns.exception
import dns.resolver

from scanner.evidence import Failure, FailureReason
from scanner.hostname import place_of

AddressMode = Literal["all", "first", "ipv4", "ipv6"]
_KINDS: Final = {"ipv4": ("A",), "ipv6": ("AAAA",)}


def resolver_at(server: str | None, timeout_s: float) -> dns.asyncresolver.Resolver:
    """The resolver that asks that name server; None for those of this machine.

    Raises:
        dns.resolver.NoResolverConfiguration: this machine names none.
    """
    if server is None:
        resolver = dns.asyncresolver.Resolver()
    else:
        resolver = dns.asyncresolver.Resolver(configure=False)
        address, resolver.port = place_of(server)
        resolver.nameservers = [address]
    resolver.lifetime = timeout_s
    return resolver


async def addresses_at(server: str, host: str, mode: AddressMode, timeout_s: float) -> tuple[str, ...] | Failure:
    """The addresses that a name server gives for a name: AAAA before A, as `getaddrinfo` has them."""
    resolver = resolver_at(server, timeout_s)
    found: list[str] = []
    try:
        for kind in _KINDS.get(mode, ("AAAA", "A")):
            try:
                answer = await resolver.resolve(host, kind, raise_on_no_answer=False, search=False)
            except dns.resolver.NXDOMAIN:
                return Failure.of(FailureReason.UNRESOLVABLE, f"the name server {server} knows no such name")
            found += [record.to_text() for record in answer.rrset or ()]
    except dns.exception.Timeout:
        return Failure.of(FailureReason.RESOLVER_FAILED, f"{server} gave no answer within {timeout_s:g} s")
    except (dns.exception.DNSException, OSError, UnicodeError) as error:
        return Failure.of(FailureReason.RESOLVER_FAILED, f"{server} gave no answer: {type(error).__name__}")
    if not found:
        return Failure.of(FailureReason.UNRESOLVABLE, f"the name server {server} has no address for it")
    return tuple(dict.fromkeys(ipaddress.ip_address(address).compressed for address in found))
