from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from msgspec import structs

from scanner.app.handlers.diff import describe
from scanner.evidence import (
    AcceptedSuite,
    Attempt,
    ChainEnd,
    Failure,
    FailureReason,
    HttpEvidence,
    HttpProbe,
    Protocol,
    ProtocolOffer,
    Purpose,
    RevocationAnswer,
    RevocationSource,
    RevocationStatus,
    Sct,
    SctCheck,
    Staple,
    StoreTrust,
    TargetEvidence,
    TlsEvidence,
    Transparency,
)
from scanner.history.attribution import ChangeCause
from scanner.history.diff import diff
from scanner.history.facts import digest, facts_of
from scanner.history.run_diff import RunDiff, VerdictChange
from scanner.verdict import AppliedWaiver, RunRecord, Severity, Status, TargetResult, TargetStatus, Verdict
from tests.build.notified import judged_by
from tests.build.records import sample_record

SHOP = "production/shop.example.com:443@192.0.2.10"
OTHER_SHOP = "production/shop.example.com:443@192.0.2.11"
MONITOR = "production/monitor.example.com:443@2001:db8::20"
ERP = "legacy/erp.example.internal:443@203.0.113.5"
BASE = sample_record(0)


def later(record: RunRecord = BASE, **run_changes: object) -> RunRecord:
    """The same run a day later, with nothing but the run's own columns changed."""
    run = record.run
    started = run.started_at + timedelta(days=1)
    changed = dataclasses.replace(run, id=f"{run.id}-later", started_at=started, **run_changes)
    return dataclasses.replace(record, run=changed)


def with_target(record: RunRecord, target_id: str, change: Callable[[TargetResult], TargetResult]) -> RunRecord:
    assert any(target.id == target_id for target in record.targets)
    targets = tuple(change(target) if target.id == target_id else target for target in record.targets)
    return dataclasses.replace(record, targets=targets)


def with_verdict(record: RunRecord, target_id: str, rule: str, **changes: object) -> RunRecord:
    def change(target: TargetResult) -> TargetResult:
        verdicts = tuple(
            dataclasses.replace(verdict, **changes) if verdict.rule == rule else verdict for verdict in target.verdicts
        )
        return dataclasses.replace(target, verdicts=verdicts)

    return with_target(record, target_id, change)


def with_evidence(
    record: RunRecord, target_id: str, change: Callable[[TargetEvidence], TargetEvidence | None]
) -> RunRecord:
    return with_target(
        record, target_id, lambda target: dataclasses.replace(target, evidence=change(target.evidence or _none()))
    )


def with_tls(record: RunRecord, target_id: str, **changes: object) -> RunRecord:
    return with_evidence(
        record,
        target_id,
        lambda evidence: dataclasses.replace(
            evidence, tls=Attempt.ok(dataclasses.replace(evidence.tls.value or TlsEvidence(), **changes))
        ),
    )


def with_policy(record: RunRecord, digest_of_policy: str) -> RunRecord:
    targets = tuple(
        dataclasses.replace(target, policy=dataclasses.replace(target.policy, digest=digest_of_policy))
        for target in record.targets
    )
    return dataclasses.replace(record, targets=targets)


def _none() -> TargetEvidence:
    raise AssertionError


def fails(record: RunRecord, rule: str, target_id: str = SHOP, **changes: object) -> RunRecord:
    return with_verdict(record, target_id, rule, **{"status": Status.FAIL, "severity": Severity.HIGH, **changes})


def only(changes: tuple[VerdictChange, ...]) -> VerdictChange:
    (change,) = changes
    return change


def test_an_unchanged_night_changes_nothing() -> None:
    change = diff(BASE, later())
    assert not change.changed
    assert len(change.still_failing) == sum(verdict.counts_as_failure for verdict in BASE.verdicts)
    assert change.since == BASE.run.started_at
    assert change.environments == ("legacy", "production", "test")


