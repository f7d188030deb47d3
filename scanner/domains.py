"""A platform's two host names, of which one may have been switched off.

Where a provider's environment answers at one of them, the other need not: nobody is served there, in plain or not. It
is told apart from a target that gave no answer, which is a gap in what is known; and nothing is claimed of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scanner.evaluate import target_status
from scanner.evidence import FailureReason
from scanner.rules.certificates.hostname import under
from scanner.verdict import AbsentDomain, TargetStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from scanner.evidence import Failure, TargetEvidence
    from scanner.inventory import Endpoint, Environment
    from scanner.rules import Observed

NOBODY_THERE: Final = frozenset(
    {FailureReason.UNRESOLVABLE, FailureReason.REFUSED, FailureReason.UNREACHABLE, FailureReason.TIMED_OUT}
)
"""Reasons for which nobody answers at a name. The scanner's own troubles, its resolver's too, are none of them."""


class Answering:
    """Tells the domains at which nobody answers, while the environment's other one does.

    Only domains that no endpoint names are left out: whoever lists a host as an endpoint says that it is there. Where
    not `every_address` of a name was looked at, only a name that there is not shows that nobody is there. Each target
    is noted, and its evidence is needed no more.
    """

    def __init__(self, environments: Mapping[str, Environment], *, every_address: bool = True) -> None:
        self._environments = environments
        self._shown = NOBODY_THERE if every_address else frozenset({FailureReason.UNRESOLVABLE})
        self._silent: dict[str, Failure] = {}
        self._answered: set[tuple[str, str]] = set()
        self._there: set[str] = set()

    def note(self, item: Observed) -> None:
        """Take in whether anybody answers at a target."""
        endpoint = item.target.endpoint
        status, failure = target_status(item.evidence)
        if status is not TargetStatus.UNREACHABLE:
            self._answered.add((endpoint.environment, endpoint.host))
        if failure is not None and _fails_for(self._shown, item.evidence):
            self._silent.setdefault(endpoint.id, failure)
        else:
            self._there.add(endpoint.id)

    def absent(self, endpoints: Iterable[Endpoint]) -> tuple[AbsentDomain, ...]:
        """The domains at which nobody answers, in the order of these endpoints, whose targets were all noted."""
        absent: dict[str, AbsentDomain] = {}
        for endpoint in endpoints:
            key = endpoint.implied_by
            if key is None or endpoint.id in self._there or endpoint.id in absent:
                continue
            if _other_answers(endpoint, self._environments[endpoint.environment], self._answered):
                absent[endpoint.id] = AbsentDomain(
                    endpoint.environment, endpoint.host, endpoint.port, key, self._silent[endpoint.id]
                )
        return tuple(absent.values())


def _fails_for(reasons: frozenset[FailureReason], evidence: TargetEvidence) -> bool:
    """Whether everything that was tried failed for one of the reasons: TLS, and plain HTTP as well."""
    attempts: list[Failure | None] = [evidence.tls.failure, evidence.http.failure]
    if evidence.http.value is not None:
        attempts[1:] = [hop.failure for probe in evidence.http.value.probes for hop in probe.hops]
    return all(failure is not None and failure.reason in reasons for failure in attempts)


def _other_answers(endpoint: Endpoint, environment: Environment, answered: set[tuple[str, str]]) -> bool:
    others = [domain for key, domain in environment.domains.items() if key is not endpoint.implied_by]
    return any(
        name == environment.name and host != endpoint.host and under(host, other)
        for other in others
        for name, host in answered
    )
