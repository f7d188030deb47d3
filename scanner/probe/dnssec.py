"""What a validating resolver says of a name: signed, unsigned, or bogus (RFC 4035 section 4.9.3).

Nightseal validates nothing by itself: it asks a resolver of which the configuration says that it does, and believes it.
So that resolver should be on this machine, or behind a way that nobody else can write on.
"""

from __future__ import annotations

from typing import Final

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.rcode

from scanner.evidence import Attempt, Dnssec, FailureReason
from scanner.hostname import place_of

_ASKED: Final = ("CAA", "A")
"""CAs ask for CAA, and whoever connects for addresses: where either is bogus, the name is."""


async def dnssec_of(host: str, server: str, timeout_s: float) -> Attempt[Dnssec]:
    """Ask the resolver, within `timeout_s` seconds for each question. It raises nothing."""
    try:
        found = [await _state(host, kind, server, timeout_s) for kind in _ASKED]
        failed = next((item for item in found if item.value is None), None)
        states = [item.value for item in found]
        if Dnssec.BOGUS in states:
            return Attempt.ok(Dnssec.BOGUS)
        if failed is not None:
            return failed
        if Dnssec.UNSIGNED in states and not await validates(server, timeout_s):
            detail = f"{server} does not validate: it does not set the AD bit even for the root"
            return Attempt.failed(FailureReason.RESOLVER_FAILED, detail)
        return Attempt.ok(Dnssec.UNSIGNED if Dnssec.UNSIGNED in states else Dnssec.SIGNED)
    except dns.exception.Timeout:
        return Attempt.failed(FailureReason.RESOLVER_FAILED, f"{server} gave no answer within {timeout_s:g} s")
    except (dns.exception.DNSException, OSError, UnicodeError, ValueError) as error:
        return Attempt.failed(FailureReason.RESOLVER_FAILED, f"{server} gave no answer: {type(error).__name__}")


async def _state(host: str, kind: str, server: str, timeout_s: float) -> Attempt[Dnssec]:
    answer = await _ask(host, kind, server, timeout_s)
    if answer.rcode() in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        return Attempt.ok(Dnssec.SIGNED if answer.flags & dns.flags.AD else Dnssec.UNSIGNED)
    if answer.rcode() is not dns.rcode.SERVFAIL:
        return Attempt.failed(FailureReason.RESOLVER_FAILED, f"{server} answers {dns.rcode.to_text(answer.rcode())}")
    # What it does not give because of its signatures, it gives to those who validate by themselves.
    unchecked = await _ask(host, kind, server, timeout_s, unchecked=True)
    if unchecked.rcode() in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        return Attempt.ok(Dnssec.BOGUS)
    return Attempt.failed(FailureReason.RESOLVER_FAILED, f"{server} reaches no name server of {host}")


async def validates(server: str, timeout_s: float) -> bool:
    """Whether it vouches for the root, as each that validates does; True where it does not reach it."""
    try:
        answer = await _ask(".", "SOA", server, timeout_s)
    except dns.exception.Timeout:
        return True
    return answer.rcode() is not dns.rcode.NOERROR or bool(answer.flags & dns.flags.AD)


async def _ask(name: str, kind: str, server: str, timeout_s: float, *, unchecked: bool = False) -> dns.message.Message:
    query = dns.message.make_query(name, kind, want_dnssec=True)
    query.flags |= dns.flags.AD | (dns.flags.CD if unchecked else 0)
    address, port = place_of(server)
    answer, _ = await dns.asyncquery.udp_with_fallback(query, address, timeout=timeout_s, port=port)
    return answer
