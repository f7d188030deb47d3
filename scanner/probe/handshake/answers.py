"""sslyze's results as evidence, without its well-known misreadings.

What each field of sslyze's can be trusted for: policies/sslyze-6.3.1-coverage. A command whose jobs were not all done
by the deadline gives failures, and so does one that raised; the others are not touched by that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec import Struct
from nassl.ephemeral_key_info import DhEphemeralKeyInfo, EcDhEphemeralKeyInfo, EphemeralKeyInfo
from nassl.ssl_client import ClientCertificateRequested
from sslyze import RobotScanResultEnum, TlsResumptionSupportEnum  # type: ignore[attr-defined]  # not in its __all__
from sslyze.plugins.openssl_cipher_suites.implementation import CipherSuitesScanResult
from sslyze.plugins.plugin_base import ScanJobResult
from sslyze.plugins.scan_commands import ScanCommand, ScanCommandsRepository
from sslyze.server_connectivity import ClientAuthRequirementEnum, ServerConnectivityInfo, TlsVersionEnum

from scanner.counting import counted
from scanner.evidence import (
    AcceptedSuite,
    Attempt,
    ClientAuthentication,
    Deployment,
    Failure,
    FailureReason,
    Protocol,
    ProtocolOffer,
    Robot,
    TlsEvidence,
    not_run,
)
from scanner.inventory import is_address
from scanner.probe.handshake.early_data import EarlyData
from scanner.probe.handshake.failures import failure_of
from scanner.probe.handshake.jobs import OnlyTls13Error
from scanner.probe.handshake.robot import result_of
from scanner.probe.survey.primes import is_generator, modulus_of
from scanner.probe.x509.chains import deployment_of

T = TypeVar("T")

_SUITE_COMMANDS = {
    Protocol.SSL2: ScanCommand.SSL_2_0_CIPHER_SUITES,
    Protocol.SSL3: ScanCommand.SSL_3_0_CIPHER_SUITES,
    Protocol.TLS1_0: ScanCommand.TLS_1_0_CIPHER_SUITES,
    Protocol.TLS1_1: ScanCommand.TLS_1_1_CIPHER_SUITES,
    Protocol.TLS1_2: ScanCommand.TLS_1_2_CIPHER_SUITES,
    Protocol.TLS1_3: ScanCommand.TLS_1_3_CIPHER_SUITES,
}
_VERSIONS = dict(zip(TlsVersionEnum, Protocol, strict=True))
_CLIENT_AUTHENTICATION = {
    ClientAuthRequirementEnum.DISABLED: ClientAuthentication.NOT_ASKED,
    ClientAuthRequirementEnum.OPTIONAL: ClientAuthentication.OPTIONAL,
    ClientAuthRequirementEnum.REQUIRED: ClientAuthentication.REQUIRED,
}
AUTHENTICATION = {ours: theirs for theirs, ours in _CLIENT_AUTHENTICATION.items()}
"""sslyze's names for ours."""
_ROBOT = {
    RobotScanResultEnum.NOT_VULNERABLE_NO_ORACLE: Robot.NOT_VULNERABLE,
    RobotScanResultEnum.NOT_VULNERABLE_RSA_NOT_SUPPORTED: Robot.RSA_NOT_OFFERED,
    RobotScanResultEnum.VULNERABLE_WEAK_ORACLE: Robot.WEAK_ORACLE,
    RobotScanResultEnum.VULNERABLE_STRONG_ORACLE: Robot.STRONG_ORACLE,
}
_SILENCE = (False, ProtocolOffer(), Robot.NOT_VULNERABLE, Robot.RSA_NOT_OFFERED)
"""What a command answers of a server that has fallen silent."""
_AT_TLS12 = (1, 2)
"""Which of the jobs that fetch certificates do so at TLS 1.2 where TLS 1.3 is negotiated: with RSA, and without."""
_ONLY_TLS13 = "no protocol before TLS 1.3 is negotiated"
_UNSEEN_BESIDE_TLS13 = "beside TLS 1.3 the engine takes it for granted"
"""Why it says nothing of attacks on older versions."""
_LEFT_TO_ANOTHER = "another probe looks first"
_TIMED_OUT = "timed out"
"""What sslyze writes beside a cipher suite that it calls rejected and that got no answer."""
ROBOT_AGAIN = "robot, again"
"""The name under which the second run's results are kept."""
_ORACLES = (Robot.WEAK_ORACLE, Robot.STRONG_ORACLE)


