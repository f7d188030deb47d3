"""Real clients, by which the lab's servers are shown to have the flaws that they are named for."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sslyze
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from tlslite.api import HandshakeSettings, TLSConnection

from scanner.lab import Lab, LabServer

TLS10, TLS11, TLS12, TLS13 = (
    ssl.TLSVersion.TLSv1,
    ssl.TLSVersion.TLSv1_1,
    ssl.TLSVersion.TLSv1_2,
    ssl.TLSVersion.TLSv1_3,
)


def connect(server: LabServer) -> socket.socket:
    return socket.create_connection((server.address, server.actual_port), timeout=30)


def connect_plain(server: LabServer) -> socket.socket:
    return socket.create_connection((server.address, server.actual_http_port), timeout=30)


def client(lab: Lab, lowest=TLS12, highest=TLS13, *, ciphers="ALL", verify=False, curve=None) -> ssl.SSLContext:  # noqa: PLR0913
    context = ssl.create_default_context(cafile=str(lab.ca_file))
    context.minimum_version, context.maximum_version = lowest, highest
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    if curve:
        context.set_ecdh_curve(curve)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


@dataclass
class Seen:
    version: str | None
    cipher: str
    chain: list[x509.Certificate]

    @property
    def leaf(self) -> x509.Certificate:
        return self.chain[0]


def handshake(lab: Lab, server: LabServer, *versions: ssl.TLSVersion, address=None, **options) -> Seen:
    context = client(lab, *versions, **options)
    target = address or (server.address, server.actual_port)
    with (
        socket.create_connection(target, timeout=30) as plain,
        context.wrap_socket(plain, server_hostname=server.host) as secured,
    ):
        # None without a certificate. Python 3.13 has a public name for it.
        raw = secured._sslobj.get_unverified_chain() or []
        chain = [x509.load_pem_x509_certificate(one.public_bytes().encode()) for one in raw]
        return Seen(secured.version(), secured.cipher()[0], chain)


def refuses(lab: Lab, server: LabServer, *versions: ssl.TLSVersion, **options) -> bool:
    try:
        handshake(lab, server, *versions, **options)
    except ssl.SSLError:
        return True
    return False


def distrust(lab: Lab, server: LabServer) -> str:
    """What OpenSSL says against the certificate; empty where it says nothing."""
    try:
        handshake(lab, server, verify=True)
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    return ""


def strictly_valid(lab: Lab, server: LabServer) -> bool:
    """Whether a validator that is stricter than OpenSSL (the Web PKI's profile) accepts the chain."""
    chain = handshake(lab, server).chain
    store = Store(x509.load_pem_x509_certificates(lab.ca_file.read_bytes()))
    try:
        PolicyBuilder().store(store).build_server_verifier(x509.DNSName(server.host)).verify(chain[0], chain[1:])
    except VerificationError:
        return False
    return True


@dataclass
class Reply:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def one(self, name: str) -> str:
        (value,) = self.all(name)
        return value


def ask(channel: Any, host: str, path: str = "/", limit: int = -1) -> Reply:
    channel.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    response = http.client.HTTPResponse(channel)
    response.begin()
    return Reply(response.status, response.getheaders(), response.read() if limit < 0 else response.read(limit))


def get(lab: Lab, server: LabServer, path: str = "/", limit: int = -1, **options) -> Reply:
    context = client(lab, **options)
    with connect(server) as plain, context.wrap_socket(plain, server_hostname=server.host) as secured:
        return ask(secured, server.host, path, limit)


def get_plain(server: LabServer, path: str = "/") -> Reply:
    with connect_plain(server) as plain:
        return ask(plain, server.host, path)


def connection_refused(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=30).close()
    except ConnectionRefusedError:
        return True
    return False


def is_silent(channel: socket.socket, seconds: float = 1.0) -> bool:
    channel.settimeout(seconds)
    try:
        channel.recv(1)
    except TimeoutError:
        return True
    return False


def upgrade_smtp(plain: socket.socket) -> None:
    assert plain.recv(100).startswith(b"220 ")
    plain.sendall(b"EHLO client.example\r\n")
    assert b"250 STARTTLS\r\n" in plain.recv(200)
    plain.sendall(b"STARTTLS\r\n")
    assert plain.recv(100).startswith(b"220 ")


def legacy(server: LabServer, **options: Any) -> TLSConnection:
    """Shake hands by tlslite-ng, which still speaks what OpenSSL no longer does; names are its settings'."""
    settings = HandshakeSettings()
    settings.minVersion, settings.maxVersion = options.pop("versions", ((3, 3), (3, 3)))
    settings.versions = [settings.maxVersion]
    for name, value in options.items():
        setattr(settings, name, value)
    with connect(server) as plain:
        connection = TLSConnection(plain)
        connection.handshakeClientCert(settings=settings, serverName=server.host)
        return connection


def scan(server: LabServer, *commands: sslyze.ScanCommand) -> Any:
    """Ask sslyze, for what only it can tell; the attempts by command name."""
    protocol = server.starttls and sslyze.ProtocolWithOpportunisticTlsEnum[server.starttls.upper().replace("-", "_")]
    scanner = sslyze.Scanner()
    scanner.queue_scans(
        [
            sslyze.ServerScanRequest(
                server_location=sslyze.ServerNetworkLocation(server.host, server.actual_port, server.address),
                network_configuration=sslyze.ServerNetworkConfiguration(
                    tls_server_name_indication=server.host, tls_opportunistic_encryption=protocol or None
                ),
                scan_commands=set(commands),
            )
        ]
    )
    (result,) = scanner.get_results()
    assert result.scan_result, result.connectivity_error_trace
    return result.scan_result


CHECKS: dict[str, Callable[[Lab, LabServer], None]] = {}


def check(*names: str) -> Callable[[Callable[[Lab, LabServer], None]], Callable[[Lab, LabServer], None]]:
    def register(function: Callable[[Lab, LabServer], None]) -> Callable[[Lab, LabServer], None]:
        CHECKS.update(dict.fromkeys(names, function))
        return function

    return register


def now() -> datetime:
    return datetime.now(UTC)


def days_left(certificate: x509.Certificate) -> float:
    return (certificate.not_valid_after_utc - now()) / timedelta(days=1)


def lifetime(certificate: x509.Certificate) -> float:
    return (certificate.not_valid_after_utc - certificate.not_valid_before_utc) / timedelta(days=1)
