"""Evidence and policy in, verdicts out: a pure function, so that stored evidence can be judged again.

No verdict depends on the order of targets, and no rule can end a run: one that raises gives `indeterminate`, with the
traceback in the log.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import defaultdict
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from scanner import compared
from scanner.evidence import Attempt, ClientIdentity, Failure, FailureReason
from scanner.rules import BoundRule, Facts, Finding, Observed, OtherService, bind
from scanner.rules.certificates.in_files import is_asked_of
from scanner.untrusted import printable
from scanner.verdict import Severity, Status, TargetStatus, Verdict
from scanner.waiver import scope_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date, datetime

    from scanner.evidence import DnsEvidence, HttpEvidence, TargetEvidence, TlsEvidence
    from scanner.inventory import Environment, Target
    from scanner.policy import Policy
    from scanner.verdict import TargetResult
    from scanner.waiver import Waiver

_LOG = logging.getLogger(__name__)
MESSAGE_LIMIT = 600
"""Characters of a verdict's message and of what it says was observed; hosts decide how much there would be."""

_INTERRUPTIONS = frozenset(
    {
        FailureReason.REFUSED,
        FailureReason.UNREACHABLE,
        FailureReason.TIMED_OUT,
        FailureReason.DEADLINE,
        FailureReason.RESET,
        FailureReason.INTERRUPTED,
        FailureReason.UNAVAILABLE,
        FailureReason.ENGINE_ERROR,
        FailureReason.PROXY_UNREACHABLE,
        FailureReason.NO_WORKER,
    }
)
"""Reasons that leave a target looked at in part only; the others are answers, if odd ones."""

_STATUS_RANK = {Status.NOT_APPLICABLE: 0, Status.PASS: 1, Status.INDETERMINATE: 2, Status.FAIL: 3}


def evaluate(
    observed: Sequence[Observed],
    environments: Mapping[str, Environment],
    policies: Mapping[str, Policy],
    waivers: Sequence[Waiver],
    now: datetime,
) -> Mapping[str, tuple[Verdict, ...]]:
    """Judge every target by its environment's policy, and apply the waivers.

    Args:
        observed: the targets of a run with their evidence.
        environments: by name, at least those of the targets.
        policies: by name of the environment.
        waivers: expired ones waive nothing.
        now: the time at which it is judged, with a time zone; a later one shows what will fail then.

    Returns:
        The verdicts by target id, in the policy's order of rules, and within a rule by subject. (rule, subject) is
        unique within a target.

    Raises:
        PolicyError: a policy names a rule or a parameter that does not exist.
    """
    judging = Judging(environments, policies, waivers, now)
    together: dict[str, list[Observed]] = defaultdict(list)
    for item in observed:
        judging.note(item)
        together[item.target.endpoint.id].append(item)
    found: dict[str, tuple[Verdict, ...]] = {}
    for addresses in together.values():
        found |= judging.verdicts(addresses)
    return {item.target.id: found[item.target.id] for item in observed}


class Judging:
    """`evaluate` for more targets than memory holds: each is noted first, and then judged with those of its endpoint.

    What is noted is what rules compare over targets, and nothing else of the evidence. Equal verdicts are one object:
    of a large estate few are different. The arguments are those of `evaluate`.

    Raises:
        PolicyError: a policy names a rule or a parameter that does not exist.
    """

    def __init__(
        self,
        environments: Mapping[str, Environment],
        policies: Mapping[str, Policy],
        waivers: Sequence[Waiver],
        now: datetime,
    ) -> None:
        self.now = now
        self._environments = environments
        self._bound = {name: bind(policy) for name, policy in policies.items()}
        self._waivers = [waiver for waiver in waivers if not waiver.expired(now.date())]
        self._users: dict[str, frozenset[str]] = {}
        self._served: dict[str, frozenset[str]] = {}
        self._primes: dict[str, frozenset[str]] = {}
        self._tickets: dict[str, frozenset[str]] = {}
        self._other_services: dict[str, frozenset[OtherService]] = {}
        self._alike: dict[frozenset[str], frozenset[str]] = {}
        self._known: dict[Verdict, Verdict] = {}

    def note(self, item: Observed) -> None:
        """Take in what other targets are compared with. All have to be noted before one is judged."""
        endpoint = item.target.endpoint
        for fingerprint in () if endpoint.is_file else compared.leaves(item.evidence):
            self._add(self._users, fingerprint, endpoint.environment)
            self._add(self._served, endpoint.host, fingerprint)
        for modulus in compared.unpublished_primes(item.evidence):
            self._add(self._primes, modulus, endpoint.environment)
        if (key := compared.ticket_key(item.evidence)) is not None:
            self._add(self._tickets, key, endpoint.environment)
        if (other_service := compared.other_service(item)) is not None:
            for name in compared.certificate_names(item.evidence):
                self._other_services[name] = self._other_services.get(name, frozenset()) | {other_service}

    def _add(self, index: dict[str, frozenset[str]], key: str, name: str) -> None:
        known = index.get(key, frozenset())
        if name not in known:
            more = known | {name}
            index[key] = self._alike.setdefault(more, more)

    def verdicts(self, addresses: Sequence[Observed]) -> Mapping[str, tuple[Verdict, ...]]:
        """Judge the targets of one endpoint: all of them, because their rules compare them.

        Returns:
            The verdicts by target id, as `evaluate` gives them.
        """
        return {item.target.id: tuple(self._judged(item, addresses)) for item in addresses}

    def _judged(self, item: Observed, addresses: Sequence[Observed]) -> Iterator[Verdict]:
        endpoint = item.target.endpoint
        environment = endpoint.environment
        facts = Facts(
            target=item.target,
            environment=self._environments[environment],
            evidence=item.evidence,
            now=self.now,
            siblings=tuple(other for other in addresses if other is not item),
            certificate_users=self._users,
            served=self._served,
            prime_users=self._primes,
            ticket_users=self._tickets,
            other_services=self._other_services,
        )
        near = [
            waiver
            for waiver in self._waivers
            if scope_of(waiver.scope).covers(environment, endpoint.host, endpoint.port)
        ]
        for rule in self._bound[environment]:
            if is_asked_of(rule.rule.id, endpoint):
                for verdict in judge(rule, facts):
                    waived = _waive(verdict, item.target, near)
                    yield self._known.setdefault(waived, waived)