def test_the_story_of_the_sample_nights() -> None:
    second, third = diff(sample_record(1), sample_record(2)), diff(sample_record(2), sample_record(3))
    assert [(change.target.environment, change.rule, change.cause) for change in second.new_failures] == [
        ("test", "https.redirect", ChangeCause.CONFIGURATION),
        ("production", "https.hsts", ChangeCause.SERVER),
    ]
    assert [(change.rule, change.cause) for change in second.fixed] == [("proto.no-tls1.0", ChangeCause.SERVER)]
    assert [change.target.host for change in second.appeared] == ["api.test.example.com"]
    assert [change.target.host for change in third.now_unreachable] == ["console.example.internal"]
    assert {change.target.host for change in third.became_indeterminate} == {"console.example.internal"}
    (renewed,) = third.certificates
    assert renewed.target.ip == "192.0.2.11"
    assert [change.target.host for change in diff(sample_record(3), sample_record(4)).back] == [
        "console.example.internal"
    ]


def test_circumstances_are_no_change() -> None:
    def another_look(evidence: TargetEvidence) -> TargetEvidence:
        return dataclasses.replace(
            evidence, started_at=datetime(2026, 4, 1, tzinfo=UTC), duration_s=9.9, connections=99
        )

    deployments = BASE.targets[0].evidence.tls.value.certificates.value
    stapled = [
        tuple(dataclasses.replace(item, staple=Staple("good", produced_at=datetime(2026, 3, day, tzinfo=UTC)))
              for item in deployments)
        for day in (1, 2)
    ]  # fmt: skip
    first = with_tls(BASE, SHOP, certificates=Attempt.ok(stapled[0]))
    second = with_evidence(with_tls(BASE, SHOP, certificates=Attempt.ok(stapled[1])), SHOP, another_look)
    digests = [digest(facts_of(record.targets[0].evidence)) for record in (first, second)]
    assert digests[0] == digests[1]
    assert not diff(first, later(second)).changed


# Each case: what changed besides the verdict, and the cause that must be named.
WEAK = {Protocol.TLS1_2: Attempt.ok(ProtocolOffer((AcceptedSuite("TLS_RSA_WITH_RC4_128_SHA"),)))}


def test_another_observation_of_the_same_area_is_the_servers() -> None:
    after = fails(with_tls(later(), SHOP, protocols=WEAK), "cipher.forward-secrecy")
    assert only(diff(BASE, after).new_failures).cause is ChangeCause.SERVER


def test_another_observation_elsewhere_is_not_the_rules_cause() -> None:
    after = fails(with_tls(with_policy(later(), "ff"), SHOP, protocols=WEAK), "cert.key")
    assert only(diff(BASE, after).new_failures).cause is ChangeCause.POLICY


def test_the_server_comes_before_the_policy() -> None:
    after = fails(with_tls(with_policy(later(), "ff"), SHOP, protocols=WEAK), "cipher.forward-secrecy")
    assert only(diff(BASE, after).new_failures).cause is ChangeCause.SERVER


def test_another_policy_on_the_same_evidence() -> None:
    assert only(diff(BASE, fails(with_policy(later(), "ff"), "proto.tls1.3")).new_failures).cause is ChangeCause.POLICY


def test_another_configuration_on_the_same_evidence() -> None:
    after = fails(later(config_digest="d1"), "https.path")
    assert only(diff(BASE, after).new_failures).cause is ChangeCause.CONFIGURATION


def test_a_path_that_is_newly_asked_for_is_configuration() -> None:
    def ask_more(evidence: TargetEvidence) -> TargetEvidence:
        probes = evidence.http.value.probes
        more = HttpProbe("http", "/New", Purpose.PATH, probes[1].hops[:1], ChainEnd.ANSWER)
        return dataclasses.replace(evidence, http=Attempt.ok(HttpEvidence((*probes, more))))

    after = fails(with_evidence(later(config_digest="d1"), SHOP, ask_more), "https.path")
    assert only(diff(BASE, after).new_failures).cause is ChangeCause.CONFIGURATION


def test_a_known_path_that_answers_otherwise_is_the_servers_even_then() -> None:
    def answer_otherwise(evidence: TargetEvidence) -> TargetEvidence:
        first, second = evidence.http.value.probes
        served = dataclasses.replace(second, hops=(dataclasses.replace(second.first, status=200, location=None),))
        return dataclasses.replace(evidence, http=Attempt.ok(HttpEvidence((first, served))))

    after = fails(with_evidence(later(config_digest="d1"), SHOP, answer_otherwise), "https.redirect")
    assert only(diff(BASE, after).new_failures).cause is ChangeCause.SERVER


