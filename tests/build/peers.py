"""What other programs see of a server: sslyze, sslscan, openssl and gnutls-cli, in a form that can be compared."""

from __future__ import annotations

import hashlib
import re
import subprocess
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from sslyze import ScanCommand, Scanner, ServerNetworkConfiguration, ServerNetworkLocation, ServerScanRequest
from sslyze.connection_helpers.opportunistic_tls_helpers import ProtocolWithOpportunisticTlsEnum

from scanner.probe import iana
from tests.build.servers import HOST, program

SECONDS = 120
_VERSIONS = {
    "SSLv2": "ssl2",
    "SSLv3": "ssl3",
    "TLSv1.0": "tls1.0",
    "TLSv1.1": "tls1.1",
    "TLSv1.2": "tls1.2",
    "TLSv1.3": "tls1.3",
}
_OPENSSL_STARTTLS = {"smtp": "smtp", "ftp": "ftp", "postgres": "postgres", "xmpp": "xmpp"}
_SSLSCAN_STARTTLS = {"smtp": "smtp", "ftp": "ftp", "postgres": "psql", "xmpp": "xmpp"}
_GNUTLS_STARTTLS = {"smtp": "smtp", "ftp": "ftp", "postgres": "postgres", "xmpp": "xmpp"}


@dataclass(frozen=True)
class Seen:
    """What one program saw, fact by fact: a fact that it cannot see is not there."""

    facts: dict[str, object] = field(default_factory=dict)


_SSLYZE_COMMANDS = {
    f"{old}{version}": ScanCommand[f"{old.upper()}_{version.replace('.', '_')}_CIPHER_SUITES"]
    for old, versions in {"ssl": ("2.0", "3.0"), "tls": ("1.0", "1.1", "1.2", "1.3")}.items()
    for version in versions
}


def sslyze(port: int, starttls: str | None) -> Seen:
    """Protocols, cipher suites, certificates and the attacks that it tries, by sslyze's own scanner.

    That it is safe from Heartbleed is no fact of a server with TLS 1.3, of which sslyze takes it for granted.
    """
    commands = {*_SSLYZE_COMMANDS.values(), ScanCommand.CERTIFICATE_INFO, ScanCommand.HEARTBLEED, ScanCommand.ROBOT}
    request = ServerScanRequest(
        ServerNetworkLocation(HOST, port, ip_address="127.0.0.1"),
        ServerNetworkConfiguration(
            HOST,
            tls_opportunistic_encryption=ProtocolWithOpportunisticTlsEnum(starttls.upper()) if starttls else None,
        ),
        scan_commands=commands,
    )
    scanner = Scanner(per_server_concurrent_connections_limit=2)
    scanner.queue_scans([request])
    (result,) = scanner.get_results()
    if result.scan_result is None:
        return Seen()
    facts: dict[str, object] = {}
    for name, command in _SSLYZE_COMMANDS.items():
        version = name.removesuffix(".0") if name.startswith("ssl") else name
        found = getattr(result.scan_result, command.value).result
        if found is not None:
            suites = frozenset(item.cipher_suite.name for item in found.accepted_cipher_suites)
            facts[f"{version} negotiated"] = bool(suites)
            if suites:
                facts[f"suites of {version}"] = suites
    certificates = result.scan_result.certificate_info.result
    if certificates is not None:
        leaf = certificates.certificate_deployments[0].received_certificate_chain[0]
        facts["certificate"] = leaf.fingerprint(hashes.SHA256()).hex()
    heartbleed = result.scan_result.heartbleed.result
    if heartbleed is not None and not facts.get("tls1.3 negotiated"):
        facts["Heartbleed"] = heartbleed.is_vulnerable_to_heartbleed
    robot = result.scan_result.robot.result
    if robot is not None:
        facts["ROBOT"] = robot.robot_result.name.startswith("VULNERABLE")
    return Seen(facts)


def sslscan(port: int, starttls: str | None, folder: Path) -> Seen:
    """Protocols, cipher suites and Heartbleed, by sslscan (package sslscan)."""
    output = folder / f"sslscan-{port}.xml"
    extra = [f"--starttls-{_SSLSCAN_STARTTLS[starttls]}"] if starttls else []
    command = [
        program("sslscan", "sslscan"),
        f"--xml={output}",
        "--no-colour",
        "--show-cipher-ids",
        f"--sni-name={HOST}",
    ]
    subprocess.run([*command, *extra, f"127.0.0.1:{port}"], capture_output=True, timeout=SECONDS, check=True)
    (test,) = ET.parse(output).getroot().iter("ssltest")  # noqa: S314  # written by sslscan, here
    suites: dict[str, set[str]] = {}
    names = {code: suite.name for code, suite in iana.cipher_suites().items()}
    for cipher in test.iter("cipher"):
        if cipher.get("status") != "rejected":
            code = int(cipher.get("id", "0"), 16)
            suites.setdefault(_VERSIONS[cipher.get("sslversion", "")], set()).add(names.get(code, hex(code)))
    facts: dict[str, object] = {f"suites of {version}": frozenset(found) for version, found in suites.items()}
    for item in test.iter("protocol"):
        name = f"{item.get('type', '').upper().replace('SSL', 'SSLv').replace('TLS', 'TLSv')}{item.get('version')}"
        if name in _VERSIONS:
            facts[f"{_VERSIONS[name]} negotiated"] = item.get("enabled") == "1"
    vulnerable = [item.get("vulnerable") == "1" for item in test.iter("heartbleed")]
    if vulnerable:
        facts["Heartbleed"] = any(vulnerable)
    return Seen(facts)


def openssl(port: int, starttls: str | None) -> Seen:
    """What is negotiated with a current client, and the certificate, by `openssl s_client` (package openssl)."""
    extra = ["-starttls", _OPENSSL_STARTTLS[starttls]] if starttls else []
    command = [program("openssl", "openssl"), "s_client", "-connect", f"127.0.0.1:{port}", "-servername", HOST, *extra]
    done = subprocess.run(command, input=b"", capture_output=True, timeout=SECONDS, check=False)
    told = done.stdout.decode(errors="replace")
    version = re.search(r"^(?:New|    Protocol\s*:)[ ,]*(TLSv1\.\d)", told, flags=re.MULTILINE)
    suite = re.search(r"Cipher is (\S+)", told)
    pem = re.search(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", told, flags=re.DOTALL)
    facts: dict[str, object] = {}
    if version and suite and suite[1] != "(NONE)":
        facts["newest"] = _VERSIONS[version[1]]
    if pem:
        der = subprocess.run(
            [program("openssl", "openssl"), "x509", "-outform", "DER"],
            input=pem[0].encode(),
            capture_output=True,
            timeout=SECONDS,
            check=True,
        ).stdout
        facts["certificate"] = hashlib.sha256(der).hexdigest()
    return Seen(facts)


def gnutls(port: int, starttls: str | None) -> Seen:
    """What is negotiated with a client of another make, by `gnutls-cli` (package gnutls-bin)."""
    extra = [f"--starttls-proto={_GNUTLS_STARTTLS[starttls]}"] if starttls else []
    command = [program("gnutls-cli", "gnutls-bin"), "--insecure", f"--sni-hostname={HOST}", f"--port={port}", *extra]
    done = subprocess.run([*command, "127.0.0.1"], input=b"", capture_output=True, timeout=SECONDS, check=False)
    told = done.stdout.decode(errors="replace")
    version = re.search(r"Description: \((TLS1\.\d)", told)
    return Seen({"newest": version[1].lower()} if version else {})
