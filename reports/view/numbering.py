"""The numbers of a run's findings, the worst first: the same on paper, on screen and in the data that travels with it.

A finding is one rule that fails for one reason; what only informs is a finding apart. Numbers are of one run: what
lasts from run to run is a verdict's id (`scanner.verdict.finding_id`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from scanner.verdict import RunRecord, Severity, Status, TargetResult, Verdict

FindingKey = tuple[str, str, bool]
"""Rule, reason, and whether it only informs."""

_SAME_FACT: Final = {("cert.expiry", "expired"): ("cert.valid-now", "expired")}
"""Failures that say of a subject what another failure says of it already, by rule and reason."""


class FindingNumbers(Struct, frozen=True):
    """The numbers of a run's findings. What is waived everywhere has none: it is listed with its waiver."""

    numbers: Mapping[FindingKey, int]

    def place(self, finding: FindingKey) -> int:
        """The place of a finding in their order; behind all others where it has no number."""
        return self.numbers.get(finding, len(self.numbers) + 1)

    def label(self, finding: FindingKey | None) -> str:
        """What a finding is called: `F1`; empty where it has no number."""
        number = self.numbers.get(finding, 0) if finding else 0
        return f"F{number}" if number else ""

    def labels(self, target: TargetResult) -> tuple[str, ...]:
        """For each verdict of a target, in order, what its finding is called; empty where it belongs to none."""
        return tuple(map(self.label, findings_of(target)))


def findings_of(target: TargetResult) -> tuple[FindingKey | None, ...]:
    """To which finding each verdict of a target belongs, in order; None where it does not fail.

    A verdict that only says again what another one says of the same subject belongs to the finding of that one; unless
    that one only informs, and it stands against compliance.
    """
    failing = {
        (verdict.rule, verdict.reason, verdict.subject, verdict.waiver is None): verdict
        for verdict in target.verdicts
        if verdict.status is Status.FAIL
    }

    def finding(verdict: Verdict) -> FindingKey | None:
        if verdict.status is not Status.FAIL:
            return None
        same = _SAME_FACT.get((verdict.rule, verdict.reason))
        other = failing.get((*same, verdict.subject, verdict.waiver is None)) if same else None
        graver = other and other.severity is Severity.INFO and verdict.severity is not Severity.INFO
        said = verdict if other is None or graver else other
        return said.rule, said.reason, said.severity is Severity.INFO

    return tuple(map(finding, target.verdicts))


def told_once(target: TargetResult) -> list[Verdict]:
    """The failing verdicts of a target, without those that another finding tells already: it is mended once."""
    pairs = zip(target.verdicts, findings_of(target), strict=True)
    return [verdict for verdict, finding in pairs if finding and finding[:2] == (verdict.rule, verdict.reason)]


def numbers_of(record: RunRecord) -> FindingNumbers:
    """Number the findings of a run: what stands against compliance first, the gravest and most frequent of it first."""
    severity: dict[FindingKey, Severity] = {}
    places: dict[FindingKey, set[str]] = defaultdict(set)
    for target in record.targets:
        for verdict in told_once(target):
            if verdict.waiver is None:
                finding = verdict.rule, verdict.reason, verdict.severity is Severity.INFO
                severity[finding] = max(severity.get(finding, verdict.severity), verdict.severity)
                places[finding].add(target.id)
    ranked = sorted(severity, key=lambda item: (item[2], -severity[item].rank, -len(places[item]), item[0], item[1]))
    return FindingNumbers({finding: number for number, finding in enumerate(ranked, 1)})
