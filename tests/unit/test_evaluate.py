"""From evidence to verdicts: order, uniqueness, severity, waivers, hostile text, and rules that fail."""

from __future__ import annotations

import dataclasses
import logging
import unicodedata
from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from scanner.errors import PolicyError
from scanner.evaluate import MESSAGE_LIMIT, evaluate, judge, report_waivers, target_status
from scanner.evidence import (
    AcceptedSuite,
    Attempt,
    ClientIdentity,
    DnsEvidence,
    Dnssec,
    Failure,
    FailureReason,
    Hop,
    ProtocolOffer,
)
from scanner.inventory import EnvironmentKind, StartTls
from scanner.policy import Policy, PolicyRule, load
from scanner.rules import BoundRule, Facts, Finding, Observed, Parameters, Rule, get_rule
from scanner.rules.registry import UNIVERSAL_REASONS, fails, not_applicable, passes
from scanner.rules.registry.sources import rfc
from scanner.verdict import Goal, Severity, Status, TargetStatus, Verdict
from scanner.waiver import Waiver, scope_of
from tests.build.facts import (
    NO,
    NOW,
    TIMED_OUT,
    World,
    certificate,
    deployment,
    environment,
    facts,
    failing,
    hop,
    http,
    observed,
    offer,
    offers,
    probe,
    suite,
    tls,
)
from tests.build.records import sample_record

_FIX = get_rule("proto.tls1.2").fix
_SEVERITIES = list(Severity)


def policy(*rule_ids: str, **parameters: object) -> Policy:
    rules = {rule_id: PolicyRule(rule_id, parameters=parameters) for rule_id in rule_ids}
    return Policy("test", "Test", "1", date(2026, 1, 1), "", "", rules, digest="aa")


def run(*worlds: World, rules: Policy | None = None, waivers: tuple[Waiver, ...] = ()) -> list[tuple[Verdict, ...]]:
    items = [observed(world, f"192.0.2.{number}") for number, world in enumerate(worlds, 1)]
    wanted = rules or load("https-by-default")
    found = evaluate(items, {"production": environment()}, {"production": wanted}, waivers, NOW)
    return [found[item.target.id] for item in items]


def made(check: object, severity: Severity = Severity.MEDIUM, policy_severity: Severity | None = None) -> BoundRule:
    reasons = {**UNIVERSAL_REASONS, "good": passes("Fine: {observed}."), "bad": fails("Bad: {what} {observed}.")}
    reasons["none"] = not_applicable("There is none.")
    rule = Rule(
        "cert.made",
        "Made",
        Goal.INTEGRITY,
        severity,
        "Why.",
        "How.",
        (rfc(9325),),
        reasons,
        _FIX,
        check,
        Parameters,  # type: ignore[arg-type]  # tests hand in what they like
    )
    return BoundRule(rule, policy_severity or severity, Parameters(), rule.sources)


def finds(*findings: Finding, **bound: Severity) -> tuple[Verdict, ...]:
    return judge(made(lambda _facts, _parameters: findings, **bound), facts(World()))


OF_PORTS = [rule for rule in load("https-by-default").rules if rule not in {"cert.served", "cert.client-purpose"}]
"""The rules that judge what a port does; the others are about certificates in files."""


def test_the_good_server_fails_nothing_but_what_informs() -> None:
    (verdicts,) = run(World())
    assert [verdict.rule for verdict in verdicts] == OF_PORTS
    failed = {verdict.rule for verdict in verdicts if verdict.status is Status.FAIL}
    assert failed == {"dns.caa", "https.hsts-preload"}
    assert not [verdict.message for verdict in verdicts if verdict.status is Status.INDETERMINATE]


