"""What receivers were told is wrong, so that each thing is told once: when it begins, gets worse, and is fixed.

An alarm is one rule (and subject) at one endpoint under one schedule; the addresses of the endpoint are places where it
is so, and may change from night to night: what failed at an address that a run did not look at is not fixed by that.
It remembers the last results, so that what comes and goes is told as flapping, once, and not every night. What could
not be observed changes no alarm.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from msgspec import Struct, field, structs

from scanner.evidence import FailureReason
from scanner.history.attribution import AWAY
from scanner.history.waived import is_worse
from scanner.verdict import ONE_ADDRESS, RunRecord, Severity, Status, TargetResult, TargetStatus, Verdict

UNREACHABLE = "target.unreachable"
"""Stands for a rule where an endpoint could not be looked at."""
UNKNOWN = "unknown:"
"""Stands before a rule's id where the rule could not be judged."""

_TRAIL = 12
_WATCHED = 8
_CHANGES = 3
"""So many changes within the last eight results are flapping."""
_STEADY = 4
"""So many equal results end it."""


class Condition(StrEnum):
    """What a run found of one thing. The letters are kept in the state file."""

    FAILING = "B"
    OK = "G"
    TRANSIENT = "BG"
    """Failing at first, and ok when it was looked at again."""


class Transition(StrEnum):
    """How an alarm changed, which is told."""

    FIRING = "firing"
    WORSE = "worse"
    """Of a higher severity than was told, or at an address where it held."""
    WORSE_BUT_WAIVED = "worse-but-waived"
    """More than its waiver accepted before, and still accepted."""
    BETTER = "better"
    """Still failing, of a lower severity than was told."""
    RESOLVED = "resolved"
    FLAPPING = "flapping"


class Key(NamedTuple):
    """What an alarm is about. `endpoint` is `environment/host:port`."""

    endpoint: str
    rule: str
    subject: str = ""

    @property
    def environment(self) -> str:
        """The name of the endpoint's environment."""
        return self.endpoint.partition("/")[0]

    @property
    def about(self) -> str:
        """The id of the rule that it is about, whether that fails or cannot be judged."""
        return self.rule.removeprefix(UNKNOWN)


class AcceptedFailure(Struct, frozen=True):
    """What a waiver accepted: the failure as it was then."""

    severity: Severity
    reason: str
    observed: str