class Answers(Struct, frozen=True):
    """The results of all jobs, by the name of the command; None where the deadline came first.

    `slow` names the commands of which a job met the timeout. `doubt` is set where the server no longer spoke at the
    end: then a "no" may have been silence. `left` is set where some commands were left to the survey, and of others
    only the jobs were run that tell more than it; `again` where these results are of what it could not tell either.
    """

    server: ServerConnectivityInfo
    results: Mapping[str, list[ScanJobResult] | None]
    slow: frozenset[str] = frozenset()
    doubt: Failure | None = None
    left: bool = False
    again: bool = False

    @property
    def newest(self) -> Protocol:
        """The newest protocol in which a handshake was made."""
        return _VERSIONS[self.server.tls_probing_result.highest_tls_version_supported]

    def of(
        self,
        command: ScanCommand,
        read: Callable[[Any], Attempt[T]],
        *,
        name: str | None = None,
        alone: Callable[[list[ScanJobResult]], Any] | None = None,
    ) -> Attempt[T]:
        """One command's result, read; a failure where it was not run, not finished, or raised.

        `name` is that under which its results are kept, where it is not its own. `alone` takes the place of sslyze's
        own reading where not all of its jobs were run.
        """
        name = name or command.value
        if name not in self.results:
            return not_run()
        results = self.results[name]
        if results is None:
            return Attempt.failed(FailureReason.DEADLINE, f"{command.value} was not finished")
        implementation = ScanCommandsRepository.get_implementation_cls(command)
        try:
            whole = implementation.result_for_completed_scan_jobs
            attempt = read(alone(results) if alone else whole(self.server, results))
        except OnlyTls13Error:
            return Attempt.failed(FailureReason.UNSUPPORTED, _ONLY_TLS13)
        except Exception as error:  # noqa: BLE001  # an engine's own fault must not end the run
            return Attempt(failure=failure_of(error))
        if self.doubt is not None and attempt.value in _SILENCE:
            return Attempt(failure=self.doubt)
        return attempt


def tls_evidence(answers: Answers, stores: Sequence[str]) -> TlsEvidence:
    """Everything that the results tell."""
    protocols = {
        protocol: answers.of(command, _offer)
        for protocol, command in _SUITE_COMMANDS.items()
        if command.value in answers.results
    }
    renegotiation = ScanCommand.SESSION_RENEGOTIATION
    resumption = ScanCommand.SESSION_RESUMPTION
    early_data = ScanCommand.TLS_1_3_EARLY_DATA
    newest = answers.newest
    if answers.again:
        return _again(answers, stores)
    only_newest: Attempt[bool] = Attempt.failed(FailureReason.UNSUPPORTED, "no TLS 1.3 handshake was completed")
    return TlsEvidence(
        protocols=protocols,
        groups=_groups(answers, newest),
        classical_curves_only=ScanCommand.ELLIPTIC_CURVES.value in answers.results,
        certificates=_certificates(answers, stores),
        # The survey asks these itself, and reads the answer off the wire.
        secure_renegotiation=answers.of(renegotiation, lambda result: Attempt.ok(result.supports_secure_renegotiation))
        if protocols
        else not_run(),
        client_renegotiation=_client_renegotiation(answers),
        extended_master_secret=answers.of(
            ScanCommand.TLS_EXTENDED_MASTER_SECRET, lambda result: Attempt.ok(result.supports_ems_extension)
        ),
        compression=answers.of(ScanCommand.TLS_COMPRESSION, lambda result: Attempt.ok(result.supports_compression)),
        early_data=answers.of(early_data, _accepted_early, alone=_only_job)
        if newest is Protocol.TLS1_3
        else only_newest,
        max_early_data_size=answers.of(early_data, lambda found: Attempt.ok(found.allowed), alone=_only_job),
        fallback_scsv=_fallback_scsv(answers, protocols),
        session_ids=answers.of(resumption, lambda result: _resumed(result.session_id_resumption_result)),
        session_tickets=not_run() if answers.left else _tickets(answers),
        client_authentication=Attempt.ok(
            _CLIENT_AUTHENTICATION[answers.server.tls_probing_result.client_auth_requirement]
        ),
        heartbleed=_heartbleed(answers),
        ccs_injection=_ccs_injection(answers),
        robot=_confirmed_robot(answers),
    )


def _again(answers: Answers, stores: Sequence[str]) -> TlsEvidence:
    """What a second request was about, and nothing of the first."""
    certificates = ScanCommand.CERTIFICATE_INFO.value in answers.results
    early_data = ScanCommand.TLS_1_3_EARLY_DATA
    return TlsEvidence(
        early_data=answers.of(early_data, _accepted_early, alone=_only_job),
        max_early_data_size=answers.of(early_data, lambda found: Attempt.ok(found.allowed), alone=_only_job),
        certificates=_certificates(answers, stores) if certificates else not_run(),
        session_tickets=_tickets(answers),
        client_renegotiation=_client_renegotiation(answers),
        heartbleed=_heartbleed(answers),
        ccs_injection=_ccs_injection(answers),
        robot=_confirmed_robot(answers),
    )


