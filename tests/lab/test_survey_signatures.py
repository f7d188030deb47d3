"""A signature scheme that was not asked for, and is used all the same: it was seen, so it counts."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tlslite.api import HandshakeSettings, TLSConnection, X509CertChain, parsePEMKey

from scanner.evaluate import evaluate
from scanner.evidence import Attempt, FailureReason, Protocol, TargetEvidence
from scanner.inventory import Address, Endpoint, Environment, EnvironmentKind, Role, Target
from scanner.policy import load
from scanner.probe import ProbeSettings
from scanner.probe.survey.probe import survey
from scanner.rules import Observed
from scanner.verdict import Status
from tests.build.servers import HOST, servers

TLS12 = Protocol.TLS1_2


class SignsWithSha1(TLSConnection):
    """Signs its key exchange with RSA and SHA-1, whatever the client offers (sslscan issue 264)."""

    @staticmethod
    def _pickServerKeyExchangeSig(_settings, _hello, certs=None, key=None, *_rest, **_more):  # noqa: N802
        return "sha1", certs, key


@pytest.fixture
def port(tmp_path) -> Iterator[int]:
    with servers(tmp_path) as context:
        pem = Path(context.identities["rsa"]).read_text(encoding="utf-8")
    chain = X509CertChain()
    chain.parsePemList(pem)
    key = parsePEMKey(pem, private=True)
    settings = HandshakeSettings()
    settings.minVersion = settings.maxVersion = (3, 3)
    settings.rsaSigHashes, settings.more_sig_schemes = ["sha512", "sha384", "sha256", "sha1"], []
    settings.keyExchangeNames = ["ecdhe_rsa"]

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            with plain, contextlib.suppress(Exception):
                plain.settimeout(5)
                SignsWithSha1(plain).handshakeServer(certChain=chain, privateKey=key, settings=settings)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def test_a_scheme_that_was_not_offered_is_seen_told_and_fails(port):
    target = Target(Endpoint("test", HOST, port, role=Role.SERVER), Address("127.0.0.1", port))
    attempt, _ = asyncio.run(survey(target, ProbeSettings(timeout_s=8.0, deadline_s=60.0)))
    assert attempt.value is not None
    schemes = attempt.value.signature_schemes[TLS12]
    assert schemes.value == ("rsa_pkcs1_sha1",)
    assert schemes.incomplete is not None
    assert schemes.incomplete.reason is FailureReason.INCONSISTENT
    assert schemes.incomplete.detail == "the server chose 0x0201, which was not offered"
    item = Observed(target, TargetEvidence(datetime.now(UTC), 1.0, 50, tls=Attempt.ok(attempt.value)))
    environment = Environment("test", EnvironmentKind.ON_PREMISES)
    policies = {"test": load("https-by-default")}
    (verdicts,) = evaluate([item], {"test": environment}, policies, (), datetime.now(UTC)).values()
    judged = {verdict.rule: verdict.status for verdict in verdicts}
    assert judged["integrity.signature-algorithms"] is Status.FAIL