def test_another_trust_store_is_configuration() -> None:
    def distrusted(evidence: TargetEvidence) -> TargetEvidence:
        tls = evidence.tls.value
        deployments = tuple(
            dataclasses.replace(
                item,
                paths=tuple(
                    dataclasses.replace(path, trusted=False, path=(), store_digest="bb") for path in item.paths
                ),
            )
            for item in tls.certificates.value
        )
        return dataclasses.replace(
            evidence, tls=Attempt.ok(dataclasses.replace(tls, certificates=Attempt.ok(deployments)))
        )

    after = fails(with_evidence(later(trust_stores={"mozilla": "bb"}), SHOP, distrusted), "cert.trusted")
    assert only(diff(BASE, after).new_failures).cause is ChangeCause.CONFIGURATION
    same_store = fails(with_evidence(later(), SHOP, distrusted), "cert.trusted")
    assert only(diff(BASE, same_store).new_failures).cause is ChangeCause.SERVER


def asked_about(night: int, folder: str = "") -> Callable[[TargetEvidence], TargetEvidence]:
    """What authorities say of the chains, and by which files of ours that was seen, of a night."""
    moment = BASE.run.started_at + timedelta(days=night)

    def changed(evidence: TargetEvidence) -> TargetEvidence:
        tls = evidence.tls.value
        deployments = tuple(
            dataclasses.replace(
                item,
                paths=tuple(dataclasses.replace(path, store=f"{folder}{path.store}") for path in item.paths),
                revocation=Attempt.ok(
                    (
                        RevocationAnswer(
                            item.leaf.fingerprint, RevocationSource.CRL, "http://pki.example/list",
                            RevocationStatus.GOOD, this_update=moment, next_update=moment + timedelta(days=7),
                            fetched_at=moment, from_cache=night > 0, digest=f"{night}",
                        ),
                    )
                ),
                stores=(StoreTrust("apple", trusted=True, date=moment),),
                transparency=Attempt.ok(
                    Transparency((Sct("aa", BASE.run.started_at, SctCheck.VALID, f"Log {night}"),), "list", moment)
                ),
            )
            for item in tls.certificates.value
        )  # fmt: skip
        found = dataclasses.replace(tls, certificates=Attempt.ok(deployments))
        return dataclasses.replace(evidence, tls=Attempt.ok(found))

    return changed


def test_files_of_ours_that_lie_elsewhere_or_are_fresher_are_no_change_of_the_server() -> None:
    before = with_evidence(BASE, SHOP, asked_about(0))
    moved = {f"/mnt/x1/{name}": of_roots for name, of_roots in BASE.run.trust_stores.items()}
    after = with_evidence(later(trust_stores=moved), SHOP, asked_about(1, "/mnt/x1/"))
    assert only(diff(before, fails(after, "cert.trusted")).new_failures).cause is ChangeCause.TIME


def test_what_an_authority_says_is_a_change() -> None:
    def revoked(evidence: TargetEvidence) -> TargetEvidence:
        found = asked_about(1)(evidence)
        tls = found.tls.value
        deployments = tuple(
            dataclasses.replace(
                item,
                revocation=Attempt.ok(
                    tuple(
                        dataclasses.replace(answer, status=RevocationStatus.REVOKED) for answer in item.revocation.value
                    )
                ),
            )
            for item in tls.certificates.value
        )
        return dataclasses.replace(
            found, tls=Attempt.ok(dataclasses.replace(tls, certificates=Attempt.ok(deployments)))
        )

    before = with_evidence(BASE, SHOP, asked_about(0))
    after = fails(with_evidence(later(), SHOP, revoked), "cert.trusted")
    assert only(diff(before, after).new_failures).cause is ChangeCause.SERVER


def test_what_an_older_tool_did_not_look_at_is_the_tools() -> None:
    after = fails(with_tls(later(tool_version="9.0"), SHOP, early_data=Attempt.ok(value=True)), "integrity.aead")
    assert only(diff(BASE, after).new_failures).cause is ChangeCause.TOOL
    after = fails(with_tls(later(), SHOP, early_data=Attempt.ok(value=True)), "integrity.aead")
    assert only(diff(BASE, after).new_failures).cause is ChangeCause.SERVER


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"severity": Severity.LOW}, ChangeCause.POLICY),
        ({"severity": Severity.LOW, "observed": "something else"}, ChangeCause.SERVER),
        ({"severity": Severity.LOW, "reason": "something-else"}, ChangeCause.SERVER),
    ],
)
def test_the_same_failure_that_another_policy_weighs_is_the_policys(changes: dict, cause: ChangeCause) -> None:
    """Also where something else was seen since."""
    before, seen = fails(BASE, "integrity.aead"), {"early_data": Attempt.ok(value=True)}
    after = fails(with_tls(with_policy(later(), "other"), SHOP, **seen), "integrity.aead", **changes)
    assert only(diff(before, after).better).cause is cause
    same_policy = fails(with_tls(later(), SHOP, **seen), "integrity.aead", severity=Severity.LOW)
    assert only(diff(before, same_policy).better).cause is ChangeCause.SERVER


