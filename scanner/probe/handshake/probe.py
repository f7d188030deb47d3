"""What only a real handshake shows, by sslyze. The only module, with its `handshake_*` siblings, that imports it.

sslyze's scan commands are made of jobs that open at most one connection each. They are run here directly, in threads,
so that their number at once is bounded, connections are counted, and what was finished before a server fell silent is
kept (docs/adr/0002). It all blocks: `observe` is meant for a worker process, which can be ended if it is late.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from msgspec import structs
from sslyze.connection_helpers.opportunistic_tls_helpers import ProtocolWithOpportunisticTlsEnum
from sslyze.errors import ConnectionToServerFailed
from sslyze.plugins.plugin_base import ScanCommandExtraArgument, ScanJob
from sslyze.plugins.scan_commands import ScanCommand, ScanCommandsRepository
from sslyze.plugins.session_renegotiation_plugin import SessionRenegotiationExtraArgument
from sslyze.plugins.session_resumption.implementation import SessionResumptionSupportExtraArgument
from sslyze.server_connectivity import (
    ServerConnectivityInfo,
    ServerTlsProbingResult,
    TlsVersionEnum,
    check_connectivity_to_server,
)
from sslyze.server_setting import ClientAuthenticationCredentials, ServerNetworkLocation

from scanner.evidence import Attempt, Failure, FailureReason, Protocol
from scanner.inventory import ClientCertificate, StartTls, Target
from scanner.probe import ProbeSettings
from scanner.probe.handshake.answers import AUTHENTICATION, ROBOT_AGAIN, Answers, has_oracle, tls_evidence
from scanner.probe.handshake.connections import Meter, MeteredConfiguration
from scanner.probe.handshake.early_data import early_data
from scanner.probe.handshake.failures import failure_of
from scanner.probe.handshake.first import (
    LOOKS_LIKE_AN_ATTACK,
    RENEGOTIATIONS,
    VERSIONS,
    FirstLook,
    first_look,
    jobs_of,
    remaining_jobs,
)
from scanner.probe.handshake.jobs import extended_master_secret_job
from scanner.probe.handshake.robot import SERIES_AGAIN, robot_job
from scanner.probe.handshake.work import Work, run
from scanner.probe.net.connection import own_address_towards
from scanner.probe.net.remote import RemoteBudget
from scanner.probe.net.starttls import Names, address_literal
from scanner.probe.survey.baseline import find_baseline
from scanner.probe.survey.client import HelloClient
from scanner.probe.tls.division import HandshakeResult, Remaining, Surveyed, Unanswered

_ALWAYS = (
    ScanCommand.CERTIFICATE_INFO,
    ScanCommand.SESSION_RENEGOTIATION,
    ScanCommand.SESSION_RESUMPTION,
    ScanCommand.HEARTBLEED,
    ScanCommand.OPENSSL_CCS_INJECTION,
    ScanCommand.ROBOT,
)
_WITHOUT_SURVEY = (
    ScanCommand.TLS_COMPRESSION,
    ScanCommand.TLS_FALLBACK_SCSV,
    ScanCommand.ELLIPTIC_CURVES,
    ScanCommand.TLS_1_3_CIPHER_SUITES,
    ScanCommand.TLS_1_2_CIPHER_SUITES,
    ScanCommand.TLS_1_1_CIPHER_SUITES,
    ScanCommand.TLS_1_0_CIPHER_SUITES,
    ScanCommand.SSL_3_0_CIPHER_SUITES,
    ScanCommand.SSL_2_0_CIPHER_SUITES,
)
_ARGUMENTS: dict[ScanCommand, ScanCommandExtraArgument] = {
    ScanCommand.SESSION_RENEGOTIATION: SessionRenegotiationExtraArgument(client_renegotiation_attempts=RENEGOTIATIONS),
    # Two resumptions show that it is done.
    ScanCommand.SESSION_RESUMPTION: SessionResumptionSupportExtraArgument(number_of_resumptions_to_attempt=1),
}
_STARTTLS = {
    protocol: ProtocolWithOpportunisticTlsEnum[protocol.name]
    for protocol in StartTls
    if protocol.name in ProtocolWithOpportunisticTlsEnum.__members__
}
"""Those that sslyze speaks itself; before the others a connection is upgraded by our own preludes."""
_XMPP = frozenset({StartTls.XMPP, StartTls.XMPP_SERVER})
_DOUBT_S = 1.0
"""Kept back from the end for the question whether the server still speaks: a second, or a tenth of what there is."""
_DOUBT_SHARE = 0.1
_SLOW = 0.9
"""Part of the timeout from which on a job is taken to have met it."""


_UNANSWERED = {
    ScanCommand.CERTIFICATE_INFO: Unanswered.CERTIFICATES,
    ScanCommand.SESSION_RESUMPTION: Unanswered.SESSION_TICKETS,
    ScanCommand.ROBOT: Unanswered.ROBOT,
    ScanCommand.SESSION_RENEGOTIATION: Unanswered.RENEGOTIATION,
    ScanCommand.HEARTBLEED: Unanswered.HEARTBLEED,
    ScanCommand.OPENSSL_CCS_INJECTION: Unanswered.CCS_INJECTION,
}


def observe(
    target: Target,
    settings: ProbeSettings,
    known: Surveyed | Remaining | None = None,
    budget: RemoteBudget | None = None,
) -> HandshakeResult:
    """Make every handshake that is wanted with a target. Blocks until the budget's end at most.

    Beside the survey (`Surveyed`) it makes those that show more than the survey's hellos; after both (`Remaining`),
    those for what is still not known. `budget` is the target's, shared with its other probes; without one, the
    settings' limits are for the handshakes alone. Raises nothing: what fails is a value. Every connection is ended by
    then.
    """
    if target.address is None:
        return HandshakeResult(Attempt.failed(FailureReason.UNRESOLVABLE), 0)
    if budget is None:
        with RemoteBudget.alone(settings, target.address.ip) as alone:
            return observe(target, settings, known, alone)
    meter = Meter(budget, settings, _prelude(target, settings))
    try:
        return _observe(target, settings, known, meter, budget)
    finally:
        # Threads may still be waiting for a silent server.
        meter.end()


def _observe(
    target: Target, settings: ProbeSettings, known: Surveyed | Remaining | None, meter: Meter, budget: RemoteBudget
) -> HandshakeResult:
    address = target.address
    assert address is not None  # noqa: S101  # nothing is observed without one
    ends = budget.ends - min(_DOUBT_S, _DOUBT_SHARE * budget.left)
    asked = 0
    if known is None:
        # sslyze needs a minute to find out that a server is silent or speaks no TLS, and then can't tell which.
        refusal, asked = asyncio.run(_speaks_tls(target, settings, budget))
        if refusal is not None:
            return HandshakeResult(Attempt(failure=refusal), asked)
    try:
        location = ServerNetworkLocation(target.endpoint.host, address.port, ip_address=address.ip)
        network = _network(target, settings, meter, _credentials(target))
    except (ValueError, UnicodeError) as error:
        return HandshakeResult(Attempt.failed(FailureReason.ENGINE_ERROR, error), asked)
    look = None
    if isinstance(known, Remaining):
        probing = ServerTlsProbingResult(
            VERSIONS[known.newest], "", AUTHENTICATION[known.client_authentication], supports_ecdh_key_exchange=True
        )
    else:
        found = _found(location, network, known, ends)
        if isinstance(found, Failure):
            return HandshakeResult(Attempt(failure=found), asked + meter.opened)
        look, probing = (found, found.probing) if isinstance(found, FirstLook) else (None, found)
    server = ServerConnectivityInfo(location, network, probing)
    works = _works(server, target, settings, look, known)
    answers = structs.replace(
        _answers(server, works, settings, ends), left=look is not None, again=isinstance(known, Remaining)
    )
    evidence = tls_evidence(answers, settings.stores_for(target.endpoint.environment))
    slowest = max(work.slowest_s for work in works)
    if slowest >= network.network_timeout * _SLOW:
        # sslyze takes the silence of a server for "not vulnerable" in places: does this one still speak?
        doubt, again = asyncio.run(_speaks_tls(target, settings, budget))
        asked += again
        evidence = tls_evidence(structs.replace(answers, doubt=doubt), settings.stores_for(target.endpoint.environment))
    return HandshakeResult(Attempt.ok(evidence), asked + meter.opened, answers.newest, left=answers.left)


def _found(
    location: ServerNetworkLocation, network: MeteredConfiguration, known: Surveyed | None, ends: float
) -> FirstLook | ServerTlsProbingResult | Failure:
    """What the server speaks, found out until `ends`."""
    newest = known.newest if known is not None else None
    box: queue.Queue[FirstLook | ServerTlsProbingResult | Failure] = queue.Queue(1)
    threading.Thread(target=_probe, args=(location, network, newest, box), daemon=True).start()
    try:
        found = box.get(timeout=max(0.1, ends - time.monotonic()))
    except queue.Empty:
        return Failure(FailureReason.DEADLINE)
    return Failure(FailureReason.DEADLINE) if isinstance(found, Failure) and network.meter.denied.is_set() else found


def _answers(server: ServerConnectivityInfo, works: Sequence[Work], settings: ProbeSettings, ends: float) -> Answers:
    """Run everything, and a ROBOT oracle a second time: one answer by chance must not call a server broken."""
    network = server.network_configuration
    assert isinstance(network, MeteredConfiguration)  # noqa: S101  # made above
    meter = network.meter
    run(works, settings.connections, ends, meter)
    slow = network.network_timeout * _SLOW
    answers = Answers(
        server,
        {work.name: work.finished() for work in works},
        slow=frozenset(work.name for work in works if work.slowest_s >= slow),
    )
    if not has_oracle(answers):
        return answers
    (job, *_) = next(work.jobs for work in works if work.name == ScanCommand.ROBOT.value)
    again = Work(ROBOT_AGAIN, [job] * SERIES_AGAIN)
    run([again], settings.connections, ends, meter)
    return structs.replace(answers, results={**answers.results, again.name: again.finished()})


async def _speaks_tls(target: Target, settings: ProbeSettings, budget: RemoteBudget) -> tuple[Failure | None, int]:
    """Whether the server speaks TLS: None, or why not; and how many connections it took to find out."""
    client = HelloClient(target, settings, budget.in_a_loop(target.ip or ""))
    endpoint = target.endpoint
    web = endpoint.role.speaks_http and endpoint.starttls is None
    name, plain_host = None if endpoint.is_address else endpoint.host, endpoint.host if web else None
    baseline = await find_baseline(client, name, plain_host)
    return baseline if isinstance(baseline, Failure) else None, client.opened


def _network(
    target: Target, settings: ProbeSettings, meter: Meter, credentials: ClientAuthenticationCredentials | None = None
) -> MeteredConfiguration:
    starttls = target.endpoint.starttls
    return MeteredConfiguration(
        tls_server_name_indication=target.endpoint.host,
        tls_opportunistic_encryption=_STARTTLS.get(starttls) if starttls else None,
        xmpp_to_hostname=(target.endpoint.xmpp_domain or target.endpoint.host) if starttls in _XMPP else None,
        smtp_ehlo_hostname=_helo(target, settings) if starttls is StartTls.SMTP else None,
        tls_client_auth_credentials=credentials,
        # sslyze refuses a user agent where no HTTP is spoken.
        http_user_agent=None if starttls else settings.user_agent,
        network_timeout=max(1, round(settings.timeout_s)),
        network_max_retries=2,
        meter=meter,
    )


def _prelude(target: Target, settings: ProbeSettings) -> tuple[StartTls, Names] | None:
    """What is said before TLS, where sslyze does not know how."""
    starttls = target.endpoint.starttls
    if starttls is None or starttls in _STARTTLS:
        return None
    return starttls, Names(target.endpoint.host, target.endpoint.xmpp_domain, settings.helo)


def _helo(target: Target, settings: ProbeSettings) -> str:
    """What a mail server is greeted with."""
    ip = target.ip if target.ip is not None and settings.proxy is None else "127.0.0.1"
    return settings.helo or address_literal(settings.source_address or own_address_towards(ip))


def _credentials(target: Target) -> ClientAuthenticationCredentials | None:
    """The first client certificate that an application of the endpoint is configured with, if it can be loaded."""
    configured: list[ClientCertificate] = [
        application.client_certificate
        for application in target.endpoint.applications
        if application.client_certificate is not None
    ]
    try:
        return ClientAuthenticationCredentials(configured[0].cert, configured[0].key) if configured else None
    except Exception:  # noqa: BLE001  # nassl raises several kinds; the HTTP probe reports a certificate that is unfit
        return None


def _probe(
    location: ServerNetworkLocation,
    network: MeteredConfiguration,
    newest: Protocol | None,
    box: queue.Queue[FirstLook | ServerTlsProbingResult | Failure],
) -> None:
    try:
        look = first_look(location, network, newest) if newest is not None else None
        # Whether a client certificate is asked for shows only to a client that has none.
        box.put(look or check_connectivity_to_server(location, replace(network, tls_client_auth_credentials=None)))
    except ConnectionToServerFailed as error:
        box.put(failure_of(error))
    except Exception as error:  # noqa: BLE001  # an engine's own fault must not end the run
        box.put(Failure.of(FailureReason.ENGINE_ERROR, f"{type(error).__name__}: {error}"))


def _works(
    server: ServerConnectivityInfo,
    target: Target,
    settings: ProbeSettings,
    look: FirstLook | None,
    known: Surveyed | Remaining | None,
) -> list[Work]:
    early_data = _early_data_job(server, target, settings, look)
    early = [Work(ScanCommand.TLS_1_3_EARLY_DATA.value, [early_data])] if early_data is not None else []
    if look is not None:
        if early_data is None:
            look.connection.close()
        jobs = remaining_jobs(server, look, _ARGUMENTS, named=not target.endpoint.is_address)
        left_out = () if settings.intrusive else LOOKS_LIKE_AN_ATTACK
        return early + [Work(name, of_command) for name, of_command in jobs.items() if name not in left_out]
    commands = [command for command in _ALWAYS if settings.intrusive or command.value not in LOOKS_LIKE_AN_ATTACK]
    if isinstance(known, Remaining):
        commands = [command for command in commands if _UNANSWERED.get(command) in known.unanswered]
        early = early if Unanswered.EARLY_DATA in known.unanswered else []
    if settings.engine == "sslyze":
        commands += _WITHOUT_SURVEY
    transport = known.transport if isinstance(known, Remaining) else None

    def jobs_for(command: ScanCommand) -> list[ScanJob]:
        if command is ScanCommand.ROBOT:
            return [robot_job(server, transport)]
        of_command = jobs_of(server, command, _ARGUMENTS)
        # What the survey reads off the wire is not asked for again.
        again = isinstance(known, Remaining) and command is ScanCommand.SESSION_RENEGOTIATION
        return of_command[-1:] if again else of_command

    works = early + [Work(command.value, jobs_for(command)) for command in commands]
    if settings.engine == "sslyze":
        works.append(Work(ScanCommand.TLS_EXTENDED_MASTER_SECRET.value, [extended_master_secret_job(server)]))
    return works


def _early_data_job(
    server: ServerConnectivityInfo, target: Target, settings: ProbeSettings, look: FirstLook | None
) -> ScanJob | None:
    """The question for 0-RTT, on the look's connection where there is one; None where it is no question.

    That is before TLS 1.3, and after STARTTLS, where nothing defines what early data would mean.
    """
    if (
        server.tls_probing_result.highest_tls_version_supported is not TlsVersionEnum.TLS_1_3
        or target.endpoint.starttls
    ):
        return None
    implementation = ScanCommandsRepository.get_implementation_cls(ScanCommand.TLS_1_3_EARLY_DATA)
    (whole,) = implementation.scan_jobs_for_scan_command(server)
    # It is tried with an HTTP request, which another server does not answer.
    speaks_http = target.endpoint.role.speaks_http
    attempt = whole.function_to_call if settings.intrusive else None
    connection = look.connection if look is not None else None
    return ScanJob(partial(early_data, speaks_http=speaks_http), [server, connection, attempt])