def test_verdicts_come_in_the_policys_order_whatever_the_order_of_targets() -> None:
    worlds = (World(), World(tls=tls(protocols=offers(tls1_3=TIMED_OUT))), World(http=TIMED_OUT))
    forth, back = run(*worlds), run(*reversed(worlds))
    assert [[verdict.rule for verdict in verdicts] for verdicts in forth] == [OF_PORTS] * 3
    assert [{(v.rule, v.status) for v in verdicts} for verdicts in forth] == [
        {(v.rule, v.status) for v in verdicts} for verdicts in reversed(back)
    ]


def test_addresses_of_one_endpoint_see_each_other_and_no_one_else() -> None:
    other = World(host="other.example.com", tls=tls(deployment(certificate(fingerprint="ff" * 32))))
    alike, _, unlike = run(World(), other, World(tls=tls(deployment(certificate(fingerprint="ee" * 32)))))
    for verdicts in (alike, unlike):
        found = next(verdict for verdict in verdicts if verdict.rule == "cert.same-on-all-addresses")
        assert found.reason == "different"
        assert "ff" * 8 not in found.observed


def test_a_certificate_that_two_environments_share_is_found() -> None:
    ours, theirs = observed(World()), observed(World(), "192.0.2.2")
    endpoint = dataclasses.replace(theirs.target.endpoint, environment="test")
    theirs = Observed(dataclasses.replace(theirs.target, endpoint=endpoint), theirs.evidence)
    environments = {"production": environment(), "test": environment(name="test")}
    rules = policy("cert.domain")
    found = evaluate([ours, theirs], environments, {"production": rules, "test": rules}, (), NOW)
    assert [(v.reason, v.observed) for v in found[ours.target.id]] == [("shared", "test")]
    assert [(v.reason, v.observed) for v in found[theirs.target.id]] == [("shared", "production")]


def test_each_environment_is_judged_by_its_own_policy() -> None:
    ours, theirs = observed(World()), observed(World(), "192.0.2.2")
    endpoint = dataclasses.replace(theirs.target.endpoint, environment="test")
    theirs = Observed(dataclasses.replace(theirs.target, endpoint=endpoint), theirs.evidence)
    environments = {"production": environment(), "test": environment(name="test", kind=EnvironmentKind.PAAS)}
    policies = {"production": policy("proto.tls1.2"), "test": policy("proto.tls1.3")}
    found = evaluate([ours, theirs], environments, policies, (), NOW)
    assert [[v.rule for v in found[item.target.id]] for item in (ours, theirs)] == [["proto.tls1.2"], ["proto.tls1.3"]]


def test_an_unknown_rule_or_parameter_is_an_error_before_anything_is_judged() -> None:
    with pytest.raises(PolicyError, match=r'did you mean "proto\.tls1\.2"'):
        run(World(), rules=policy("proto.tls12"))
    with pytest.raises(PolicyError, match=r"parameters\.days: unknown key"):
        run(World(), rules=policy("proto.tls1.2", days=3))


def test_a_rule_that_fails_is_indeterminate_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    def check(_facts: Facts, _parameters: Parameters) -> list[Finding]:
        message = "a defect\x1b[31m"
        raise RuntimeError(message)

    with caplog.at_level(logging.ERROR):
        (verdict,) = judge(made(check), facts(World()))
    assert (verdict.status, verdict.reason) == (Status.INDETERMINATE, "rule-error")
    assert "RuntimeError: a defect\\x1b[31m" in verdict.message
    assert caplog.records[0].exc_info is not None


@pytest.mark.parametrize(
    "finding", [Finding("undeclared"), Finding("bad", "no value for {what}"), Finding("good", values={"observed": 1})]
)
def test_a_finding_that_cannot_be_said_is_a_failed_rule_or_says_it_anyway(finding: Finding) -> None:
    (verdict,) = finds(finding)
    assert verdict.reason == ("good" if finding.reason == "good" else "rule-error")


def test_a_rule_that_yields_and_then_fails_counts_as_failed() -> None:
    def check(_facts: Facts, _parameters: Parameters) -> Iterator[Finding]:
        yield Finding("good")
        raise ValueError

    (verdict,) = judge(made(check), facts(World()))
    assert verdict.reason == "rule-error"