def test_what_both_tools_looked_at_is_still_the_servers() -> None:
    after = fails(with_tls(later(engines={"sslyze": "7"}), SHOP, compression=Attempt.ok(value=True)), "comp.none")
    after = fails(after, "proto.tls1.3")
    assert only(diff(BASE, after).new_failures).cause is ChangeCause.SERVER


def test_another_tool_on_the_same_evidence() -> None:
    assert only(diff(BASE, fails(later(tool_version="9.0"), "proto.tls1.3")).new_failures).cause is ChangeCause.TOOL


def test_time_alone() -> None:
    assert only(diff(BASE, fails(later(), "cert.trusted")).new_failures).cause is ChangeCause.TIME


def test_what_another_address_does_is_the_servers() -> None:
    after = fails(with_tls(later(), OTHER_SHOP, protocols=WEAK), "cert.trusted")
    assert only(diff(BASE, after).new_failures).cause is ChangeCause.SERVER


def test_without_evidence_the_observation_that_is_quoted_decides() -> None:
    def forget(record: RunRecord) -> RunRecord:
        return with_evidence(record, SHOP, lambda _: None)

    quoted = fails(forget(later()), "proto.tls1.3", observed="not offered any more")
    assert only(diff(forget(BASE), quoted).new_failures).cause is ChangeCause.SERVER
    silent = fails(forget(with_policy(later(), "ff")), "proto.tls1.3")
    assert only(diff(forget(BASE), silent).new_failures).cause is ChangeCause.POLICY


def test_a_waiver_that_ends_makes_a_failure_new_and_one_that_begins_takes_it_away() -> None:
    unwaived = with_verdict(later(), ERP, "cert.trusted", waiver=None)
    withdrawn = only(diff(BASE, unwaived).new_failures)
    assert (withdrawn.rule, withdrawn.cause) == ("cert.trusted", ChangeCause.CONFIGURATION)
    begun = only(diff(unwaived, later()).newly_waived)
    assert (begun.rule, begun.cause) == ("cert.trusted", ChangeCause.CONFIGURATION)

    expiring = with_verdict(BASE, ERP, "cert.trusted", waiver=AppliedWaiver("r", "o", date(2026, 3, 2)))
    assert only(diff(expiring, unwaived).new_failures).cause is ChangeCause.TIME


def test_a_waived_failure_that_is_mended_is_fixed() -> None:
    mended = with_verdict(later(), ERP, "cert.trusted", status=Status.PASS, waiver=None)
    assert only(diff(BASE, mended).fixed).rule == "cert.trusted"


def test_a_rule_that_is_judged_no_more_is_not_fixed() -> None:
    def drop(target: TargetResult) -> TargetResult:
        return dataclasses.replace(
            target, verdicts=tuple(verdict for verdict in target.verdicts if verdict.rule != "cert.key")
        )

    change = diff(BASE, with_target(with_policy(later(), "ff"), ERP, drop))
    assert not change.fixed
    assert (only(change.no_longer_judged).rule, only(change.no_longer_judged).cause) == ("cert.key", ChangeCause.POLICY)


def test_a_failure_that_cannot_be_seen_any_more_is_not_fixed() -> None:
    change = diff(BASE, with_verdict(later(), ERP, "cert.key", status=Status.INDETERMINATE))
    assert not change.fixed
    assert only(change.became_indeterminate).rule == "cert.key"
    back = diff(later(with_verdict(BASE, ERP, "cert.key", status=Status.INDETERMINATE)), later())
    assert only(back.newly_assessed).rule == "cert.key"
    assert not back.new_failures, "nothing says that it is new"


