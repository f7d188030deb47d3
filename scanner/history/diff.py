"""What changed between two runs, and why.

Only environments that both runs scanned are compared. What one of them did not finish is told apart from what is gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from scanner.evidence import Certificate
from scanner.history.attribution import Attribution, ChangeCause
from scanner.history.rows import deployments_of
from scanner.verdict import Run, RunRecord, Status, TargetResult, TargetStatus, Verdict

_Judged = tuple[TargetResult, Verdict | None]
_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class VerdictChange:
    """A rule's verdicts on one target in the two runs; None where it was not judged."""

    target: TargetResult
    rule: str
    subject: str
    before: Verdict | None
    after: Verdict | None
    cause: ChangeCause

    @property
    def verdict(self) -> Verdict:
        """The newer verdict, or the older one where there is no newer."""
        verdict = self.after or self.before
        if verdict is None:  # pragma: no cover  # one of the two is always there
            raise AssertionError
        return verdict


@dataclass(frozen=True, slots=True)
class StillFailing:
    """A failure that was there in both runs. `worse` tells that its severity rose."""

    target: TargetResult
    before: Verdict
    after: Verdict

    @property
    def worse(self) -> bool:
        """Whether its severity rose."""
        return self.after.severity > self.before.severity


@dataclass(frozen=True, slots=True)
class TargetChange:
    """A target that appeared, disappeared, became unreachable or came back; as the run that has it last saw it."""

    target: TargetResult
    cause: ChangeCause


@dataclass(frozen=True, slots=True)
class CertificateChange:
    """The certificate that a target presents to a client that names the host; None where it presented none."""

    target: TargetResult
    before: Certificate | None
    after: Certificate | None

    @property
    def same_key(self) -> bool:
        """Whether the key stayed when the certificate changed."""
        return self.before is not None and self.after is not None and self.before.spki == self.after.spki