@given(
    st.text(max_size=60)
    | st.sampled_from(["{}", "{what}", "{0.__class__}", "{observed!r:>9999999}", "%s%n", "\x1b[2J"])
)
def test_what_a_host_says_is_never_a_template(text: str) -> None:
    (verdict,) = finds(Finding("bad", text, text, text, values={"what": text}))
    assert verdict.reason == "bad"
    (verdict,) = finds(Finding("none", subject="a"), Finding("good", subject="a"))
    assert verdict.reason == "good", "nor does what is not there count before what passes"
    for part in (verdict.message, verdict.observed, verdict.expected, verdict.subject):
        assert not {unicodedata.category(character) for character in part} & {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
        assert len(part) <= MESSAGE_LIMIT


def test_what_a_host_says_is_cut() -> None:
    (verdict,) = finds(Finding("bad", "x" * 5000, values={"what": "y" * 5000}))
    assert len(verdict.message) == len(verdict.observed) == MESSAGE_LIMIT


def test_of_several_findings_on_one_subject_the_worst_counts_and_subjects_are_sorted() -> None:
    found = finds(
        Finding("good", subject="b"),
        Finding("bad", subject="a", severity=Severity.LOW, values={"what": 1}),
        Finding("bad", subject="a", severity=Severity.HIGH, values={"what": 2}),
        Finding("not-observed", subject="b", values={"why": "reset"}),
        Finding("good", subject="b"),
        Finding("bad", subject="a", severity=Severity.HIGH, values={"what": 3}),
    )
    # Of two that are as bad, the first is told.
    assert [(v.subject, v.reason, v.severity, v.message) for v in found] == [
        ("a", "bad", Severity.HIGH, "Bad: 2 ."),
        ("b", "not-observed", Severity.MEDIUM, found[1].message),
    ]


@given(*[st.sampled_from(_SEVERITIES)] * 3)
def test_a_findings_severity_moves_with_the_policys(own: Severity, policys: Severity, findings: Severity) -> None:
    (verdict,) = finds(Finding("bad", severity=findings, values={"what": ""}), severity=own, policy_severity=policys)
    if policys is Severity.INFO:
        assert verdict.severity is Severity.INFO
    elif findings <= own:
        assert verdict.severity is min(policys, findings)
    else:
        assert verdict.severity.rank == min(policys.rank + findings.rank - own.rank, Severity.CRITICAL.rank)


def waiver(rule: str = "*", scope: str = "*", days: int = 1, worse: str | None = None) -> Waiver:
    return Waiver(rule, scope, "Vendor update planned", "platform-team", NOW.date() + timedelta(days=days), worse)


_OLD_TLS = World(tls=tls(compression=Attempt.ok(value=True)))


def waived(*waivers: Waiver, world: World = _OLD_TLS) -> set[str]:
    (verdicts,) = run(world, waivers=waivers)
    assert all(verdict.status is Status.FAIL for verdict in verdicts if verdict.waiver)
    return {verdict.rule for verdict in verdicts if verdict.waiver}


@pytest.mark.parametrize(
    "scope",
    [
        "production",
        "prod*",
        "production/www.example.com",
        "production/www.example.com:443",
        "*/*.example.com:443",
        "*/*:443",
    ],
)
def test_a_waiver_accepts_failures_in_its_scope(scope: str) -> None:
    assert waived(waiver("comp.*", scope)) == {"comp.none"}


@pytest.mark.parametrize(
    "scope",
    ["test", "production/other.example.com", "production/www.example.com:8443", "production/", "production/*/x"],
)
def test_a_waiver_accepts_nothing_out_of_its_scope(scope: str) -> None:
    assert waived(waiver("comp.none", scope)) == ({"comp.none"} if scope == "production/" else set())


@pytest.mark.parametrize(
    ("scope", "host", "covered"),
    [
        ("production/file:ssl/served.pem", "file:ssl/served.pem", True),
        ("production/file:stores/a/B.P12", "file:stores/a/B.P12", True),
        ("production/file:stores/a/b.p12", "file:stores/a/B.P12", False),
        ("production/file:/etc/ssl/app.jks", "file:/etc/ssl/app.jks", True),
        ("production/file:my certificates/x y.pem", "file:my certificates/x y.pem", True),
        ("production/file:a\\b.pem", "file:a\\b.pem", True),
        ("production/file:C:\\ssl\\b.pem", "file:C:\\ssl\\b.pem", True),
        ("production/file:[old]/x.pem", "file:[old]/x.pem", True),
        ("production/file:münchen/ü.pem", "file:münchen/ü.pem", True),
        ("production/file:x.pem.", "file:x.pem.", True),
        ("production/client:tls/shop.pem", "client:tls/shop.pem", True),
        ("production/client:tls/shop.pem", "file:tls/shop.pem", False),
        ("production/file:ssl/*.pem", "file:ssl/served.pem", True),
        ("production/file:ssl/*", "file:other/served.pem", False),
        ("production/file:*", "file:ssl/served.pem", True),
        ("*/file:*", "file:/etc/ssl/app.jks", True),
        ("production/*", "file:ssl/served.pem", True),
        ("production", "file:ssl/served.pem", True),
        ("test/file:ssl/served.pem", "file:ssl/served.pem", False),
        ("production/file:ssl/served.pem/x", "file:ssl/served.pem", False),
        ("production/file:ssl", "file:ssl/served.pem", False),
    ],
)
def test_a_waiver_names_a_file_as_its_configuration_does(scope: str, host: str, *, covered: bool) -> None:
    item = waiver("cert.expiry", scope)
    assert item.covers("cert.expiry", "production", host, 0, "a subject") is covered
    assert scope_of(scope).covers("production", host, 0) is covered
    assert not item.covers("cert.expiry", "production", "www.example.com", 443) or ":" not in scope


def test_an_expired_waiver_waives_no_longer_and_the_last_day_counts() -> None:
    assert waived(waiver("comp.none", days=0)) == {"comp.none"}
    assert waived(waiver("comp.none", days=-1)) == set()
    assert waived(waiver("comp.none", days=-1), waiver("comp.none")) == {"comp.none"}


def test_a_waiver_never_touches_what_does_not_fail() -> None:
    assert waived(waiver(), world=World(tls=TIMED_OUT, http=TIMED_OUT)) == set()


@pytest.mark.parametrize(
    ("limit", "accepted"),
    [
        (None, True),
        ("tls1.1 tls1.2 tls1.3", True),
        ("tls1.1, tls1.2, tls1.3", True),
        ("tls1.1", False),
        ("offered", True),
        ("not-offered", False),
        ("high", True),
        ("medium", False),
    ],
)
def test_until_worse_limits_what_is_accepted(limit: str | None, accepted: bool) -> None:  # noqa: FBT001  # a table's column
    world = World(tls=tls(protocols=offers(tls1_1=tls().protocols["tls1.2"])))  # type: ignore[index]  # a StrEnum's value is its key
    assert ("proto.no-tls1.1" in waived(waiver("proto.*", worse=limit), world=world)) is accepted


def test_a_waiver_of_tls11_does_not_hide_tls10() -> None:
    older = tls().protocols["tls1.2"]  # type: ignore[index]  # a StrEnum's value is its key
    world = World(tls=tls(protocols=offers(tls1_0=older, tls1_1=older)))
    assert waived(waiver("proto.*", worse="tls1.1 tls1.2 tls1.3"), world=world) == set()


def test_a_scope_may_name_a_path() -> None:
    assert waiver(scope="production/www.example.com:443/pay/*").covers(
        "r", "production", "www.example.com", 443, "/pay/x"
    )
    assert not waiver(scope="production/www.example.com:443/pay/*").covers(
        "r", "production", "www.example.com", 443, "/"
    )
    assert not waiver(scope="production/*/pay").covers("r", "production", "www.example.com", 443)


def test_a_scope_may_name_an_ipv6_address() -> None:
    for scope in ("production/[2001:db8::1]:443", "production/2001:db8::1", "production/*"):
        assert waiver(scope=scope).covers("r", "production", "2001:db8::1", 443), scope
    assert not waiver(scope="production/[2001:db8::1]:443").covers("r", "production", "2001:db8::2", 443)


def test_the_report_on_waivers_tells_used_unused_expired_and_soon_expiring() -> None:
    item = observed(_OLD_TLS)
    late, soon, sooner = waiver("comp.*", days=31), waiver("comp.none", days=30), waiver("comp.none", days=29)
    waivers = (late, waiver("cert.*"), waiver("vuln.crime", days=-3), waiver("proto.*", days=-3), soon, sooner)
    found = evaluate([item], {"production": environment()}, {"production": load("https-by-default")}, waivers, NOW)
    endpoint = item.target.endpoint
    target = dataclasses.replace(
        sample_record(4).targets[0],
        environment=endpoint.environment,
        host=endpoint.host,
        port=endpoint.port,
        verdicts=found[item.target.id],
    )
    report = report_waivers([target], waivers, NOW.date())
    assert report.used == ((late, 1), (soon, 1), (sooner, 1))
    assert report.soon == ((soon, 1), (sooner, 1))
    assert report.unused == (waivers[1],)
    assert report.expired == ((waivers[2], 1), (waivers[3], 0))


def status(world: World, *rule_ids: str) -> tuple[TargetStatus, FailureReason | None]:
    (verdicts,) = run(world, rules=policy(*rule_ids) if rule_ids else None)
    found, failure = target_status(observed(world).evidence, verdicts)
    return found, failure.reason if failure else None


def _https(hop_: Hop, **changes: object) -> World:
    return World(http=http(probe(hop_, **changes)))  # type: ignore[arg-type]  # fields of a probe


RESET = Failure(FailureReason.RESET, "after 8 connections")
NOT_ASKED = Failure(FailureReason.NOT_ASKED, "[scan] intrusive = false")
_INSIDE = "https://www.example.com/"


@pytest.mark.parametrize(
    ("world", "expected"),
    [
        (World(), (TargetStatus.ASSESSED, None)),
        (World(http=Attempt.failed(FailureReason.NOT_RUN)), (TargetStatus.ASSESSED, None)),
        (World(tls=tls(ccs_injection=TIMED_OUT)), (TargetStatus.PARTIAL, FailureReason.TIMED_OUT)),
        (World(tls=tls(heartbleed=TIMED_OUT)), (TargetStatus.PARTIAL, FailureReason.TIMED_OUT)),
        (World(tls=tls(protocols=offers(ssl3=TIMED_OUT))), (TargetStatus.PARTIAL, FailureReason.TIMED_OUT)),
        (World(tls=tls(certificates=Attempt.partial((deployment(),), RESET))), (TargetStatus.PARTIAL, RESET.reason)),
        (World(http=Attempt.partial(http(), RESET)), (TargetStatus.PARTIAL, RESET.reason)),
        (World(tls=tls(alpn=Attempt.partial(("h2",), NOT_ASKED))), (TargetStatus.ASSESSED, None)),
        (World(tls=tls(heartbleed=Attempt(failure=NOT_ASKED))), (TargetStatus.ASSESSED, None)),
        # The engine cannot speak to it, which is an answer; what only it could tell is indeterminate.
        (World(tls=tls(robot=Attempt.failed(FailureReason.HANDSHAKE_FAILED))), (TargetStatus.ASSESSED, None)),
        (World(tls=tls(robot=Attempt.failed(FailureReason.INCONSISTENT))), (TargetStatus.ASSESSED, None)),
        (World(http=Attempt.failed(FailureReason.DEADLINE)), (TargetStatus.PARTIAL, FailureReason.DEADLINE)),
        (_https(failing(FailureReason.TIMED_OUT, _INSIDE)), (TargetStatus.PARTIAL, FailureReason.TIMED_OUT)),
        (_https(failing(FailureReason.TIMED_OUT)), (TargetStatus.ASSESSED, None)),
        (_https(failing(FailureReason.REFUSED)), (TargetStatus.ASSESSED, None)),
        (_https(failing(FailureReason.DEADLINE)), (TargetStatus.PARTIAL, FailureReason.DEADLINE)),
        (_https(failing(FailureReason.CLIENT_CERTIFICATE_REQUIRED, _INSIDE)), (TargetStatus.ASSESSED, None)),
        (
            _https(failing(FailureReason.RESET, _INSIDE), identity=ClientIdentity.WRONG),
            (TargetStatus.ASSESSED, None),
        ),
        (
            World(tls=Attempt.failed(FailureReason.NOT_TLS), http=Attempt.failed(FailureReason.NOT_RUN)),
            (TargetStatus.PARTIAL, FailureReason.NOT_TLS),
        ),
        (World(tls=Attempt.failed(FailureReason.REFUSED)), (TargetStatus.PARTIAL, FailureReason.REFUSED)),
        # Of plain HTTP, what kept us from asking, and over TLS a head that broke off.
        (_https(failing(FailureReason.INTERRUPTED)), (TargetStatus.PARTIAL, FailureReason.INTERRUPTED)),
        (_https(failing(FailureReason.UNAVAILABLE)), (TargetStatus.PARTIAL, FailureReason.UNAVAILABLE)),
        (_https(failing(FailureReason.ENGINE_ERROR)), (TargetStatus.PARTIAL, FailureReason.ENGINE_ERROR)),
        (_https(hop(incomplete=RESET, headers_cut=True)), (TargetStatus.PARTIAL, RESET.reason)),
        # Silence in plain is an answer; that the rules of HTTPS know nothing has another reason.
        (
            World(
                http=http(
                    probe(failing(FailureReason.TIMED_OUT)),
                    probe(failing(FailureReason.CLIENT_CERTIFICATE_REQUIRED, _INSIDE)),
                )
            ),
            (TargetStatus.ASSESSED, None),
        ),
        # The answers before it are no reason to ask no further.
        (
            World(
                http=http(
                    probe(failing(FailureReason.RESET, _INSIDE), identity=ClientIdentity.WRONG),
                    probe(failing(FailureReason.TIMED_OUT, _INSIDE)),
                )
            ),
            (TargetStatus.PARTIAL, FailureReason.TIMED_OUT),
        ),
        (World(dns=TIMED_OUT), (TargetStatus.PARTIAL, FailureReason.TIMED_OUT)),
        (World(dns=DnsEvidence(caa=TIMED_OUT)), (TargetStatus.PARTIAL, FailureReason.TIMED_OUT)),
        (World(dns=DnsEvidence(caa=Attempt.failed(FailureReason.NOT_RUN))), (TargetStatus.ASSESSED, None)),
        (World(tls=TIMED_OUT, http=TIMED_OUT), (TargetStatus.UNREACHABLE, FailureReason.TIMED_OUT)),
        (
            World(
                tls=TIMED_OUT,
                http=http(probe(failing(FailureReason.REFUSED)), probe(failing(FailureReason.REFUSED, _INSIDE))),
            ),
            (TargetStatus.UNREACHABLE, FailureReason.TIMED_OUT),
        ),
    ],
)
def test_how_far_a_target_was_looked_at(world: World, expected: tuple[TargetStatus, FailureReason | None]) -> None:
    assert status(world) == expected


_RC4 = ProtocolOffer((AcceptedSuite("TLS_RSA_WITH_RC4_128_SHA"),))
_CUT_OFF = World(tls=tls(protocols=offers(tls1_2=Attempt.partial(_RC4, TIMED_OUT.failure)), heartbleed=TIMED_OUT))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("cipher.no-anonymous", (TargetStatus.PARTIAL, FailureReason.TIMED_OUT)),
        # It fails by what was seen, and more of it may have been hidden.
        ("cipher.no-rc4", (TargetStatus.PARTIAL, FailureReason.TIMED_OUT)),
        ("proto.tls1.2", (TargetStatus.ASSESSED, None)),
        ("cert.valid-now", (TargetStatus.ASSESSED, None)),
        ("https.active", (TargetStatus.ASSESSED, None)),
    ],
)
def test_only_what_the_policy_asks_makes_a_target_partial(
    rule: str, expected: tuple[TargetStatus, FailureReason | None]
) -> None:
    assert status(_CUT_OFF, rule) == expected