@pytest.mark.parametrize("subject", ["", "deadbeef"])
@pytest.mark.parametrize("whole", [True, False], ids=["the rule", "each subject"])
def test_what_was_not_asked_is_neither_fixed_nor_new(subject: str, *, whole: bool) -> None:
    failing = with_verdict(BASE, ERP, "cert.key", subject=subject)
    left_out = {"status": Status.NOT_APPLICABLE, "reason": "not-asked", "subject": "" if whole else subject}
    skipped = with_verdict(later(failing), ERP, "cert.key", **left_out)
    away, back = diff(failing, skipped), diff(skipped, later(failing))

    assert not away.fixed
    change = only(away.no_longer_judged)
    assert (change.rule, change.subject, change.cause) == ("cert.key", subject, ChangeCause.CONFIGURATION)
    assert not away.became_indeterminate
    assert not back.new_failures, "nothing says that it is new"
    assert only(back.newly_assessed).subject == subject
    assert not diff(skipped, later(skipped)).changed


def test_what_was_not_asked_began_nothing_that_a_waiver_accepts() -> None:
    skipped = with_verdict(BASE, ERP, "cert.trusted", status=Status.NOT_APPLICABLE, reason="not-asked", waiver=None)
    assert not diff(skipped, later()).worse_but_waived


def test_an_address_that_was_not_asked_did_not_hold() -> None:
    one = fails(BASE, "https.hsts")
    skipped = with_verdict(one, OTHER_SHOP, "https.hsts", status=Status.NOT_APPLICABLE, reason="not-asked")
    both = fails(later(one), "https.hsts", OTHER_SHOP)
    assert only(diff(with_verdict(one, OTHER_SHOP, "https.hsts", status=Status.PASS), both).worse)
    assert not diff(skipped, both).worse


def test_a_rule_of_which_nothing_is_seen_leaves_its_subjects_unknown() -> None:
    failing = with_verdict(BASE, ERP, "cert.key", subject="deadbeef")
    unseen = with_verdict(later(failing), ERP, "cert.key", status=Status.INDETERMINATE, subject="")
    replaced = with_verdict(later(failing), ERP, "cert.key", status=Status.PASS, subject="cafe")

    assert only(diff(failing, unseen).became_indeterminate).subject == "deadbeef"
    assert not diff(failing, unseen).no_longer_judged
    assert only(diff(failing, replaced).no_longer_judged).subject == "deadbeef"


def test_a_failure_that_weighs_more_is_marked() -> None:
    change = diff(BASE, with_verdict(later(), ERP, "cert.key", severity=Severity.CRITICAL))
    assert [item.after.rule for item in change.still_failing if item.worse] == ["cert.key"]
    assert only(change.worse).rule == "cert.key"
    assert only(diff(change_back := with_verdict(BASE, ERP, "cert.key", severity=Severity.CRITICAL), later()).better)
    assert not diff(change_back, later(change_back)).changed
    assert change.still_failing[0].after.severity is Severity.CRITICAL, "the worst comes first"


def test_targets_that_come_and_go() -> None:
    fewer = dataclasses.replace(later(), targets=tuple(t for t in BASE.targets if t.id not in {ERP, OTHER_SHOP}))
    away = diff(BASE, fewer)
    assert {change.target.id: change.cause for change in away.disappeared} == {ERP: ChangeCause.CONFIGURATION}
    assert [(item.target.host, item.came, item.gone) for item in away.addresses] == [
        ("shop.example.com", (), ("192.0.2.11",))
    ]
    assert not away.fixed, "the address that failed was not looked at"
    gone = only(away.no_longer_judged)
    assert (gone.rule, gone.cause, gone.after) == ("cert.expiry", ChangeCause.ADDRESSES, None)
    assert ([place.ip for place in gone.places], gone.addresses) == (["192.0.2.11"], 2)
    came = diff(fewer, later(BASE))
    assert {change.target.id: change.cause for change in came.appeared} == {ERP: ChangeCause.CONFIGURATION}
    assert {change.target.id for change in came.new_failures} == {ERP, OTHER_SHOP}
    shop = next(change for change in came.new_failures if change.target.id == OTHER_SHOP)
    assert ([place.ip for place in shop.places], shop.addresses) == (["192.0.2.11"], 2), "at one of its addresses"


def moved(record: RunRecord, host: str, *addresses: str | None) -> RunRecord:
    """The same run with a name at other addresses, each of which answers as its first one did."""
    first = next(target for target in record.targets if target.host == host)
    copies = tuple(
        dataclasses.replace(first, id=f"{first.endpoint}@{address or 'unresolved'}", ip=address)
        for address in addresses
    )
    return dataclasses.replace(record, targets=(*(target for target in record.targets if target.host != host), *copies))


