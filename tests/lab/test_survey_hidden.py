"""What a long list hides: suites behind one that cannot be completed, DHE behind RFC 7919, lists read in part."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Callable, Iterator, Sequence

import pytest
from tlslite.constants import TLS_1_3_HRR, AlertDescription, ExtensionType
from tlslite.extensions import HRRKeyShareExtension, SrvSupportedVersionsExtension
from tlslite.mathtls import FFDHE_PARAMETERS
from tlslite.messages import ClientHello, ServerHello
from tlslite.utils.codec import Parser

from scanner.evidence import Failure, FailureReason, Protocol, ProtocolOffer, TlsEvidence
from scanner.inventory import Address, Endpoint, Role, Target
from scanner.probe import ProbeSettings, iana
from scanner.probe.survey.families import Family, by_family, family_of
from scanner.probe.survey.probe import survey
from tests.build import virtual_time
from tests.build.servers import HOST, Servers, servers

SETTINGS = ProbeSettings(timeout_s=8.0, deadline_s=60.0)
TLS12 = Protocol.TLS1_2
NAMES = {suite.name: code for code, suite in iana.cipher_suites().items()}
GCM, GCM_256 = NAMES["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"], NAMES["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"]


@pytest.fixture(scope="module")
def started(tmp_path_factory) -> Iterator[Servers]:
    with servers(tmp_path_factory.mktemp("hidden")) as context:
        yield context


async def surveyed(port: int) -> tuple[TlsEvidence, int]:
    target = Target(Endpoint("test", HOST, port, role=Role.SERVER), Address("127.0.0.1", port))
    attempt, connections = await survey(target, SETTINGS)
    assert attempt.value is not None, attempt.failure
    return attempt.value, connections


def offer_of(evidence: TlsEvidence, protocol: Protocol = TLS12) -> ProtocolOffer:
    attempt = evidence.offer(protocol)
    assert attempt.value is not None
    assert attempt.incomplete is None
    return attempt.value


def names(offer: ProtocolOffer) -> list[str]:
    return [suite.name for suite in offer.suites]


Chooses = Callable[[list[int]], int | str]
"""What a server makes of the suites of a hello of TLS 1.2: the one that it chooses, `close`, or `hang`; 0 refuses."""


def answered_by(chooses: Chooses, *, alert: int = AlertDescription.handshake_failure) -> tuple[TlsEvidence, int]:
    """The survey of a server that speaks TLS 1.2 alone, as far as its ServerHello."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.read(5)
        body = await reader.readexactly(int.from_bytes(head[3:5])) if head[:1] == b"\x16" else b""
        hello = ClientHello().parse(Parser(bytearray(body[1:]))) if body else None
        # A hello of TLS 1.3 is answered in TLS 1.2, where it is offered as well.
        versions = hello.getExtension(43) if hello is not None else None
        speaks = hello is not None and ((3, 3) in versions.versions if versions else hello.client_version == (3, 3))
        chosen = chooses(list(hello.cipher_suites)) if hello is not None and speaks else 0
        if chosen == "hang":
            await reader.read()
        elif not speaks:
            writer.write(b"\x15\x03\x01\x00\x02\x02" + bytes([AlertDescription.protocol_version]))
        elif chosen == 0:
            writer.write(b"\x15\x03\x03\x00\x02\x02" + bytes([alert]))
        elif isinstance(chosen, int):
            flight = (
                bytes(ServerHello().create((3, 3), bytearray(32), bytearray(0), chosen).write()) + b"\x0e\x00\x00\x00"
            )
            writer.write(b"\x16\x03\x03" + len(flight).to_bytes(2) + flight)
            await writer.drain()
            await reader.read()
        writer.close()

    async def both() -> tuple[TlsEvidence, int]:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            return await surveyed(server.sockets[0].getsockname()[1])

    return virtual_time.run_with_servers(both())


def first_of(own: Sequence[int], offered: Sequence[int]) -> int:
    return next((code for code in own if code in offered), 0)


