"""A run looked up by target, with the names and anchors by which the rest of the report points to things."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from reports.language import gettext
from reports.view.model import TargetRef
from reports.view.standing import Tally
from scanner.verdict import RunRecord, Severity, Status, TargetResult, Verdict

_NOT_IN_ANCHORS = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Index:
    """The run and a reference to each of its targets."""

    record: RunRecord
    refs: dict[str, TargetRef]

    @classmethod
    def of(cls, record: RunRecord) -> Index:
        """Name every target: its address, and its IP address too where the name has several."""
        addresses = Counter((target.environment, target.address) for target in record.targets)
        refs: dict[str, TargetRef] = {}
        taken: set[str] = set()
        for target in record.targets:
            several = addresses[target.environment, target.address] > 1
            label = target.address
            if several and target.ip:
                label = gettext("%(name)s at %(address)s") % {"name": target.address, "address": target.ip}
            anchor = unique(anchor_of("t", target.id), taken)
            refs[target.id] = TargetRef(target.id, anchor, label, target.environment)
        return cls(record, refs)

    def ref(self, target: TargetResult) -> TargetRef:
        """The reference to a target of this run."""
        return self.refs[target.id]


def anchor_of(kind: str, name: str) -> str:
    """A fragment identifier that stays the same from run to run."""
    return f"{kind}-{_NOT_IN_ANCHORS.sub('-', name).strip('-')}"


def unique(anchor: str, taken: set[str]) -> str:
    """The anchor, numbered where another has it already; it is taken from then on."""
    candidate, number = anchor, 2
    while candidate in taken:
        candidate, number = f"{anchor}-{number}", number + 1
    taken.add(candidate)
    return candidate


def tally(verdicts: Iterable[Verdict]) -> Tally:
    """Count verdicts."""
    passed = failed = notes = waived = indeterminate = not_applicable = 0
    worst: Severity | None = None
    for verdict in verdicts:
        if verdict.status is Status.PASS:
            passed += 1
        elif verdict.status is Status.INDETERMINATE:
            indeterminate += 1
        elif verdict.status is Status.NOT_APPLICABLE:
            not_applicable += 1
        elif verdict.waiver is not None:
            waived += 1
        elif verdict.severity is Severity.INFO:
            notes += 1
        else:
            failed += 1
            worst = verdict.severity if worst is None else max(worst, verdict.severity)
    return Tally(passed, failed, notes, waived, indeterminate, not_applicable, worst)


def is_failure(verdict: Verdict) -> bool:
    """Whether it stands against compliance: it fails, no waiver accepts it, and it does not merely inform."""
    return verdict.counts_as_failure and verdict.severity is not Severity.INFO
