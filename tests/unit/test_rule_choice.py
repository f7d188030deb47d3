"""Looking at part: what is left out is said, and decides nothing."""

from __future__ import annotations

import pytest

from scanner.errors import ExitStatus, UsageError
from scanner.jobs import exit_status
from scanner.jobs.rule_choice import RuleChoice, check_globs, matches
from scanner.verdict import Severity, Status
from tests.build.judged import judged_record

RECORD = judged_record(4).record
"""Fails in several rules, those of certificates among them."""


def test_what_is_skipped_is_said_not_to_have_been_asked() -> None:
    applied = RuleChoice(skip=("cert.*",)).applied(RECORD)

    for before, after in zip(RECORD.targets, applied.targets, strict=True):
        assert {verdict.rule for verdict in after.verdicts} == {verdict.rule for verdict in before.verdicts}
        left_out = [verdict for verdict in after.verdicts if verdict.rule.startswith("cert.")]
        assert {(verdict.status, verdict.reason) for verdict in left_out} <= {(Status.NOT_APPLICABLE, "not-asked")}
        assert all(verdict.message == "It was left out by --skip cert.*." for verdict in left_out)
        assert len(left_out) == len({verdict.rule for verdict in left_out}), "one for each rule"
        assert [item for item in after.verdicts if not item.rule.startswith("cert.")] == [
            item for item in before.verdicts if not item.rule.startswith("cert.")
        ]


def test_only_the_rules_that_are_named_are_judged() -> None:
    applied = RuleChoice(only=("proto.*", "cert.expiry"), skip=("proto.no-ssl2",)).applied(RECORD)

    judged = {verdict.rule for verdict in applied.verdicts if verdict.reason != "not-asked"}
    assert judged
    assert all(rule.startswith("proto.") or rule == "cert.expiry" for rule in judged)
    told = {verdict.rule: verdict.message for verdict in applied.verdicts if verdict.reason == "not-asked"}
    assert told["proto.no-ssl2"] == "It was left out by --skip proto.no-ssl2."
    assert told["https.hsts"] == "It was left out by --rule proto.* --rule cert.expiry."


def test_nothing_is_changed_where_nothing_is_chosen() -> None:
    assert RuleChoice().applied(RECORD) is RECORD


@pytest.mark.parametrize("choice", [{"only": ("cert.expirry",)}, {"skip": ("certs.*",)}])
def test_a_glob_for_no_rule_is_refused(choice: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(UsageError, match="there is no such rule"):
        RuleChoice(**choice)


def test_a_choice_that_takes_back_all_that_it_names_is_refused() -> None:
    """It would judge by nothing, and be a success."""
    with pytest.raises(UsageError, match="leaves out every rule"):
        RuleChoice(only=("cert.expiry", "cert.trusted"), skip=("cert.*",))

    assert RuleChoice(only=("cert.*",), skip=("cert.expiry",)).left_out_by("cert.trusted") is None
    assert RuleChoice(skip=("*",)).left_out_by("cert.trusted") == "--skip *", "to judge by nothing may be meant"


def test_a_glob_for_no_rule_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r'--fail-on-rule "cert.expirry": .*did you mean "cert.expiry"'):
        check_globs("--fail-on-rule", ["cert.*", "cert.expirry"])


def test_failures_of_the_named_rules_alone_decide_the_status() -> None:
    failing = {verdict.rule: verdict for verdict in RECORD.verdicts if verdict.counts_as_failure}
    low = next(rule for rule, verdict in failing.items() if verdict.severity < Severity.MEDIUM)
    undecided = {verdict.rule for verdict in RECORD.verdicts if verdict.status is Status.INDETERMINATE}
    passing = {verdict.rule for verdict in RECORD.verdicts} - failing.keys() - undecided

    assert exit_status.of(RECORD, Severity.CRITICAL, [low]) is ExitStatus.FAILED, "of whatever severity"
    assert exit_status.of(RECORD, Severity.INFO, [*passing]) is ExitStatus.NOT_ASSESSED, "not everything was seen"
    skipped = RuleChoice(skip=[low]).applied(RECORD)
    assert exit_status.of(skipped, Severity.INFO, [low]) is not ExitStatus.FAILED


def test_globs_are_of_whole_ids() -> None:
    assert matches("cert.expiry", ["cert.*"])
    assert not matches("cert.expiry", ["expiry"])
    assert not matches("Cert.expiry", ["cert.*"])
