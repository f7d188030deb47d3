"""What sslyze is asked for, seen on real servers: facts, reasons, and what a server that falls silent leaves."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sslyze.plugins.plugin_base import ScanJob

from scanner.evidence import (
    Attempt,
    ClientAuthentication,
    Failure,
    FailureReason,
    Protocol,
    Robot,
    TargetEvidence,
    TlsEvidence,
    from_json,
    merge,
    to_json,
)
from scanner.inventory import (
    Address,
    Application,
    ApplicationKind,
    ClientCertificate,
    Endpoint,
    Role,
    StartTls,
    Target,
)
from scanner.lab import Lab, LabServer
from scanner.probe import ProbeSettings
from scanner.probe.handshake import connections as handshake_connections
from scanner.probe.handshake.connections import Meter
from scanner.probe.handshake.probe import HandshakeResult, observe
from scanner.probe.handshake.work import Work, run
from scanner.probe.net.remote import RemoteBudget
from scanner.probe.survey.probe import survey
from scanner.probe.tls.division import Surveyed, remaining

SETTINGS = ProbeSettings(timeout_s=10, deadline_s=120)
SOON_S = 8
"""For servers that are silent to one of the questions; others are as slow as the machine is busy."""
STARTTLS = tuple(StartTls)
NAMES = (
    *("good", "good-rsa", "ipv6", "expired", "not-yet-valid", "wrong-host", "self-signed", "untrusted-ca"),
    *("missing-intermediate", "sha1-signature", "hostile-certificate"),
    *("client-certificate-required", "client-certificate-optional", "tls1.3-only", "legacy-tls", "tls1.0-to-1.3"),
    *("weak-dh", "no-ems", "no-secure-renegotiation", "no-fallback-scsv", "compression", "client-renegotiation"),
    *("heartbleed", "ccs-injection", "robot", "static-rsa", "early-data", "post-quantum-only"),
    *("plain-http-on-tls-port", "silent", "dribble", "closed-port", "reset", "garbage", "smtp-no-starttls"),
    *(f"{protocol}-starttls" for protocol in STARTTLS),
)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(only=NAMES) as running:
        assert not running.skipped
        yield running


def target_of(server: LabServer, host: str | None = None, certificate: ClientCertificate | None = None) -> Target:
    starttls = StartTls(server.starttls) if server.starttls else None
    endpoint = Endpoint(
        "lab",
        host or server.host,
        server.port,
        role=Role.SERVER if starttls else Role.APPLICATION,
        starttls=starttls,
        applications=(Application("a", ApplicationKind.TRADITIONAL_WEB, client_certificate=certificate),)
        if certificate
        else (),
    )
    return Target(endpoint, Address(server.address, server.actual_port))


def seen(lab: Lab, name: str, **changes) -> HandshakeResult:
    settings = replace(SETTINGS, trust_stores=("mozilla", str(lab.ca_file)), **changes)
    return observe(target_of(lab.servers[name]), settings)


def evidence_of(lab: Lab, name: str, **changes) -> TlsEvidence:
    attempt = seen(lab, name, **changes).evidence
    assert attempt.value is not None, attempt.failure
    return attempt.value


def test_a_good_server_has_nothing_of_what_is_feared(lab):
    evidence = evidence_of(lab, "good")

    assert (evidence.client_renegotiation, evidence.early_data) == (Attempt.ok(value=False),) * 2
    # Beside TLS 1.3 sslyze does not look: tests/lab/test_attacks_beside_tls13.py
    for fear in (evidence.heartbleed, evidence.ccs_injection):
        assert fear.failure.reason is FailureReason.UNSUPPORTED
    assert evidence.robot.value is Robot.RSA_NOT_OFFERED
    assert evidence.client_authentication.value is ClientAuthentication.NOT_ASKED
    assert evidence.session_tickets.value is not None
    # The survey is asked for these.
    assert evidence.protocols == {}
    assert evidence.groups == {}
    assert evidence.secure_renegotiation.failure.reason is FailureReason.NOT_RUN


def test_evidence_goes_to_json_and_back(lab):
    for name in ("good", "hostile-certificate"):
        evidence = TargetEvidence(datetime(2026, 1, 1, tzinfo=UTC), 1.0, 1, tls=seen(lab, name).evidence)
        assert from_json(to_json(evidence)) == evidence


def test_a_deployment_is_a_chain_with_its_paths_once(lab):
    deployments = evidence_of(lab, "good").certificates.value
    (deployment,) = (item for item in deployments if item.with_sni)
    mozilla, own = deployment.paths

    assert deployment.leaf.dns_names == ("good.lab.example",)
    assert len(deployment.chain) == 2
    assert deployment.protocol is Protocol.TLS1_3
    assert deployment.staple is None
    assert (mozilla.store, mozilla.trusted) == ("mozilla", False)
    assert (own.store, own.trusted, own.publicly_trusted) == (str(lab.ca_file), True, False)
    assert own.path[:2] == tuple(certificate.fingerprint for certificate in deployment.chain)
    assert own.missing == ()


@pytest.mark.parametrize(
    ("name", "trusted"),
    [
        ("expired", True),
        ("not-yet-valid", True),
        ("wrong-host", True),
        ("self-signed", False),
        ("untrusted-ca", False),
        ("missing-intermediate", False),
        ("sha1-signature", False),
    ],
)
def test_trust_is_of_the_path_alone(lab, name, trusted):
    for deployment in evidence_of(lab, name).certificates.value:
        mozilla, own = deployment.paths
        assert not mozilla.trusted
        assert own.trusted is trusted
        assert bool(own.path) is trusted
        assert bool(own.detail) is not trusted


def test_a_hostile_subject_comes_in_harmless(lab):
    leaf = evidence_of(lab, "hostile-certificate").certificates.value[0].leaf

    assert leaf.subject.isprintable()
    assert len(leaf.subject) <= 300
    assert "<script>" in leaf.subject


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        ("plain-http-on-tls-port", {FailureReason.NOT_TLS}),
        ("garbage", {FailureReason.NOT_TLS}),
        ("silent", {FailureReason.TIMED_OUT}),
        ("dribble", {FailureReason.TIMED_OUT, FailureReason.DEADLINE}),
        ("closed-port", {FailureReason.REFUSED}),
        ("reset", {FailureReason.RESET}),
        ("smtp-no-starttls", {FailureReason.STARTTLS_REFUSED}),
        ("post-quantum-only", {FailureReason.HANDSHAKE_FAILED}),
    ],
)
def test_why_there_is_no_handshake(lab, name, reasons):
    silent = FailureReason.TIMED_OUT in reasons
    result = seen(lab, name, timeout_s=1, deadline_s=8) if silent else seen(lab, name)

    assert result.evidence.failure.reason in reasons
    assert result.connections > 0


def test_without_an_address_nothing_is_connected_to():
    result = observe(Target(Endpoint("lab", "x.example", 443), None), SETTINGS)

    assert (result.evidence.failure.reason, result.connections) == (FailureReason.UNRESOLVABLE, 0)


@pytest.mark.parametrize("protocol", STARTTLS)
def test_every_starttls_protocol_is_spoken(lab, protocol):
    evidence = evidence_of(lab, f"{protocol}-starttls")

    assert evidence.certificates.value[0].paths[1].trusted
    assert evidence.client_renegotiation == Attempt.ok(value=False)
    # It takes an HTTP request to find out, which is of no use here.
    assert evidence.early_data.failure.reason is FailureReason.NOT_RUN


def test_an_address_is_connected_to_over_ipv6_and_without_a_server_name(lab, monkeypatch):
    names: list[str] = []
    original = handshake_connections.SslConnection.__init__

    def noted(self, *arguments, should_enable_server_name_indication=True, **options):
        if should_enable_server_name_indication:
            names.append(options.get("network_configuration", arguments[1:2]))
        original(self, *arguments, should_enable_server_name_indication=should_enable_server_name_indication, **options)

    monkeypatch.setattr(handshake_connections.SslConnection, "__init__", noted)
    settings = replace(SETTINGS, trust_stores=("mozilla", str(lab.ca_file)))
    evidence = observe(target_of(lab.servers["ipv6"], host="::1"), settings).evidence.value

    assert names == []
    assert [item.with_sni for item in evidence.certificates.value] == [False]
    assert evidence.certificates.value[0].leaf.dns_names == ("ipv6.lab.example",)


def test_client_certificates_are_noticed_and_hide_little(lab):
    required = evidence_of(lab, "client-certificate-required")

    assert required.client_authentication.value is ClientAuthentication.REQUIRED
    assert required.certificates.value[0].paths[1].trusted
    optional = evidence_of(lab, "client-certificate-optional", timeout_s=SOON_S)
    assert optional.client_authentication.value is ClientAuthentication.OPTIONAL


def test_with_the_configured_client_certificate_everything_is_assessed(lab):
    certificate = ClientCertificate(lab.client_certificate_file, lab.client_key_file)
    target = target_of(lab.servers["client-certificate-required"], certificate=certificate)

    evidence = observe(target, replace(SETTINGS, trust_stores=("mozilla",))).evidence.value

    assert evidence.client_authentication.value is ClientAuthentication.REQUIRED
    assert evidence.client_renegotiation == Attempt.ok(value=False)
    assert evidence.session_tickets.value is not None


@pytest.mark.parametrize(
    ("name", "fact", "value"),
    [
        ("heartbleed", "heartbleed", True),
        ("ccs-injection", "ccs_injection", True),
        ("client-renegotiation", "client_renegotiation", True),
        ("early-data", "early_data", True),
        ("static-rsa", "robot", Robot.NOT_VULNERABLE),
    ],
)
def test_what_a_server_is_guilty_of_is_seen(lab, name, fact, value):
    assert getattr(evidence_of(lab, name), fact) == Attempt.ok(value)


def test_an_oracle_is_seen_twice(lab):
    assert evidence_of(lab, "robot").robot.value in {Robot.WEAK_ORACLE, Robot.STRONG_ORACLE}


def test_early_data_is_no_question_without_tls13(lab):
    assert evidence_of(lab, "legacy-tls").early_data.failure.reason is FailureReason.UNSUPPORTED


@pytest.mark.parametrize("name", ["good", "static-rsa", "legacy-tls"])
def test_sessions_are_resumed_by_their_ids(lab, name):
    # A server that is not taken leave of forgets the session, and seems to resume none; a busy one may forget one too.
    looks = (observe(target_of(lab.servers[name]), SETTINGS).evidence.value for _ in range(5))
    assert any(seen.session_ids.value is True for seen in looks)


def test_session_ids_are_no_question_with_tls13_alone(lab):
    assert evidence_of(lab, "tls1.3-only").session_ids.failure.reason is FailureReason.UNSUPPORTED


@pytest.mark.parametrize(
    "name",
    [
        *("good", "good-rsa", "tls1.3-only", "tls1.0-to-1.3", "legacy-tls", "static-rsa", "robot", "early-data"),
        *("heartbleed", "ccs-injection", "client-renegotiation", "client-certificate-required", "smtp-starttls"),
        *("client-certificate-optional", "post-quantum-only", "hostile-certificate"),
    ],
)
def test_what_is_left_to_the_survey_is_not_lost(lab, name):
    target, settings = target_of(lab.servers[name]), replace(SETTINGS, trust_stores=("mozilla", str(lab.ca_file)))
    if name == "client-certificate-optional":
        settings = replace(settings, timeout_s=SOON_S)
    whole = observe(target, settings)

    surveyed, newest = survey_of(target, settings)
    beside = observe(target, settings, Surveyed(newest))
    left = remaining(surveyed, beside)
    again = observe(target, settings, left) if left is not None else HandshakeResult(Attempt.ok(TlsEvidence()), 0)

    assert (beside.evidence.failure, again.evidence.failure) == (whole.evidence.failure, None)
    if whole.evidence.value is None:
        return
    together = merge(surveyed.value, merge(beside.evidence.value, again.evidence.value))
    later = {"heartbleed", "ccs_injection"} if beside.left else set()
    assert {getattr(together, fact).failure.reason for fact in later} <= {FailureReason.UNSUPPORTED}
    for fact in {*FACTS, "session_tickets", "robot"} - later:
        # The survey may know more, but no fact may be missing or another.
        known, told = getattr(whole.evidence.value, fact).value, getattr(together, fact).value
        # A server on a busy machine may have forgotten the session of one of the two.
        assert known is None or told == known or (fact == "session_ids" and told is not None), fact
    seen = {(item.leaf.fingerprint, item.with_sni) for item in together.certificates.value}
    assert seen >= {(item.leaf.fingerprint, item.with_sni) for item in whole.evidence.value.certificates.value}
    assert beside.connections <= (8 if beside.left else whole.connections)


def test_the_usual_server_takes_five_handshakes_beside_the_survey(lab):
    target, settings = target_of(lab.servers["good"]), SETTINGS
    surveyed, newest = survey_of(target, settings)

    result = observe(target, settings, Surveyed(newest))

    assert (result.newest, result.left, result.connections) == (Protocol.TLS1_3, True, 5)
    assert remaining(surveyed, result) is None


FACTS = ("client_renegotiation", "early_data", "session_ids", "client_authentication", "heartbleed", "ccs_injection")


def survey_of(target: Target, settings: ProbeSettings) -> tuple[Attempt[TlsEvidence], Protocol | None]:
    """What the survey sees, and what it tells after its first answer."""

    async def surveyed() -> tuple[Attempt[TlsEvidence], Protocol | None]:
        first_answer: asyncio.Future[Surveyed | Failure | None] = asyncio.get_running_loop().create_future()
        evidence, _ = await survey(target, settings, first_answer=first_answer)
        first = await first_answer
        assert isinstance(first, Surveyed)
        return evidence, first.newest

    return asyncio.run(surveyed())


class TestWithoutTheSurvey:
    """`engine = "sslyze"`: the same facts by one connection for each suite."""

    def test_protocols_suites_and_groups_have_their_registered_names(self, lab):
        evidence = evidence_of(lab, "tls1.0-to-1.3", engine="sslyze")

        assert evidence.negotiated == (Protocol.TLS1_0, Protocol.TLS1_1, Protocol.TLS1_2, Protocol.TLS1_3)
        tls12 = {suite.name: suite for suite in evidence.offer(Protocol.TLS1_2).value.suites}
        suite = tls12["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]
        assert (suite.group, suite.ephemeral_bits, suite.dh_prime) in {
            ("x25519", 253, None),
            ("secp256r1", 256, None),
        }
        assert "secp256r1" in evidence.groups[Protocol.TLS1_3].value
        assert evidence.extended_master_secret == evidence.secure_renegotiation == Attempt.ok(value=True)
        assert evidence.fallback_scsv == Attempt.ok(value=True)

    @pytest.mark.parametrize(
        ("name", "fact", "value"),
        [
            ("no-ems", "extended_master_secret", False),
            ("no-secure-renegotiation", "secure_renegotiation", False),
            ("no-fallback-scsv", "fallback_scsv", False),
            ("compression", "compression", True),
        ],
    )
    def test_a_missing_protection_is_seen(self, lab, name, fact, value):
        assert getattr(evidence_of(lab, name, engine="sslyze"), fact) == Attempt.ok(value)

    def test_questions_of_older_versions_are_none_with_tls13_alone(self, lab):
        evidence = evidence_of(lab, "tls1.3-only", engine="sslyze")

        assert evidence.negotiated == (Protocol.TLS1_3,)
        assert evidence.extended_master_secret.failure.reason is FailureReason.UNSUPPORTED
        # sslyze itself would call it supported, because the refused version is refused.
        assert evidence.fallback_scsv.failure.reason is FailureReason.UNSUPPORTED

    def test_a_key_that_was_not_seen_is_not_made_up(self, lab):
        offer = evidence_of(lab, "weak-dh", engine="sslyze").offer(Protocol.TLS1_2).value
        finite = [suite for suite in offer.suites if suite.name.startswith("TLS_DHE_")]

        assert finite
        assert {(suite.ephemeral_bits, suite.dh_prime) for suite in finite} <= {(None, None), (1024, "oakley-2")}


@pytest.mark.parametrize("engine", ["survey", "sslyze"])
def test_a_server_that_falls_silent_is_left_in_time_and_not_taken_for_sound(engine):
    with Lab(only=("silent-after-handshakes",)) as lab:
        before = set(threading.enumerate())
        result = seen(lab, "silent-after-handshakes", timeout_s=1, deadline_s=9, engine=engine)
        left = set(threading.enumerate()) - before
        for thread in left:
            thread.join(60)
        # Nobody goes on waiting for this server while the worker looks at the next.
        assert not any(thread.is_alive() for thread in left)

    assert result.connections > 6
    evidence = result.evidence.value
    # What came before the silence is kept,
    assert evidence.certificates.value
    # and nothing of what was asked during it is taken for a "no".
    fears = (evidence.client_renegotiation, evidence.early_data, evidence.robot, evidence.heartbleed)
    assert {attempt.failure.reason for attempt in fears} <= {FailureReason.TIMED_OUT, FailureReason.DEADLINE}
    assert all(offer.failure is not None for offer in evidence.protocols.values())
    assert len(evidence.protocols) == (6 if engine == "sslyze" else 0)


def test_a_meter_counts_from_all_threads_and_keeps_the_rate():
    settings = ProbeSettings(rate_per_s=200.0, connections_per_target=50)
    with RemoteBudget.alone(settings, "127.0.0.1") as budget:
        meter, begun = Meter(budget, ProbeSettings()), time.monotonic()
        threads = [threading.Thread(target=lambda: [meter.admit()() for _ in range(10)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - begun

    assert meter.opened == 40
    assert seconds >= 39 / 200


def test_a_connection_that_comes_too_late_is_denied_and_its_job_has_no_result():
    settings = ProbeSettings(rate_per_s=0.01, deadline_s=10)
    with RemoteBudget.alone(settings, "127.0.0.1") as budget:
        meter = Meter(budget, ProbeSettings())
        work = Work("two connections", [ScanJob(function_to_call=meter.admit, function_arguments=[]) for _ in range(2)])
        run([work], 1, budget.ends, meter)

    assert [result is None for result in work.results] == [False, True]
    assert work.finished() is None
    assert meter.opened == 1
    assert meter.denied.is_set()


def test_an_ended_meter_wakes_who_waits_and_lets_nobody_in():
    ours, theirs = socket.socketpair()
    with ours, theirs, RemoteBudget.alone(ProbeSettings(), "127.0.0.1") as budget:
        meter = Meter(budget, ProbeSettings())
        meter.watch(ours)
        said: list[bytes] = []
        waiting = threading.Thread(target=lambda: said.append(ours.recv(1)))
        waiting.start()
        meter.end()
        waiting.join(60)
        assert said == [b""]
    with pytest.raises(ConnectionAbortedError):
        meter.admit()
    late, other = socket.socketpair()
    with late, other:
        meter.watch(late)
        assert late.recv(1) == b""
