"""What changed between two runs, and why.

A verdict is known again by environment, host, port, rule and subject: addresses are places where it is so, and a name
that moves to another address has not changed by that. What failed at an address that the later run did not look at is
not fixed: it is no longer judged. Only environments that both runs scanned are compared. What one of them did not
finish is told apart from what is gone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from functools import partial

from msgspec import Struct

from scanner.history.attribution import Attribution, ChangeCause
from scanner.history.balance import Balances
from scanner.history.run_diff import RunDiff, StillFailing, TargetChange, VerdictChange
from scanner.history.target_changes import address_changes, certificate_changes, missed_targets, now_unreachable
from scanner.history.waived import is_worse
from scanner.verdict import ONE_ADDRESS, CountedAs, RunRecord, Status, TargetResult, Verdict

_Judged = tuple[TargetResult, Verdict | None]
_Key = tuple[str, str]


def diff(before: RunRecord, after: RunRecord) -> RunDiff:
    """Compare two runs, the worst first in each list."""
    environments = _common_environments(before, after)
    old, new = _endpoints(before, environments), _endpoints(after, environments)
    attribution = Attribution(before, after)
    both = [(old[name], targets) for name, targets in new.items() if name in old]
    came = [target for name, targets in new.items() if name not in old for target in targets]
    gone = [target for name, targets in old.items() if name not in new for target in targets]
    missed = missed_targets(before, after, both)
    balances = Balances(attribution, whole=(before.run.complete, after.run.complete))
    changes = _Changes(
        attribution, balances, missed=frozenset(target.id for target in missed), since_whole=before.run.complete
    )
    for first, second in both:
        changes.compare(first, second)
    for name, targets in new.items() if before.run.complete else ():
        if name not in old:
            changes.add_new(targets)
    # Environments that only one of the runs scanned are not compared; they are counted all the same.
    counted = [_endpoints(record) for record in (before, after)]
    for name, targets in counted[1].items():
        if name not in counted[0]:
            balances.come(targets)
    for name, targets in counted[0].items():
        if name not in counted[1]:
            balances.go(targets)
    return RunDiff(
        before=before.run,
        after=after.run,
        environments=environments,
        new_failures=_worst_first(changes.new_failures),
        fixed=_worst_first(changes.fixed),
        still_failing=tuple(sorted(changes.still_failing, key=lambda item: -item.after.severity.rank)),
        worse=_worst_first(changes.worse),
        better=_worst_first(changes.better),
        worse_but_waived=_worst_first(changes.worse_but_waived),
        newly_assessed=_worst_first(changes.newly_assessed),
        became_indeterminate=_worst_first(changes.became_indeterminate),
        newly_waived=_worst_first(changes.newly_waived),
        no_longer_judged=_worst_first(changes.no_longer_judged),
        appeared=tuple(TargetChange(item, attribution.of_presence(item)) for item in came if before.run.complete),
        disappeared=tuple(TargetChange(item, attribution.of_presence(item)) for item in gone if after.run.complete),
        addresses=tuple(address_changes(both)) if before.run.complete and after.run.complete else (),
        not_scanned=() if after.run.complete else (*gone, *missed),
        now_unreachable=tuple(now_unreachable(both)),
        back=tuple(now_unreachable([(second, first) for first, second in both], later_first=True)),
        certificates=tuple(certificate_changes(both)),
        balances=balances.found,
    )


class _Changes:
    """Collects the changes of verdicts, endpoint by endpoint.

    `missed` are ids of targets of the earlier run that an interrupted one did not come to; without `since_whole`, the
    earlier run was interrupted, and an address that it lacks is not new.
    """

    def __init__(
        self, attribution: Attribution, balances: Balances, *, missed: frozenset[str], since_whole: bool
    ) -> None:
        self._attribution = attribution
        self._missed = missed
        self._since_whole = since_whole
        self.balances = balances
        self.new_failures: list[VerdictChange] = []
        self.fixed: list[VerdictChange] = []
        self.still_failing: list[StillFailing] = []
        self.worse: list[VerdictChange] = []
        self.better: list[VerdictChange] = []
        self.worse_but_waived: list[VerdictChange] = []
        self.newly_assessed: list[VerdictChange] = []
        self.became_indeterminate: list[VerdictChange] = []
        self.newly_waived: list[VerdictChange] = []
        self.no_longer_judged: list[VerdictChange] = []

    def compare(self, before: Sequence[TargetResult], after: Sequence[TargetResult]) -> None:
        """Compare what the rules say of one endpoint in the two runs."""
        old, new = _verdicts(before), _verdicts(after)
        for key in dict.fromkeys((*new, *old)):
            was, now = old.get(key, {}), new.get(key, {})
            if was == now and _says_nothing(key, now, old, new):
                continue
            pair = _with_unknown(key, was, old, now), _with_unknown(key, now, new, was)
            found = _Pair(key, before, after, *pair)
            self._sort(found)
            self.balances.compare(
                key[0], (before, found.old), (after, found.new), partial(self._cause_at_other_addresses, found)
            )

    def add_new(self, targets: Sequence[TargetResult]) -> None:
        """Take up an endpoint that the earlier run did not have."""
        cause = self._attribution.of_presence(targets[0])
        for key, verdicts in _verdicts(targets).items():
            pair = _Pair(key, (), targets, {}, verdicts)
            if pair.second is not None and pair.second.counts_as_failure:
                self.new_failures.append(pair.change(cause))

    def _sort(self, pair: _Pair) -> None:
        first, second = pair.first, pair.second
        failed = first is not None and first.status is Status.FAIL
        counted, counts = (verdict is not None and verdict.counts_as_failure for verdict in (first, second))
        if counted and counts:
            self._sort_lasting(pair)
        elif counts:
            if first is not None and first.unknown:
                self.newly_assessed.append(self._change(pair))
            elif self._since_whole or pair.targets[1].id in {target.id for target in pair.before}:
                self.new_failures.append(self._change(pair))
        elif failed and (second is None or second.not_asked or (pair.away and not self._missed & pair.failed_before)):
            self.no_longer_judged.append(self._change(pair))
        elif second is not None and second.status is Status.INDETERMINATE:
            if first is not None and not first.unknown:
                self.became_indeterminate.append(self._change(pair))
        elif second is not None and second.waiver is not None:
            self._sort_waived(pair)
        elif failed and not self._missed & pair.failed_before:
            self.fixed.append(self._change(pair))

    def _sort_lasting(self, pair: _Pair) -> None:
        first, second = pair.first, pair.second
        if first is None or second is None:  # pragma: no cover  # both count as failures
            raise AssertionError
        self.still_failing.append(StillFailing(pair.targets[1], first, second))
        if second.severity > first.severity or pair.spread:
            self.worse.append(self._change(pair))
        elif second.severity < first.severity:
            self.better.append(self._change(pair))

    def _sort_waived(self, pair: _Pair) -> None:
        first, second = pair.first, pair.second
        if second is None:  # pragma: no cover  # it is waived
            raise AssertionError
        new = first is None or _held(first)
        if first is not None and first.counts_as_failure:
            self.newly_waived.append(self._change(pair))
        elif new or (first is not None and first.waiver is not None and is_worse(second, first)):
            self.worse_but_waived.append(self._change(pair))

    def _change(self, pair: _Pair) -> VerdictChange:
        return pair.change(self._cause(pair))

    def _cause_at_other_addresses(self, pair: _Pair) -> ChangeCause:
        """Why it is not met at more or fewer addresses, as far as only one of the runs has these addresses."""
        failed, fails = (
            verdict is not None and verdict.counted_as is CountedAs.NOT_MET for verdict in (pair.first, pair.second)
        )
        return ChangeCause.ADDRESSES if failed == fails else self._cause(pair)

    def _cause(self, pair: _Pair) -> ChangeCause:
        before, after = pair.targets
        old, new = pair.old.get(before.id, pair.first), pair.new.get(after.id, pair.second)
        not_asked = any(verdict is not None and verdict.not_asked for verdict in (old, new))
        if pair.away and not not_asked:
            return ChangeCause.ADDRESSES
        return self._attribution.of_address(pair.key[0], (before, old), (after, new))


class _Pair(Struct, frozen=True):
    """One rule and subject at one endpoint in two runs: its targets, and their verdicts by target id."""

    key: _Key
    before: Sequence[TargetResult]
    after: Sequence[TargetResult]
    old: Mapping[str, Verdict]
    new: Mapping[str, Verdict]

    @property
    def first(self) -> Verdict | None:
        """What the earlier run says of the endpoint: the worst that it saw at any address."""
        return max(self.old.values(), key=_gravity, default=None)

    @property
    def second(self) -> Verdict | None:
        """The same of the later run; unknown where nothing fails and an address is unknown that was known before."""
        worst = max(self.new.values(), key=_gravity, default=None)
        if worst is None or worst.status is Status.FAIL:
            return worst
        for name, verdict in self.new.items():
            known = self.old.get(name)
            if verdict.unknown and known is not None and not known.unknown:
                return verdict
        return worst

    @property
    def targets(self) -> tuple[TargetResult, TargetResult]:
        """The two targets that are compared: the address that the later verdict is of, in both runs where it can be."""
        second, first = self.second, self.first
        chosen = next((target for target in self.after if self.new.get(target.id) is second), self.after[0])
        if second is None or second.status is not Status.FAIL:
            # Of what fails no more, the address that failed is spoken of, where it is still there.
            failed = [target for target in self.after if target.id in self.failed_before]
            chosen = failed[0] if failed and second is not None and second.status is Status.PASS else chosen
        earlier = {target.id: target for target in self.before}
        other = next((target for target in self.before if self.old.get(target.id) is first), None)
        return earlier.get(chosen.id) or other or self.before[0], chosen

    @property
    def failed_before(self) -> frozenset[str]:
        """The ids of the targets at which it failed in the earlier run."""
        return frozenset(name for name, verdict in self.old.items() if verdict.status is Status.FAIL)

    @property
    def away(self) -> bool:
        """Whether it fails no more only as far as the later run looked: not at every address at which it failed."""
        if self.second is not None and self.second.status is not Status.PASS and not _held(self.second):
            return False
        looked_at = {
            target.id for target in self.after if target.id not in self.new or self.new[target.id].reason != ONE_ADDRESS
        }
        return any(place.ip and place.id in self.failed_before - looked_at for place in self.before)

    @property
    def spread(self) -> bool:
        """Whether it fails now at an address where it was seen not to fail."""
        return any(
            verdict.counts_as_failure and name in self.old and _held(self.old[name])
            for name, verdict in self.new.items()
        )

    def change(self, cause: ChangeCause) -> VerdictChange:
        """The change, with the places where it is so."""
        second, chosen = self.second, self.targets[1] if self.before else self._worst()
        if cause is ChangeCause.ADDRESSES:
            # What is said of it is what was seen where it failed; nothing was seen there since.
            second, chosen = None, next(place for place in self.before if place.id in self.failed_before)
        now, at = (self.new, self.after) if second is not None else (self.old, self.before)
        status = second.status if second is not None else Status.FAIL
        places = tuple(item for item in at if item.id in now and now[item.id].status is status)
        return VerdictChange(chosen, *self.key, self.first, second, cause, places, len(at))

    def _worst(self) -> TargetResult:
        second = self.second
        return next(target for target in self.after if self.new.get(target.id) is second)


def _says_nothing(key: _Key, verdicts: Mapping[str, Verdict], *runs: Mapping[_Key, Mapping[str, Verdict]]) -> bool:
    """Whether there is nothing to tell where both runs say the same: nothing fails, and nothing else leaves it open.

    That is so of almost all of a run, and takes no comparing.
    """
    if any(verdict.status is Status.FAIL or verdict.waiver is not None for verdict in verdicts.values()):
        return False
    rule, subject = key
    return not subject or not any(item.unknown for run in runs for item in run.get((rule, ""), {}).values())


def _gravity(verdict: Verdict) -> tuple[int, int]:
    """What is said of an endpoint where its addresses differ: a failure before an accepted one, what is known next."""
    if verdict.status is Status.FAIL:
        return (3 if verdict.waiver is None else 2), verdict.severity.rank
    return (0 if verdict.unknown else 1), 0


def _held(verdict: Verdict) -> bool:
    return verdict.status in {Status.PASS, Status.NOT_APPLICABLE} and not verdict.unknown


def _common_environments(before: RunRecord, after: RunRecord) -> tuple[str, ...]:
    scanned = [
        {*record.run.environments, *(target.environment for target in record.targets)} for record in (before, after)
    ]
    return tuple(sorted(scanned[0] & scanned[1]))


def _endpoints(record: RunRecord, environments: Container[str] | None = None) -> dict[str, list[TargetResult]]:
    found: dict[str, list[TargetResult]] = defaultdict(list)
    for target in record.targets:
        if environments is None or target.environment in environments:
            found[target.endpoint].append(target)
    return dict(found)


def _verdicts(targets: Sequence[TargetResult]) -> dict[_Key, dict[str, Verdict]]:
    found: dict[_Key, dict[str, Verdict]] = defaultdict(dict)
    for target in targets:
        for verdict in target.verdicts:
            found[verdict.rule, verdict.subject][target.id] = verdict
    return found


def _worst_first(changes: list[VerdictChange]) -> tuple[VerdictChange, ...]:
    return tuple(sorted(changes, key=lambda change: -change.verdict.severity.rank))


def _with_unknown(
    key: _Key, verdicts: Mapping[str, Verdict], run: Mapping[_Key, Mapping[str, Verdict]], other: Mapping[str, Verdict]
) -> Mapping[str, Verdict]:
    """The verdicts on one subject, with those on the whole rule that leave it unknown.

    Args:
        key: rule and subject.
        verdicts: what the run says of it, by target.
        run: everything that the run says of the endpoint.
        other: what the run that it is compared with says of the subject.
    """
    rule, subject = key
    blind = {name: verdict for name, verdict in run.get((rule, ""), {}).items() if verdict.unknown} if subject else {}
    if not blind:
        return verdicts
    judged = {name for (judged_rule, _), found in run.items() if judged_rule == rule for name in found}
    return {name: item for name, item in blind.items() if name in other or not judged - blind.keys()} | dict(verdicts)
