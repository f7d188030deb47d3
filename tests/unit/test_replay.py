"""Stored runs judged again: what differs is told apart by policy, server and date, and nothing is made up."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import pytest
from msgspec import structs

from scanner import policy
from scanner.evidence import Attempt, Staple
from scanner.history.attribution import ChangeCause
from scanner.inventory import Application, ApplicationKind, EnvironmentKind, Inventory, Role
from scanner.policy import Policy
from scanner.replay import NOT_RECORDED, Judge, Replay, replay
from scanner.replay.recorded import BY_APPLICATION, BY_ENVIRONMENT, BY_INVENTORY, recorded
from scanner.rules import Facts, Rule, all_rules
from scanner.verdict import RunRecord, Status, TargetStatus, Trigger
from tests.build.facts import facts
from tests.build.judged import WAIVERS, judged_record
from tests.build.rule_cases import CASES

DEFAULT = policy.load("https-by-default")
MODERN = policy.load("mozilla-modern")
KNOWN: Mapping[str, Policy] = MappingProxyType({DEFAULT.digest: DEFAULT, MODERN.digest: MODERN})
LATER = datetime(2027, 3, 15, tzinfo=UTC)


def night(number: int) -> RunRecord:
    """A run as the real rules judged it when it was over."""
    record = judged_record(number).record
    run = dataclasses.replace(record.run, finished_at=record.run.started_at)
    return RunRecord(run, record.targets)


def inventory(_digest: str = "") -> Inventory:
    """The configuration of all nights. The last has every target that any of them has."""
    return Inventory(tuple(judged_record(4).environments.values()))


def judged(*records: RunRecord, by: Policy = MODERN, **options: Any) -> Replay:
    return replay(records, Judge(by, WAIVERS, inventory), known=KNOWN, **options)


def rules(changes: Any) -> set[str]:
    return {change.rule for change in changes}


def test_the_same_policy_at_the_same_time_says_the_same() -> None:
    again = judged(night(4), by=DEFAULT)

    assert again.by_rules is not None
    assert not again.by_rules.changed
    assert not again.by_policy.changed
    assert [target.verdicts for target in again.record.targets] == [target.verdicts for target in night(4).targets]
    assert again.by_server is again.by_date is None


def test_another_policy_is_to_blame_for_what_the_same_evidence_is_judged_otherwise() -> None:
    again = judged(night(4))

    assert "proto.no-tls1.2" in rules(again.by_policy.new_failures)
    assert "cert.trusted" in rules(again.by_policy.no_longer_judged)
    assert {change.cause for change in again.by_policy.new_failures} == {ChangeCause.POLICY}
    assert {target.policy.digest for target in again.record.targets} == {MODERN.digest}


def test_what_the_servers_changed_is_told_apart() -> None:
    again = judged(night(1), night(4))

    assert again.by_server is not None
    assert {change.cause for change in again.by_server.new_failures} == {ChangeCause.SERVER, ChangeCause.CONFIGURATION}
    by_server = [change for change in again.by_server.new_failures if change.cause is ChangeCause.SERVER]
    assert "https.hsts" in rules(by_server)
    assert "proto.no-tls1.2" not in rules(by_server), "both nights fail it by this policy"
    assert "https.hsts" not in rules(again.by_policy.new_failures), "both policies fail it on this evidence"
    assert [item.run.id for item in again.runs] == [night(1).run.id, night(4).run.id]


def test_a_later_day_shows_what_will_fail_then() -> None:
    again = judged(night(4), by=DEFAULT, as_of=LATER)

    assert again.by_date is not None
    assert {"cert.valid-now", "cert.expiry"} <= rules(again.by_date.new_failures)
    assert {change.cause for change in again.by_date.new_failures} == {ChangeCause.TIME}
    assert not again.by_policy.changed


def test_a_staple_is_judged_as_of_when_it_was_seen() -> None:
    record = night(4)
    (target, *_) = record.targets
    tls = target.evidence.tls.value
    (deployment,) = tls.certificates.value
    staple = Staple("good", record.run.started_at, record.run.started_at + timedelta(days=7))
    stapled = dataclasses.replace(tls, certificates=Attempt.ok((dataclasses.replace(deployment, staple=staple),)))
    evidence = dataclasses.replace(target.evidence, tls=Attempt.ok(stapled))
    only = RunRecord(record.run, (dataclasses.replace(target, evidence=evidence),))

    again = judged(only, by=DEFAULT, as_of=LATER)

    (found,) = (item for item in again.record.targets[0].verdicts if item.rule == "cert.stapled")
    assert found.status is Status.PASS
    order = [verdict.rule for verdict in again.record.targets[0].verdicts]
    of_files = {"cert.served", "cert.client-purpose"}
    assert list(dict.fromkeys(order)) == [rule for rule in DEFAULT.rules if rule not in of_files]


def test_without_the_runs_configuration_its_demands_are_not_made_up() -> None:
    record = night(4)
    again = replay([record], Judge(DEFAULT, (), lambda _digest: None), known={})

    assert again.by_rules is None, "the policy of then is not at hand"
    assert again.not_recorded
    for target in again.record.targets:
        unknown = {verdict.rule for verdict in target.verdicts if verdict.reason == NOT_RECORDED}
        assert unknown <= BY_APPLICATION | BY_ENVIRONMENT | BY_INVENTORY
        assert all(item.status is Status.INDETERMINATE for item in target.verdicts if item.reason == NOT_RECORDED)
        assert ("https.redirect" in unknown) is bool(target.applications), target.id
        assert ("cert.domain" in unknown) is (target.environment_kind is EnvironmentKind.PAAS), target.id


def test_a_host_named_on_the_command_line_had_no_settings_to_lose() -> None:
    record = night(4)
    run = dataclasses.replace(record.run, trigger=Trigger.AD_HOC)
    bare = tuple(target for target in record.targets if not target.applications)
    again = replay([RunRecord(run, bare)], Judge(DEFAULT, (), lambda _digest: None), known={})

    assert not again.not_recorded


def test_a_target_whose_evidence_is_gone_is_left_out_and_counted() -> None:
    record = night(4)
    lost, *others = record.targets
    again = judged(RunRecord(record.run, (dataclasses.replace(lost, evidence=None), *others)))

    assert again.runs[0].without_evidence == 1
    assert lost.id not in {target.id for target in again.record.targets}
    unreachable = next(item for item in again.record.targets if item.status is TargetStatus.UNREACHABLE)
    assert not any(item.status is Status.PASS for item in unreachable.verdicts if not item.rule.startswith("https."))


def test_there_must_be_a_run() -> None:
    with pytest.raises(ValueError, match="no run"):
        judged()


class Untold:
    """Settings that nobody knows: whoever asks for one is caught."""

    def __init__(self, known: Any, hidden: frozenset[str]) -> None:
        self._known, self._hidden = known, hidden

    def __getattr__(self, name: str) -> Any:
        if name in self._hidden:
            raise LookupError(name)
        return getattr(self._known, name)


_OF_ENVIRONMENT = frozenset(
    {"default_domain", "custom_domain", "hsts", "force_https_screens", "force_https_integrations", "policy"}
)
_OF_APPLICATION = frozenset(
    {"kind", "https", "paths", "integrations", "client_certificate", "force_https_screens", "force_https_integrations"}
)


def asks(rule: Rule, told: Facts) -> bool:
    """Whether a rule asks for a setting which the history does not record."""
    try:
        list(rule.check(told, rule.parameters()))
    except LookupError:
        return True
    return False


def _worlds() -> list[Facts]:
    return [facts(case.world) for case in CASES]


@pytest.mark.parametrize("kind", list(EnvironmentKind))
@pytest.mark.parametrize("with_application", [False, True])
def test_the_rules_that_ask_for_what_is_not_recorded_are_the_ones_that_are_left_indeterminate(
    kind: EnvironmentKind,
    with_application: bool,  # noqa: FBT001  # pytest's parameter
) -> None:
    asked: set[str] = set()
    # Its own cases lead a rule to every reason that it may give (tests/unit/test_rules.py).
    for case in CASES:
        world = facts(case.world)
        # What no application stands for is demanded of the endpoint whatever the environment says: by its role.
        hidden = _OF_ENVIRONMENT if with_application else frozenset({"default_domain", "custom_domain"})
        hidden |= {"sources", "known_hosts"}
        environment: Any = Untold(dataclasses.replace(world.environment, kind=kind), hidden)
        applications: Any = (
            (Untold(Application("Shop", ApplicationKind.PWA), _OF_APPLICATION),) if with_application else ()
        )
        place = dataclasses.replace(world.target.endpoint, applications=applications)
        target = dataclasses.replace(world.target, endpoint=place)
        if asks(all_rules()[case.rule], structs.replace(world, environment=environment, target=target)):
            asked.add(case.rule)
    expected = (
        BY_INVENTORY
        | (BY_APPLICATION if with_application else frozenset())
        | (BY_ENVIRONMENT if kind is EnvironmentKind.PAAS else frozenset())
    )

    assert asked == expected


def test_an_endpoint_without_applications_is_demanded_of_alike_whatever_the_environment_says() -> None:
    strict = {"hsts": True, "force_https_screens": True, "force_https_integrations": True}
    for world in _worlds():
        place = dataclasses.replace(world.target.endpoint, applications=())
        bare = structs.replace(world, target=dataclasses.replace(world.target, endpoint=place))
        for rule_id in BY_APPLICATION:
            rule = all_rules()[rule_id]
            found = [
                [
                    (finding.reason, finding.severity)
                    for finding in rule.check(
                        structs.replace(bare, environment=dataclasses.replace(bare.environment, **settings)),
                        rule.parameters(),
                    )
                ]
                for settings in (strict, dict.fromkeys(strict, False))
            ]
            assert found[0] == found[1], rule_id


def test_consoles_on_paths_are_those_that_were_judged() -> None:
    record = judged_record(4).record
    first = record.targets[0]
    judged = [
        dataclasses.replace(first.verdicts[0], rule="https.console", reason="served-in-plain", subject=path)
        for path in ("/ServiceCenter", "/lifetime")
    ]
    target = dataclasses.replace(first, verdicts=(*first.verdicts, *judged))

    found = recorded(dataclasses.replace(record, targets=(target,)), None)

    assert found.observed[0].target.endpoint.console_places == (
        (Role.MONITORING, "/ServiceCenter"),
        (Role.MONITORING, "/lifetime"),
    )
