"""Survey and sslyze look at the same servers, and agree, except where sslyze has no code point for what is there.

Every difference is listed below with its cause. One that is not listed fails, and so does one that is listed and not
met: then sslyze has learnt something.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from nassl._nassl import OpenSSLError
from nassl.legacy_ssl_client import LegacySslClient
from nassl.ssl_client import OpenSslVerifyEnum, OpenSslVersionEnum
from sslyze import ScanCommand, Scanner, ServerNetworkLocation, ServerScanRequest, ServerScanResult, TlsVersionEnum
from sslyze.plugins.openssl_cipher_suites.cipher_suites import CipherSuitesRepository

from scanner.evidence import Protocol, TlsEvidence
from scanner.inventory import Address, Endpoint, Target
from scanner.lab import Lab
from scanner.probe import ProbeSettings, iana
from scanner.probe.survey.probe import survey
from tests.build.servers import HOST, Servers, servers

# sslyze takes its time for all of these servers together, on a machine that does other things besides.
pytestmark = [pytest.mark.xdist_group("parity"), pytest.mark.timeout(600)]

LAB_SERVERS = (
    "good",
    "good-rsa",
    "ipv6",
    "client-certificate-required",
    "no-tls1.3",
    "tls1.3-only",
    "legacy-tls",
    "tls1.0-to-1.3",
    "ssl3",
    "weak-ciphers",
    "rc4",
    "3des",
    "null-ciphers",
    "anonymous-ciphers",
    "cbc-sha1",
    "static-rsa",
    "weak-dh",
    "weak-curve",
    "sha1-handshake",
    "early-data",
    "post-quantum",
    "post-quantum-only",
)
"""All of the lab's whose protocols, suites or groups differ; the rest of it serves what `good` does."""

SSLYZE_VERSIONS = {
    Protocol.SSL2: ("ssl_2_0", TlsVersionEnum.SSL_2_0),
    Protocol.SSL3: ("ssl_3_0", TlsVersionEnum.SSL_3_0),
    Protocol.TLS1_0: ("tls_1_0", TlsVersionEnum.TLS_1_0),
    Protocol.TLS1_1: ("tls_1_1", TlsVersionEnum.TLS_1_1),
    Protocol.TLS1_2: ("tls_1_2", TlsVersionEnum.TLS_1_2),
    Protocol.TLS1_3: ("tls_1_3", TlsVersionEnum.TLS_1_3),
}


@dataclass(frozen=True)
class SuitesThatSslyzeLacks:
    """Suites seen by the survey alone, because sslyze 6.3.1 offers none of them."""

    names: str
    cause: str

    def holds(self, name: str) -> bool:
        return re.search(self.names, name) is not None


PSK = SuitesThatSslyzeLacks("_PSK_", "sslyze's clients are built without pre-shared keys")
CAMELLIA_GCM = SuitesThatSslyzeLacks("_CAMELLIA_(128|256)_GCM_", "OpenSSL has never had Camellia in GCM (RFC 6367)")
ANONYMOUS_CAMELLIA = SuitesThatSslyzeLacks(
    "^TLS_DH_anon_WITH_CAMELLIA_(128|256)_CBC_SHA256$",
    "sslyze lists the two, but leaves anonymous suites to OpenSSL 1.0.2, which has not got them: it never sends them",
)
SUITES_LACKING = (PSK, CAMELLIA_GCM, ANONYMOUS_CAMELLIA)

SUITE_DIFFERENCES: Mapping[str, set[SuitesThatSslyzeLacks]] = {
    "gnutls-everything": {CAMELLIA_GCM},
    "openssl-everything": {PSK, ANONYMOUS_CAMELLIA},
}

# sslyze asks for one curve at a time. Up to TLS 1.2 that list has to hold the curve of an ECDSA certificate as well
# (RFC 8422 section 5.1), so OpenSSL refuses every other one: sslyze sees the certificate's curve alone.
ONLY_THE_CERTIFICATES_CURVE = {"no-tls1.3", "legacy-tls", "anonymous-ciphers", "cbc-sha1"}

# OpenSSL 1.1.1 and 1.0.2, on which sslyze is built, complete no handshake with these at all.
DISCARDED_BY_SSLYZE = {
    "weak-curve": "its curve has 192 bits, which is below what sslyze's OpenSSL accepts",
    "post-quantum-only": "sslyze's OpenSSL is older than ML-KEM",
}