def test_every_suite_has_one_family_and_every_family_has_some():
    suites = iana.offered_suites(TLS12)
    families = by_family(suites)
    assert set(families) == set(Family)
    assert sorted(code for codes in families.values() for code in codes) == sorted(suites)
    for name, family in {
        "TLS_DH_anon_EXPORT_WITH_RC4_40_MD5": Family.WEAK_FINITE_FIELD,
        "TLS_DHE_RSA_EXPORT_WITH_DES40_CBC_SHA": Family.WEAK_FINITE_FIELD,
        "TLS_DH_anon_WITH_AES_128_CBC_SHA": Family.WEAK_FINITE_FIELD,
        "TLS_DHE_DSS_WITH_RC4_128_SHA": Family.WEAK_FINITE_FIELD,
        "TLS_RSA_EXPORT_WITH_DES40_CBC_SHA": Family.EXPORT,
        "TLS_RSA_WITH_NULL_SHA": Family.UNPROTECTED,
        "TLS_ECDH_anon_WITH_NULL_SHA": Family.UNPROTECTED,
        "TLS_ECDH_anon_WITH_AES_128_CBC_SHA": Family.UNPROTECTED,
        "TLS_ECDHE_RSA_WITH_RC4_128_SHA": Family.RC4,
        "TLS_DHE_PSK_WITH_AES_128_CBC_SHA": Family.SHARED_KEY,
        "TLS_DHE_RSA_WITH_AES_128_CBC_SHA": Family.FINITE_FIELD,
        "TLS_RSA_WITH_AES_128_CBC_SHA": Family.KEY_TRANSPORT,
        "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": Family.ELLIPTIC,
    }.items():
        assert family_of(NAMES[name]) is family


@pytest.mark.parametrize("alert", [AlertDescription.handshake_failure, AlertDescription.internal_error])
def test_suites_behind_one_that_cannot_be_completed_are_found_in_the_servers_order(alert):
    """As Dovecot does without Diffie-Hellman parameters: it chooses DHE wherever it is offered, and fails."""
    behind = [GCM, NAMES["TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384"], NAMES["TLS_RSA_WITH_AES_256_CBC_SHA"]]
    broken = [NAMES["TLS_DHE_RSA_WITH_AES_128_GCM_SHA256"], NAMES["TLS_DHE_RSA_WITH_AES_256_GCM_SHA384"]]
    own = [GCM_256, *broken, *behind]

    def chooses(offered: list[int]) -> int:
        chosen = first_of(own, offered)
        return 0 if chosen in broken else chosen

    evidence, _ = answered_by(chooses, alert=alert)
    offer = offer_of(evidence)
    assert names(offer) == [iana.cipher_suites()[code].name for code in (GCM_256, *behind)]
    assert offer.server_order is True


@pytest.mark.parametrize(
    ("broken", "behind"),
    [
        ("TLS_DHE_RSA_EXPORT_WITH_DES40_CBC_SHA", "TLS_RSA_EXPORT_WITH_DES40_CBC_SHA"),
        ("TLS_DH_anon_EXPORT_WITH_RC4_40_MD5", "TLS_RSA_EXPORT_WITH_RC4_40_MD5"),
        ("TLS_DH_anon_WITH_AES_128_CBC_SHA", "TLS_ECDH_anon_WITH_AES_128_CBC_SHA"),
        ("TLS_DH_anon_WITH_RC4_128_MD5", "TLS_RSA_WITH_NULL_SHA"),
        ("TLS_DHE_DSS_WITH_RC4_128_SHA", "TLS_RSA_WITH_RC4_128_SHA"),
        ("TLS_RSA_EXPORT_WITH_DES40_CBC_SHA", "TLS_RSA_WITH_RC4_128_SHA"),
    ],
)
def test_a_weak_suite_behind_one_without_parameters_is_found(broken, behind):
    """OpenSSL 1.0 without Diffie-Hellman parameters, in the weak suites too: it fails as one that has no suite does."""

    def chooses(offered: list[int]) -> int:
        chosen = first_of([GCM_256, NAMES[broken], NAMES[behind]], offered)
        return 0 if chosen == NAMES[broken] else chosen

    evidence, _ = answered_by(chooses)
    assert names(offer_of(evidence)) == [iana.cipher_suites()[GCM_256].name, behind]


@pytest.mark.parametrize("most", [300, 20])
@pytest.mark.parametrize("family", list(Family))
def test_a_family_that_a_long_list_hides_is_found(family, most):
    """A server that takes a suite of this family from a list that holds no other."""
    hidden = by_family(iana.offered_suites(TLS12))[family][0]

    def chooses(offered: list[int]) -> int:
        alone = {family_of(code) for code in offered if code in NAMES.values() and code < 0xFF00} == {family}
        return hidden if alone and hidden in offered else first_of([GCM_256], offered[:most])

    evidence, _ = answered_by(chooses)
    assert set(names(offer_of(evidence))) == {iana.cipher_suites()[code].name for code in (GCM_256, hidden)}