def judge(rule: BoundRule, facts: Facts) -> tuple[Verdict, ...]:
    """Judge one target by one rule: the worst verdict of each subject, by subject."""
    try:
        verdicts = [_verdict(rule, finding) for finding in rule.rule.check(facts, rule.parameters)]
    except Exception as error:  # noqa: BLE001  # whatever a rule does wrong, the run goes on; it is logged and shown
        _LOG.exception("rule %s failed on %s", rule.rule.id, facts.target.id)
        verdicts = [_verdict(rule, Finding("rule-error", values={"error": f"{type(error).__name__}: {error}"}))]
    worst: dict[str, Verdict] = {}
    for verdict in verdicts:
        known = worst.get(verdict.subject)
        if known is None or _badness(verdict) > _badness(known):
            worst[verdict.subject] = verdict
    return tuple(worst[subject] for subject in sorted(worst))


def _badness(verdict: Verdict) -> tuple[int, Severity]:
    return _STATUS_RANK[verdict.status], verdict.severity


def _verdict(bound: BoundRule, finding: Finding) -> Verdict:
    reason = bound.rule.reasons[finding.reason]
    observed, expected = printable(finding.observed, MESSAGE_LIMIT), printable(finding.expected, MESSAGE_LIMIT)
    subject = printable(finding.subject)
    # Only our own sentence is a template; what hosts said is filled in as text and never read as one.
    words = {name: printable(str(value), MESSAGE_LIMIT) for name, value in finding.values.items()}
    sentence = reason.sentence.format_map({"observed": observed, "expected": expected, "subject": subject, **words})
    return Verdict(
        rule=bound.rule.id,
        goal=bound.rule.goal,
        status=reason.status,
        severity=_severity(bound, finding),
        reason=finding.reason,
        message=printable(sentence, MESSAGE_LIMIT),
        observed=observed,
        expected=expected,
        subject=subject,
        sources=bound.cited,
    )


def _severity(bound: BoundRule, finding: Finding) -> Severity:
    """The policy's severity; a finding that weighs less caps it, one that weighs more raises it as it does the rule's.

    What the policy only informs of stays information.
    """
    if finding.severity is None or bound.severity is Severity.INFO:
        return bound.severity
    steps = finding.severity.rank - bound.rule.severity.rank
    if steps <= 0:
        return min(bound.severity, finding.severity)
    ladder = list(Severity)
    return ladder[min(bound.severity.rank + steps, len(ladder) - 1)]


def _waive(verdict: Verdict, target: Target, waivers: Sequence[Waiver]) -> Verdict:
    waiver = next((item for item in waivers if _applies(item, verdict, target)), None)
    return dataclasses.replace(verdict, waiver=waiver.applied) if waiver else verdict


def _applies(waiver: Waiver, verdict: Verdict, target: Target) -> bool:
    endpoint = target.endpoint
    return waiver.accepts(verdict) and waiver.covers(
        verdict.rule, endpoint.environment, endpoint.host, endpoint.port, verdict.subject
    )


class WaiverReport(Struct, frozen=True):
    """What became of the waivers. `unused` covered no failure of these targets; `expired` ones waive no longer.

    Each is listed with the number of failures that it accepts, or would still accept had it not expired. `soon` are
    those of `used` that end within `SOON_DAYS`.
    """

    used: tuple[tuple[Waiver, int], ...] = ()
    unused: tuple[Waiver, ...] = ()
    expired: tuple[tuple[Waiver, int], ...] = ()
    soon: tuple[tuple[Waiver, int], ...] = ()


SOON_DAYS = 30
"""From how many days before its end on a waiver is announced to expire."""


