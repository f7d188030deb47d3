"""A policy clause by clause: for the reviewer of a given standard, what covers each clause and how it came out."""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from reports.language import told
from reports.view.clause_model import Clause, ClauseOutcome, PolicyView, RuleOutcome, UnseenClause
from reports.view.index import Index, tally
from reports.view.standing import Tally, together
from scanner.verdict import PolicyRef, Source, Status, TargetResult, Verdict

if TYPE_CHECKING:
    from scanner.policy import OutOfScope, Policy
    from scanner.rules import Rule

_Placed = tuple[TargetResult, Verdict]

_DIGITS: Final = re.compile(r"(\d+)")
_UNVERIFIED: Final = re.compile(r"\s*\((?:number )?unverified\)")
NOT_LOOKED_AT: Final = frozenset({"not-asked", "not-stated"})
"""Reasons of a verdict that does not apply although the rule asks something: `not-stated` is of older runs' staples."""


def policies_of(
    index: Index, policies: Mapping[str, Policy] | None, rules: Mapping[str, Rule]
) -> tuple[PolicyView, ...]:
    """Every policy that judged something in the run, the configuration's own first."""
    judged: dict[PolicyRef, list[TargetResult]] = {index.record.run.policy: []}
    for target in index.record.targets:
        judged.setdefault(target.policy, []).append(target)
    known = {policy.ref: policy for policy in (policies or {}).values()}
    return tuple(
        _policy(index, ref, targets, known.get(ref), rules)
        for ref, targets in judged.items()
        if targets or len(judged) == 1
    )


def _policy(
    index: Index, ref: PolicyRef, targets: list[TargetResult], policy: Policy | None, rules: Mapping[str, Rule]
) -> PolicyView:
    return PolicyView(
        ref=ref,
        environments=tuple(dict.fromkeys(target.environment for target in targets)),
        clauses=_clauses(index, targets, policy, rules),
        description=policy.description if policy else "",
        url=policy.url if policy else "",
        out_of_scope=tuple(_unseen(item) for item in policy.out_of_scope) if policy else (),
        dropped=tuple(policy.dropped.items()) if policy else (),
    )


def _unseen(item: OutOfScope) -> UnseenClause:
    clause, verified = _name_of(item.clause)
    return UnseenClause(clause, item.requirement, item.reason, verified)


def _clauses(
    index: Index, targets: list[TargetResult], policy: Policy | None, rules: Mapping[str, Rule]
) -> tuple[Clause, ...]:
    sources = _sources(policy, rules)
    placed: dict[tuple[str, str], dict[str, list[_Judged]]] = defaultdict(lambda: defaultdict(list))
    named: dict[tuple[str, str], dict[Source, None]] = defaultdict(dict)
    parts_of: dict[str, list[tuple[tuple[str, str], Source]]] = {}
    # What the policy lists and nothing was judged by is not left out: it is a clause that nobody looked at.
    for listed in policy.rules.values() if policy else ():
        rule = rules.get(listed.id)
        for source in listed.sources or (rule.sources if rule else ()):
            for part in _parts(source):
                named[_key(part)][part] = None
                placed[_key(part)].setdefault(listed.id, [])
    for (rule_id, texts), group in _grouped(targets).items():
        judged = _judged(group)
        for text in texts:
            if text not in parts_of:
                parts_of[text] = [(_key(part), part) for part in _parts(sources.get(text, Source(text)))]
            for key, part in parts_of[text]:
                named[key][part] = None
                placed[key][rule_id].append(judged)
    found = [_clause(index, [*named[key]], by_rule, rules) for key, by_rule in placed.items()]
    return tuple(sorted(found, key=lambda item: (_natural(item.document), _natural(item.clause))))


def _grouped(targets: list[TargetResult]) -> dict[tuple[str, tuple[str, ...]], list[_Placed]]:
    """The verdicts of each rule that name the same sources: these are looked up and counted for all of them at once."""
    groups: dict[tuple[str, tuple[str, ...]], list[_Placed]] = defaultdict(list)
    for target in targets:
        for verdict in target.verdicts:
            groups[verdict.rule, verdict.sources].append((target, verdict))
    return groups


class _Judged(Struct, frozen=True):
    """Verdicts of one rule, counted: how many rest on nothing that was observed, and the first of the gravest."""

    counts: Tally
    unseen: int
    worst: _Placed | None