def _heartbleed(answers: Answers) -> Attempt[bool]:
    return _looked_at(answers, ScanCommand.HEARTBLEED, lambda result: Attempt.ok(result.is_vulnerable_to_heartbleed))


def _ccs_injection(answers: Answers) -> Attempt[bool]:
    command = ScanCommand.OPENSSL_CCS_INJECTION
    return _looked_at(answers, command, lambda result: Attempt.ok(result.is_vulnerable_to_ccs_injection))


def _looked_at(answers: Answers, command: ScanCommand, read: Callable[[Any], Attempt[bool]]) -> Attempt[bool]:
    """One command's result, unless sslyze takes a server for safe because it speaks TLS 1.3, without a look at it."""
    if answers.left and command.value not in answers.results:
        return Attempt.failed(FailureReason.UNSUPPORTED, _LEFT_TO_ANOTHER)
    found = answers.of(command, read)
    if found.value is not None and answers.newest is Protocol.TLS1_3:
        return Attempt.failed(FailureReason.UNSUPPORTED, _UNSEEN_BESIDE_TLS13)
    return found


def _tickets(answers: Answers) -> Attempt[bool]:
    return answers.of(ScanCommand.SESSION_RESUMPTION, lambda result: _resumed(result.tls_ticket_resumption_result))


def _client_renegotiation(answers: Answers) -> Attempt[bool]:
    """Whether the server renegotiates as often as it is asked to.

    sslyze takes silence for a refusal, as it is with some servers; but a slow one may have been too late. One that went
    along before it fell silent refuses nothing; one that was silent from the first is asked once more, where it can be.
    """
    command = ScanCommand.SESSION_RENEGOTIATION

    def read(found: tuple[bool, int]) -> Attempt[bool]:
        as_often_as_asked, times = found
        if not as_often_as_asked and command.value in answers.slow and (times or answers.left):
            detail = f"the server did not answer a renegotiation, after {counted(times, 'renegotiation')} before"
            return Attempt.failed(FailureReason.TIMED_OUT, detail)
        return Attempt.ok(as_often_as_asked)

    return answers.of(command, read, alone=_renegotiated)


def _renegotiated(results: list[ScanJobResult]) -> tuple[bool, int]:
    """The last job's answer: whether it renegotiated as often as it was asked to, and how often."""
    _, (as_often_as_asked, times) = results[-1].get_result()
    return bool(as_often_as_asked), times


def _only_job(results: list[ScanJobResult]) -> Any:
    """What the one job of its kind returned."""
    return results[0].get_result()


def _accepted_early(found: EarlyData) -> Attempt[bool]:
    return not_run() if found.accepted is None else Attempt.ok(found.accepted)


def has_oracle(answers: Answers) -> bool:
    """Whether the ROBOT test saw an oracle, so that it should be made again."""
    return answers.of(ScanCommand.ROBOT, _robot, alone=result_of).value in _ORACLES


def _offer(result: CipherSuitesScanResult) -> Attempt[ProtocolOffer]:
    suites = [
        _with_key(AcceptedSuite(accepted.cipher_suite.name), accepted.ephemeral_key)
        for accepted in result.accepted_cipher_suites
    ]
    silent = sum(_TIMED_OUT in rejected.error_message for rejected in result.rejected_cipher_suites)
    if suites and silent:
        # A server may meet a version that it does not speak with silence, but hardly one suite and not another.
        cut_off = Failure.of(FailureReason.TIMED_OUT, f"there was no answer to {silent} of the cipher suites")
        return Attempt.partial(ProtocolOffer(tuple(suites)), cut_off)
    return Attempt.ok(ProtocolOffer(tuple(suites)))


def _with_key(suite: AcceptedSuite, key: EphemeralKeyInfo | None) -> AcceptedSuite:
    """Add what the key tells. Nothing is known of one that sslyze refused as too weak, nothing claimed."""
    if isinstance(key, EcDhEphemeralKeyInfo):
        return replace(suite, group=key.curve_name.lower(), ephemeral_bits=key.size)
    if isinstance(key, DhEphemeralKeyInfo):
        prime = int.from_bytes(key.prime)
        modulus = modulus_of(prime)
        return replace(
            suite,
            group=modulus.name if modulus.name.startswith("ffdhe") else None,
            ephemeral_bits=prime.bit_length(),
            dh_prime=modulus.name,
            dh_modulus=modulus.hexadecimal,
            dh_safe=modulus.safe,
            dh_generator_valid=is_generator(int.from_bytes(key.generator), prime),
        )
    return suite


