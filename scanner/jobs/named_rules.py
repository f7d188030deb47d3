"""Rules that a command was told to judge by, and what it says where they were not judged after all.

A question that is left out (`--no-intrusive`, `--offline`, a proxy that cannot carry it) is nobody's failure where
nobody asked for it. Where it was asked for by name it is what the command was for: a status that says "all is well"
would be taken for its answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from scanner.counting import counted
from scanner.errors import UsageError
from scanner.jobs.rule_choice import matches

if TYPE_CHECKING:
    from scanner.policy import Policy
    from scanner.verdict import RunRecord

Named = Mapping[str, Sequence[str]]
"""What was asked for by name: an option, and the globs that it was given."""


def check_listed(named: Named, policies: Iterable[Policy]) -> None:
    """See, before anything is scanned, that some policy judges by what is named.

    Raises:
        UsageError: none lists a rule that a glob stands for, so that nothing could fail by it.
    """
    used = {policy.id: policy for policy in policies}
    for option, globs in named.items():
        for glob in globs:
            if not any(matches(rule, [glob]) for policy in used.values() for rule in policy.rules):
                which = f"{'policy' if len(used) == 1 else 'none of the policies'} {', '.join(used)}"
                judges = "does not judge" if len(used) == 1 else "judges"
                raise UsageError(f'{option} "{glob}": {which} {judges} by it (--policy chooses one that does)')


def check_judged(named: Named, record: RunRecord) -> None:
    """See that a stored run has verdicts of what is named.

    Raises:
        UsageError: it has none of a glob.
    """
    judged = {verdict.rule for verdict in record.verdicts}
    for option, globs in named.items():
        for glob in globs if judged else ():
            if not any(matches(rule, [glob]) for rule in judged):
                raise UsageError(f'{option} "{glob}": run {record.run.id} was not judged by it')


def unasked(record: RunRecord, named: Named) -> list[str]:
    """A sentence for each glob of which nothing was asked at some target: how many these are, and why."""
    said = []
    for option, globs in named.items():
        for glob in globs:
            reasons: list[str] = []
            for target in record.targets:
                verdicts = [verdict for verdict in target.verdicts if matches(verdict.rule, [glob])]
                if verdicts and all(verdict.not_asked for verdict in verdicts):
                    reasons.append(verdicts[0].message)
            if reasons:
                where = f"{len(reasons)} of {counted(len(record.targets), 'target')}"
                said.append(f"{option} {glob} was not judged at {where}: {' '.join(dict.fromkeys(reasons))}")
    return said
