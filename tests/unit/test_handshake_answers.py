"""sslyze's results are read without its misreadings: built results in, evidence out."""

from __future__ import annotations

import pytest
from msgspec import structs
from nassl.ephemeral_key_info import DhEphemeralKeyInfo, OpenSslEvpPkeyEnum
from sslyze.errors import ServerRejectedTlsHandshake, TlsHandshakeTimedOut
from sslyze.plugins.elliptic_curves_plugin import EllipticCurve, _EllipticCurveResult
from sslyze.plugins.openssl_cipher_suites._test_cipher_suite import (
    CipherSuiteAcceptedByServer,
    CipherSuiteRejectedByServer,
)
from sslyze.plugins.openssl_cipher_suites.cipher_suites import CipherSuitesRepository
from sslyze.plugins.plugin_base import ScanJobResult
from sslyze.plugins.robot._robot_tester import RobotPmsPaddingPayloadEnum, ServerDoesNotSupportRsa
from sslyze.plugins.scan_commands import ScanCommand
from sslyze.server_connectivity import (
    ClientAuthRequirementEnum,
    ServerConnectivityInfo,
    ServerTlsProbingResult,
    TlsVersionEnum,
)
from sslyze.server_setting import ServerNetworkConfiguration, ServerNetworkLocation

from scanner.evidence import Attempt, Failure, FailureReason, Protocol, ProtocolOffer, Robot, TlsEvidence
from scanner.probe.handshake.answers import ROBOT_AGAIN, Answers, has_oracle, tls_evidence
from scanner.probe.survey.primes import known_primes

LOCATION = ServerNetworkLocation("a.example", 443, ip_address="192.0.2.1")
NETWORK = ServerNetworkConfiguration("a.example")
REJECTED = "TLS alert: handshake failure"
SILENT = TlsHandshakeTimedOut(
    LOCATION, NETWORK, "Connection to server timed out during the TLS handshake"
).error_message
DOUBT = Failure(FailureReason.TIMED_OUT, "no answer")
COMMANDS = {
    Protocol.TLS1_1: (ScanCommand.TLS_1_1_CIPHER_SUITES, TlsVersionEnum.TLS_1_1),
    Protocol.TLS1_2: (ScanCommand.TLS_1_2_CIPHER_SUITES, TlsVersionEnum.TLS_1_2),
    Protocol.TLS1_3: (ScanCommand.TLS_1_3_CIPHER_SUITES, TlsVersionEnum.TLS_1_3),
}


def answers(
    results: dict[str, list[ScanJobResult] | None], newest: TlsVersionEnum = TlsVersionEnum.TLS_1_3, **changes
) -> Answers:
    probing = ServerTlsProbingResult(newest, "ANY", ClientAuthRequirementEnum.DISABLED, supports_ecdh_key_exchange=True)
    return Answers(ServerConnectivityInfo(LOCATION, NETWORK, probing), results, **changes)


def read_of_tls12(results: dict[str, list[ScanJobResult] | None], **changes) -> TlsEvidence:
    return tls_evidence(structs.replace(answers(results, TlsVersionEnum.TLS_1_2), **changes), [])


def read(results: dict[str, list[ScanJobResult] | None], **changes) -> TlsEvidence:
    return tls_evidence(answers(results, **changes), [])


def done(*values: object) -> list[ScanJobResult]:
    return [ScanJobResult(value, None) for value in values]


def raised(error: Exception) -> list[ScanJobResult]:
    return [ScanJobResult(None, error)]


def suites(protocol: Protocol, accepted: int = 0, silent: int = 0, key=None) -> dict[str, list[ScanJobResult] | None]:
    """The results for all suites of a protocol: so many accepted, so many without an answer, the rest rejected."""
    command, version = COMMANDS[protocol]
    results: list[object] = []
    for index, suite in enumerate(CipherSuitesRepository.get_all_cipher_suites(version)):
        if index < accepted:
            results.append(CipherSuiteAcceptedByServer(suite, key))
        else:
            results.append(CipherSuiteRejectedByServer(suite, SILENT if index < accepted + silent else REJECTED))
    return {command.value: done(*results)}