def test_a_server_that_reads_the_beginning_of_a_list_alone_is_seen_whole():
    weak = [
        NAMES["TLS_RSA_WITH_RC4_128_MD5"],
        NAMES["TLS_RSA_EXPORT_WITH_DES40_CBC_SHA"],
        NAMES["TLS_RSA_WITH_NULL_SHA"],
    ]
    evidence, _ = answered_by(lambda offered: first_of([GCM_256, *weak], offered[:64]))
    assert set(names(offer_of(evidence))) == {iana.cipher_suites()[code].name for code in (GCM_256, *weak)}


def test_silence_to_one_family_is_no_refusal_of_it():
    """A box that drops hellos of NULL suites: nothing is known of them, and everything of all others."""

    def chooses(offered: list[int]) -> int | str:
        kinds = {family_of(code) for code in offered if code in iana.offered_suites(TLS12)}
        return "hang" if kinds == {Family.UNPROTECTED} else first_of([GCM_256, GCM], offered)

    evidence, _ = answered_by(chooses)
    attempt = evidence.offer(TLS12)
    assert attempt.value is not None
    assert attempt.incomplete is not None
    assert attempt.incomplete.reason == "timed-out"
    assert attempt.incomplete.detail.endswith("(a hello of NULL or anonymous cipher suites only)")


@pytest.mark.parametrize("groups", ["-GROUP-ALL:+GROUP-SECP256R1:", ""])
def test_dhe_that_follows_rfc7919_is_seen_with_the_servers_own_group(started, tmp_path, groups):
    """GnuTLS with parameters of its own: a hello with groups of RFC 7919 gets one of those, or no DHE at all."""
    parameters = tmp_path / "dh.pem"
    parameters.write_text(dh_parameters(FFDHE_PARAMETERS["RFC2409 group 2"][1], 2))
    priority = f"NORMAL:-VERS-ALL:+VERS-TLS1.2:{groups}-KX-ALL:+ECDHE-RSA:+DHE-RSA:%PROFILE_VERY_WEAK"
    port = started.gnutls(["rsa"], priority, f"--dhparams={parameters}")
    evidence, _ = asyncio.run(surveyed(port))
    finite = [suite for suite in offer_of(evidence).suites if "_DHE_" in suite.name]
    assert finite
    assert (1024, "oakley-2") in {(suite.ephemeral_bits, suite.dh_prime) for suite in finite}


def test_anonymous_diffie_hellman_that_follows_rfc7919_is_seen(started, tmp_path):
    """The same where nothing is signed: GnuTLS takes none of it from a hello with groups of RFC 7919 alone."""
    parameters = tmp_path / "dh.pem"
    parameters.write_text(dh_parameters(FFDHE_PARAMETERS["RFC2409 group 2"][1], 2))
    groups = "-GROUP-ALL:+GROUP-SECP256R1"
    priority = f"NORMAL:-VERS-ALL:+VERS-TLS1.2:{groups}:-KX-ALL:+ECDHE-RSA:+ANON-DH:%PROFILE_VERY_WEAK"
    evidence, _ = asyncio.run(surveyed(started.gnutls(["rsa"], priority, f"--dhparams={parameters}")))
    anonymous = [suite for suite in offer_of(evidence).suites if "_DH_anon_" in suite.name]
    assert {(suite.ephemeral_bits, suite.dh_prime) for suite in anonymous} == {(1024, "oakley-2")}


