"""The HTTP probe inside TLS: versions, names, client certificates, HTTP/2, and servers that misuse it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import h2.config
import h2.connection
import h2.errors
import h2.events
import pytest

from scanner.evidence import ClientIdentity, FailureReason, HttpEvidence, HttpProbe
from scanner.inventory import (
    Address,
    Application,
    ApplicationKind,
    ClientCertificate,
    Endpoint,
    Environment,
    EnvironmentKind,
    HttpsLevel,
    PathSetting,
    Target,
)
from scanner.lab import Lab
from scanner.probe import ProbeSettings
from scanner.probe.http.probe import probe_http
from tests.build.http_servers import Handler, read_request, saying, serving
from tests.build.servers import HOST, Servers, servers

ENVIRONMENT = Environment("test", EnvironmentKind.ON_PREMISES)
SETTINGS = ProbeSettings(timeout_s=8, deadline_s=60)
IMPATIENT = ProbeSettings(timeout_s=1, deadline_s=20)
"""For servers that are silent."""
CASES = (
    *("good", "ipv6", "legacy-tls", "ssl3", "rc4", "null-ciphers", "anonymous-ciphers", "expired", "self-signed"),
    *("client-certificate-required", "client-certificate-optional", "no-secure-renegotiation", "post-quantum-only"),
    *("plain-http-on-tls-port", "silent", "dribble", "reset", "garbage", "closed-port"),
)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(only=CASES) as started:
        assert not started.skipped
        yield started


@pytest.fixture(scope="module")
def started(tmp_path_factory) -> Iterator[Servers]:
    with servers(tmp_path_factory.mktemp("http")) as context:
        yield context


def ask(endpoint: Endpoint, address: Address, settings: ProbeSettings = SETTINGS) -> HttpEvidence:
    attempt, _ = asyncio.run(probe_http(Target(endpoint, address), ENVIRONMENT, settings, frozenset()))
    assert attempt.value is not None
    return attempt.value


def of_lab(lab: Lab, name: str, *applications: Application, settings: ProbeSettings = SETTINGS) -> HttpEvidence:
    server = lab.servers[name]
    endpoint = Endpoint("test", server.host, server.port, http_port=server.http_port, applications=applications)
    return ask(endpoint, Address(server.address, server.actual_port, server.actual_http_port), settings)


@pytest.mark.parametrize(
    "name",
    [
        *("good", "ipv6", "legacy-tls", "rc4", "null-ciphers", "anonymous-ciphers", "expired", "self-signed"),
        "no-secure-renegotiation",
    ],
)
def test_enforcement_is_seen_however_bad_the_tls_is(lab, name):
    evidence = of_lab(lab, name)
    inside = evidence.find("https").first
    assert (inside.status, len(inside.hsts), len(inside.cookies)) == (200, 1, 1)
    assert inside.url == f"https://{lab.servers[name].host}/"
    assert [hop.status for hop in evidence.find("http").hops] == [301, 200]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("plain-http-on-tls-port", FailureReason.NOT_TLS),
        ("garbage", FailureReason.NOT_TLS),
        ("silent", FailureReason.TIMED_OUT),
        ("dribble", FailureReason.TIMED_OUT),
        ("reset", FailureReason.RESET),
        ("closed-port", FailureReason.REFUSED),
        ("post-quantum-only", FailureReason.HANDSHAKE_FAILED),
        ("client-certificate-required", FailureReason.CLIENT_CERTIFICATE_REQUIRED),
    ],
)
def test_why_nothing_was_heard(lab, name, reason):
    settings = IMPATIENT if reason is FailureReason.TIMED_OUT else SETTINGS
    assert of_lab(lab, name, settings=settings).find("https").first.failure.reason is reason


def shop(level: HttpsLevel, certificate: ClientCertificate | None = None, path: str = "/") -> Application:
    paths = (PathSetting(path, level),)
    return Application("Shop", ApplicationKind.SERVICE, https=level, paths=paths, client_certificate=certificate)


def outcomes(evidence: HttpEvidence, path: str = "/") -> dict[str, int | str]:
    found = {}
    for identity in ClientIdentity:
        probe = evidence.find("https", path, identity=identity)
        if probe is not None:
            found[identity.value] = probe.first.status or probe.first.failure.reason.value
    return found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "client-certificate-required",
            {"none": "client-certificate-required", "configured": 200, "wrong": "client-certificate-required"},
        ),
        # Python's server verifies whatever certificate it is shown, demanded or not.
        ("client-certificate-optional", {"none": 200, "configured": 200, "wrong": "client-certificate-required"}),
        ("good", {"none": 200, "configured": 200, "wrong": 200}),
    ],
)
def test_each_client_identity_is_tried_where_one_is_demanded(lab, name, expected):
    certificate = ClientCertificate(lab.client_certificate_file, lab.client_key_file)
    evidence = of_lab(lab, name, shop(HttpsLevel.TLS_CLIENT_CERTIFICATE, certificate))
    assert outcomes(evidence) == expected


def test_without_a_configured_certificate_there_is_nothing_to_show(lab):
    evidence = of_lab(lab, "client-certificate-required", shop(HttpsLevel.TLS_CLIENT_CERTIFICATE))
    assert set(outcomes(evidence)) == {"none", "wrong"}


def test_where_none_is_demanded_none_is_shown(lab):
    certificate = ClientCertificate(lab.client_certificate_file, lab.client_key_file)
    assert set(outcomes(of_lab(lab, "good", shop(HttpsLevel.TLS, certificate)))) == {"none"}


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_certificate_that_cannot_be_read_is_said_so(lab, tmp_path, content):
    broken = tmp_path / "client.pem"
    if content is not None:
        broken.write_text(content)
    evidence = of_lab(lab, "good", shop(HttpsLevel.TLS_CLIENT_CERTIFICATE, ClientCertificate(broken, broken)))
    failure = evidence.find("https", identity=ClientIdentity.CONFIGURED).first.failure
    assert failure.reason is FailureReason.NOT_RUN
    assert "client certificate" in failure.detail
    assert outcomes(evidence)["none"] == 200


@pytest.mark.parametrize("protocol", ["TLSv1.2", "TLSv1.3"])
def test_a_certificate_demanded_in_the_handshake_of_either_version(started, protocol):
    # openssl s_server -Verify demands a certificate and ends the handshake without one.
    arguments = ["-cert", started.identities["ecdsa"], "-Verify", "1", "-CAfile", started.ca_file]
    version = "-tls1_2" if protocol == "TLSv1.2" else "-tls1_3"
    port = started.openssl(*map(str, arguments), version, "-verify_return_error")
    evidence = ask(Endpoint("test", HOST, 443, applications=(shop(HttpsLevel.TLS_CLIENT_CERTIFICATE),)), on(port))
    required = FailureReason.CLIENT_CERTIFICATE_REQUIRED.value
    assert outcomes(evidence) == {"none": required, "wrong": required}


def on(port: int) -> Address:
    return Address("127.0.0.1", port)


def test_nginx_refuses_by_an_answer_where_it_demands_a_certificate(started, lab):
    directives = f"ssl_client_certificate {lab.ca_file}; ssl_verify_client on;"
    port = started.nginx(["ecdsa"], directives)
    certificate = ClientCertificate(lab.client_certificate_file, lab.client_key_file)
    application = shop(HttpsLevel.TLS_CLIENT_CERTIFICATE, certificate)
    evidence = ask(Endpoint("test", HOST, 443, applications=(application,)), on(port))
    assert outcomes(evidence) == {"none": 400, "configured": 200, "wrong": 400}
    assert evidence.find("https").first.certificate_requested


def server_context(started: Servers, *protocols: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(started.identities["ecdsa"])
    context.set_alpn_protocols(list(protocols))
    return context


def ask_own(handler: Handler, context: ssl.SSLContext, host: str = HOST, settings: ProbeSettings = SETTINGS):
    async def run() -> tuple[HttpProbe, int]:
        async with serving(handler, context) as log:
            target = Target(Endpoint("test", host, 443), on(log.port))
            attempt, _ = await probe_http(target, ENVIRONMENT, settings, frozenset())
            return attempt.value.find("https"), log.connections

    return asyncio.run(run())


@pytest.mark.parametrize(("host", "name"), [("shop.example", "shop.example"), ("127.0.0.1", None)])
def test_the_server_name_is_the_configured_one_and_none_for_an_address(started, host, name):
    names = []
    context = server_context(started, "http/1.1")
    context.sni_callback = lambda _socket, server_name, _context: names.append(server_name)
    probe, _ = ask_own(saying(b"HTTP/1.1 204 No Content\r\n\r\n"), context, host)
    assert (probe.first.status, names) == (204, [name])


@contextlib.contextmanager
def asking_late(identity: Path, ca: Path) -> Iterator[int]:
    """A server that asks for a client certificate once it has seen the request, as Apache does for a location."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(identity)
    context.load_verify_locations(ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.post_handshake_auth = True

    def answer(plain: socket.socket) -> None:
        with contextlib.suppress(OSError), context.wrap_socket(plain, server_side=True) as secured:
            secured.recv(65_536)
            secured.verify_client_post_handshake()
            secured.do_handshake()  # sends the request for the certificate
            secured.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                secured.recv(1)  # reads the certificate; no more of the client's own is to come
            if secured.getpeercert():
                secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                answer(listening.accept()[0])

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(60)


def test_a_certificate_demanded_after_the_request(started, lab):
    certificate = ClientCertificate(lab.client_certificate_file, lab.client_key_file)
    application = shop(HttpsLevel.TLS_CLIENT_CERTIFICATE, certificate)
    with asking_late(started.identities["ecdsa"], lab.ca_file) as port:
        evidence = ask(Endpoint("test", HOST, 443, applications=(application,)), on(port))
    required = FailureReason.CLIENT_CERTIFICATE_REQUIRED.value
    assert outcomes(evidence) == {"none": required, "configured": 200, "wrong": required}
    assert evidence.find("https", identity=ClientIdentity.CONFIGURED).first.certificate_requested


@pytest.mark.parametrize(("name", "requested"), [("client-certificate-optional", True), ("good", False)])
def test_it_is_noticed_whether_a_certificate_is_requested(lab, name, requested):
    first = of_lab(lab, name).find("https").first
    assert (first.status, first.certificate_requested) == (200, requested)


def speaking_h2(react: Callable[[h2.connection.H2Connection, h2.events.RequestReceived], None]) -> Handler:
    """A server of HTTP/2 that reacts to each request."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        config = h2.config.H2Configuration(client_side=False, validate_outbound_headers=False)
        connection = h2.connection.H2Connection(config)
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        while data := await reader.read(65_536):
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    react(connection, event)
            writer.write(connection.data_to_send())
            await writer.drain()

    return handle


def test_a_page_over_http2(started):
    def react(connection, event):
        headers = [(":status", "200"), ("content-type", "text/html"), ("strict-transport-security", "max-age=1")]
        headers += [("set-cookie", "a=1; Secure"), ("set-cookie", "b=2")]
        connection.send_headers(event.stream_id, headers)
        connection.send_data(event.stream_id, b"<script src=http://x.example/>", end_stream=True)

    probe, _ = ask_own(speaking_h2(react), server_context(started, "h2"))
    hop = probe.first
    assert (hop.status, hop.http_version, hop.hsts) == (200, "HTTP/2", ("max-age=1",))
    assert [(cookie.name, cookie.secure) for cookie in hop.cookies] == [("a", True), ("b", False)]
    assert [reference.url for reference in hop.insecure_references] == ["http://x.example/"]


def test_headers_without_end_over_http2_are_too_large(started):
    def react(connection, event):
        headers = [(":status", "200"), *((f"x-{number}", "a" * 1000) for number in range(2000))]
        connection.send_headers(event.stream_id, headers, end_stream=True)

    probe, _ = ask_own(speaking_h2(react), server_context(started, "h2"))
    assert probe.first.failure.reason is FailureReason.TOO_LARGE


def test_an_endless_body_over_http2_is_cut_off(started):
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        stream = None
        while True:
            writer.write(connection.data_to_send())
            await writer.drain()
            if stream is None or connection.local_flow_control_window(stream) < 16_384:
                for event in connection.receive_data(await reader.read(65_536)):
                    if isinstance(event, h2.events.RequestReceived):
                        stream = event.stream_id
                        connection.send_headers(stream, [(":status", "200")])
            else:
                connection.send_data(stream, b"x" * 16_384)

    probe, _ = ask_own(handle, server_context(started, "h2"))
    hop = probe.first
    assert (hop.status, hop.body_bytes, hop.body_truncated) == (200, SETTINGS.max_body_bytes, True)


@pytest.mark.parametrize("status", ["abc", "-1", "0", "20", "9999", ""])
def test_a_status_over_http2_that_is_no_number(started, status):
    def react(connection, event):
        connection.send_headers(event.stream_id, [(":status", status)], end_stream=True)

    probe, _ = ask_own(speaking_h2(react), server_context(started, "h2"))
    assert probe.first.failure is not None
    assert probe.first.failure.reason is FailureReason.MALFORMED


def test_what_is_no_http2_is_asked_for_over_http11(started):
    probe, connections = ask_own(saying(b"HTTP/1.1 204 No Content\r\n\r\n"), server_context(started, "h2"))
    assert (probe.first.status, probe.first.http_version, connections) == (204, "HTTP/1.1", 2)
    assert probe.first.irregularities[0].startswith("HTTP/2 failed: the server")


def test_what_is_neither_http2_nor_http11_is_malformed(started):
    probe, connections = ask_own(saying(b"\0" * 100), server_context(started, "h2"))
    assert (probe.first.failure.reason, connections) == (FailureReason.MALFORMED, 2)
    assert probe.first.failure.detail == "the server's HTTP/2 is malformed"


def test_a_server_that_wants_http11_gets_it(started):
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2":
            await speaking_h2(refuse)(reader, writer)
        else:
            await read_request(reader)
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    def refuse(connection, event):
        connection.reset_stream(event.stream_id, h2.errors.ErrorCodes.HTTP_1_1_REQUIRED)

    probe, connections = ask_own(handle, server_context(started, "h2", "http/1.1"))
    assert (probe.first.status, probe.first.http_version, connections) == (204, "HTTP/1.1", 2)


EMPTY = saying(b"HTTP/1.1 204 No Content\r\n\r\n")


def over_either(over_http2: Handler, over_http11: Handler = EMPTY) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http2 = writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
        await (over_http2 if http2 else over_http11)(reader, writer)

    return handle


def goes_away(connection, _event):
    connection.close_connection(last_stream_id=0, error_code=h2.errors.ErrorCodes.INADEQUATE_SECURITY)


def resets(connection, event):
    connection.reset_stream(event.stream_id, h2.errors.ErrorCodes.INTERNAL_ERROR)


async def closes(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read(65_536)


@pytest.mark.parametrize(
    ("breaking", "why"),
    [
        (speaking_h2(goes_away), "the server ended the connection over HTTP/2: INADEQUATE_SECURITY"),
        (speaking_h2(resets), "the server reset the stream over HTTP/2: INTERNAL_ERROR"),
        (closes, "the server closed the connection over HTTP/2"),
    ],
)
def test_where_http2_breaks_off_http11_is_asked(started, breaking, why):
    probe, connections = ask_own(over_either(breaking), server_context(started, "h2", "http/1.1"))
    assert (probe.first.status, probe.first.http_version, connections) == (204, "HTTP/1.1", 2)
    assert probe.first.irregularities == (f"HTTP/2 failed: {why}",)


def test_a_server_that_always_says_go_away_is_asked_twice_and_no_more(started):
    handler = over_either(speaking_h2(goes_away), closes)
    probe, connections = ask_own(handler, server_context(started, "h2", "http/1.1"))
    assert (probe.first.failure.reason, connections) == (FailureReason.RESET, 2)
    assert "INADEQUATE_SECURITY" in probe.first.failure.detail


def test_the_unissued_certificate_leaves_nothing_behind(tmp_path, monkeypatch, lab):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    of_lab(lab, "good", shop(HttpsLevel.TLS_CLIENT_CERTIFICATE))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["good", "client-certificate-required", "plain-http-on-tls-port", "reset"])
def test_no_tls_context_outlives_its_connection(lab, name):
    def contexts() -> int:
        gc.collect()
        return sum(isinstance(item, ssl.SSLContext) for item in gc.get_objects())

    before = contexts()
    of_lab(lab, name, shop(HttpsLevel.TLS_CLIENT_CERTIFICATE))
    assert contexts() == before