# sslyze has no name for these groups, so it does not ask for them.
GROUPS_LACKING = re.compile(r"^ffdhe|mlkem|kyber|tls13$|^gc|^curvesm2")


def start_others(start: Servers) -> dict[str, int]:
    rsa, ecdsa = str(start.identities["rsa"]), str(start.identities["ecdsa"])
    return {
        "nginx": start.nginx(["ecdsa"], "ssl_protocols TLSv1.2 TLSv1.3;"),
        "nginx-two-certificates": start.nginx(
            ["ecdsa", "rsa"],
            "ssl_protocols TLSv1.2 TLSv1.3; ssl_prefer_server_ciphers on; ssl_ciphers HIGH:!aNULL:!PSK;",
        ),
        "openssl-defaults": start.openssl("-cert", ecdsa, "-key", ecdsa),
        "openssl-everything": start.openssl(
            *("-cert", rsa, "-key", rsa, "-dcert", ecdsa, "-dkey", ecdsa, "-serverpref", "-min_protocol", "TLSv1"),
            *("-cipher", "ALL:COMPLEMENTOFALL:@SECLEVEL=0", "-psk", "9e32cf7786321a828ef7668f09fb35db"),
        ),
        "gnutls-defaults": start.gnutls(["ecdsa", "rsa"], "NORMAL"),
        "gnutls-everything": start.gnutls(
            ["rsa"],
            "NORMAL:+VERS-ALL:+VERS-SSL3.0:+CIPHER-ALL:+ARCFOUR-128:+3DES-CBC:+CAMELLIA-128-CBC:+CAMELLIA-128-GCM"
            ":+CAMELLIA-256-GCM:+MD5:+ANON-ECDH:+ANON-DH:+GROUP-ALL",
        ),
    }


OTHERS = (
    "nginx",
    "nginx-two-certificates",
    "openssl-defaults",
    "openssl-everything",
    "gnutls-defaults",
    "gnutls-everything",
)


@dataclass(frozen=True)
class BothViews:
    survey: TlsEvidence | None
    sslyze: ServerScanResult


@pytest.fixture(scope="module")
def views(tmp_path_factory) -> dict[str, BothViews]:
    directory = tmp_path_factory.mktemp("parity")
    with Lab(only=LAB_SERVERS) as lab, servers(directory) as others:
        assert not lab.skipped, f"the lab cannot serve all that is to be compared: {dict(lab.skipped)}"
        addresses = {s.name: (s.host, s.address, s.actual_port) for s in lab.servers.values()}
        for name, port in start_others(others).items():
            addresses[name] = (HOST, "127.0.0.1", port)
        theirs = scan_by_sslyze(addresses)
        return {name: BothViews(surveyed(*address), theirs[name]) for name, address in addresses.items()}


def surveyed(host: str, ip: str, port: int) -> TlsEvidence | None:
    attempt, _ = asyncio.run(survey(Target(Endpoint("parity", host, port), Address(ip, port)), ProbeSettings()))
    return attempt.value


def scan_by_sslyze(addresses: dict[str, tuple[str, str, int]]) -> dict[str, ServerScanResult]:
    commands = {ScanCommand[f"{name.upper()}_CIPHER_SUITES"] for name, _ in SSLYZE_VERSIONS.values()}
    requests = {
        name: ServerScanRequest(
            ServerNetworkLocation(hostname=host, port=port, ip_address=ip),
            scan_commands=commands | {ScanCommand.ELLIPTIC_CURVES},
        )
        for name, (host, ip, port) in addresses.items()
    }
    scanner = Scanner(per_server_concurrent_connections_limit=5, concurrent_server_scans_limit=4)
    scanner.queue_scans(list(requests.values()))
    by_id = {request.uuid: name for name, request in requests.items()}
    return {by_id[result.uuid]: result for result in scanner.get_results()}