_IN_PLAIN = probe(hop("http://www.example.com/"))
_UNSEEN_PATH = probe(failing(FailureReason.TIMED_OUT, f"{_INSIDE}x"), path="/x")
_ENDED = deployment(certificate(not_after=NOW - timedelta(days=1)))
_BOGUS = DnsEvidence(caa=TIMED_OUT, dnssec=Attempt.ok(Dnssec.BOGUS))


@pytest.mark.parametrize(
    ("rule", "world", "expected"),
    [
        ("https.redirect", World(http=Attempt.partial(http(_IN_PLAIN), RESET)), (TargetStatus.PARTIAL, RESET.reason)),
        ("https.redirect", World(http=http(_IN_PLAIN, _UNSEEN_PATH)), (TargetStatus.ASSESSED, None)),
        ("dns.dnssec", World(dns=_BOGUS), (TargetStatus.ASSESSED, None)),
        (
            "cert.valid-now",
            World(tls=tls(certificates=Attempt.partial((_ENDED,), RESET))),
            (TargetStatus.PARTIAL, RESET.reason),
        ),
        (
            "comp.none",
            World(tls=tls(compression=Attempt.ok(value=True), alpn=TIMED_OUT)),
            (TargetStatus.ASSESSED, None),
        ),
    ],
)
def test_a_failure_leaves_a_target_partial_only_where_a_list_broke_off(
    rule: str, world: World, expected: tuple[TargetStatus, FailureReason | None]
) -> None:
    ((verdict,),) = run(world, rules=policy(rule))
    assert verdict.status is Status.FAIL
    assert status(world, rule) == expected


