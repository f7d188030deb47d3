"""A policy clause by clause: for the reviewer of a given standard, what covers each clause and how it came out."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from reports.language import told
from reports.view.index import Index, tally
from reports.view.model import Clause, PolicyView, TargetRef
from scanner.verdict import PolicyRef, Source, TargetResult, Verdict

if TYPE_CHECKING:
    from scanner.policy import Policy
    from scanner.rules import Rule

_DIGITS = re.compile(r"(\d+)")


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
        out_of_scope=tuple((item.clause, item.requirement, item.reason) for item in policy.out_of_scope)
        if policy
        else (),
        dropped=tuple(policy.dropped.items()) if policy else (),
    )


def _clauses(
    index: Index, targets: list[TargetResult], policy: Policy | None, rules: Mapping[str, Rule]
) -> tuple[Clause, ...]:
    sources = _sources(policy, rules)
    verdicts: dict[str, list[tuple[TargetResult, Verdict]]] = defaultdict(list)
    for target in targets:
        for verdict in target.verdicts:
            for source in verdict.sources:
                verdicts[source].append((target, verdict))
    clauses = []
    for text, placed in verdicts.items():
        clause_source = sources.get(text, Source(text))
        ids = dict.fromkeys(verdict.rule for _, verdict in placed)
        clauses.append(
            Clause(
                document=" ".join(part for part in (clause_source.document, clause_source.version) if part),
                clause=clause_source.clause,
                url=clause_source.url,
                rules=tuple((rule_id, told(rules[rule_id].title) if rule_id in rules else rule_id) for rule_id in ids),
                tally=tally(verdict for _, verdict in placed),
                worst_target=_worst(index, placed),
            )
        )
    return tuple(sorted(clauses, key=lambda item: (_natural(item.document), _natural(item.clause))))


def _sources(policy: Policy | None, rules: Mapping[str, Rule]) -> dict[str, Source]:
    """Every source that a verdict may name, by its text: the verdicts carry the text alone."""
    known = {str(source): source for rule in rules.values() for source in rule.sources}
    if policy is not None:
        known |= {str(source): source for rule in policy.rules.values() for source in rule.sources}
    return known


def _worst(index: Index, placed: list[tuple[TargetResult, Verdict]]) -> TargetRef | None:
    failing = [(target, verdict) for target, verdict in placed if verdict.counts_as_failure]
    if not failing:
        return None
    target, _ = max(failing, key=lambda item: item[1].severity.rank)
    return index.ref(target)


def _natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """A key by which `4.10` sorts after `4.9`."""
    parts = (part for part in _DIGITS.split(text.casefold()) if part)
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)