@pytest.mark.parametrize("name", [*LAB_SERVERS, *OTHERS])
def test_both_see_the_same_protocols_and_suites(views, name):
    view = views[name]
    assert view.survey is not None
    if name in DISCARDED_BY_SSLYZE:
        assert view.sslyze.scan_result is None, f"sslyze has learnt: {DISCARDED_BY_SSLYZE[name]}"
        assert view.survey.negotiated
        return
    causes = set()
    for protocol, (attribute, _) in SSLYZE_VERSIONS.items():
        attempt = getattr(view.sslyze.scan_result, f"{attribute}_cipher_suites")
        theirs = {accepted.cipher_suite.name for accepted in attempt.result.accepted_cipher_suites}
        offer = view.survey.offer(protocol).value
        assert offer is not None, view.survey.offer(protocol).failure
        ours = {suite.name for suite in offer.suites}
        assert theirs <= ours, f"{protocol}: sslyze alone saw {theirs - ours}"
        unexplained = {suite for suite in ours - theirs if not any(lack.holds(suite) for lack in SUITES_LACKING)}
        assert not unexplained, f"{protocol}: the survey alone saw {unexplained}"
        causes |= {lack for lack in SUITES_LACKING for suite in ours - theirs if lack.holds(suite)}
    assert causes == SUITE_DIFFERENCES.get(name, set())


@pytest.mark.parametrize("name", [name for name in (*LAB_SERVERS, *OTHERS) if name not in DISCARDED_BY_SSLYZE])
def test_both_see_the_same_classical_curves(views, name):
    view = views[name]
    assert view.survey is not None
    highest = view.survey.negotiated[-1]
    attempt = view.survey.groups[highest]
    assert attempt.value is not None, attempt.failure
    ours = {group for group in attempt.value if not GROUPS_LACKING.search(group)}
    curves = view.sslyze.scan_result.elliptic_curves.result
    theirs = {curve.name.lower() for curve in curves.supported_curves or ()}
    if name in ONLY_THE_CERTIFICATES_CURVE:
        assert theirs == {"secp256r1"}
        assert ours > theirs
    else:
        assert ours == theirs


@pytest.mark.parametrize("lack", [PSK, CAMELLIA_GCM], ids=lambda lack: lack.names)
def test_what_is_said_to_be_lacking_is_lacking(lack):
    offered = {suite.name for _, version in SSLYZE_VERSIONS.values() for suite in suites_of_sslyze(version)}
    assert not {name for name in offered if lack.holds(name)}, lack.cause


@pytest.mark.parametrize("bits", ["128", "256"])
def test_the_old_openssl_inside_sslyze_has_no_anonymous_camellia_with_sha256(bits):
    client = LegacySslClient(ssl_version=OpenSslVersionEnum.TLSV1_2, ssl_verify=OpenSslVerifyEnum.NONE)
    client.set_cipher_list(f"ADH-CAMELLIA{bits}-SHA")
    with pytest.raises(OpenSSLError, match="no cipher match"):
        client.set_cipher_list(f"ADH-CAMELLIA{bits}-SHA256")


def suites_of_sslyze(version: TlsVersionEnum):
    return CipherSuitesRepository.get_all_cipher_suites(version)


@pytest.mark.parametrize("protocol", list(Protocol))
def test_whatever_sslyze_offers_the_survey_offers(protocol):
    known = iana.ssl2_cipher_kinds() if protocol is Protocol.SSL2 else iana.cipher_suites()
    offered = {known[code].name for code in iana.offered_suites(protocol)}
    assert {suite.name for suite in suites_of_sslyze(SSLYZE_VERSIONS[protocol][1])} <= offered


def test_the_survey_alone_sees_hybrids_and_finite_fields(views):
    only = views["post-quantum-only"].survey
    assert only is not None
    assert only.groups[Protocol.TLS1_3].value == ("x25519mlkem768",)
    for name in ("nginx", "openssl-defaults", "gnutls-defaults"):
        evidence = views[name].survey
        assert evidence is not None
        assert {"ffdhe2048", "ffdhe3072", "ffdhe4096"} <= set(evidence.groups[Protocol.TLS1_3].value or ())


def test_both_certificates_of_a_server_are_shown(views):
    for name in ("nginx-two-certificates", "gnutls-defaults", "openssl-everything"):
        evidence = views[name].survey
        assert evidence is not None
        assert evidence.certificates.value is not None
        assert {deployment.leaf.key_type for deployment in evidence.certificates.value} == {"rsa", "ecdsa"}
