"""A ServerHello is not yet acceptance; and certificates that only a handshake shows, whatever groups it takes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tlslite.api import HandshakeSettings, TLSConnection, X509CertChain, parsePEMKey

from scanner.evaluate import evaluate
from scanner.evidence import (
    Attempt,
    ClientAuthentication,
    Protocol,
    TargetEvidence,
    TlsEvidence,
)
from scanner.inventory import Address, Endpoint, Environment, EnvironmentKind, Role, Target
from scanner.policy import load
from scanner.probe import ProbeSettings
from scanner.probe.net.connection import TcpStream
from scanner.probe.survey.full_handshake import Handshake, handshake
from scanner.probe.survey.probe import survey
from scanner.rules import Observed
from scanner.verdict import Status, Verdict
from tests.build.ports import free_port
from tests.build.servers import HOST, Servers, node, servers

SETTINGS = ProbeSettings(timeout_s=8.0, deadline_s=60.0)
TLS12, TLS13 = Protocol.TLS1_2, Protocol.TLS1_3
CLIENT_KEY_EXCHANGE = 16


@pytest.fixture(scope="module")
def started(tmp_path_factory) -> Iterator[Servers]:
    with servers(tmp_path_factory.mktemp("confirmed")) as context:
        yield context


def target(port: int) -> Target:
    return Target(Endpoint("test", HOST, port, role=Role.SERVER), Address("127.0.0.1", port))


async def surveyed(port: int) -> TlsEvidence:
    attempt, _ = await survey(target(port), SETTINGS)
    assert attempt.value is not None, attempt.failure
    return attempt.value


def judged(evidence: TlsEvidence) -> dict[str, Verdict]:
    item = Observed(target(443), TargetEvidence(datetime.now(UTC), 1.0, 50, tls=Attempt.ok(evidence)))
    environment = Environment("test", EnvironmentKind.ON_PREMISES)
    policies = {"test": load("https-by-default")}
    (verdicts,) = evaluate([item], {"test": environment}, policies, (), datetime.now(UTC)).values()
    return {verdict.rule: verdict for verdict in verdicts}


def unconfirmed(evidence: TlsEvidence, protocol: Protocol = TLS12) -> dict[str, bool]:
    offer = evidence.offer(protocol).value
    assert offer is not None
    return {suite.name: suite.unconfirmed for suite in offer.suites}


@contextlib.asynccontextmanager
async def without_key_exchange(port: int) -> AsyncIterator[int]:
    """A relay to `port` that ends a connection with an alert where the client sends a ClientKeyExchange."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        passing = asyncio.create_task(pump(there, writer))
        while data := await reader.read(65_536):
            if data[0] == 22 and data[5] == CLIENT_KEY_EXCHANGE:
                writer.write(b"\x15\x03\x03\x00\x02\x02\x28")
                break
            back.write(data)
        back.close()
        await passing

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


RSA_TRANSPORT = ("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256:AES128-GCM-SHA256:AES128-SHA:CAMELLIA128-SHA")


def test_rsa_key_transport_of_which_no_handshake_comes_about_is_no_failure_and_no_pass(started):
    identity = str(started.identities["rsa"])
    backend = started.openssl("-cert", identity, "-key", identity, *RSA_TRANSPORT)

    async def through_the_relay() -> TlsEvidence:
        async with without_key_exchange(backend) as port:
            return await surveyed(port)

    evidence = asyncio.run(through_the_relay())
    assert unconfirmed(evidence) == {
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": False,
        "TLS_RSA_WITH_AES_128_GCM_SHA256": True,
        "TLS_RSA_WITH_AES_128_CBC_SHA": True,
        "TLS_RSA_WITH_CAMELLIA_128_CBC_SHA": True,
    }
    verdicts = judged(evidence)
    for rule in ("cipher.forward-secrecy", "cipher.allowed", "integrity.aead", "vuln.robot"):
        assert verdicts[rule].status is Status.INDETERMINATE
    assert "no handshake with it was completed" in verdicts["cipher.forward-secrecy"].message
    assert verdicts["proto.tls1.2"].status is Status.PASS


def test_rsa_key_transport_that_works_is_confirmed_and_fails(started):
    identity = str(started.identities["rsa"])
    evidence = asyncio.run(surveyed(started.openssl("-cert", identity, "-key", identity, *RSA_TRANSPORT)))
    assert not any(unconfirmed(evidence).values())
    assert judged(evidence)["cipher.forward-secrecy"].status is Status.FAIL


class LateStream(TcpStream):
    """What it sends after its first words leaves it when the other end has long done what it wanted to do."""

    async def send(self, data: bytes) -> None:
        if data:
            await asyncio.sleep(0.3)
        await super().send(data)