def _judged(placed: list[_Placed]) -> _Judged:
    verdicts = [verdict for _, verdict in placed]
    counts = tally(verdicts)
    unknown = counts.indeterminate or counts.not_applicable
    unseen = sum(not was_looked_at(verdict) for verdict in verdicts) if unknown else 0
    failing = [item for item in placed if item[1].counts_as_failure] if counts.failed or counts.notes else ()
    return _Judged(counts, unseen, max(failing, key=_rank, default=None))


def _clause(
    index: Index, named: list[Source], by_rule: Mapping[str, list[_Judged]], rules: Mapping[str, Rule]
) -> Clause:
    outcomes = tuple(_rule_outcome(rule_id, judged, rules) for rule_id, judged in by_rule.items())
    everything = [item for judged in by_rule.values() for item in judged]
    worst = max((item.worst for item in everything if item.worst is not None), key=_rank, default=None)
    document, clause = _key(named[0])
    return Clause(
        document=document,
        clause=clause,
        url=named[0].url,
        rules=outcomes,
        outcome=_together([item.outcome for item in outcomes]),
        tally=together(item.counts for item in everything),
        worst_target=index.ref(worst[0]) if worst is not None else None,
        verified=all(_name_of(source.clause)[1] for source in named),
    )


def _rule_outcome(rule_id: str, judged: list[_Judged], rules: Mapping[str, Rule]) -> RuleOutcome:
    counts = together(item.counts for item in judged)
    unseen = sum(item.unseen for item in judged)
    if counts.failed:
        outcome = ClauseOutcome.NOT_MET
    elif unseen or not counts.total:
        outcome = ClauseOutcome.PARTLY_LOOKED_AT if unseen < counts.total else ClauseOutcome.NOT_LOOKED_AT
    elif counts.waived:
        outcome = ClauseOutcome.WAIVED
    elif counts.notes:
        outcome = ClauseOutcome.ADVISED
    else:
        outcome = ClauseOutcome.MET if counts.passed else ClauseOutcome.NOT_APPLICABLE
    return RuleOutcome(rule_id, told(rules[rule_id].title) if rule_id in rules else rule_id, outcome, counts, unseen)


def _together(outcomes: list[ClauseOutcome]) -> ClauseOutcome:
    """A clause's outcome: its gravest rule's; looked at in part as soon as any of its rules was, and others not."""
    applying = set(outcomes) - {ClauseOutcome.NOT_APPLICABLE}
    if ClauseOutcome.NOT_LOOKED_AT in applying and applying != {ClauseOutcome.NOT_LOOKED_AT}:
        applying.add(ClauseOutcome.PARTLY_LOOKED_AT)
    return next((outcome for outcome in ClauseOutcome if outcome in applying), ClauseOutcome.NOT_APPLICABLE)


def was_looked_at(verdict: Verdict) -> bool:
    """Whether a verdict rests on something that was observed.

    What is not known does not, nor what does not apply only because nothing was asked, or nothing said so.
    """
    if verdict.status is Status.INDETERMINATE:
        return False
    return verdict.status is not Status.NOT_APPLICABLE or verdict.reason not in NOT_LOOKED_AT


def _parts(source: Source) -> list[Source]:
    """The clauses that one source names: `4.2.1, strength; Appendix G` are two, and each has its own outcome."""
    return [dataclasses.replace(source, clause=part) for part in source.clause.split("; ")]


def _key(source: Source) -> tuple[str, str]:
    document = " ".join(part for part in (source.document, source.version) if part)
    return document, _name_of(source.clause)[0]


def _name_of(clause: str) -> tuple[str, bool]:
    """A clause's name without the note that its number was not verified, and whether that note was missing."""
    name = _UNVERIFIED.sub("", clause)
    return name.strip(), name == clause


def _sources(policy: Policy | None, rules: Mapping[str, Rule]) -> dict[str, Source]:
    """Every source that a verdict may name, by its text: the verdicts carry the text alone."""
    known = {str(source): source for rule in rules.values() for source in rule.sources}
    if policy is not None:
        known |= {str(source): source for rule in policy.rules.values() for source in rule.sources}
    return known


def _rank(placed: _Placed) -> int:
    return placed[1].severity.rank


def _natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """A key by which `4.10` sorts after `4.9`."""
    parts = (part for part in _DIGITS.split(text.casefold()) if part)
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)
