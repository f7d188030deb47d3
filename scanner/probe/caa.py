"""CAA records of names (RFC 8659), each asked for once a run, whoever wants to know.

The tree is climbed from the name that was asked for; where an alias (CNAME) leads elsewhere, what the name there has
counts, and its ancestors do not (section 3).
"""

from __future__ import annotations

import asyncio
from typing import Final

import dns.asyncresolver
import dns.exception
import dns.name
import dns.resolver
from msgspec import Struct, field

from scanner.evidence import Attempt, CaaRecord, Certificate, FailureReason, NameCaa
from scanner.probe import ProbeSettings
from scanner.probe.nameservers import resolver_at
from scanner.untrusted import printable

MAX_NAMES: Final = 100
"""Names of one certificate that are asked for; the others count as not asked."""
_MAX_RECORDS: Final = 50
_AT_ONCE: Final = 16
SPECIAL_USE: Final = ("example", "test", "localhost", "invalid", "local", "internal", "onion")
"""RFC 6761 and RFC 6762: names that no public DNS answers for."""
_Records = tuple[CaaRecord, ...]


def is_public(name: str) -> bool:
    """Whether the public DNS could answer for a name."""
    return "." in name and name.rpartition(".")[2].lower() not in SPECIAL_USE


def caa_names(leaf: Certificate) -> tuple[str, ...]:
    """The names in a certificate by which CAA records are looked for: wildcards without their first label."""
    names = dict.fromkeys(name.lower().removeprefix("*.").rstrip(".") for name in leaf.dns_names)
    return tuple(name for name in names if name)[:MAX_NAMES]


class CaaLookups(Struct):
    """The look-ups of a run, in its event loop. Ancestors that names share are asked for once."""

    settings: ProbeSettings
    _asked: dict[dns.name.Name, asyncio.Task[_Records]] = field(default_factory=dict)
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    async def of(self, host: str) -> NameCaa:
        """The records that hold for a name: its own, else its nearest ancestor's."""
        if not is_public(host):
            detail = "a name that the public DNS does not answer for"
            return NameCaa(host, Attempt.failed(FailureReason.UNSUPPORTED, detail))
        timeout = self.settings.timeout_s
        try:
            name = dns.name.from_text(host)
            while len(name) > 1:
                if records := await self._records(name):
                    return NameCaa(host, Attempt.ok(records), name.to_text(omit_final_dot=True))
                name = name.parent()
        except dns.exception.Timeout:
            detail = f"the resolver gave no answer within {timeout:g} s"
            return NameCaa(host, Attempt.failed(FailureReason.RESOLVER_FAILED, detail))
        except (dns.exception.DNSException, OSError, UnicodeError):
            return NameCaa(host, Attempt.failed(FailureReason.RESOLVER_FAILED, "no name server gave an answer"))
        return NameCaa(host, Attempt.ok(()))

    async def _records(self, name: dns.name.Name) -> _Records:
        known = self._asked.get(name)
        # A failure may be a moment's; the next who wants to know asks again.
        if known is None or (known.done() and (known.cancelled() or known.exception() is not None)):
            self._asked[name] = asyncio.create_task(self._ask(name))
        # Whoever is cut off while waiting takes nothing from the others who wait for the same.
        return await asyncio.shield(self._asked[name])

    async def _ask(self, name: dns.name.Name) -> _Records:
        settings = self.settings
        async with self._places:
            resolver = resolver_at(settings.resolver or settings.validating_resolver, settings.timeout_s)
            try:
                answer = await resolver.resolve(name, "CAA", search=False)
            except (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN):
                return ()
        return tuple(
            CaaRecord(printable(record.tag), printable(record.value), critical=bool(record.flags & 0x80))
            for record in list(answer)[:_MAX_RECORDS]
        )