def robot(*responses: str) -> list[ScanJobResult]:
    """The results of three runs, in which the payloads got these responses, the last of them for all that remain."""
    answered = dict(
        zip(RobotPmsPaddingPayloadEnum, [*responses, *[responses[-1]] * len(RobotPmsPaddingPayloadEnum)], strict=False)
    )
    return done(answered, answered, answered)


SAME, ORACLE = ("alert 51",), ("alert 51", "alert 20")


def test_suites_that_were_refused_are_not_offered():
    evidence = read(suites(Protocol.TLS1_3, accepted=2) | suites(Protocol.TLS1_2))

    assert evidence.negotiated == (Protocol.TLS1_3,)
    assert len(evidence.offer(Protocol.TLS1_3).value.suites) == 2
    assert evidence.offer(Protocol.TLS1_2) == Attempt.ok(ProtocolOffer())


def test_suites_without_an_answer_are_not_taken_for_refused():
    evidence = read(suites(Protocol.TLS1_2, accepted=2, silent=1))

    offer = evidence.offer(Protocol.TLS1_2)
    assert offer.incomplete.reason is FailureReason.TIMED_OUT
    assert len(offer.value.suites) == 2


def test_a_version_met_with_silence_is_not_offered_as_long_as_the_server_still_speaks():
    silent = suites(Protocol.TLS1_3, silent=5)

    assert read(silent).offer(Protocol.TLS1_3) == Attempt.ok(ProtocolOffer())
    assert read(silent, doubt=DOUBT).offer(Protocol.TLS1_3).failure == DOUBT


_UNPUBLISHED = {"custom": 2**2203 - 1, "composite": 2**2203 + 1}  # a prime of Mersenne's, and a multiple of three


