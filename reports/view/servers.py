"""Which server programs a report tells how to configure: those that are configured, and those that were seen.

What was seen is a guess from the `Server` header, which whoever runs the server may set to anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from scanner.verdict import RunRecord

PROGRAMS: Final = ("apache", "haproxy", "iis", "load balancer", "nginx", "node", "outsystems", "postfix", "tomcat")
"""The keys of remedies that are of one server program; the others are of tools that go with any."""

_HEADERS: Final = (
    (re.compile(r"(?i)\bcoyote\b|\btomcat\b"), "tomcat"),
    (re.compile(r"(?i)^(nginx|openresty|tengine)\b"), "nginx"),
    (re.compile(r"(?i)^apache(?!-coyote)\b"), "apache"),
    (re.compile(r"(?i)^microsoft-(iis|httpapi)\b"), "iis"),
    (re.compile(r"(?i)^haproxy\b"), "haproxy"),
    (re.compile(r"(?i)^(node|express)\b"), "node"),
)


def guessed_servers(record: RunRecord) -> tuple[str, ...]:
    """The programs that servers of a run say to be, by the keys of remedies; the most frequent is not told apart."""
    return tuple(sorted({name for text in _headers(record) for pattern, name in _HEADERS if pattern.search(text)}))


def chosen_servers(configured: Sequence[str], guessed: Sequence[str]) -> tuple[str, ...]:
    """The programs whose remedies are told: the configured ones, in their order, then those that were seen."""
    return tuple(dict.fromkeys((*configured, *guessed)))


def _headers(record: RunRecord) -> Iterator[str]:
    for target in record.targets:
        http = target.evidence.http.value if target.evidence else None
        for probe in http.probes if http else ():
            yield from (hop.server for hop in probe.hops if hop.server)
