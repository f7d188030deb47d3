"""Each row of a standard's clause table, worked out once more from the verdicts of the rules that it names."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest

from reports.view import build_view
from reports.view.clause_model import Clause, ClauseOutcome, PolicyView
from scanner.rules import all_rules
from scanner.verdict import CountedAs, Status, Verdict
from tests.build.judged import WAIVERS, Judged, judged_record

STANDARDS = ("pci-dss-4.0.1", "nist-sp800-52r2")
NIGHTS = (1, 3, 4)


def table(judged: Judged) -> PolicyView:
    view = build_view(
        judged.record,
        rules=all_rules(),
        environments=judged.environments,
        policies=judged.policies,
        waivers=WAIVERS,
    )
    (policy,) = view.policies
    return policy


def demands(judged: Judged, clause: Clause) -> list[str]:
    """The rules that the policy names for a clause, as its file says it."""
    (policy,) = {policy.id: policy for policy in judged.policies.values()}.values()
    wanted = f"{clause.document} {clause.clause}"
    found = []
    for listed in policy.rules.values():
        for source in listed.sources or all_rules()[listed.id].sources:
            document = " ".join(filter(None, (source.document, source.version)))
            parts = [re.sub(r"\s*\((?:number )?unverified\)", "", part) for part in source.clause.split("; ")]
            if wanted in {f"{document} {part.strip()}" for part in parts}:
                found.append(listed.id)
    return list(dict.fromkeys(found))


def looked(verdict: Verdict) -> bool:
    if verdict.status is Status.NOT_APPLICABLE:
        return verdict.reason not in {"not-asked", "not-stated"}
    return verdict.status is not Status.INDETERMINATE


def true_outcome(by_rule: dict[str, list[Verdict]]) -> ClauseOutcome:
    """In the words of the reports' page: not met, else partly or not looked at, else waived, advised, met."""
    everything = [verdict for verdicts in by_rule.values() for verdict in verdicts]
    kinds = {verdict.counted_as for verdict in everything}
    if CountedAs.NOT_MET in kinds:
        return ClauseOutcome.NOT_MET
    without_look = [rule for rule, verdicts in by_rule.items() if not any(map(looked, verdicts))]
    applying = [rule for rule, verdicts in by_rule.items() if not does_not_apply(verdicts)]
    if without_look and set(applying) <= set(without_look):
        return ClauseOutcome.NOT_LOOKED_AT
    if without_look or not all(map(looked, everything)):
        return ClauseOutcome.PARTLY_LOOKED_AT
    for kind, outcome in (
        (CountedAs.WAIVED, ClauseOutcome.WAIVED),
        (CountedAs.NOTE, ClauseOutcome.ADVISED),
        (CountedAs.MET, ClauseOutcome.MET),
    ):
        if kind in kinds:
            return outcome
    return ClauseOutcome.NOT_APPLICABLE


def does_not_apply(verdicts: Iterable[Verdict]) -> bool:
    found = list(verdicts)
    return bool(found) and all(item.status is Status.NOT_APPLICABLE and looked(item) for item in found)


@pytest.mark.parametrize("night", NIGHTS)
@pytest.mark.parametrize("standard", STANDARDS)
def test_each_row_is_true_of_its_rules_verdicts(standard: str, night: int) -> None:
    judged = judged_record(night, standard)
    policy = table(judged)
    assert len(policy.clauses) > 5
    for clause in policy.clauses:
        rules = demands(judged, clause)
        by_rule = {rule: [verdict for verdict in judged.record.verdicts if verdict.rule == rule] for rule in rules}
        assert {item.rule for item in clause.rules} == set(rules), clause
        assert clause.outcome is true_outcome(by_rule), (clause.document, clause.clause, by_rule)
        assert clause.not_looked_at == sum(not looked(item) for verdicts in by_rule.values() for item in verdicts)
        for item in clause.rules:
            assert item.outcome is true_outcome({item.rule: by_rule[item.rule]}), (clause.clause, item.rule)
    assert policy.looked_at == sum(item.outcome is not ClauseOutcome.NOT_LOOKED_AT for item in policy.clauses)
    assert policy.named == len(policy.clauses) + len(policy.out_of_scope)


def test_the_nights_have_rows_of_several_outcomes() -> None:
    """Otherwise the test above would say little."""
    found = {
        clause.outcome
        for standard in STANDARDS
        for night in NIGHTS
        for clause in table(judged_record(night, standard)).clauses
    }
    assert found >= {ClauseOutcome.NOT_MET, ClauseOutcome.PARTLY_LOOKED_AT, ClauseOutcome.MET}