def unresolved(record: RunRecord, reason: FailureReason = FailureReason.UNRESOLVABLE) -> RunRecord:
    """The same run on a night without DNS, or without something else that every host needs."""
    failure = Failure(reason)
    targets = []
    for endpoint in dict.fromkeys(target.endpoint for target in record.targets):
        target = next(item for item in record.targets if item.endpoint == endpoint)
        verdicts = tuple(
            dataclasses.replace(verdict, status=Status.INDETERMINATE, waiver=None, reason=reason.value)
            for verdict in target.verdicts
        )
        silent = dataclasses.replace(target, id=f"{endpoint}@unresolved", ip=None, evidence=None, verdicts=verdicts)
        targets.append(dataclasses.replace(silent, status=TargetStatus.UNREACHABLE, error=failure))
    return dataclasses.replace(record, targets=tuple(targets))


def test_a_name_that_moves_has_changed_its_address_and_nothing_else() -> None:
    failing = fails(BASE, "proto.tls1.3")
    change = diff(
        moved(failing, "shop.example.com", "192.0.2.10"), later(moved(failing, "shop.example.com", "192.0.2.77"))
    )
    assert not change.verdict_changes
    assert not change.certificates
    assert not change.appeared
    assert [(item.came, item.gone) for item in change.addresses] == [(("192.0.2.77",), ("192.0.2.10",))]


def test_what_changes_at_the_address_that_a_name_moved_to_is_told() -> None:
    before = moved(BASE, "shop.example.com", "192.0.2.10")
    after = later(moved(BASE, "shop.example.com", "192.0.2.77"))
    weak = fails(with_tls(after, "production/shop.example.com:443@192.0.2.77", protocols=WEAK),
                 "cipher.forward-secrecy", "production/shop.example.com:443@192.0.2.77")  # fmt: skip
    change = only(diff(before, weak).new_failures)
    assert (change.rule, change.cause) == ("cipher.forward-secrecy", ChangeCause.SERVER)


def test_after_a_night_without_dns_nothing_is_new() -> None:
    night, morning = unresolved(later()), later(later())
    fell, rose = diff(BASE, night), diff(night, morning)
    failing = sum(verdict.counts_as_failure for verdict in BASE.verdicts)
    assert {item.target.host for item in fell.now_unreachable} == {
        target.host for target in BASE.targets if target.status is not TargetStatus.UNREACHABLE
    }
    assert not fell.fixed
    assert not rose.new_failures
    assert len(rose.newly_assessed) == failing
    assert (rose.appeared, rose.disappeared, rose.addresses) == ((), (), ())
    assert {item.target.host for item in rose.back} == {item.target.host for item in fell.now_unreachable}


def test_a_failure_at_another_address_besides_is_worse_and_told_with_its_places() -> None:
    one = fails(BASE, "proto.tls1.3")
    both = fails(fails(later(), "proto.tls1.3"), "proto.tls1.3", OTHER_SHOP)
    change = only(diff(one, both).worse)
    assert ({place.ip for place in change.places}, change.addresses) == ({"192.0.2.10", "192.0.2.11"}, 2)
    assert not diff(one, both).new_failures


def test_what_failed_at_an_address_that_the_later_run_did_not_look_at_is_not_fixed() -> None:
    one = fails(BASE, "proto.tls1.3", OTHER_SHOP)
    alone = dataclasses.replace(later(), targets=tuple(item for item in BASE.targets if item.id != OTHER_SHOP))
    change = diff(one, alone)
    assert not change.fixed
    gone = next(item for item in change.no_longer_judged if item.rule == "proto.tls1.3")
    assert (gone.target.id, gone.cause) == (OTHER_SHOP, ChangeCause.ADDRESSES)
    assert "proto.tls1.3  production/shop.example.com:443 (at 1 of 2 addresses: 192.0.2.11)  [addresses]" in "\n".join(
        describe(change)
    )
    assert "proto.tls1.3" in {item.rule for item in diff(one, later()).fixed}, "where it is looked at and passes"


