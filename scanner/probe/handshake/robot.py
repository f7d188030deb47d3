"""The ROBOT test by sslyze's payloads, in one series where that is enough.

sslyze makes three series, each after a handshake of its own that shows the key: 18 connections. A server whose answers
to all payloads of one series are alike shows no oracle; only where they differ are three more series made, because one
answer by chance must not call a server broken. The survey has seen the key already.

sslyze sends the three records of an attempt one by one. A server that closes at the first resets the connection under
the others, and whether its alert or the reset is seen depends on which comes first: answers that differ by chance. Here
the three leave together.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from sslyze import RobotScanResultEnum  # type: ignore[attr-defined]  # not in its __all__
from sslyze.errors import ServerRejectedTlsHandshake
from sslyze.plugins.plugin_base import ScanJob, ScanJobResult
from sslyze.plugins.robot import _robot_tester
from sslyze.plugins.robot.implementation import RobotScanResult
from sslyze.server_connectivity import ServerConnectivityInfo

from scanner.evidence import Protocol
from scanner.probe.handshake.first import VERSIONS
from scanner.probe.tls.division import RsaTransport

SERIES_AGAIN: Final = 3
"""How many series confirm an oracle that one has shown: as many as sslyze makes."""
_TRIES: Final = 3
_WITH_GCM: Final = "AES128-GCM-SHA256:AES256-GCM-SHA384"
_ANY: Final = "RSA"
"""sslyze's own lists: some servers are vulnerable with GCM alone."""
Answers = dict[_robot_tester.RobotPmsPaddingPayloadEnum, str]
_handshake: Callable[[Any], None] = _robot_tester.do_handshake_with_robot


class Together:
    """A socket that sends what was written when an answer is waited for, in one piece."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._written = bytearray()

    def send(self, data: bytes) -> int:
        """Keep the data, and say that all of it went."""
        self._written += data
        return len(data)

    def recv(self, size: int) -> bytes:
        """Send what was kept, and wait for an answer."""
        written, self._written = self._written, bytearray()
        if written:
            self._connection.sendall(written)
        return bytes(self._connection.recv(size))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def _joined_handshake(client: Any) -> None:
    client._sock = Together(client._sock)  # noqa: SLF001  # sslyze's own handshake writes to this attribute
    _handshake(client)


_robot_tester.do_handshake_with_robot = _joined_handshake
"""sslyze has no other way to hand a handshake over; it looks its own up in its module."""


def robot_job(server: ServerConnectivityInfo, transport: RsaTransport | None) -> ScanJob:
    """One series of payloads; with `transport`, by the key and in the version that the survey saw."""
    if transport is None:
        return ScanJob(_robot_tester.test_robot, [server])
    return ScanJob(partial(_series, server, transport), [])


def result_of(results: Sequence[ScanJobResult]) -> RobotScanResult:
    """What any number of series tell together, read as sslyze reads its three."""
    answers: dict[_robot_tester.RobotPmsPaddingPayloadEnum, list[str]] = {
        payload: [] for payload in _robot_tester.RobotPmsPaddingPayloadEnum
    }
    for result in results:
        try:
            series: Answers = result.get_result()
        except _robot_tester.ServerDoesNotSupportRsa:
            return RobotScanResult(RobotScanResultEnum.NOT_VULNERABLE_RSA_NOT_SUPPORTED)
        for payload, answer in series.items():
            answers[payload].append(answer)
    analyzer = _robot_tester.RobotServerResponsesAnalyzer(answers, len(results))
    return RobotScanResult(analyzer.compute_result_enum())


def _series(server: ServerConnectivityInfo, transport: RsaTransport) -> Answers:
    suites = _WITH_GCM if transport.gcm and transport.protocol is Protocol.TLS1_2 else _ANY
    for _ in range(_TRIES - 1):
        # A server that closes at once at wrong padding may reset the connection while the rest is still being sent:
        # sslyze takes that for a refusal, and the answer is lost.
        with contextlib.suppress(ServerRejectedTlsHandshake):
            return _payloads(server, transport, suites)
    return _payloads(server, transport, suites)


def _payloads(server: ServerConnectivityInfo, transport: RsaTransport, suites: str) -> Answers:
    return _robot_tester._run_oracle_detection(  # noqa: SLF001  # its public way asks for the key by a handshake
        server,
        VERSIONS[transport.protocol],
        suites,
        transport.modulus,
        transport.exponent,
        True,  # noqa: FBT003  # its own: finish the handshake
    )
