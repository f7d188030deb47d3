"""What name servers say: those of this machine, or one that somebody names (`--resolver`)."""

from __future__ import annotations

import ipaddress
from typing import Any, Final, Literal

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.resolver
from msgspec import Struct

from scanner.evidence import Failure, FailureReason
from scanner.hostname import place_of

AddressMode = Literal["all", "first", "ipv4", "ipv6"]
_MOST: Final = 50
_PAYLOAD: Final = 1232
"""The size of an answer over UDP that is not cut on the way (DNS flag day 2020)."""
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


class Records(Struct, frozen=True):
    """Records of a name, and whether the resolver says that their signatures are good (the AD bit)."""

    found: tuple[Any, ...]
    vouched: bool


async def ask(server: str | None, name: str, kind: str, timeout_s: float) -> Records | Failure:
    """Ask for records; that there is no such name is an answer without any. It raises nothing."""
    try:
        resolver = resolver_at(server, timeout_s)
        resolver.use_edns(0, dns.flags.DO, _PAYLOAD)
        resolver.flags = dns.flags.RD | dns.flags.AD
        answer = await resolver.resolve(name, kind, raise_on_no_answer=False, search=False)
    except dns.resolver.NXDOMAIN:
        return Records((), vouched=False)
    except dns.exception.Timeout:
        return Failure.of(FailureReason.RESOLVER_FAILED, f"the resolver gave no answer within {timeout_s:g} s")
    except (dns.exception.DNSException, OSError, UnicodeError, ValueError) as error:
        return Failure.of(FailureReason.RESOLVER_FAILED, f"no answer for {name}: {type(error).__name__}")
    return Records(tuple(answer.rrset or ())[:_MOST], bool(answer.response.flags & dns.flags.AD))


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