def _groups(answers: Answers, newest: Protocol) -> dict[Protocol, Attempt[tuple[str, ...]]]:
    """Curves of the newest version; sslyze looks at no other, nor at any group that is not an elliptic curve."""
    if ScanCommand.ELLIPTIC_CURVES.value not in answers.results:
        return {}

    def read(result: Any) -> Attempt[tuple[str, ...]]:
        if answers.doubt or ScanCommand.ELLIPTIC_CURVES.value in answers.slow:
            # sslyze takes silence for a refusal, and does not tell which of the two it was.
            cut_off = Failure(FailureReason.TIMED_OUT, "there was no answer to some of the curves")
        else:
            cut_off = None
        curves = tuple(curve.name.lower() for curve in result.supported_curves or ())
        return Attempt.until(cut_off, curves, empty=not curves)

    return {newest: answers.of(ScanCommand.ELLIPTIC_CURVES, read)}


def _resumed(result: TlsResumptionSupportEnum) -> Attempt[bool]:
    if result is TlsResumptionSupportEnum.SERVER_IS_TLS_1_3_ONLY:
        return Attempt.failed(FailureReason.UNSUPPORTED, _ONLY_TLS13)
    return Attempt.ok(result is not TlsResumptionSupportEnum.NOT_SUPPORTED)


def _robot(result: Any) -> Attempt[Robot]:
    found = _ROBOT.get(result.robot_result)
    if found is None:
        return Attempt.failed(FailureReason.INCONSISTENT, "the answers to the test disagree")
    return Attempt.ok(found)


def _confirmed_robot(answers: Answers) -> Attempt[Robot]:
    first = answers.of(ScanCommand.ROBOT, _robot, alone=result_of)
    if first.value not in _ORACLES:
        return first
    second = answers.of(ScanCommand.ROBOT, _robot, name=ROBOT_AGAIN, alone=result_of)
    if second.value is None:
        return second
    if second.value is not first.value:
        return Attempt.failed(FailureReason.INCONSISTENT, f"{first.value}, and {second.value} when asked again")
    return first


def _fallback_scsv(answers: Answers, protocols: Mapping[Protocol, Attempt[ProtocolOffer]]) -> Attempt[bool]:
    """Its test tries one version and takes any refusal for support: it tells only where that version is negotiated."""
    if ScanCommand.TLS_FALLBACK_SCSV.value not in answers.results:
        return not_run()
    newest = min(answers.server.tls_probing_result.highest_tls_version_supported.value, TlsVersionEnum.TLS_1_2.value)
    older = _VERSIONS[TlsVersionEnum(newest - 1)]
    offer = protocols.get(older, not_run())
    if offer.failure is not None:
        return Attempt(failure=offer.failure)
    if offer.value is None or not offer.value.negotiated:
        return Attempt.failed(FailureReason.UNSUPPORTED, f"{older} is not negotiated, so nothing falls back to it")
    return answers.of(ScanCommand.TLS_FALLBACK_SCSV, lambda result: Attempt.ok(result.supports_fallback_scsv))


def _certificates(answers: Answers, stores: Sequence[str]) -> Attempt[tuple[Deployment, ...]]:
    """The distinct chains. Read from the jobs themselves: sslyze's own analysis gives up on odd certificates."""
    results = answers.results.get(ScanCommand.CERTIFICATE_INFO.value)
    if results is None:
        return Attempt.failed(FailureReason.DEADLINE, "the certificates were not all received")
    newest = answers.newest
    named = not is_address(answers.server.network_configuration.tls_server_name_indication)
    found: dict[tuple[tuple[bytes, ...], bool], Deployment] = {}
    failure: Failure | None = None
    for index, result in enumerate(results):
        try:
            pems, staple, _, with_sni = result.get_result()
            chain = tuple(x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER) for pem in pems)
        except ClientCertificateRequested as error:
            failure = failure_of(error)
            continue
        except Exception as error:  # noqa: BLE001  # the hello of one kind of client may fail for many reasons
            failure = failure or failure_of(error)
            continue
        with_sni = with_sni and named
        if (chain, with_sni) in found or (not with_sni and (chain, True) in found):
            continue
        # The first and the last are of the newest version, those between of TLS 1.2 where that is not the newest.
        older = newest is Protocol.TLS1_3 and index in _AT_TLS12 and not answers.left
        protocol = Protocol.TLS1_2 if older else newest
        deployment = deployment_of(chain, stores, with_sni=with_sni, protocol=protocol, staple=_der(staple))
        if isinstance(deployment, Failure):
            failure = deployment
        else:
            found[chain, with_sni] = deployment
    if found:
        return Attempt.ok(tuple(found.values()))
    return Attempt(failure=failure or Failure(FailureReason.HANDSHAKE_FAILED, "no certificate was received"))


def _der(staple: Any) -> bytes | None:
    """The bytes of nassl's OCSP response, None where there was none."""
    return None if staple is None else bytes(staple.as_der_bytes())
