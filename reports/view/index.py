"""A run looked up by target, with the names and anchors by which the rest of the report points to things."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from msgspec import Struct

from reports.language import gettext
from reports.view.standing import Tally
from reports.view.target_model import TargetRef
from scanner.verdict import CountedAs, RunRecord, TargetResult, Verdict

_NOT_IN_ANCHORS = re.compile(r"[^A-Za-z0-9._-]+")


class Index(Struct, frozen=True):
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
    counted = list(verdicts)
    # A report counts each verdict a dozen times, and a dictionary calls Python for the hash of each kind.
    kinds = [verdict.counted_as for verdict in counted]
    not_met = CountedAs.NOT_MET
    severities = {verdict.severity for verdict, kind in zip(counted, kinds, strict=True) if kind is not_met}
    return Tally(
        passed=kinds.count(CountedAs.MET),
        failed=kinds.count(not_met),
        notes=kinds.count(CountedAs.NOTE),
        waived=kinds.count(CountedAs.WAIVED),
        indeterminate=kinds.count(CountedAs.NOT_ASSESSED),
        not_applicable=kinds.count(CountedAs.DOES_NOT_APPLY),
        worst=max(severities, default=None),
    )


def is_failure(verdict: Verdict) -> bool:
    """Whether it stands against compliance: it fails, no waiver accepts it, and it does not merely inform."""
    return verdict.counted_as is CountedAs.NOT_MET