def test_a_reset_right_after_a_handshake_has_completed_it(started):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA:@SECLEVEL=0")
    context.load_cert_chain(started.identities["rsa"])

    def serve(listening: socket.socket) -> None:
        plain, _ = listening.accept()
        secured = context.wrap_socket(plain, server_side=True)
        secured.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        secured.close()

    async def shake(port: int) -> Handshake:
        stream = await LateStream.open("127.0.0.1", port)
        try:
            return await handshake(stream, TLS12, HOST, ["aes128"])
        finally:
            stream.close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = threading.Thread(target=serve, args=[listening])
        server.start()
        made = asyncio.run(shake(listening.getsockname()[1]))
        server.join()
    assert (made.failure, made.refused) == (None, False)


def test_a_server_that_wants_a_client_certificate_is_left_at_its_word(started):
    identity = str(started.identities["rsa"])
    port = started.openssl("-cert", identity, "-key", identity, *RSA_TRANSPORT, "-Verify", "1")
    assert not any(unconfirmed(asyncio.run(surveyed(port))).values())


def test_suites_with_pre_shared_keys_are_never_confirmed(started):
    identity = str(started.identities["ecdsa"])
    suites = ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256:PSK-AES128-GCM-SHA256", "-psk", "00112233445566")
    evidence = asyncio.run(surveyed(started.openssl("-cert", identity, "-key", identity, *suites)))
    assert unconfirmed(evidence) == {
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": False,
        "TLS_PSK_WITH_AES_128_GCM_SHA256": True,
    }
    assert judged(evidence)["cipher.forward-secrecy"].status is Status.INDETERMINATE


def leaf_names(evidence: TlsEvidence) -> set[tuple[str, ...]]:
    certificates = evidence.certificates.value
    assert certificates is not None, evidence.certificates.failure
    assert all(deployment.protocol is TLS13 and deployment.with_sni for deployment in certificates)
    return {deployment.leaf.dns_names for deployment in certificates}


@pytest.mark.parametrize("group", ["ffdhe2048", "ffdhe4096", "X448"])
def test_certificates_are_read_whatever_group_a_tls13_server_takes_alone(started, group):
    identity = str(started.identities["ecdsa"])
    evidence = asyncio.run(surveyed(started.openssl("-cert", identity, "-key", identity, "-tls1_3", "-groups", group)))
    assert evidence.groups[TLS13].value == (group.lower(),)
    assert leaf_names(evidence) == {(HOST,)}
    assert evidence.client_authentication == Attempt.ok(ClientAuthentication.NOT_ASKED)


@pytest.mark.parametrize("group", ["X25519MLKEM768", "SecP256r1MLKEM768", "SecP384r1MLKEM1024"])
def test_certificates_are_read_where_hybrid_groups_alone_are_taken(started, group):
    key = Path(started.identities["rsa"]).read_text(encoding="utf-8")
    options = {"key": key, "cert": key, "ecdhCurve": group, "minVersion": "TLSv1.3"}
    port = free_port()
    script = f"require('node:tls').createServer({json.dumps(options)}).listen({port}, '127.0.0.1')"
    started.run([node(), "-e", script], port)
    evidence = asyncio.run(surveyed(port))
    assert evidence.groups[TLS13].value == (group.lower(),)
    assert leaf_names(evidence) == {(HOST,)}


def test_certificates_are_read_where_ccm_suites_alone_are_taken(started):
    identity = str(started.identities["ecdsa"])
    suites = ("-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_SHA256:TLS_AES_128_CCM_8_SHA256")
    evidence = asyncio.run(surveyed(started.openssl("-cert", identity, "-key", identity, *suites)))
    assert evidence.negotiated == (TLS13,)
    assert leaf_names(evidence) == {(HOST,)}


def test_certificates_are_read_where_brainpool_alone_is_taken(started):
    """No OpenSSL of this age has it in TLS 1.3: this server is tlslite-ng's."""
    pem = Path(started.identities["rsa"]).read_text(encoding="utf-8")
    chain = X509CertChain()
    chain.parsePemList(pem)
    key = parsePEMKey(pem, private=True)
    settings = HandshakeSettings()
    settings.minVersion = settings.maxVersion = (3, 4)
    settings.versions = [(3, 4)]
    settings.eccCurves, settings.dhGroups, settings.keyShares = ["brainpoolP256r1tls13"], [], ["brainpoolP256r1tls13"]
    settings.ticket_count = 0

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            # It is hung up on in the middle of most handshakes.
            with plain, contextlib.suppress(Exception):
                plain.settimeout(5)
                TLSConnection(plain).handshakeServer(certChain=chain, privateKey=key, settings=settings)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        evidence = asyncio.run(surveyed(listener.getsockname()[1]))
        listener.shutdown(socket.SHUT_RDWR)
    assert evidence.groups[TLS13].value == ("brainpoolp256r1tls13",)
    assert leaf_names(evidence) == {(HOST,)}