class Alarm(Struct, frozen=True):
    """What receivers believe: `failing`, how badly (`severity`), and at which addresses (`places`).

    `trail` holds the last results, oldest first, and `levels` the ranks of severity of the last failing ones. `held`
    are the addresses at which it did not fail in the last run that saw it. `accepted` is what a waiver accepts of it.
    `seen` tells when each address was last looked at, of those that failed then.
    """

    failing: bool = False
    flapping: bool = False
    trail: str = ""
    severity: Severity = Severity.INFO
    since: datetime | None = None
    levels: str = ""
    places: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    accepted: AcceptedFailure | None = None
    seen: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to remember."""
        return not self.failing and not self.flapping and self.accepted is None and Condition.FAILING not in self.trail


class CheckResult(Struct, frozen=True):
    """What a run says of one thing at one endpoint.

    `places` are the addresses at which it is so, of the `addresses` that the endpoint has; at those of `held` it does
    not fail, and of those of `unknown` nothing is known. `verdict` is the worst of its verdicts, where there is one.
    `silence` is why what does not answer does not: of several reasons, that of most addresses.
    """

    condition: Condition
    severity: Severity
    waived: bool = False
    places: tuple[str, ...] = ()
    addresses: int = 1
    held: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    verdict: Verdict | None = None
    silence: FailureReason | None = None


def update(
    alarm: Alarm, result: CheckResult, now: datetime, *, failed_before: bool = True
) -> tuple[Alarm, Transition | None]:
    """Take a result to the alarm: the alarm after it, and how it changed.

    Args:
        alarm: what receivers believe.
        result: what a run says.
        now: since when it is so, where it begins to be.
        failed_before: whether the run before saw it fail, or did not look. What a waiver accepts is told as new where
            nothing was accepted before and it did not fail.
    """
    alarm = structs.replace(alarm, seen=_seen(alarm, result, now))
    if result.condition is not Condition.FAILING and alarm.failing and alarm.seen and not result.waived:
        # Fixed at another address says nothing of the one that failed and is not seen now.
        return alarm, None
    trail = (alarm.trail + result.condition)[-_TRAIL:]
    recent = trail[-_WATCHED:]
    changes = sum(before != after for before, after in pairwise(recent))
    steady = len(trail) >= _STEADY and len(set(trail[-_STEADY:])) == 1
    failing = trail.endswith(Condition.FAILING)
    noted, worse = _noted(alarm, result, trail, failed_before=failed_before)
    if alarm.flapping and not steady:
        return noted, worse if worse is Transition.WORSE_BUT_WAIVED else None
    if not alarm.flapping and changes >= _CHANGES:
        return structs.replace(noted, flapping=True), Transition.FLAPPING
    if alarm.flapping:
        # It is steady: what came before is not held against it any more.
        noted = structs.replace(noted, flapping=False, trail=trail[-1:])
    if failing and not alarm.failing:
        return structs.replace(noted, failing=True, since=now), Transition.FIRING
    if not failing and (alarm.failing or alarm.flapping):
        return structs.replace(noted, failing=False, since=None, places=(), seen={}), Transition.RESOLVED
    return noted, worse


def _seen(alarm: Alarm, result: CheckResult, now: datetime) -> dict[str, datetime]:
    """The addresses that failed when they were last looked at, and when that was, as long as it is not too long ago."""
    failing = result.condition is Condition.FAILING
    # An older state file names the addresses alone. Where a name did not resolve there is none that could go away.
    seen = dict(alarm.seen) if alarm.seen or not alarm.failing else dict.fromkeys(alarm.places, now)
    seen |= {address: now for address in result.unknown if address in seen}
    seen = {address: at for address, at in seen.items() if now - at < AWAY}
    seen |= dict.fromkeys(result.places if failing else (), now)
    passed = {*result.held, "", *(() if failing else result.places)}
    return {address: at for address, at in seen.items() if address not in passed}


def has_moved(alarm: Alarm, result: CheckResult) -> bool:
    """Whether what ends an alarm is that addresses at which it failed are there no more, and not that it is met there.

    Args:
        alarm: what receivers believed before.
        result: what ended it.
    """
    looked_at = {*result.held, *result.places, *result.unknown, ""}
    return not result.waived and bool((set(alarm.seen) or set(alarm.places)) - looked_at)


def _noted(alarm: Alarm, result: CheckResult, trail: str, *, failed_before: bool) -> tuple[Alarm, Transition | None]:
    """The alarm with what the result says of severity, places and waiver; and whether that is worse or better."""
    noted = structs.replace(alarm, trail=trail, held=result.held)
    if result.waived and result.verdict is not None:
        return _accepting(noted, result.verdict, failed_before=failed_before or alarm.failing)
    if result.condition is not Condition.FAILING:
        return noted, None
    looked_at = {*result.places, *result.held, *result.unknown}
    here = looked_at | alarm.seen.keys()
    places = (*(place for place in alarm.places if place in here and place not in result.places), *result.places)
    levels = (alarm.levels + str(result.severity.rank))[-_WATCHED:]
    changes = sum(before != after for before, after in pairwise(levels))
    spread = _spread(result, alarm)
    noted = structs.replace(noted, places=places, levels=levels, accepted=None)
    if not alarm.failing:
        return structs.replace(noted, severity=result.severity, levels=str(result.severity.rank)), None
    if result.severity > alarm.severity or spread:
        return structs.replace(noted, severity=max(result.severity, alarm.severity)), Transition.WORSE
    # Where it was worse is perhaps not looked at now.
    away = bool(alarm.seen.keys() - looked_at)
    if result.severity < alarm.severity and changes < _CHANGES and not away:
        return structs.replace(noted, severity=result.severity), Transition.BETTER
    return structs.replace(noted, levels=alarm.levels if away else levels), None


def _accepting(alarm: Alarm, verdict: Verdict, *, failed_before: bool) -> tuple[Alarm, Transition | None]:
    """The alarm with what its waiver accepts now; worse where that is more than before."""
    accepted = AcceptedFailure(verdict.severity, verdict.reason, verdict.observed)
    if alarm.accepted is None:
        after = structs.replace(alarm, accepted=accepted)
        return after, None if failed_before else Transition.WORSE_BUT_WAIVED
    before = dataclasses.replace(
        verdict, severity=alarm.accepted.severity, reason=alarm.accepted.reason, observed=alarm.accepted.observed
    )
    if is_worse(verdict, before):
        return structs.replace(alarm, accepted=accepted), Transition.WORSE_BUT_WAIVED
    return alarm, None


def usual_reason(targets: Iterable[TargetResult]) -> FailureReason | None:
    """Why targets were not looked at as they should: of several reasons, that of most of them."""
    reasons = Counter(target.error.reason for target in targets if target.error is not None)
    return max(reasons, key=reasons.__getitem__, default=None)


def results_of(record: RunRecord) -> dict[Key, CheckResult]:
    """What a run says of everything that there could be an alarm about, as far as it could be observed.

    Failures of severity `info` are notes, of which nobody is told.
    """
    endpoints: dict[str, list[TargetResult]] = defaultdict(list)
    for target in record.targets:
        endpoints[target.endpoint].append(target)
    found: dict[Key, CheckResult] = {}
    for endpoint, targets in endpoints.items():
        silent = [target for target in targets if target.status is TargetStatus.UNREACHABLE]
        found[Key(endpoint, UNREACHABLE)] = structs.replace(
            _result(targets, silent, Severity.HIGH), silence=usual_reason(silent)
        )
        verdicts: dict[tuple[str, str], dict[str, Verdict]] = defaultdict(dict)
        for target in targets:
            for verdict in target.verdicts:
                if verdict.severity is not Severity.INFO:
                    verdicts[verdict.rule, verdict.subject][target.id] = verdict
        reached = [target for target in targets if target not in silent]
        for (rule, subject), by_target in verdicts.items():
            if reached:
                asked = [item for item in reached if item.id not in by_target or not by_target[item.id].not_asked]
                blind = [item for item in asked if _status(by_target, item) is Status.INDETERMINATE]
                worst = max((verdict.severity for verdict in by_target.values()), default=Severity.LOW)
                unseen = next((by_target[item.id] for item in blind), None)
                if asked:
                    found[Key(endpoint, UNKNOWN + rule, subject)] = _result(reached, blind, worst, unseen)
            judged = _judged(targets, by_target)
            if judged is not None:
                found[Key(endpoint, rule, subject)] = judged
    return found


def absent(record: RunRecord, results: Mapping[Key, CheckResult], known: Mapping[Key, Alarm]) -> dict[Key, CheckResult]:
    """What a run says of alarms that its results leave out, where all addresses of their endpoint were assessed.

    A subject that is not there any more, such as a certificate that was replaced, fails no more. A failure that has
    become a note is milder, and not fixed. What nobody asked or could tell is left out.
    """
    endpoints: dict[str, list[TargetResult]] = defaultdict(list)
    for target in record.targets:
        endpoints[target.endpoint].append(target)
    found: dict[Key, CheckResult] = {}
    for key, alarm in known.items():
        targets = endpoints.get(key.endpoint, [])
        if key in results or not targets or any(item.status is not TargetStatus.ASSESSED for item in targets):
            continue
        judged = [(target, verdict) for target in targets for verdict in target.verdicts if verdict.rule == key.about]
        here = {target.id: verdict for target, verdict in judged if verdict.subject == key.subject}
        whole = [verdict for _, verdict in judged if not verdict.subject]
        if any(verdict.unknown for verdict in (*here.values(), *whole)):
            continue
        result = _judged(targets, here) if here and key.rule == key.about else None
        found[key] = result or CheckResult(Condition.OK, alarm.severity, addresses=len(targets), held=_ips(targets))
    return found


def _judged(targets: list[TargetResult], verdicts: Mapping[str, Verdict]) -> CheckResult | None:
    """What a rule says of an endpoint: failing where it fails at any address; None where nothing is known of it."""
    failing = [target for target in targets if target.id in verdicts and verdicts[target.id].counts_as_failure]
    waived = [target for target in targets if target.id in verdicts and verdicts[target.id].waiver is not None]
    known = [target for target in targets if target.id in verdicts and not verdicts[target.id].unknown]
    if not known:
        return None
    spoken = failing or waived or known
    worst = max((verdicts[target.id] for target in spoken), key=lambda verdict: verdict.severity.rank)
    return CheckResult(
        Condition.FAILING if failing else Condition.OK,
        worst.severity,
        waived=bool(waived) and not failing,
        places=_ips(failing or waived),
        addresses=len(targets),
        held=_ips(target for target in known if target not in failing and verdicts[target.id].reason != ONE_ADDRESS),
        unknown=_ips(target for target in targets if target not in known),
        verdict=worst,
    )


def _result(
    targets: list[TargetResult], failing: list[TargetResult], severity: Severity, verdict: Verdict | None = None
) -> CheckResult:
    return CheckResult(
        Condition.FAILING if failing else Condition.OK,
        severity,
        places=_ips(failing),
        addresses=len(targets),
        held=_ips(target for target in targets if target not in failing),
        verdict=verdict,
    )


def _status(verdicts: Mapping[str, Verdict], target: TargetResult) -> Status | None:
    return verdicts[target.id].status if target.id in verdicts else None


def _ips(targets: Iterable[TargetResult]) -> tuple[str, ...]:
    return tuple(sorted(target.ip or "" for target in targets))


def to_confirm(found: Mapping[Key, CheckResult], alarms: Mapping[Key, Alarm], before: Iterable[Key]) -> set[str]:
    """The endpoints at which something got worse since `before` was judged: they are looked at again first."""
    judged = set(before)
    return {
        key.endpoint
        for key, result in found.items()
        if result.condition is Condition.FAILING and key in judged and _got_worse(result, alarms.get(key, Alarm()))
    }


def _got_worse(result: CheckResult, alarm: Alarm) -> bool:
    return not alarm.failing or result.severity > alarm.severity or bool(_spread(result, alarm))


def _spread(result: CheckResult, alarm: Alarm) -> set[str]:
    """The addresses at which it fails now and held before, and of which nobody was told."""
    return set(result.places) & set(alarm.held) - set(alarm.places)


def confirmed(found: Mapping[Key, CheckResult], again: Mapping[Key, CheckResult]) -> dict[Key, CheckResult]:
    """The results after a second look: what was failing and is not any more is transient; the milder look counts."""
    after = dict(found)
    for key, result in found.items():
        second = again.get(key)
        if result.condition is not Condition.FAILING or second is None:
            continue
        if second.condition is Condition.OK:
            after[key] = structs.replace(result, condition=Condition.TRANSIENT)
        elif second.condition is Condition.FAILING:
            lasting = set(result.places) & set(second.places)
            milder = second.severity < result.severity or bool(lasting and lasting != set(result.places))
            after[key] = second if milder else result
    return after


def from_record(record: RunRecord) -> dict[Key, Alarm]:
    """Alarms as if everything that failed in an earlier run had been told: where a service takes up a history."""
    found: dict[Key, Alarm] = {}
    for key, result in results_of(record).items():
        if result.condition is Condition.FAILING:
            found[key] = Alarm(
                failing=True,
                trail=Condition.FAILING,
                severity=result.severity,
                since=record.run.started_at,
                places=result.places,
                held=result.held,
                seen={address: record.run.started_at for address in result.places if address},
            )
        elif result.waived and result.verdict is not None:
            found[key], _ = _accepting(Alarm(), result.verdict, failed_before=True)
    return found