def test_one_address_is_no_agreement_of_all() -> None:
    rule = "cert.same-on-all-addresses"
    base = judged_by(BASE, rule, "proto.tls1.3")
    before = fails(fails(base, rule), rule, OTHER_SHOP)
    alone = dataclasses.replace(later(), targets=tuple(item for item in base.targets if item.id != OTHER_SHOP))
    change = diff(before, with_verdict(alone, SHOP, rule, status=Status.NOT_APPLICABLE, reason="one-address"))
    assert not change.fixed
    assert {item.cause for item in change.no_longer_judged if item.rule == rule} == {ChangeCause.ADDRESSES}


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        (FailureReason.RESOLVER_FAILED, ChangeCause.NETWORK),
        (FailureReason.UNREACHABLE, ChangeCause.NETWORK),
        (FailureReason.NO_WORKER, ChangeCause.NETWORK),
        (FailureReason.DEADLINE, ChangeCause.NETWORK),
        (FailureReason.REFUSED, ChangeCause.SERVER),
        (FailureReason.UNRESOLVABLE, ChangeCause.SERVER),
    ],
)
def test_what_kept_the_scanner_from_looking_is_not_the_servers(reason: FailureReason, cause: ChangeCause) -> None:
    night = unresolved(later(), reason)
    fell, rose = diff(BASE, night), diff(night, later(later()))
    for change in (fell.became_indeterminate, fell.now_unreachable, rose.newly_assessed, rose.back):
        assert change
        assert {item.cause for item in change if item.target.host != "console.example.internal"} == {cause}


def test_what_one_probe_had_no_time_for_is_not_the_servers() -> None:
    cut = with_verdict(later(), SHOP, "proto.tls1.3", status=Status.INDETERMINATE, reason="deadline")
    assert only(diff(BASE, cut).became_indeterminate).cause is ChangeCause.NETWORK


def test_what_failed_at_an_address_that_is_unknown_now_is_not_fixed() -> None:
    one = fails(BASE, "proto.tls1.3", OTHER_SHOP)
    unknown = with_verdict(later(), OTHER_SHOP, "proto.tls1.3", status=Status.INDETERMINATE)
    change = diff(one, unknown)
    assert "proto.tls1.3" not in {item.rule for item in change.fixed}
    assert only(change.became_indeterminate).rule == "proto.tls1.3"


def test_what_exceeds_a_waiver_is_the_servers_doing() -> None:
    waiver = AppliedWaiver("accepted", "qa", date(2027, 1, 1))
    accepted = fails(BASE, "cipher.forward-secrecy", observed="TLS_RSA_WITH_AES_128_CBC_SHA", waiver=waiver)
    exceeded = fails(with_tls(later(), SHOP, protocols=WEAK), "cipher.forward-secrecy",
                     observed="TLS_RSA_WITH_RC4_128_SHA")  # fmt: skip
    assert only(diff(accepted, exceeded).new_failures).cause is ChangeCause.SERVER
    withdrawn = fails(later(config_digest="d1" * 32), "cipher.forward-secrecy", observed="TLS_RSA_WITH_AES_128_CBC_SHA")
    assert only(diff(accepted, withdrawn).new_failures).cause is ChangeCause.CONFIGURATION


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({"status": Status.PASS, "waiver": None, "observed": ""}, {"observed": "tls1.0"}, True),
        ({"observed": "tls1.0, tls1.2"}, {"observed": "tls1.0, tls1.1, tls1.2, tls1.3"}, False),
        ({"observed": "tls1.1"}, {"observed": "tls1.1", "severity": Severity.CRITICAL}, True),
        ({"observed": "tls1.0, tls1.1"}, {"observed": "tls1.1"}, False),
        ({"observed": "ends on 2026-03-30, 12 days left"}, {"observed": "ends on 2026-03-30, 11 days left"}, False),
        ({"status": Status.INDETERMINATE, "waiver": None, "observed": ""}, {"observed": "tls1.0"}, False),
    ],
)
def test_more_than_a_waiver_accepted_is_told_though_it_stays_waived(
    before: dict[str, object], after: dict[str, object], *, told: bool
) -> None:
    waiver = AppliedWaiver("accepted", "qa", date(2027, 1, 1))
    change = diff(
        fails(BASE, "proto.no-tls1.0", MONITOR, **{"waiver": waiver, **before}),
        fails(later(), "proto.no-tls1.0", MONITOR, **{"waiver": waiver, **after}),
    )
    assert [item.rule for item in change.worse_but_waived] == (["proto.no-tls1.0"] if told else [])
    assert not change.new_failures