@dataclass(frozen=True, slots=True)
class RunDiff:
    """What changed from one run to another.

    A waived failure counts as failing no more (`newly_waived`), and as a new failure when its waiver ends.
    `no_longer_judged` holds failures whose rule is not judged any more, which says nothing of the server.
    `not_scanned` holds targets of an earlier run that an interrupted one did not come to.
    """

    before: Run
    after: Run
    environments: tuple[str, ...]
    new_failures: tuple[VerdictChange, ...] = ()
    fixed: tuple[VerdictChange, ...] = ()
    still_failing: tuple[StillFailing, ...] = ()
    became_indeterminate: tuple[VerdictChange, ...] = ()
    newly_waived: tuple[VerdictChange, ...] = ()
    no_longer_judged: tuple[VerdictChange, ...] = ()
    appeared: tuple[TargetChange, ...] = ()
    disappeared: tuple[TargetChange, ...] = ()
    not_scanned: tuple[TargetResult, ...] = ()
    now_unreachable: tuple[TargetChange, ...] = ()
    back: tuple[TargetChange, ...] = ()
    certificates: tuple[CertificateChange, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether anything is other than it was."""
        return any(
            (
                self.new_failures, self.fixed, self.became_indeterminate, self.newly_waived, self.no_longer_judged,
                self.appeared, self.disappeared, self.not_scanned, self.now_unreachable, self.back, self.certificates,
            )
        )  # fmt: skip

    @property
    def since(self) -> datetime:
        """When the earlier run started."""
        return self.before.started_at


def diff(before: RunRecord, after: RunRecord) -> RunDiff:
    """Compare two runs, the worst first in each list."""
    environments = _common_environments(before, after)
    old, new = _targets(before, environments), _targets(after, environments)
    attribution = Attribution(before, after)
    both = [(old[name], target) for name, target in new.items() if name in old]
    came = [target for name, target in new.items() if name not in old]
    gone = [target for name, target in old.items() if name not in new]
    changes = _Changes(attribution)
    for first, second in both:
        changes.compare(first, second)
    for target in came if before.run.complete else ():
        changes.add_new(target)
    return RunDiff(
        before=before.run,
        after=after.run,
        environments=environments,
        new_failures=_worst_first(changes.new_failures),
        fixed=_worst_first(changes.fixed),
        still_failing=tuple(sorted(changes.still_failing, key=lambda item: -item.after.severity.rank)),
        became_indeterminate=_worst_first(changes.became_indeterminate),
        newly_waived=_worst_first(changes.newly_waived),
        no_longer_judged=_worst_first(changes.no_longer_judged),
        appeared=tuple(TargetChange(item, attribution.of_presence(item)) for item in came if before.run.complete),
        disappeared=tuple(TargetChange(item, attribution.of_presence(item)) for item in gone if after.run.complete),
        not_scanned=() if after.run.complete else tuple(gone),
        now_unreachable=tuple(_turned(both, TargetStatus.UNREACHABLE)),
        back=tuple(_turned([(second, first) for first, second in both], TargetStatus.UNREACHABLE)),
        certificates=tuple(_certificate_changes(both)),
    )


class _Changes:
    """Collects the changes of verdicts."""

    def __init__(self, attribution: Attribution) -> None:
        self._attribution = attribution
        self.new_failures: list[VerdictChange] = []
        self.fixed: list[VerdictChange] = []
        self.still_failing: list[StillFailing] = []
        self.became_indeterminate: list[VerdictChange] = []
        self.newly_waived: list[VerdictChange] = []
        self.no_longer_judged: list[VerdictChange] = []

    def compare(self, before: TargetResult, after: TargetResult) -> None:
        old, new = _verdicts(before), _verdicts(after)
        for key in dict.fromkeys((*new, *old)):
            self._sort(key, (before, old.get(key)), (after, new.get(key)))

    def add_new(self, target: TargetResult) -> None:
        cause = self._attribution.of_presence(target)
        for (rule, subject), verdict in _verdicts(target).items():
            if verdict.counts_as_failure:
                self.new_failures.append(VerdictChange(target, rule, subject, None, verdict, cause))

    def _sort(self, key: _Key, before: _Judged, after: _Judged) -> None:
        first, second = before[1], after[1]
        failed = first is not None and first.status is Status.FAIL
        counted, counts = (verdict is not None and verdict.counts_as_failure for verdict in (first, second))
        if counted and counts and first is not None and second is not None:
            self.still_failing.append(StillFailing(after[0], first, second))
        elif counts:
            self.new_failures.append(self._change(key, before, after))
        elif failed and second is None:
            self.no_longer_judged.append(self._change(key, before, after))
        elif second is not None and second.status is Status.INDETERMINATE:
            if first is not None and first.status is not Status.INDETERMINATE:
                self.became_indeterminate.append(self._change(key, before, after))
        elif second is not None and second.waiver is not None:
            if counted:
                self.newly_waived.append(self._change(key, before, after))
        elif failed:
            self.fixed.append(self._change(key, before, after))

    def _change(self, key: _Key, before: _Judged, after: _Judged) -> VerdictChange:
        first, second = before[1], after[1]
        if first is not None and second is not None and first.status is second.status is Status.FAIL:
            cause = self._attribution.of_waiver(first, second)
        else:
            cause = self._attribution.of_verdict(key[0], before, after)
        return VerdictChange(after[0], *key, first, second, cause)


def _common_environments(before: RunRecord, after: RunRecord) -> tuple[str, ...]:
    scanned = [
        {*record.run.environments, *(target.environment for target in record.targets)} for record in (before, after)
    ]
    return tuple(sorted(scanned[0] & scanned[1]))


def _targets(record: RunRecord, environments: tuple[str, ...]) -> dict[str, TargetResult]:
    return {target.id: target for target in record.targets if target.environment in environments}


def _verdicts(target: TargetResult) -> dict[_Key, Verdict]:
    return {(verdict.rule, verdict.subject): verdict for verdict in target.verdicts}


def _worst_first(changes: list[VerdictChange]) -> tuple[VerdictChange, ...]:
    return tuple(sorted(changes, key=lambda change: -change.verdict.severity.rank))


def _turned(pairs: list[tuple[TargetResult, TargetResult]], status: TargetStatus) -> Iterator[TargetChange]:
    """The targets that have the status in the second of each pair alone. That is always the server's doing."""
    for first, second in pairs:
        if second.status is status and first.status is not status:
            yield TargetChange(second, ChangeCause.SERVER)


def _certificate_changes(pairs: list[tuple[TargetResult, TargetResult]]) -> Iterator[CertificateChange]:
    for first, second in pairs:
        # Where one of the two was not seen, nothing is known of a change.
        if first.evidence is None or second.evidence is None or not (deployments_of(first) and deployments_of(second)):
            continue
        old, new = ({item.fingerprint: item for item in _leaves(target)} for target in (first, second))
        came = [item for name, item in new.items() if name not in old]
        gone = [item for name, item in old.items() if name not in new]
        for index in range(max(len(came), len(gone))):
            yield CertificateChange(
                second, gone[index] if index < len(gone) else None, came[index] if index < len(came) else None
            )


def _leaves(target: TargetResult) -> Iterator[Certificate]:
    for deployment in deployments_of(target):
        if deployment.with_sni:
            yield deployment.leaf
