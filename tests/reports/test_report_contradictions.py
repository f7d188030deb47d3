"""Whatever comes out of a run: nothing inside one report contradicts anything else in it.

The verdicts of built runs are changed at will, each to something that its rule can say, and accepted or not; the reports
of what comes out must agree with the verdicts, and with each other.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import io
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta

import pandas as pd
from hypothesis import Phase, example, given, seed, settings
from hypothesis import strategies as st
from junitparser import Error, Failure, JUnitXml
from lxml import html

from reports.export.csv import to_csv
from reports.export.json.v1 import to_json
from reports.export.junit import to_junit
from reports.export.sarif import to_sarif
from reports.render import render_html
from reports.text import render_text
from reports.view import ReportView
from reports.view.clause_model import ClauseOutcome
from reports.view.history import HistoryAnswers, history_of
from reports.view.index import Index
from scanner.rules import all_rules
from scanner.verdict import (
    AppliedWaiver,
    CountedAs,
    Goal,
    RunRecord,
    Severity,
    Status,
    TargetResult,
    TargetStatus,
    Verdict,
)
from tests.build.judged import counts_by_hand, judged_record, judged_view

RULES = all_rules()
OF_A_PATH = {"https.path", "https.integration", "https.client-certificate"}
"""Rules that speak of a path; where they name none, none is required, and nothing can fail."""
NOTHING = pd.DataFrame(
    columns=["environment", "run_started_at", "run_id", "targets", "assessed", "partial", "unreachable"]
)
"""What a history answers that knows nothing."""
WAIVER = AppliedWaiver("planned", "qa", date(2027, 1, 1))
_NUMBER = r"([\d,]*\d)"
_COUNTS = re.compile(
    rf"{_NUMBER} not met(?: \([^)]*\))?\W+{_NUMBER} notes?\W+{_NUMBER} waived\W+{_NUMBER} not assessed\W+{_NUMBER} met\W+"
    rf"{_NUMBER} do(?:es)? not apply"
)


def changed(verdict: Verdict, paths: list[str], rng: random.Random) -> Verdict:
    """The verdict as it was, or another one that its rule could give."""
    rule = RULES[verdict.rule]
    if rng.random() < 0.5 or (verdict.rule in OF_A_PATH and not verdict.subject):
        return verdict
    slug = rng.choice(sorted(rule.reasons))
    status = rule.reasons[slug].status
    shown = ", ".join(f"{path}: 200" for path in rng.sample(paths, k=rng.randint(0, len(paths))))
    return dataclasses.replace(
        verdict,
        status=status,
        reason=slug,
        severity=rng.choice(list(Severity)),
        message=f"{verdict.rule} says {slug}.",
        observed=shown or "something",
        waiver=WAIVER if status is Status.FAIL and rng.random() < 0.3 else None,
    )


@functools.cache
def record_of(number: int) -> RunRecord:
    """A built run, changed at will: the same of the same number."""
    rng = random.Random(number)  # noqa: S311  # a choice of examples
    record = judged_record(4 if number % 2 else 0).record

    def target(item: TargetResult) -> TargetResult:
        paths = sorted({verdict.subject for verdict in item.verdicts if verdict.subject.startswith("/")} | {"/"})
        return dataclasses.replace(item, verdicts=tuple(changed(verdict, paths, rng) for verdict in item.verdicts))

    return dataclasses.replace(record, targets=tuple(map(target, record.targets)))


@functools.cache
def view_of(number: int) -> ReportView:
    return judged_view(record_of(number))


numbers = st.integers(0, 2**32)
same_runs = (lambda test: test) if settings.default is settings.get_profile("fuzz") else seed(4)
"""For tests that look at the same runs: each is changed, and its report made, once for all of them."""
AS_FOUND = (Phase.explicit, Phase.generate)
"""A smaller number is no simpler run."""


def placed(record: RunRecord) -> Iterator[tuple[TargetResult, Verdict]]:
    return ((target, verdict) for target in record.targets for verdict in target.verdicts)


def clauses_contradicting(record: RunRecord, view: ReportView) -> list[str]:
    """Clauses that come out better than a verdict of theirs."""
    found = []
    told = {(clause.document, clause.clause): clause.outcome for policy in view.policies for clause in policy.clauses}
    findings = {cause.rule for cause in view.causes}
    if ("cert.valid-now", "expired") in {(cause.rule, cause.reason) for cause in view.causes}:
        findings.add("cert.expiry")  # its failure is told there
    for policy in view.policies:
        for clause in policy.clauses:
            kinds = {
                verdict.counted_as
                for _, verdict in placed(record)
                if verdict.rule in {item.rule for item in clause.rules}
                and any(source.startswith(clause.document) and clause.clause in source for source in verdict.sources)
            }
            outcome = told[clause.document, clause.clause]
            if outcome is ClauseOutcome.MET and kinds - {CountedAs.MET, CountedAs.DOES_NOT_APPLY}:
                found.append(f"{clause.document} {clause.clause} is met beside {sorted(kinds)}")
            if CountedAs.NOT_MET in kinds and outcome is not ClauseOutcome.NOT_MET:
                found.append(f"{clause.document} {clause.clause} is {outcome} beside a finding")
            if outcome is ClauseOutcome.NOT_MET and not {item.rule for item in clause.rules} & findings:
                found.append(f"{clause.document} {clause.clause} is not met without a finding")
    return found


def rows_contradicting(record: RunRecord, view: ReportView) -> list[str]:
    """Places that are met in the matrix although a finding under enforcement names them, and findings without a place."""
    found = []
    rows = [(ref.id, row) for matrix in view.matrices for row in matrix.rows for ref in row.targets]
    for target, verdict in placed(record):
        if verdict.goal is not Goal.ENFORCEMENT or verdict.counted_as is not CountedAs.NOT_MET:
            continue
        mine = [row for name, row in rows if name == target.id]
        worst = [row for row in mine if row.status is Status.FAIL and not row.waived]
        if mine and not worst:
            found.append(f"{target.id}: {verdict.rule} {verdict.subject} fails, and no place is not met")
        here = [row for row in mine if verdict.subject.startswith("/") and row.place.endswith(verdict.subject)]
        found += [f"{row.place} is {row.status} beside {verdict.rule}" for row in here if row.status is not Status.FAIL]
    return found


@same_runs
@settings(max_examples=20, phases=AS_FOUND)
@example(657253)  # one address of a name waived and the other not: the row of both was waived
@example(661021)
@example(993)  # a certificate that has ended failed one rule as a note, and the other as a finding that was not told
@example(122)  # a clause of one of the two rules, and the finding was of the other
@given(numbers)
def test_no_clause_and_no_place_is_better_than_what_was_found(number: int) -> None:
    assert clauses_contradicting(record_of(number), view_of(number)) == []
    assert rows_contradicting(record_of(number), view_of(number)) == []


@same_runs
@settings(max_examples=20, phases=AS_FOUND)
@given(numbers)
def test_each_failure_is_told_in_one_finding(number: int) -> None:
    """No failure that no waiver accepts is left out, and a certificate that has ended is one finding and not two."""
    record, view = record_of(number), view_of(number)
    findings = (*view.causes, *view.notes)
    told = Counter((cause.rule, cause.reason, target.id) for cause in findings for target in cause.targets)
    assert set(told.values()) <= {1, 2}, "as a finding, and as a note"
    wanted = set()
    for target in record.targets:
        failing = [verdict for verdict in target.verdicts if verdict.counts_as_failure]
        ended = {
            verdict.subject: verdict.severity
            for verdict in failing
            if (verdict.rule, verdict.reason) == ("cert.valid-now", "expired")
        }
        wanted |= {
            (verdict.rule, verdict.reason, target.id)
            for verdict in failing
            if (verdict.rule, verdict.reason) != ("cert.expiry", "expired")
            or verdict.subject not in ended
            # A finding is not told by a note.
            or (ended[verdict.subject] is Severity.INFO and verdict.severity is not Severity.INFO)
        }
    assert set(told) == wanted
    assert [cause.label for cause in findings] == [f"F{place}" for place in range(1, len(findings) + 1)]


def counted(text: str) -> dict[str, int]:
    """The six numbers where they first stand together."""
    found = _COUNTS.search(" ".join(text.split()))
    assert found, text[:1000]
    names = ("not_met", "notes", "waived", "not_assessed", "met", "does_not_apply")
    return {name: int(number.replace(",", "")) for name, number in zip(names, found.groups(), strict=True)}


@same_runs
@settings(max_examples=4, phases=AS_FOUND)
@given(numbers)
def test_every_format_counts_alike(number: int) -> None:
    record = record_of(number)
    wanted = counts_by_hand(record)
    page = html.fromstring(render_html(view_of(number)).encode()).get_element_by_id("summary").text_content()
    assert counted(page) == wanted
    assert counted(render_text(record, rules=RULES)) == wanted

    summary = json.loads(to_json(record))["summary"]
    others = {"not_assessed": "indeterminate", "met": "pass", "does_not_apply": "not_applicable"}
    assert {name: summary[others.get(name, name)] for name in wanted} == wanted

    rows = Counter(row["counted_as"] for row in csv.DictReader(io.StringIO(to_csv(record, rules=RULES), newline="")))
    assert {name: rows["note" if name == "notes" else name.replace("_", "-")] for name in wanted} == wanted

    reached = RunRecord(record.run, tuple(t for t in record.targets if t.status is not TargetStatus.UNREACHABLE))
    suites = JUnitXml.fromstring(to_junit(record).encode())
    results = [result for suite in suites for case in suite for result in case.result]
    assert sum(isinstance(item, Failure) for item in results) == counts_by_hand(reached)["not_met"]
    silent = len(record.targets) - len(reached.targets)
    assert sum(isinstance(item, Error) for item in results) == counts_by_hand(reached)["not_assessed"] + silent

    log = json.loads(to_sarif(record, rules=RULES))
    kinds = [(item["kind"], "suppressions" in item, item["level"]) for run in log["runs"] for item in run["results"]]
    mine = counts_by_hand(reached)
    assert sum(kind == "fail" and not waived for kind, waived, _ in kinds) == mine["not_met"] + mine["notes"]
    assert sum(waived for _, waived, _ in kinds) == mine["waived"]
    assert sum(kind == "open" for kind, _, _ in kinds) == mine["not_assessed"]


@same_runs
@settings(max_examples=20, phases=AS_FOUND)
@given(numbers)
def test_findings_stand_in_the_order_in_which_they_began(number: int) -> None:
    """What a list leaves out began no earlier than what it shows, and no place of a finding before the finding."""
    record, view = record_of(number), view_of(number)
    started, rng = record.run.started_at, random.Random(number)  # noqa: S311  # a choice of examples
    failing = sorted({(target.endpoint, item.rule) for target, item in placed(record) if item.counts_as_failure})
    known = {key: started - timedelta(minutes=rng.randrange(5000)) for key in failing if rng.random() < 0.7}
    frame = pd.DataFrame(
        [(*key, moment) for key, moment in known.items()], columns=["endpoint", "rule", "since"]
    ).astype({"since": "datetime64[us, UTC]"})
    begun = dict.fromkeys(record.run.environments, started - timedelta(minutes=4000))
    answers = HistoryAnswers(
        earlier=3, first=started, begun=begun, difference=None, failing_since=frame, mean_time_to_fix=NOTHING,
        differing_addresses=NOTHING, coverage=NOTHING, trend=NOTHING,
    )  # fmt: skip
    past = history_of(Index.of(record), answers, view.causes, RULES)

    assert [item.since for item in past.open_since] == sorted(item.since for item in past.open_since)
    assert len(past.open_since) == len(view.causes)
    for item in past.open_since:
        (cause,) = [cause for cause in view.causes if cause.anchor == item.anchor]
        began = [known.get((target.endpoint, cause.rule), started) for target in cause.targets]
        assert (item.since, item.latest, item.lasted) == (min(began), max(began), started - min(began))