def test_an_unreachable_target_passes_nothing() -> None:
    nothing = World(
        tls=Attempt.failed(FailureReason.TIMED_OUT),
        http=Attempt.failed(FailureReason.TIMED_OUT),
        dns=Attempt.failed(FailureReason.TIMED_OUT),
    )
    (verdicts,) = run(nothing)
    assert {verdict.status for verdict in verdicts} <= {Status.INDETERMINATE, Status.NOT_APPLICABLE}


def test_no_single_missing_observation_turns_a_failure_into_a_pass() -> None:
    """Take away one fact after another from a bad server: a rule that failed may become unknown, never pass."""
    bad = tls(
        deployment(certificate(must_staple=True, is_ca=True)),
        compression=Attempt.ok(value=True),
        early_data=Attempt.ok(value=True),
        extended_master_secret=NO,
        secure_renegotiation=NO,
        heartbleed=Attempt.ok(value=True),
        groups={},
    )
    failed = {verdict.rule for verdict in run(World(tls=bad))[0] if verdict.status is Status.FAIL}
    assert len(failed) > 8
    for item in dataclasses.fields(bad):
        gone = {} if item.name in {"protocols", "groups", "signature_schemes"} else TIMED_OUT
        (verdicts,) = run(World(tls=dataclasses.replace(bad, **{item.name: gone})))
        passed = {verdict.rule for verdict in verdicts if verdict.status is Status.PASS}
        assert not failed & passed, item.name


