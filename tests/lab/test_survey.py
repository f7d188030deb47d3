"""The survey of real servers: what it says of each, and how it ends where there is nothing to survey."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from tlslite.messages import RecordHeader2, ServerHello2

from scanner.evaluate import judge
from scanner.evidence import Attempt, FailureReason, NameReaction, Protocol, TargetEvidence, TlsEvidence
from scanner.evidence import from_json as evidence_from_json
from scanner.evidence import to_json as evidence_to_json
from scanner.inventory import Address, Endpoint, Role, StartTls, Target
from scanner.lab import Lab
from scanner.probe import ProbeSettings
from scanner.probe.survey.probe import survey
from scanner.rules import BoundRule, get_rule
from scanner.verdict import Severity
from tests.build.facts import World, facts
from tests.build.ports import free_port
from tests.build.servers import HOST, Servers, node, servers

SETTINGS = ProbeSettings(timeout_s=5.0, deadline_s=60.0)
LAB_SERVERS = (
    *("good", "ipv6", "tls1.3-only", "weak-ciphers", "weak-dh", "weak-curve", "no-ems", "no-secure-renegotiation"),
    *("composite-dh", "unsafe-dh"),
    *("no-fallback-scsv", "sha1-handshake", "compression", "post-quantum", "missing-intermediate", "self-signed"),
    *("plain-http-on-tls-port", "silent", "dribble", "closed-port", "reset", "garbage", "smtp-no-starttls"),
    *(f"{protocol}-starttls" for protocol in StartTls),
)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(only=LAB_SERVERS) as started:
        assert not started.skipped
        yield started


@pytest.fixture(scope="module")
def started(tmp_path_factory) -> Iterator[Servers]:
    with servers(tmp_path_factory.mktemp("survey")) as context:
        yield context


def on_loopback(host: str, port: int) -> Target:
    return Target(Endpoint("test", host, port), Address("127.0.0.1", port))


def run(target: Target, settings: ProbeSettings = SETTINGS) -> tuple[Attempt[TlsEvidence], int]:
    return asyncio.run(survey(target, settings))


def survey_lab(lab: Lab, name: str, settings: ProbeSettings = SETTINGS) -> Attempt[TlsEvidence]:
    server = lab.servers[name]
    endpoint = Endpoint(
        "test",
        server.host,
        server.port,
        role=Role.SERVER if server.starttls else Role.APPLICATION,
        starttls=StartTls(server.starttls) if server.starttls else None,
    )
    return run(Target(endpoint, Address(server.address, server.actual_port)), settings)[0]


def survey_port(port: int, host: str = HOST, ip: str = "127.0.0.1") -> TlsEvidence:
    attempt, _ = run(Target(Endpoint("test", host, port), Address(ip, port)))
    assert attempt.value is not None, attempt.failure
    return attempt.value


def seen(lab: Lab, name: str) -> TlsEvidence:
    attempt = survey_lab(lab, name)
    assert attempt.value is not None, attempt.failure
    return attempt.value


def test_a_good_server_is_told_whole_and_goes_to_json_and_back(lab):
    evidence = seen(lab, "good")
    assert evidence.negotiated == (Protocol.TLS1_2, Protocol.TLS1_3)
    for protocol in (Protocol.SSL2, Protocol.SSL3, Protocol.TLS1_0, Protocol.TLS1_1):
        assert evidence.offer(protocol).value is not None
    offer = evidence.offer(Protocol.TLS1_2).value
    assert offer is not None
    assert offer.server_order is True
    assert [(s.name, s.group, s.ephemeral_bits) for s in offer.suites] == [
        ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "x25519", 253),
        ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "x25519", 253),
        ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "x25519", 253),
    ]
    assert evidence.groups[Protocol.TLS1_3].value[:2] == ("x25519", "secp256r1")
    assert evidence.signature_schemes[Protocol.TLS1_3] == Attempt.ok(("ecdsa_secp256r1_sha256",))
    assert "ecdsa_secp256r1_sha256" in evidence.signature_schemes[Protocol.TLS1_2].value
    yes, no = Attempt.ok(True), Attempt.ok(False)  # noqa: FBT003  # observations
    assert (evidence.extended_master_secret, evidence.secure_renegotiation, evidence.compression) == (yes, yes, no)
    assert (evidence.session_tickets, evidence.fallback_scsv) == (yes, yes)
    assert evidence.intolerances == Attempt.ok(())
    whole = TargetEvidence(datetime.now(UTC), 1.0, 40, tls=Attempt.ok(evidence))
    assert evidence_from_json(evidence_to_json(whole)) == whole


def test_connections_are_counted_and_few(lab):
    server = lab.servers["good"]
    _, connections = run(Target(Endpoint("test", server.host, 443), Address(server.address, server.actual_port)))
    assert 20 < connections <= 45


def test_an_address_is_surveyed_over_ipv6_and_without_a_name(lab):
    server = lab.servers["ipv6"]
    assert ":" in server.address
    evidence = survey_port(server.actual_port, host=server.address, ip=server.address)
    assert Protocol.TLS1_3 in evidence.negotiated
    assert evidence.without_sni.failure is not None


def test_certificates_come_with_their_paths(lab):
    settings = replace(SETTINGS, trust_stores=("mozilla", str(lab.ca_file)))
    attempt = survey_lab(lab, "good", settings)
    assert attempt.value is not None
    (deployment,) = attempt.value.certificates.value
    assert deployment.leaf.dns_names == (lab.servers["good"].host,)
    assert (deployment.with_sni, deployment.protocol, deployment.tls_scts) == (True, Protocol.TLS1_2, 0)
    assert [(path.store, path.trusted) for path in deployment.paths] == [
        ("mozilla", False),
        (str(lab.ca_file), True),
    ]
    alone = survey_lab(lab, "missing-intermediate", settings)
    assert alone.value is not None
    (deployment,) = alone.value.certificates.value
    assert not any(path.trusted for path in deployment.paths)


def test_tls13_alone_shows_no_certificate_and_says_so(lab):
    evidence = seen(lab, "tls1.3-only")
    assert evidence.negotiated == (Protocol.TLS1_3,)
    for attempt in (evidence.certificates, evidence.extended_master_secret, evidence.alpn, evidence.fallback_scsv):
        assert attempt.failure is not None
        assert attempt.failure.reason is FailureReason.UNSUPPORTED
    assert evidence.signature_schemes[Protocol.TLS1_3] == Attempt.ok(("ecdsa_secp256r1_sha256",))


@pytest.mark.parametrize(
    ("name", "fact"),
    [
        ("no-ems", "extended_master_secret"),
        ("no-secure-renegotiation", "secure_renegotiation"),
        ("no-fallback-scsv", "fallback_scsv"),
    ],
)
def test_a_missing_protection_is_seen(lab, name, fact):
    assert getattr(seen(lab, name), fact) == Attempt.ok(False)  # noqa: FBT003  # the observation


def test_compression_is_seen(lab):
    assert seen(lab, "compression").compression == Attempt.ok(True)  # noqa: FBT003  # the observation


def test_weak_signatures_are_seen(lab):
    assert seen(lab, "sha1-handshake").signature_schemes[Protocol.TLS1_2] == Attempt.ok(("rsa_pkcs1_sha1",))


def test_weak_groups_are_seen_with_their_size_and_their_name(lab):
    (suite, *_) = seen(lab, "weak-dh").offer(Protocol.TLS1_2).value.suites
    assert (suite.ephemeral_bits, suite.dh_prime, suite.group) == (1024, "oakley-2", None)
    evidence = seen(lab, "weak-curve")
    (suite, *_) = evidence.offer(Protocol.TLS1_2).value.suites
    assert (suite.ephemeral_bits, suite.group) == (192, "secp192r1")
    assert evidence.groups[Protocol.TLS1_2] == Attempt.ok(("secp192r1",))


@pytest.mark.parametrize(
    ("name", "prime", "safe", "judgement"),
    [
        ("composite-dh", "composite", False, ("not-prime", Severity.CRITICAL)),
        ("unsafe-dh", "rfc5114-24", False, ("not-safe", Severity.LOW)),
        ("weak-dh", "oakley-2", True, ("common", Severity.LOW)),
    ],
)
def test_primes_are_judged_by_what_was_seen_of_them(lab, name, prime, safe, judgement):
    evidence = seen(lab, name)
    suites = evidence.offer(Protocol.TLS1_2).value.suites
    assert {(suite.dh_prime, suite.dh_safe, suite.dh_generator_valid) for suite in suites} == {(prime, safe, True)}
    assert {bool(suite.dh_modulus) for suite in suites} == {prime == "composite"}
    rule = get_rule("kex.dh-parameters")
    bound = BoundRule(rule, rule.severity, rule.parameters(), rule.sources)
    (verdict,) = judge(bound, facts(World(tls=evidence)))
    assert (verdict.reason, verdict.severity) == judgement


def test_weak_suites_are_seen_in_the_servers_order(lab):
    offer = seen(lab, "weak-ciphers").offer(Protocol.TLS1_0).value
    assert offer is not None
    names = [suite.name for suite in offer.suites]
    assert {"TLS_RSA_WITH_RC4_128_MD5", "TLS_DHE_RSA_WITH_3DES_EDE_CBC_SHA"} <= set(names)
    assert offer.server_order is True
    assert names[0].startswith("TLS_ECDHE_RSA_WITH_AES_128")


def test_all_hybrid_groups_are_seen_in_the_servers_order(started):
    groups = ["SecP384r1MLKEM1024", "X25519MLKEM768", "SecP256r1MLKEM768", "X25519", "prime256v1", "ffdhe3072"]
    key = started.identities["ecdsa"].read_text()
    options = {"key": key, "cert": key, "ecdhCurve": ":".join(groups), "honorCipherOrder": True}
    port = free_port()
    script = f"require('node:tls').createServer({json.dumps(options)}).listen({port}, '127.0.0.1')"
    started.run([node(), "-e", script], port)
    evidence = survey_port(port)
    assert evidence.groups[Protocol.TLS1_3].value == (
        *("secp384r1mlkem1024", "x25519mlkem768", "secp256r1mlkem768"),
        *("x25519", "secp256r1", "ffdhe3072"),
    )


@pytest.mark.parametrize("protocol", list(StartTls))
def test_every_starttls_protocol_is_spoken(lab, protocol):
    evidence = seen(lab, f"{protocol}-starttls")
    assert evidence.negotiated == (Protocol.TLS1_2, Protocol.TLS1_3)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("plain-http-on-tls-port", FailureReason.NOT_TLS),
        ("silent", FailureReason.TIMED_OUT),
        ("dribble", FailureReason.TIMED_OUT),
        ("closed-port", FailureReason.REFUSED),
        ("reset", FailureReason.RESET),
        ("garbage", FailureReason.NOT_TLS),
        ("smtp-no-starttls", FailureReason.STARTTLS_REFUSED),
    ],
)
def test_the_first_connections_tell_why_there_is_nothing_to_survey(lab, name, reason):
    silent = reason is FailureReason.TIMED_OUT
    attempt = survey_lab(lab, name, ProbeSettings(timeout_s=0.5) if silent else SETTINGS)
    assert attempt.failure is not None
    assert attempt.failure.reason is reason


def test_a_name_that_does_not_resolve_is_not_connected_to():
    attempt, connections = run(Target(Endpoint("test", "nowhere.example", 443), None))
    assert attempt.failure is not None
    assert (attempt.failure.reason, connections) == (FailureReason.UNRESOLVABLE, 0)


def test_other_names_get_other_certificates_or_an_alert(started):
    ecdsa, rsa = (str(started.identities[key]) for key in ("ecdsa", "rsa"))
    # openssl shows the second certificate to clients that name the host, the first one to all others.
    names = ["-servername", HOST, "-cert", rsa, "-key", rsa, "-cert2", ecdsa, "-key2", ecdsa]
    evidence = survey_port(started.openssl(*names))
    assert evidence.without_sni == Attempt.ok(NameReaction.OTHER_CERTIFICATE)
    assert {(d.leaf.key_type, d.with_sni) for d in evidence.certificates.value} == {("ecdsa", True), ("rsa", False)}
    fatal = survey_port(started.openssl(*names, "-servername_fatal"))
    assert fatal.wrong_sni == Attempt.ok(NameReaction.UNRECOGNIZED_NAME)


def test_one_certificate_for_all_names(started):
    evidence = survey_port(started.nginx(["rsa"], ""))
    same = Attempt.ok(NameReaction.SAME_CERTIFICATE)
    assert (evidence.without_sni, evidence.wrong_sni) == (same, same)


def test_a_staple_and_timestamps_in_the_handshake_are_seen(started, tmp_path):
    path = started.identities["ecdsa"]
    now = datetime.now(UTC).replace(microsecond=0)
    leaf, issuer, *_ = x509.load_pem_x509_certificates(path.read_bytes())
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    response = (
        ocsp.OCSPResponseBuilder()
        .add_response(leaf, issuer, hashes.SHA256(), ocsp.OCSPCertStatus.GOOD, now, now + timedelta(days=2), None, None)
        .responder_id(ocsp.OCSPResponderEncoding.HASH, leaf)
        .sign(key, hashes.SHA256())
    )
    status = tmp_path / "status.der"
    status.write_bytes(response.public_bytes(serialization.Encoding.DER))
    timestamps = b"\x00\x0a\x00\x03abc\x00\x03def"
    extension = base64.b64encode(b"\x00\x12" + len(timestamps).to_bytes(2, "big") + timestamps).decode()
    server_info = tmp_path / "serverinfo.pem"
    server_info.write_text(f"-----BEGIN SERVERINFO FOR SCT-----\n{extension}\n-----END SERVERINFO FOR SCT-----\n")
    port = started.openssl(
        *("-cert", str(path), "-key", str(path), "-status_file", str(status), "-serverinfo", str(server_info)),
    )
    (deployment,) = survey_port(port).certificates.value
    assert deployment.staple is not None
    # It is there, and signed by the server itself: that it says "good" is worth nothing.
    assert (deployment.staple.certificate_status, deployment.staple.this_update) == ("unknown", now)
    assert deployment.tls_scts == 2


def test_application_protocols_are_seen_in_the_order_in_which_they_are_chosen(started):
    path = str(started.identities["ecdsa"])
    port = started.openssl("-cert", path, "-key", path, "-alpn", "http/1.1,h2")
    assert survey_port(port).alpn == Attempt.ok(("http/1.1", "h2"))
    assert survey_port(started.openssl("-cert", path, "-key", path)).alpn == Attempt.ok(())


def test_application_protocols_are_only_told_where_they_were_asked_for(lab):
    assert seen(lab, "smtp-starttls").alpn.failure.reason is FailureReason.NOT_RUN


def test_a_mistake_of_our_own_is_a_failure_and_no_exception(lab, monkeypatch):
    def mistaken(*_arguments):
        raise ZeroDivisionError("of our own making")

    for name in ("scanner.probe.survey.probe.survey_evidence", "scanner.probe.survey.probe.older_suites"):
        with monkeypatch.context() as patch:
            patch.setattr(name, mistaken)
            attempt = survey_lab(lab, "good")
        assert attempt.failure is not None
        assert attempt.failure.reason is FailureReason.ENGINE_ERROR
        assert attempt.failure.detail == "ZeroDivisionError: of our own making"


def test_a_server_that_speaks_ssl2_is_found_out():
    """No program at hand still speaks it: this one only says what such a server says to a hello."""
    hello = ServerHello2().create(0, 1, (0, 2), bytearray(b"\x30\x00"), [0x010080, 0x0700C0], bytearray(16))
    body = bytes(hello.write())
    answer = bytes(RecordHeader2().create(len(body)).write()) + body

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(4096)
        writer.write(answer if first[0] & 0x80 else b"\x15\x03\x00\x00\x02\x02\x28")
        writer.close()

    async def both() -> Attempt[TlsEvidence]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            attempt, _ = await survey(
                Target(Endpoint("test", "old.example", port), Address("127.0.0.1", port)), SETTINGS
            )
            return attempt

    evidence = asyncio.run(both()).value
    assert evidence is not None
    assert evidence.negotiated == (Protocol.SSL2,)
    assert [suite.name for suite in evidence.offer(Protocol.SSL2).value.suites] == [
        "SSL_CK_RC4_128_WITH_MD5",
        "SSL_CK_DES_192_EDE3_CBC_WITH_MD5",
    ]


def test_a_server_that_refuses_everything_is_no_compliant_one():
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.read(4096)
            writer.write(b"\x15\x03\x01\x00\x02\x02\x28")
        writer.close()

    async def both() -> Attempt[TlsEvidence]:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            attempt, _ = await survey(
                Target(Endpoint("test", "no.example", port), Address("127.0.0.1", port)), SETTINGS
            )
            return attempt

    attempt = asyncio.run(both())
    assert attempt.failure is not None
    assert attempt.failure.reason is FailureReason.HANDSHAKE_FAILED