def report_waivers(targets: Sequence[TargetResult], waivers: Sequence[Waiver], today: date) -> WaiverReport:
    """Tell which waivers were used, by how many failures of judged targets, and which were not."""
    used: list[tuple[Waiver, int]] = []
    unused: list[Waiver] = []
    expired: list[tuple[Waiver, int]] = []
    failing = [
        (target, [verdict for verdict in target.verdicts if verdict.status is Status.FAIL]) for target in targets
    ]
    for waiver in waivers:
        scope = scope_of(waiver.scope)
        failures = sum(
            waiver.accepts(verdict)
            and waiver.covers(verdict.rule, target.environment, target.host, target.port, verdict.subject)
            for target, verdicts in failing
            if verdicts and scope.covers(target.environment, target.host, target.port)
            for verdict in verdicts
        )
        if waiver.expired(today):
            expired.append((waiver, failures))
        elif failures:
            used.append((waiver, failures))
        else:
            unused.append(waiver)
    soon = tuple(item for item in used if (item[0].expires - today).days <= SOON_DAYS)
    return WaiverReport(tuple(used), tuple(unused), tuple(expired), soon)


def target_status(evidence: TargetEvidence, verdicts: Sequence[Verdict] = ()) -> tuple[TargetStatus, Failure | None]:
    """How far a target was looked at, and what stood in the way.

    ASSESSED: nothing of what its policy asks was cut off. PARTIAL: something was seen, and something that a verdict
    needs was cut off by silence, a reset, the deadline or an engine's failure; or the port does not speak TLS.
    UNREACHABLE: nothing at all.
    """
    tls, http = evidence.tls, evidence.http.value
    if tls.value is None:
        answered = http is not None and any(hop.failure is None for probe in http.probes for hop in probe.hops)
        failure = tls.failure or Failure(FailureReason.NOT_RUN)
        seen = answered or failure.reason in {
            FailureReason.NOT_TLS,
            FailureReason.STARTTLS_REFUSED,
            FailureReason.CLIENT_CERTIFICATE_REQUIRED,
        }
        return (TargetStatus.PARTIAL if seen else TargetStatus.UNREACHABLE), failure
    for area, failure, listed in _cut_off(tls.value, evidence.http, evidence.dns):
        # A failure that rests on a list stands, but more of the same may have been hidden.
        open_to = {Status.INDETERMINATE, Status.FAIL} if listed else {Status.INDETERMINATE}
        if any(verdict.status in open_to and _area(verdict.rule) is area for verdict in verdicts):
            return TargetStatus.PARTIAL, failure
    return TargetStatus.ASSESSED, None


class _Area(Enum):
    """What a verdict rests on."""

    TLS = "tls"
    CERTIFICATES = "certificates"
    HTTP = "http"
    DNS = "dns"


_AREAS: Final = {
    "cert": _Area.CERTIFICATES,
    "inventory": _Area.CERTIFICATES,
    "https": _Area.HTTP,
    "headers": _Area.HTTP,
    "dns": _Area.DNS,
}
"""By the first part of a rule's id; all that is not named here is about TLS."""


def _area(rule: str) -> _Area:
    return _AREAS.get(rule.partition(".")[0], _Area.TLS)


def _cut_off(
    tls: TlsEvidence, http: Attempt[HttpEvidence], dns: Attempt[DnsEvidence]
) -> Iterator[tuple[_Area, Failure, bool]]:
    """What kept the scanner from looking at everything, the gravest first, and whether it cut off a list."""
    for item in dataclasses.fields(tls):
        value = getattr(tls, item.name)
        if not isinstance(value, (Attempt, Mapping)):  # how something was asked, or is known, not what was answered
            continue
        area = _Area.CERTIFICATES if item.name == "certificates" else _Area.TLS
        listed = isinstance(value, Mapping) or area is _Area.CERTIFICATES
        for attempt in (value,) if isinstance(value, Attempt) else value.values():
            yield from ((area, failure, listed) for failure in _interruptions(attempt.cut_off))
    yield from ((_Area.HTTP, failure, True) for failure in _interruptions(http.cut_off))
    for probe in http.value.probes if http.value else ():
        failure = probe.first.failure or probe.first.incomplete
        # Plain HTTP that is refused or unanswered, and an unissued certificate that is not taken, are answers.
        if failure is None or probe.identity is ClientIdentity.WRONG:
            continue
        hidden = {
            FailureReason.DEADLINE,
            FailureReason.INTERRUPTED,
            FailureReason.UNAVAILABLE,
            FailureReason.ENGINE_ERROR,
            FailureReason.PROXY_UNREACHABLE,
        }
        if failure.reason in (hidden if probe.scheme == "http" else _INTERRUPTIONS):
            yield _Area.HTTP, failure, False
    caa = dns.value.caa.failure if dns.value else None
    yield from ((_Area.DNS, failure, False) for failure in _interruptions(dns.failure, caa))


def _interruptions(*failures: Failure | None) -> Iterator[Failure]:
    return (failure for failure in failures if failure is not None and failure.reason in _INTERRUPTIONS)