def _with_prime(environment_name: str, modulus: str, ip: str) -> Observed:
    seen = suite(
        "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", None, 2048, "custom", dh_modulus=modulus, dh_safe=True,
        dh_generator_valid=True,
    )  # fmt: skip
    item = observed(World(tls=tls(protocols=offers(tls1_2=offer(seen)))), ip)
    endpoint = dataclasses.replace(item.target.endpoint, environment=environment_name)
    return structs.replace(item, target=dataclasses.replace(item.target, endpoint=endpoint))


def test_a_prime_that_environments_share_is_told_in_each_of_them() -> None:
    items = [
        _with_prime("production", "aa11", "192.0.2.1"),
        _with_prime("production", "bb22", "192.0.2.2"),
        _with_prime("production", "bb22", "192.0.2.3"),  # within one environment it is that environment's own
        _with_prime("test", "aa11", "192.0.2.4"),
        _with_prime("development", "aa11", "192.0.2.5"),
    ]
    names = ("production", "test", "development")
    wanted = policy("kex.dh-parameters")
    found = evaluate(items, {name: environment(name=name) for name in names}, dict.fromkeys(names, wanted), (), NOW)
    told = {item.target.ip: (verdict.reason, verdict.observed) for item in items for verdict in found[item.target.id]}
    assert told == {
        "192.0.2.1": ("shared", "development, test"),
        "192.0.2.2": ("safe", "a prime of 2048 bits that is not published"),
        "192.0.2.3": ("safe", "a prime of 2048 bits that is not published"),
        "192.0.2.4": ("shared", "development, production"),
        "192.0.2.5": ("shared", "production, test"),
    }