def test_what_an_interrupted_run_did_not_reach_is_not_gone() -> None:
    cut = dataclasses.replace(later(complete=False), targets=BASE.targets[:3])
    change = diff(BASE, cut)
    assert not change.disappeared
    assert [target.id for target in change.not_scanned] == [target.id for target in BASE.targets[3:]]
    after_it = diff(cut, later(BASE))
    assert not after_it.appeared
    assert not after_it.new_failures


def test_only_environments_that_both_scanned_are_compared() -> None:
    production = tuple(target for target in BASE.targets if target.environment == "production")
    change = diff(BASE, dataclasses.replace(later(environments=("production",)), targets=production))
    assert change.environments == ("production",)
    assert not change.changed


def test_an_endpoint_that_stops_answering() -> None:
    def silent(target: TargetResult) -> TargetResult:
        failure = Failure(FailureReason.TIMED_OUT)
        return dataclasses.replace(target, status=TargetStatus.UNREACHABLE, error=failure, evidence=None)

    change = diff(BASE, with_target(later(), SHOP, silent))
    assert [item.target.id for item in change.now_unreachable] == [SHOP]
    assert not change.certificates, "that no certificate was seen is no change of certificate"


@pytest.mark.parametrize("field", [item.name for item in structs.fields(RunDiff)][3:])
def test_every_kind_of_change_counts_as_one(field: str) -> None:
    empty = RunDiff(BASE.run, BASE.run, ())
    assert not empty.changed
    marked = structs.replace(empty, **{field: (object(),)})
    assert marked.changed == (field not in {"still_failing", "balances"}), "what is compared, not how it is counted"


def test_a_verdict_change_speaks_of_the_newer_verdict() -> None:
    verdict: Verdict = BASE.targets[0].verdicts[0]
    change = VerdictChange(BASE.targets[0], verdict.rule, "", verdict, None, ChangeCause.POLICY)
    assert change.verdict is verdict


def test_the_command_says_what_became_worse_and_where() -> None:
    before = fails(BASE, "proto.tls1.3", severity=Severity.MEDIUM)
    after = fails(fails(later(), "proto.tls1.3"), "cert.trusted", OTHER_SHOP)
    lines = "\n".join(describe(diff(before, after)))
    assert (
        "Worse (1)\n  medium → high proto.tls1.3  production/shop.example.com:443 (at 1 of 2 addresses: 192.0.2.10)"
        in lines
    )
    assert (
        "New failures (1)\n  high     cert.trusted  production/shop.example.com:443 (at 1 of 2 addresses: 192.0.2.11)"
        in lines
    )
    assert "  production/shop.example.com:443  +192.0.2.77 -192.0.2.10 -192.0.2.11" in "\n".join(
        describe(diff(BASE, moved(later(), "shop.example.com", "192.0.2.77")))
    )


@pytest.mark.parametrize(
    ("verdict", "blind"),
    [
        ({"status": Status.PASS}, False),
        ({"status": Status.NOT_APPLICABLE}, True),
        ({"status": Status.INDETERMINATE}, True),
        ({"status": Status.PASS, "subject": "/admin/"}, True),
        ({"status": Status.FAIL}, True),
        ({"status": Status.FAIL, "subject": "/admin/"}, False),
    ],
)
def test_what_is_left_out_as_equal_would_have_told_nothing(
    verdict: dict, *, blind: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Comparing it in full says the same, also where the whole rule is unknown beside a subject in one of the runs."""
    base = with_verdict(BASE, SHOP, "proto.no-tls1.0", waiver=None, **verdict)
    shop = next(target for target in base.targets if target.id == SHOP)
    judged = next(item for item in shop.verdicts if item.rule == "proto.no-tls1.0")
    unknown = dataclasses.replace(
        judged, status=Status.INDETERMINATE, waiver=None, subject="", reason="not-observed", message="Unknown."
    )

    def and_unknown(target: TargetResult) -> TargetResult:
        return dataclasses.replace(target, verdicts=(*target.verdicts, unknown))

    after = with_target(base, SHOP, and_unknown) if blind and verdict.get("subject") else base
    found = diff(base, later(after)), diff(after, later(base))
    monkeypatch.setattr("scanner.history.diff._says_nothing", lambda *_: False)
    assert (diff(base, later(after)), diff(after, later(base))) == found
