"""What was asked for by name and not judged is said, and is no success."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from reports.text import render_text
from scanner.config.loading import parse
from scanner.errors import ExitStatus, UsageError
from scanner.jobs import exit_status
from scanner.jobs.named_rules import check_judged, check_listed, unasked
from scanner.jobs.policies import load_policy
from scanner.jobs.reporting import policies_of
from scanner.jobs.rule_choice import RuleChoice
from scanner.verdict import NOT_ASKED, RunRecord, Severity, Status, TargetResult
from tests.build.judged import judged_record

_WHY = "The configuration does not allow the query: probes that look like attacks are switched off (intrusive)."
ATTACKS = {"vuln.heartbleed", "vuln.robot"}


def met(target: TargetResult, unasked_rules: set[str]) -> TargetResult:
    """A target where all is met, but for rules that nobody asked."""
    verdicts = tuple(
        dataclasses.replace(verdict, status=Status.NOT_APPLICABLE, reason=NOT_ASKED, message=_WHY)
        if verdict.rule in unasked_rules
        else dataclasses.replace(verdict, status=Status.PASS)
        for verdict in target.verdicts
    )
    return target.judged(verdicts)


def record(*unasked_at: set[str]) -> RunRecord:
    made = judged_record(4).record
    assessed = [target for target in made.targets if target.status.value == "assessed"][: len(unasked_at)]
    targets = tuple(map(met, assessed, unasked_at))
    return dataclasses.replace(made, targets=targets)


@pytest.mark.parametrize("option", ["--rule", "--fail-on-rule"])
def test_a_rule_that_is_named_and_not_asked_is_said_and_no_success(option: str) -> None:
    run = record(ATTACKS, set())
    assert unasked(run, {option: ["vuln.robot", "cert.*"]}) == [
        f"{option} vuln.robot was not judged at 1 of 2 targets: {_WHY}"
    ]
    failing, asked = (["vuln.robot"], []) if option == "--fail-on-rule" else ([], ["vuln.robot"])
    assert exit_status.of(run, Severity.INFO, failing, asked) is ExitStatus.NOT_ASSESSED
    assert exit_status.of(record(set()), Severity.INFO, failing, asked) is ExitStatus.OK


def test_a_glob_of_which_something_was_judged_is_answered() -> None:
    run = record(ATTACKS)
    assert unasked(run, {"--rule": ["vuln.*"]}) == []
    assert exit_status.of(run, Severity.INFO, (), ["vuln.*"]) is ExitStatus.OK


def test_what_was_left_out_without_being_named_is_no_gap() -> None:
    assert exit_status.of(record(ATTACKS), Severity.INFO) is ExitStatus.OK


def test_text_tells_what_was_left_out_and_why() -> None:
    run = record(ATTACKS)
    for verbose in (False, True):
        text = " ".join(render_text(run, rules={}, verbose=verbose).split())
        assert f"– not checked {_WHY.removesuffix('.')}: vuln.heartbleed, vuln.robot" in text
    some = RuleChoice(only=("cert.*",)).applied(run)
    others = len({verdict.rule for verdict in run.verdicts if not verdict.rule.startswith("cert.")})
    text = " ".join(render_text(some, rules={}).split())
    assert f"– not checked left out by --rule cert.*: {others} rules" in text


def test_a_rule_that_no_policy_lists_is_refused_before() -> None:
    modern, default = load_policy("mozilla-modern"), load_policy("https-by-default")
    for option in ("--rule", "--fail-on-rule"):
        with pytest.raises(UsageError, match=rf'{option} "dns.caa": policy mozilla-modern does not judge by it'):
            check_listed({option: ["proto.*", "dns.caa"]}, [modern])
        check_listed({option: ["proto.*", "dns.caa"]}, [modern, default])


def test_what_a_stored_run_was_not_judged_by_is_refused() -> None:
    run = record(set())
    with pytest.raises(UsageError, match=r'--rule "headers.csp": run .* was not judged by it'):
        check_judged({"--rule": ["cert.*", "headers.csp"]}, run)
    check_judged({"--rule": ["cert.*"]}, run)


def test_a_rule_whose_failure_decides_is_asked_for() -> None:
    """Where the policy has none of what is named; a glob that it has something of is not widened."""
    default = load_policy("https-by-default")
    choice = RuleChoice()
    assert choice.with_those_named(default, failing=["vuln.*", "cert.expiry"]) is default
    wider = choice.with_those_named(default, failing=["vuln.ticketbleed", "headers.*"])
    assert {"vuln.ticketbleed", "headers.csp"} <= {*wider.rules} - {*default.rules}


def test_a_run_of_several_policies_adds_what_is_named_to_each() -> None:
    modern, default = load_policy("mozilla-modern"), load_policy("https-by-default")
    wider = RuleChoice(only=("vuln.breach", "cert.*")).widening([modern, default])
    for policy in (modern, default):
        assert {*wider(policy).rules} - {*policy.rules} == {"vuln.breach"}
        assert wider(policy).digest != policy.digest


def test_a_rule_that_one_policy_of_the_run_lists_is_not_added_to_the_others_because_its_failure_decides() -> None:
    default = load_policy("https-by-default")
    listing = RuleChoice(only=("vuln.breach",)).with_those_named(default)
    failing = ["vuln.breach"]
    assert RuleChoice().widening([listing, default], failing)(default) is default
    assert "vuln.breach" in RuleChoice().widening([default], failing)(default).rules


def test_the_report_of_a_run_that_judged_by_more_finds_its_policy() -> None:
    """A rule that was named is not in the policy's file; its digest is of the policy that the run judged by."""
    plain = judged_record(4).record
    config = parse("", source="config.toml", folder=Path())
    (as_listed,) = policies_of(config, plain)
    wider = RuleChoice(only=("vuln.breach", "headers.csp")).with_those_named(as_listed)
    assert wider.digest != as_listed.digest

    first, *others = plain.targets
    named = [dataclasses.replace(first.verdicts[0], rule=rule) for rule in ("vuln.breach", "headers.csp")]
    run = dataclasses.replace(plain.run, policy=wider.ref)
    found = policies_of(config, RunRecord(run, (first.judged((*first.verdicts, *named)), *others)))
    assert found == [wider]
    assert policies_of(config, RunRecord(run, plain.targets)) == [], "another policy than it was is none of the run's"