def test_a_web_server_hears_of_every_other_service_that_has_its_name() -> None:
    takes = tls(other_alpn=Attempt.ok(value=True))
    names = ("in", "out", "out")  # one of them has two addresses
    mail = [World(tls=takes, host=f"{name}.example.com", port=25, starttls=StartTls.SMTP) for name in names]
    alone, *_ = run(World(), World(host="other.example.com"), rules=policy("vuln.alpaca"))
    beside, *others = run(World(), *mail, rules=policy("vuln.alpaca"))
    assert [(verdict.reason, verdict.observed) for verdict in (*alone, *beside)] == [
        ("no-other", "none"),
        ("confusable", "in.example.com:25, out.example.com:25"),
    ]
    assert {verdict.reason for verdicts in others for verdict in verdicts} == {"not-http"}


def test_a_failure_counts_before_what_is_not_known_whatever_they_weigh() -> None:
    unknown = Finding("not-observed", subject="a", values={"why": "reset"})
    (verdict,) = finds(unknown, Finding("bad", subject="a", severity=Severity.LOW, values={"what": 1}))
    assert verdict.reason == "bad"
    (verdict,) = finds(Finding("none", subject="a"), Finding("good", subject="a"))
    assert verdict.reason == "good", "nor does what is not there count before what passes"


def test_a_target_of_which_no_tickets_key_was_seen_shares_none() -> None:
    key = tls(ticket_key=Attempt.ok("ab" * 16))
    items = [observed(World(tls=item), f"192.0.2.{number}") for number, item in enumerate((key, key, tls()), 1)]
    test = dataclasses.replace(items[1].target.endpoint, environment="test")
    items[1] = Observed(dataclasses.replace(items[1].target, endpoint=test), items[1].evidence)
    both = {name: environment(name=name) for name in ("production", "test")}
    found = evaluate(items, both, dict.fromkeys(both, policy("kex.ticket-keys")), (), NOW)
    reasons = [[verdict.reason for verdict in found[item.target.id]] for item in items]
    assert reasons == [["shared"], ["shared"], ["not-observed"]]
