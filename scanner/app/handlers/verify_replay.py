"""The evidence of a report judged again, by the policy that travels with it or by another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from scanner.app.handlers.lines import line
from scanner.counting import counted
from scanner.errors import UsageError
from scanner.jobs.evidence_file import EvidenceFile, VerdictDifference, judge_again, read_evidence_file
from scanner.policy import load
from scanner.untrusted import printable

if TYPE_CHECKING:
    from reports.export.json.v1_model import Report
    from scanner.verdict import Verdict

_SHOWN: Final = 20
"""Differing verdicts that are listed."""


def replayed(data: bytes | None, report: Report | None, policy_name: str | None) -> tuple[list[str], list[str]]:
    """Judge again; lines to print, and what is wrong. By another policy, other verdicts are no fault, and are lines.

    Raises:
        UsageError: there is no evidence to judge, or it cannot be read or contradicts itself.
        PolicyError: there is no such policy, or it cannot be bound.
    """
    if data is None:
        raise UsageError("no evidence is attached that could be judged again: reports of 0.1 carry none")
    file = read_evidence_file(data)
    problems = list(_other_run(file, report)) if report is not None else []
    other = load(policy_name) if policy_name else None
    found = judge_again(file, other)
    policies = {f"{printable(item.id)} {printable(item.version)}" for item in file.policies.values()}
    by = f"{other.id} {other.version}" if other else ", ".join(sorted(policies))
    told = [
        line("Replayed", f"{counted(found.compared, 'verdict')} of {counted(len(file.targets), 'target')}, by {by}")
    ]
    if found.not_judgeable:
        told.append(line("Left out", f"{counted(found.not_judgeable, 'verdict')} that rest on settings not recorded"))
    if file.lost:
        told.append(line("Left out", f"{counted(len(file.lost), 'target')} whose evidence or policy was not kept"))
    if other is not None:
        kinds = Counter(_kind(item) for item in found.differences)
        said = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items())) or "the same verdicts"
        # What only one of the policies asks is counted: a list of it would hide what both ask and answer otherwise.
        asked_by_both = [item for item in found.differences if item.then is not None and item.now is not None]
        return [*told, line("Outcome", said), *(f"  {item}" for item in _listed(asked_by_both))], problems
    listed = _listed(found.differences)
    told.append(line("Outcome", "the same verdicts" if not found.differences else "other verdicts"))
    return told, [*problems, *listed]


def _listed(differences: Sequence[VerdictDifference]) -> list[str]:
    rest = len(differences) - _SHOWN
    return [*map(_said, differences[:_SHOWN]), *([f"and {rest} more"] if rest > 0 else [])]


def _other_run(file: EvidenceFile, report: Report) -> Iterator[str]:
    """Where the evidence is not that of the report, or carries other verdicts than it."""
    if file.run_id != report.run.id:
        yield f"the evidence is of run {printable(file.run_id)}, the data are of run {printable(report.run.id)}"
        return
    given = {
        target.id: {(one.rule, one.subject, one.status, one.reason) for one in target.verdicts}
        for target in report.targets
    }
    for item in file.targets:
        here = {(one.rule, one.subject, one.status.value, one.reason) for one in item.verdicts}
        if given.get(item.target.id) != here:
            yield f"the evidence and the data have other verdicts for {printable(item.target.id)}"


def _said(item: VerdictDifference) -> str:
    subject = f" {printable(item.subject)}" if item.subject else ""
    where = f"{printable(item.target)}: {printable(item.rule)}{subject}"
    return f"{where}: {_verdict(item.then)} then, {_verdict(item.now)} now"


def _verdict(verdict: Verdict | None) -> str:
    if verdict is None:
        return "not judged"
    return f"{verdict.counted_as} ({printable(verdict.reason)}, {verdict.severity})"


def _kind(item: VerdictDifference) -> str:
    then, now = (verdict.counted_as if verdict else "not judged" for verdict in (item.then, item.now))
    return f"{then} → {now}" if then != now else f"{then} for another reason or severity"