@pytest.mark.parametrize(
    ("prime_name", "group"),
    [("oakley-14", None), ("ffdhe2048", "ffdhe2048"), ("custom", None), ("composite", None)],
)
def test_a_finite_field_is_named_where_its_prime_is_published(prime_name, group):
    prime = _UNPUBLISHED.get(prime_name) or {name: prime for prime, name in known_primes().items()}[prime_name]
    bits = prime.bit_length()
    modulus = bytearray(prime.to_bytes((bits + 7) // 8))
    key = DhEphemeralKeyInfo(OpenSslEvpPkeyEnum.DH, bits, bytearray(b"\x02"), modulus, bytearray(b"\x02"))

    (suite,) = read(suites(Protocol.TLS1_2, accepted=1, key=key)).offer(Protocol.TLS1_2).value.suites

    assert (suite.dh_prime, suite.group, suite.ephemeral_bits) == (prime_name, group, bits)


def test_curves_are_told_unless_some_got_no_answer():
    curves = ScanCommand.ELLIPTIC_CURVES.value
    results = {
        curves: done(
            _EllipticCurveResult(EllipticCurve("X25519", 1034), was_accepted_by_server=True),
            _EllipticCurveResult(EllipticCurve("secp256r1", 415), was_accepted_by_server=False),
        )
    }

    assert read(results).groups == {Protocol.TLS1_3: Attempt.ok(("x25519",))}
    for changes in ({"slow": frozenset({curves})}, {"doubt": DOUBT}):
        groups = read(results, **changes).groups[Protocol.TLS1_3]
        assert (groups.value, groups.incomplete.reason) == (("x25519",), FailureReason.TIMED_OUT)


def test_an_oracle_counts_when_it_is_seen_twice():
    first = {ScanCommand.ROBOT.value: robot(*ORACLE)}

    assert has_oracle(answers(first))
    assert not has_oracle(answers({ScanCommand.ROBOT.value: robot(*SAME)}))
    assert read(first | {ROBOT_AGAIN: robot(*ORACLE)}).robot.value in {Robot.WEAK_ORACLE, Robot.STRONG_ORACLE}
    assert read(first | {ROBOT_AGAIN: robot(*SAME)}).robot.failure.reason is FailureReason.INCONSISTENT
    assert read(first | {ROBOT_AGAIN: None}).robot.failure.reason is FailureReason.DEADLINE


def test_without_an_oracle_once_is_enough():
    assert read({ScanCommand.ROBOT.value: robot(*SAME)}).robot == Attempt.ok(Robot.NOT_VULNERABLE)
    no_rsa = raised(ServerDoesNotSupportRsa()) * 3
    assert read({ScanCommand.ROBOT.value: no_rsa}).robot == Attempt.ok(Robot.RSA_NOT_OFFERED)


def test_runs_that_disagree_are_inconsistent():
    one, other = robot(*SAME)[0], robot(*ORACLE)[0]

    assert read({ScanCommand.ROBOT.value: [one, other, one]}).robot.failure.reason is FailureReason.INCONSISTENT


def test_fallback_scsv_is_told_only_where_the_version_that_was_tried_is_negotiated():
    tried = {ScanCommand.TLS_FALLBACK_SCSV.value: done(True)}  # noqa: FBT003  # what the job returns
    negotiated, refused = suites(Protocol.TLS1_1, accepted=1), suites(Protocol.TLS1_1)
    in_part = suites(Protocol.TLS1_1, accepted=1, silent=1)

    assert read(tried | negotiated).fallback_scsv == Attempt.ok(value=True)
    assert read(tried | refused).fallback_scsv.failure.reason is FailureReason.UNSUPPORTED
    assert read(tried | in_part).fallback_scsv == Attempt.ok(value=True)  # one suite proves that it is negotiated
    assert read(negotiated).fallback_scsv.failure.reason is FailureReason.NOT_RUN


@pytest.mark.parametrize(
    ("results", "reason"),
    [
        (None, FailureReason.DEADLINE),
        (raised(TlsHandshakeTimedOut(LOCATION, NETWORK, "slow")), FailureReason.TIMED_OUT),
        (raised(ServerRejectedTlsHandshake(LOCATION, NETWORK, "no")), FailureReason.HANDSHAKE_FAILED),
        (raised(ConnectionResetError()), FailureReason.RESET),
        (raised(ZeroDivisionError()), FailureReason.ENGINE_ERROR),
        (done(), FailureReason.ENGINE_ERROR),
    ],
)
def test_what_went_wrong_with_one_command_is_its_own_failure(results, reason):
    heartbleed, ccs = ScanCommand.HEARTBLEED.value, ScanCommand.OPENSSL_CCS_INJECTION.value
    evidence = read_of_tls12({heartbleed: results, ccs: done(False)})  # noqa: FBT003  # what the job returns

    assert evidence.heartbleed.failure.reason is reason
    assert evidence.ccs_injection == Attempt.ok(value=False)


def test_a_no_is_not_believed_of_a_server_that_no_longer_speaks():
    results = {ScanCommand.HEARTBLEED.value: done(False), ScanCommand.OPENSSL_CCS_INJECTION.value: done(True)}  # noqa: FBT003  # the same

    after = read_of_tls12(results, doubt=DOUBT)

    assert read_of_tls12(results).heartbleed == Attempt.ok(value=False)
    assert after.heartbleed.failure == DOUBT
    assert after.ccs_injection == Attempt.ok(value=True)


@pytest.mark.parametrize("command", [ScanCommand.HEARTBLEED, ScanCommand.OPENSSL_CCS_INJECTION])
def test_what_sslyze_takes_for_granted_beside_tls13_is_not_observed(command):
    found = read({command.value: done(False)})  # noqa: FBT003  # what the job returns
    fact = found.heartbleed if command is ScanCommand.HEARTBLEED else found.ccs_injection
    assert fact.failure.reason is FailureReason.UNSUPPORTED