def dh_parameters(prime: int, generator: int) -> str:
    """PEM of DH parameters (PKCS #3), whatever the numbers are."""

    def der(tag: int, body: bytes) -> bytes:
        size = len(body).to_bytes((len(body).bit_length() + 7) // 8)
        return bytes([tag]) + (size if len(body) < 128 else bytes([0x80 | len(size)]) + size) + body

    numbers = b"".join(der(2, number.to_bytes(number.bit_length() // 8 + 1)) for number in (prime, generator))
    text = base64.encodebytes(der(0x30, numbers)).decode()
    return f"-----BEGIN DH PARAMETERS-----\n{text}-----END DH PARAMETERS-----\n"


def composite_modulus() -> int:
    """A product of small primes with as many bits as a safe prime would have."""
    small = (n for n in range(3, 10_000, 2) if all(n % divisor for divisor in range(3, int(n**0.5) + 1, 2)))
    product = 1
    while product.bit_length() < 2050:
        product *= next(small)
    return product


def test_a_modulus_that_is_no_prime_is_told(started, tmp_path):
    parameters = tmp_path / "dh.pem"
    parameters.write_text(dh_parameters(composite_modulus(), 2))
    identity = str(started.identities["rsa"])
    suites = ["-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0", "-dhparam", str(parameters)]
    evidence, _ = asyncio.run(surveyed(started.openssl("-cert", identity, "-key", identity, *suites)))
    (suite,) = offer_of(evidence).suites
    assert (suite.dh_prime, suite.group) == ("composite", None)


def test_a_server_that_refuses_and_accepts_one_hello_is_believed_no_refusal():
    """As behind a name that leads to servers that differ: what one refused, the other may accept, in any version."""
    own, met = [GCM, GCM_256, NAMES["TLS_RSA_WITH_AES_128_CBC_SHA"]], set()

    def chooses(offered: list[int]) -> int:
        if set(offered) <= {*own, 0x00FF, 0x5600} and tuple(offered) not in met:
            met.add(tuple(offered))
            return 0
        return first_of(offered, own)

    evidence, _ = answered_by(chooses)
    told = Failure(FailureReason.INCONSISTENT, "the same hello of tls1.2 was refused (handshake_failure) and accepted")
    attempt = evidence.offer(TLS12)
    assert attempt.value is not None
    assert set(names(attempt.value)) == {iana.cipher_suites()[code].name for code in own}
    assert attempt.incomplete == told
    assert {evidence.offer(protocol).failure for protocol in Protocol if protocol is not TLS12} == {told}
    doubted = (
        evidence.extended_master_secret,
        evidence.groups[TLS12],
        evidence.secure_renegotiation,
        evidence.compression,
    )
    assert {fact.cut_off for fact in doubted} == {told}


def test_a_server_that_refuses_one_hello_each_time_contradicts_nothing():
    own = [GCM, GCM_256, NAMES["TLS_RSA_WITH_AES_128_CBC_SHA"]]

    def chooses(offered: list[int]) -> int:
        return 0 if set(offered) <= {*own, 0x00FF, 0x5600} else first_of(offered, own)

    evidence, _ = answered_by(chooses)
    assert offer_of(evidence).server_order is None
    assert not evidence.offer(Protocol.SSL3).value.negotiated


CHACHA20 = NAMES["TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"]


def with_exception(offered: list[int]) -> int:
    """A server's order, with the exception that many make for clients that prefer ChaCha20."""
    own = [GCM, GCM_256, NAMES["TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"], CHACHA20]
    if offered and offered[0] == CHACHA20:
        return CHACHA20
    return first_of(own, offered)


def test_the_servers_order_is_told_with_the_exception_for_chacha20():
    evidence, _ = answered_by(with_exception)
    offer = offer_of(evidence)
    assert names(offer) == [
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    ]
    assert (offer.server_order, offer.chacha20_first) == (True, True)


def test_a_server_that_goes_by_the_clients_order_makes_no_exception():
    accepted = [GCM, GCM_256, CHACHA20]
    evidence, _ = answered_by(lambda offered: first_of(offered, accepted))
    offer = offer_of(evidence)
    assert (offer.server_order, offer.chacha20_first) == (False, None)


def test_openssl_with_its_option_for_chacha20_is_told_so(started):
    identity = str(started.identities["rsa"])
    order = "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-CHACHA20-POLY1305"
    options = ["-tls1_2", "-cipher", order, "-serverpref", "-prioritize_chacha"]
    evidence, _ = asyncio.run(surveyed(started.openssl("-cert", identity, "-key", identity, *options)))
    offer = offer_of(evidence)
    assert (offer.server_order, offer.chacha20_first) == (True, True)
    assert names(offer)[-1] == "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"


def test_what_the_first_hello_was_answered_is_not_asked_again():
    """It offers everything; but application protocols, and compression, are asked for in a hello of TLS 1.2."""
    asked: list[list[int]] = []

    def chooses(offered: list[int]) -> int:
        asked.append(offered)
        return first_of(offered, [GCM, GCM_256])

    evidence, _ = answered_by(chooses)
    assert names(offer_of(evidence)) == [iana.cipher_suites()[code].name for code in (GCM, GCM_256)]
    whole = [offered for offered in asked if {GCM, GCM_256} <= set(offered) and len(offered) > 100]
    # The first, one of TLS 1.2 with that suite at the end, and two under other names.
    assert [offered.index(GCM) > offered.index(GCM_256) for offered in whole].count(True) == 1
    assert len(whole) == 4


def test_of_a_server_of_one_suite_no_application_protocol_is_lost(started):
    port = started.nginx(["rsa"], "ssl_protocols TLSv1.2; ssl_ciphers ECDHE-RSA-AES128-GCM-SHA256;")
    target = Target(Endpoint("test", HOST, port, role=Role.APPLICATION), Address("127.0.0.1", port))
    evidence = asyncio.run(survey(target, SETTINGS))[0].value
    assert evidence is not None
    assert names(offer_of(evidence)) == [iana.cipher_suites()[GCM].name]
    assert evidence.alpn.value == ("http/1.1",)


def test_a_usual_nginx_takes_eight_connections_more_than_the_lists(started):
    port = started.nginx(["ecdsa"], "ssl_protocols TLSv1.2 TLSv1.3;")
    _, connections = asyncio.run(surveyed(port))
    assert connections <= 47


def tls13_server(chooses: Callable[[ClientHello], tuple[int, int] | int]) -> TlsEvidence:
    """The survey of a server of TLS 1.3 alone, which answers by a HelloRetryRequest, or by an alert."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.read(5)
        body = await reader.readexactly(int.from_bytes(head[3:5])) if head[:1] == b"\x16" else b""
        hello = ClientHello().parse(Parser(bytearray(body[1:]))) if body else None
        chosen: tuple[int, int] | int = AlertDescription.protocol_version
        if hello is not None and hello.getExtension(43) is not None:
            chosen = chooses(hello)
        if isinstance(chosen, int):
            writer.write(b"\x15\x03\x03\x00\x02\x02" + bytes([chosen]))
        else:
            suite, group = chosen
            extensions = [
                SrvSupportedVersionsExtension().create((3, 4)),
                HRRKeyShareExtension().create(group),
            ]
            answer = ServerHello().create((3, 3), TLS_1_3_HRR, hello.session_id, suite, extensions=extensions)
            flight = bytes(answer.write())
            writer.write(b"\x16\x03\x03" + len(flight).to_bytes(2) + flight)
        with contextlib.suppress(OSError):
            await writer.drain()
        writer.close()

    async def both() -> TlsEvidence:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            return (await surveyed(server.sockets[0].getsockname()[1]))[0]

    return virtual_time.run_with_servers(both())


X25519, FFDHE2048, MLKEM = 29, 256, 0x11EC


def groups_of(hello: ClientHello) -> list[int]:
    return list(hello.getExtension(ExtensionType.supported_groups).groups)


def test_groups_of_tls13_that_a_long_list_hides_are_found():
    """A server that chokes on finite fields and hybrids beside anything else, once its favourite is gone."""

    def chooses(hello: ClientHello) -> tuple[int, int] | int:
        groups = groups_of(hello)
        if 0x1301 not in hello.cipher_suites:
            return int(AlertDescription.handshake_failure)
        if X25519 in groups:
            return 0x1301, X25519
        alone = next((code for code in (FFDHE2048, MLKEM) if code in groups), None)
        names = {iana.groups()[code].name[:5] for code in groups}
        if alone is not None and (names <= {"ffdhe"} or all("mlkem" in iana.groups()[code].name for code in groups)):
            return 0x1301, alone
        return int(AlertDescription.handshake_failure)

    evidence = tls13_server(chooses)
    assert evidence.groups[Protocol.TLS1_3].value == ("x25519", "ffdhe2048", "x25519mlkem768")


def test_tls13_is_seen_where_only_a_usual_hello_is_answered():
    """A server, or a box, that refuses whatever holds a suite or a group that it has never heard of."""

    def chooses(hello: ClientHello) -> tuple[int, int] | int:
        strange = set(groups_of(hello)) - {29, 23, 24} or set(hello.cipher_suites) - {*range(0x1301, 0x1306)}
        accepted = 0x1301 in hello.cipher_suites and X25519 in groups_of(hello) and not strange
        return (0x1301, X25519) if accepted else int(AlertDescription.handshake_failure)

    evidence = tls13_server(chooses)
    assert evidence.negotiated == (Protocol.TLS1_3,)


def test_the_usual_suites_of_tls13_are_asked_for_alone():
    def chooses(hello: ClientHello) -> tuple[int, int] | int:
        if X25519 not in groups_of(hello):
            return int(AlertDescription.handshake_failure)
        if 0x1302 in hello.cipher_suites:
            return 0x1302, X25519
        usual = set(hello.cipher_suites) <= {*range(0x1301, 0x1306)}
        return (0x1301, X25519) if usual and 0x1301 in hello.cipher_suites else int(AlertDescription.handshake_failure)

    offer = offer_of(tls13_server(chooses), Protocol.TLS1_3)
    assert set(names(offer)) == {"TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256"}


@pytest.mark.parametrize("suites", ["TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256"])
def test_tls13_with_ccm_suites_alone_is_tls13(started, suites):
    identity = str(started.identities["ecdsa"])
    port = started.openssl("-cert", identity, "-key", identity, "-ciphersuites", suites)
    evidence, _ = asyncio.run(surveyed(port))
    assert names(offer_of(evidence, Protocol.TLS1_3)) == [suites]
