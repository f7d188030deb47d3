"""What of ours a run did not look at, because nobody configured it: told beside what it found.

Nothing that is found here is scanned: somebody has to say that it is theirs first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from scanner.hostname import normalised
from scanner.inventory import Role, is_address
from scanner.rules.certificates.hostname import matches, under
from scanner.rules.inventory.names import hosts_in
from scanner.standpoint import MOST_NOT_COVERED, NotCovered, Uncovered
from scanner.untrusted import printable

if TYPE_CHECKING:
    from scanner.evidence import TargetEvidence
    from scanner.inventory import Environment, Inventory
    from scanner.rules import Observed

_COUNTRY = 2
"""Letters of a country's top-level domain."""
_SHORT = 4
"""Letters of the second-level names under which countries register others: `co.uk`, `com.br`, `gouv.fr`."""


class Missing:
    """What was not looked at because nobody configured it: each target is noted, and its evidence is needed no more.

    Args:
        inventory: what was scanned. Hosts that were named on the command line are no estate: nothing is missing there.
    """

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._environments = {item.name: item for item in inventory.environments if item.known_hosts is not None}
        self._patterns = set[str]()
        self._named: dict[tuple[str, str], str] = {}
        self._redirected: dict[tuple[str, str], str] = {}

    def note(self, item: Observed) -> None:
        """Take in the hosts that a target's certificates and answers name."""
        endpoint, evidence = item.target.endpoint, item.evidence
        if endpoint.is_client_file:
            return  # a client's names are no hosts
        self._patterns.update(_patterns(evidence))
        environment = self._environments.get(endpoint.environment)
        known = environment.known_hosts if environment is not None else None
        if known is None:
            return
        for found, hosts in (
            (self._named, named_in_certificates(evidence)),
            (self._redirected, redirected_to(evidence)),
        ):
            for host in hosts:
                if host not in known:
                    found.setdefault((endpoint.environment, host), endpoint.address)

    def listed(self) -> tuple[tuple[NotCovered, ...], int]:
        """What is missing, each once: at most `MOST_NOT_COVERED` entries, and the number of all."""
        found: dict[tuple[str, str, str], NotCovered] = {}
        for item in self._all():
            found.setdefault((item.reason, item.environment, item.host or item.found), item)
        order = list(Uncovered)
        listed = sorted(found.values(), key=lambda item: (order.index(item.reason), item.environment, item.host))
        return tuple(listed[:MOST_NOT_COVERED]), len(listed)

    def _all(self) -> Iterator[NotCovered]:
        for left in self._inventory.untaken:
            environment, host, place = (printable(text) for text in (left.environment, left.host, left.place))
            yield NotCovered(Uncovered.NOT_TAKEN, environment, host, place)
        # Consoles are a matter of platforms that have them: whoever configured none anywhere has most likely none.
        consoles = any(_has_console(item) for item in self._environments.values())
        for own in self._environments.values():
            yield from _of_environment(own, consoles_expected=consoles or own.default_domain is not None)
        for (environment, host), place in self._named.items():
            yield NotCovered(Uncovered.UNLISTED_NAME, environment, host, place)
        ours = _Ours(tuple(self._environments.values()), self._patterns)
        for (environment, host), place in self._redirected.items():
            if ours.include(host):
                yield NotCovered(Uncovered.UNLISTED_REDIRECT, environment, host, place)


def _of_environment(environment: Environment, *, consoles_expected: bool) -> Iterator[NotCovered]:
    applications = any(item.role is Role.APPLICATION for item in environment.endpoints)
    if consoles_expected and applications and not _has_console(environment):
        yield NotCovered(Uncovered.NO_CONSOLE, environment.name)
    for source in environment.sources:
        if not source.as_expected:
            said = printable(f"{source.name}: {source.hosts}, expected {source.expected}")
            yield NotCovered(Uncovered.UNEXPECTED_COUNT, environment.name, found=said)


def _has_console(environment: Environment) -> bool:
    return any(item.console_places for item in environment.endpoints)


def named_in_certificates(evidence: TargetEvidence) -> Iterator[str]:
    """The hosts that a target's certificates name, in one spelling; wildcards are none."""
    return hosts_in(_patterns(evidence))


def redirected_to(evidence: TargetEvidence) -> Iterator[str]:
    """The hosts that a target's answers redirect to, in one spelling; addresses are none."""
    for probe in evidence.http.value.probes if evidence.http.value else ():
        for hop in probe.hops:
            try:
                host = normalised(urlsplit(hop.location or "").hostname or "")
            except ValueError:  # HostError is one
                continue
            if not is_address(host):
                yield host


def _patterns(evidence: TargetEvidence) -> Iterator[str]:
    tls = evidence.tls.value
    for deployment in (tls.certificates.value or ()) if tls else ():
        yield from deployment.leaf.dns_names


class _Ours:
    """Tells hosts of ours from others: by the domains, hosts and certificates that are ours.

    There is no list of public suffixes here, so that two hosts count as neighbours only where what they share is
    plainly one registration: three labels, or two of which the first is longer than those that countries register
    under.
    """

    def __init__(self, environments: Sequence[Environment], patterns: AbstractSet[str]) -> None:
        self._domains = {domain for item in environments for domain in item.domains.values()}
        self._hosts = {host for item in environments for host in item.known_hosts or () if not is_address(host)}
        self._parents = {parent for host in self._hosts if (parent := _registered(host.partition(".")[2]))}
        self._patterns = patterns
        self._answers: dict[str, bool] = {}

    def include(self, host: str) -> bool:
        """Whether a host is ours."""
        if host not in self._answers:
            self._answers[host] = self._includes(host)
        return self._answers[host]

    def _includes(self, host: str) -> bool:
        parent = host.partition(".")[2]
        return (
            any(under(host, domain) for domain in self._domains)
            or any(under(host, ours) or ("." in host and under(ours, host)) for ours in self._hosts)
            or parent in self._parents
            or any(matches(pattern, host) for pattern in self._patterns)
        )


def _registered(domain: str) -> str | None:
    """The domain, where it is plainly somebody's and no public suffix."""
    labels = domain.split(".")
    if len(labels) > 2:  # noqa: PLR2004  # a name, what it is registered under, and something more
        return domain
    if len(labels) < 2:  # noqa: PLR2004  # a top-level domain
        return None
    short = len(labels[1]) == _COUNTRY and len(labels[0]) <= _SHORT
    return None if short else domain
