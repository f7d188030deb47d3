"""The manners of the HTTP probe, as a server sees them: what is asked, how often, and what is never sent."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from scanner.evidence import (
    Attempt,
    ChainEnd,
    Failure,
    FailureReason,
    HttpEvidence,
    Purpose,
    TargetEvidence,
    from_json,
    to_json,
)
from scanner.inventory import (
    Address,
    Application,
    ApplicationKind,
    Endpoint,
    Environment,
    EnvironmentKind,
    HttpsLevel,
    Integration,
    IntegrationKind,
    PathSetting,
    Role,
    StartTls,
    Target,
)
from scanner.probe import ProbeSettings
from scanner.probe.http import client
from scanner.probe.http.probe import probe_http
from scanner.probe.http.proxy import WANTS_LOGIN
from tests.build import virtual_time
from tests.build.http_servers import Log, read_request, serving
from tests.build.ports import free_port

NOW = datetime(2026, 11, 24, tzinfo=UTC)
HOST = "shop.example"
ENVIRONMENT = Environment("test", EnvironmentKind.ON_PREMISES)
SETTINGS = ProbeSettings(timeout_s=2, deadline_s=20)
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"


def shop(*paths: str, integrations: tuple[Integration, ...] = (), name: str = "Shop") -> Application:
    return Application(
        name,
        ApplicationKind.SERVICE,
        paths=tuple(PathSetting(path, HttpsLevel.TLS) for path in paths),
        integrations=integrations,
    )


def probe(
    routes: Mapping[str, bytes],
    *applications: Application,
    settings: ProbeSettings = SETTINGS,
    pause: float = 0,
) -> tuple[HttpEvidence, Log, int]:
    """Probe a plain HTTP port that answers by path, beside a TLS port that is closed."""

    async def run() -> tuple[Attempt[HttpEvidence], Log, int]:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            request = await read_request(reader, log)
            await asyncio.sleep(pause)
            writer.write(routes.get(request.split(b" ")[1].decode(), EMPTY))

        async with serving(handle) as log:
            endpoint = Endpoint("test", HOST, 443, http_port=80, applications=applications)
            target = Target(endpoint, Address("127.0.0.1", free_port(), log.port))
            attempt, connections = await probe_http(target, ENVIRONMENT, settings, frozenset({HOST}))
            return attempt, log, connections

    attempt, log, connections = virtual_time.run_with_servers(run())
    assert attempt.value is not None
    return attempt.value, log, connections


def redirect(location: str, status: int = 301, headers: str = "") -> bytes:
    return f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n{headers}\r\n".encode()


def test_a_request_names_the_host_the_scanner_and_a_contact():
    settings = ProbeSettings(timeout_s=2, user_agent="Nightseal/1.2", contact="mailto:security@example.com")
    _, log, _ = probe({}, settings=settings)
    (request,) = log.requests
    lines = request.decode().split("\r\n")
    assert lines[0] == "GET / HTTP/1.1"
    assert "Host: shop.example" in lines
    assert "User-Agent: Nightseal/1.2 (+mailto:security@example.com)" in lines
    assert "Accept-Encoding: identity" in lines


def test_every_path_and_integration_is_asked_for_by_its_own_method():
    integrations = (
        Integration("/soap", IntegrationKind.SOAP, HttpsLevel.TLS),
        Integration("/rest", IntegrationKind.REST, HttpsLevel.TLS),
        Integration("/orders", IntegrationKind.REST, HttpsLevel.TLS, methods=("put", "GET")),
    )
    evidence, log, _ = probe({}, shop("/a", "/b?c=d", integrations=integrations))
    lines = sorted(request.split(b" HTTP")[0].decode() for request in log.requests)
    assert lines == [
        *("GET /", "GET /a", "GET /b?c=d", "GET /orders", "GET /rest"),
        *("OPTIONS /rest", "POST /soap", "PUT /orders"),
    ]
    assert {item.scheme for item in evidence.probes} == {"http", "https"}
    assert evidence.find("http", "/soap", purpose=Purpose.INTEGRATION).application == "Shop"


def test_soap_gets_an_empty_envelope():
    _, log, _ = probe({}, shop(integrations=(Integration("/soap", IntegrationKind.SOAP, HttpsLevel.TLS),)))
    (request,) = (request for request in log.requests if request.startswith(b"POST"))
    head, _, body = request.partition(b"\r\n\r\n")
    assert b"Content-Type: text/xml; charset=utf-8" in head
    assert b'SOAPAction: ""' in head
    assert body.endswith(b"<soap:Body/></soap:Envelope>")


def test_nothing_but_reading_is_asked_of_pages_and_rest():
    rest = Integration("/rest", IntegrationKind.REST, HttpsLevel.TLS)
    _, log, _ = probe({}, shop("/a", integrations=(rest,)))
    assert {request.split(b" ")[0] for request in log.requests} == {b"GET", b"OPTIONS"}


def test_of_an_integrations_answers_the_telling_one_comes_first():
    async def run() -> HttpEvidence:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            request = await read_request(reader)
            served = request.startswith(b"OPTIONS")
            writer.write(EMPTY if served else b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

        async with serving(handle) as log:
            application = shop(integrations=(Integration("/rest", IntegrationKind.REST, HttpsLevel.TLS),))
            endpoint = Endpoint("test", HOST, 443, http_port=80, applications=(application,))
            target = Target(endpoint, Address("127.0.0.1", free_port(), log.port))
            attempt, _ = await probe_http(target, ENVIRONMENT, SETTINGS, frozenset())
            return attempt.value

    first = virtual_time.run_with_servers(run()).find("http", "/rest", purpose=Purpose.INTEGRATION).first
    assert (first.method, first.status) == ("OPTIONS", 204)


def test_the_same_request_for_two_reasons_is_made_once():
    evidence, log, connections = probe({}, shop("/", "/a"), shop("/a", name="Other"))
    assert sorted(request.split(b" ")[1] for request in log.requests) == [b"/", b"/a"]
    assert [item.application for item in evidence.probes if (item.scheme, item.path) == ("http", "/a")] == [
        "Shop",
        "Other",
    ]
    assert connections == 2 + 1


@pytest.mark.parametrize(
    ("fetch_from", "end", "hops"),
    [
        ((), ChainEnd.OUT_OF_SCOPE, 1),
        (("localhost",), ChainEnd.FAILURE, 2),
        (("127.0.0.0/8", "::1"), ChainEnd.FAILURE, 2),
    ],
)
def test_a_configured_host_that_leads_to_an_address_that_is_not_scanned_is_not_followed(fetch_from, end, hops):
    async def run() -> HttpEvidence:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(redirect("https://localhost/in"))

        async with serving(handle, ip="127.0.0.2") as log:
            target = Target(Endpoint("test", HOST, 443, http_port=80), Address("127.0.0.2", free_port(), log.port))
            settings = ProbeSettings(timeout_s=2, fetch_from=fetch_from)
            attempt, _ = await probe_http(target, ENVIRONMENT, settings, frozenset({HOST, "localhost"}))
            return attempt.value

    found = virtual_time.run_with_servers(run()).find("http")
    assert (found.end, len(found.hops), found.first.location) == (end, hops, "https://localhost/in")


def test_cookies_are_recorded_and_never_sent_back():
    answer = redirect("/next", headers="Set-Cookie: id=s3cret; Secure\r\n")
    evidence, log, _ = probe({"/": answer})
    assert evidence.find("http").first.cookies[0].name == "id"
    assert len(log.requests) == 2
    assert not any(b"ookie" in request for request in log.requests)
    assert b"s3cret" not in to_json(TargetEvidence(NOW, 1.0, 3, http=Attempt.ok(evidence)))


def test_redirects_are_followed_hop_by_hop():
    routes = {"/": redirect("a/b", 302), "/a/b": redirect("//shop.example/c", 307), "/c": redirect("?d", 308)}
    evidence, _, _ = probe(routes)
    found = evidence.find("http")
    assert [(hop.url, hop.status) for hop in found.hops] == [
        ("http://shop.example/", 302),
        ("http://shop.example/a/b", 307),
        ("http://shop.example/c", 308),
        ("http://shop.example/c?d", 204),
    ]
    assert found.hops[1].location == "http://shop.example/c"
    assert found.end is ChainEnd.ANSWER


def test_a_circle_is_seen_when_it_closes():
    evidence, log, _ = probe({"/": redirect("/a"), "/a": redirect("http://shop.example:80/#top")})
    found = evidence.find("http")
    assert (found.end, len(found.hops), len(log.requests)) == (ChainEnd.LOOP, 2, 2)


def test_a_redirect_to_https_is_followed_and_its_failure_ends_the_chain():
    evidence, _, _ = probe({"/": redirect("https://shop.example/in")})
    found = evidence.find("http")
    assert found.end is ChainEnd.FAILURE
    assert (found.first.location, found.last.url) == ("https://shop.example/in", "https://shop.example/in")
    assert found.last.failure.reason is FailureReason.REFUSED


@pytest.mark.parametrize(("status", "method"), [(301, "GET"), (303, "GET"), (307, "POST"), (308, "POST")])
def test_a_redirected_call_keeps_its_method_where_http_says_so(status, method):
    soap = Integration("/soap", IntegrationKind.SOAP, HttpsLevel.TLS)
    _, log, _ = probe({"/soap": redirect("/moved", status)}, shop(integrations=(soap,)))
    (moved,) = (request for request in log.requests if b" /moved " in request)
    assert moved.startswith(method.encode())
    assert (b"Envelope" in moved) is (method == "POST")


def test_a_status_without_redirection_has_no_location():
    evidence, _, _ = probe({"/": b"HTTP/1.1 201 Created\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"})
    assert evidence.find("http").first.location is None


def test_a_page_that_leads_on_by_itself_is_seen_and_not_followed():
    body = b"<meta http-equiv=refresh content='0;url=https://shop.example/'>"
    page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    header = b"HTTP/1.1 200 OK\r\nRefresh: 0; url=/in\r\nContent-Length: 0\r\n\r\n"
    evidence, log, _ = probe({"/": page, "/header": header}, shop("/header"))
    assert evidence.find("http").first.meta_refresh == "https://shop.example/"
    assert evidence.find("http", "/header").first.meta_refresh == "http://shop.example/in"
    assert len(log.requests) == 2


def test_what_is_no_page_is_not_read_as_one():
    body = b"<script>location='/x'</script>"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
    routes = {
        "/": head.replace(b"Content-Type: %s\r\n", b"") % len(body) + body,
        "/text": head % (b"text/plain", len(body)) + body,
        "/html": head % (b"Text/HTML; charset=utf-8", len(body)) + body,
    }
    evidence, _, _ = probe(routes, shop("/text", "/html"))
    seen = {path: evidence.find("http", path).first.script_redirect for path in ("/", "/text", "/html")}
    assert seen == {"/": "http://shop.example/x", "/text": None, "/html": "http://shop.example/x"}


def test_no_more_connections_at_once_than_allowed():
    paths = [f"/{number}" for number in range(12)]
    settings = ProbeSettings(timeout_s=5, connections_per_target=3)
    _, log, connections = probe({}, shop(*paths), settings=settings, pause=0.02)
    assert log.most_open == 3
    assert log.connections == 13
    assert connections == 13 + 1  # the closed TLS port was tried once, for its root


def test_a_closed_port_is_not_tried_again_for_every_path():
    evidence, _, _ = probe({}, shop("/a", "/b"))
    for path in ("/", "/a", "/b"):
        assert evidence.find("https", path).first.failure.reason is FailureReason.REFUSED
        assert evidence.find("https", path).first.url == f"https://shop.example{path}"


def test_connections_begin_at_the_configured_rate():
    async def run() -> tuple[float, int]:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(EMPTY)

        async with serving(handle) as log:
            endpoint = Endpoint("test", HOST, 443, http_port=80, applications=(shop("/a", "/b", "/c"),))
            target = Target(endpoint, Address("127.0.0.1", free_port(), log.port))
            loop = asyncio.get_running_loop()
            begun = loop.time()
            settings = ProbeSettings(timeout_s=2, rate_per_s=20)
            _, connections = await probe_http(target, ENVIRONMENT, settings, frozenset())
            return loop.time() - begun, connections

    seconds, connections = virtual_time.run_with_servers(run())
    assert connections == 5
    assert seconds > 0.9 * (connections - 1) / 20  # no sooner: how much later is the machine's business


def test_one_slow_path_does_not_hold_the_others_and_the_deadline_holds_all():
    async def run() -> HttpEvidence:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            request = await read_request(reader)
            if b" /slow " in request:
                await asyncio.sleep(60)
            writer.write(EMPTY)

        async with serving(handle) as log:
            endpoint = Endpoint("test", HOST, 443, http_port=80, applications=(shop("/slow", "/quick"),))
            target = Target(endpoint, Address("127.0.0.1", free_port(), log.port))
            attempt, _ = await probe_http(target, ENVIRONMENT, ProbeSettings(timeout_s=30, deadline_s=1), frozenset())
            return attempt.value

    evidence = virtual_time.run_with_servers(run())
    assert evidence.find("http", "/slow").first.failure.reason is FailureReason.DEADLINE
    assert evidence.find("http", "/quick").first.status == 204


def test_paths_that_no_time_was_left_for_say_so_and_the_others_are_kept():
    paths = [f"/{number}" for number in range(8)]
    settings = ProbeSettings(timeout_s=2, deadline_s=1, rate_per_s=4)

    async def run() -> tuple[Attempt[HttpEvidence], Log]:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader, log)
            writer.write(EMPTY)

        async with serving(handle) as log:
            endpoint = Endpoint("test", HOST, 443, http_port=80, applications=(shop(*paths),))
            target = Target(endpoint, Address("127.0.0.1", free_port(), log.port))
            attempt, _ = await probe_http(target, ENVIRONMENT, settings, frozenset())
            return attempt, log

    attempt, log = virtual_time.run_with_servers(run())
    asked = [attempt.value.find("http", path).first for path in ("/", *paths)]
    assert 1 <= len(log.requests) == sum(hop.status == 204 for hop in asked) < len(asked)
    late = [hop.failure for hop in asked if hop.failure is not None]
    assert {failure.reason for failure in late} == {FailureReason.DEADLINE}
    assert attempt.incomplete == late[0]


def test_a_port_that_takes_no_more_connections_refuses_no_path():
    async def run() -> tuple[Attempt[HttpEvidence], int]:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if log.connections >= 3:
                log.stop()
            await read_request(reader, log)
            writer.write(EMPTY)

        async with serving(handle, port=free_port()) as log:
            endpoint = Endpoint("test", HOST, 443, http_port=80, applications=(shop("/a", "/b", "/c", "/d", "/e"),))
            target = Target(endpoint, Address("127.0.0.1", free_port(), log.port))
            settings = ProbeSettings(timeout_s=2, connections_per_target=1)
            attempt, connections = await probe_http(target, ENVIRONMENT, settings, frozenset())
            return attempt, connections

    attempt, connections = virtual_time.run_with_servers(run())
    hops = [attempt.value.find("http", path).first for path in ("/", "/a", "/b", "/c", "/d", "/e")]
    assert [hop.status for hop in hops] == [204, 204, 204, None, None, None]
    assert {hop.failure.reason for hop in hops[3:]} == {FailureReason.UNAVAILABLE}
    assert attempt.incomplete == hops[3].failure
    assert hops[3].failure.detail == "the port accepted no more connections: refused"
    # The closed TLS port, three answers, one or two refusals, and one more try after a while.
    assert connections <= 7
    refused = attempt.value.find("https").first.failure
    assert refused.reason is FailureReason.REFUSED  # it never took any: that is an answer


def test_a_port_that_takes_connections_again_is_asked_on():
    times = []

    async def run() -> Attempt[HttpEvidence]:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            times.append(asyncio.get_running_loop().time())
            if len(times) == 2:
                log.stop()
                asyncio.get_running_loop().call_later(0.5, again.set)
            await read_request(reader)
            writer.write(EMPTY)

        again = asyncio.Event()
        async with serving(handle, port=free_port()) as log:
            endpoint = Endpoint("test", HOST, 443, http_port=80, applications=(shop("/a", "/b", "/c"),))
            target = Target(endpoint, Address("127.0.0.1", free_port(), log.port))
            settings = ProbeSettings(timeout_s=2, connections_per_target=1)
            probing = asyncio.create_task(probe_http(target, ENVIRONMENT, settings, frozenset()))
            await again.wait()
            server = await asyncio.start_server(handle, "127.0.0.1", log.port)
            attempt, _ = await probing
            server.close()
            return attempt

    attempt = virtual_time.run_with_servers(run())
    assert [attempt.value.find("http", path).first.status for path in ("/", "/a", "/b", "/c")] == [204] * 4
    assert attempt.incomplete is None
    assert times[2] - times[1] >= 0.5


@pytest.mark.parametrize(
    ("answer", "headers_cut"),
    [
        (b"HTTP/1.1 200 OK\r\nServer: a\r\nConte", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", False),
    ],
)
def test_headers_that_break_off_leave_the_evidence_incomplete_and_a_body_its_answer(answer, headers_cut):
    async def run() -> Attempt[HttpEvidence]:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(answer)

        async with serving(handle) as log:
            endpoint = Endpoint("test", HOST, 443, http_port=80)
            target = Target(endpoint, Address("127.0.0.1", free_port(), log.port))
            attempt, _ = await probe_http(target, ENVIRONMENT, SETTINGS, frozenset())
            return attempt

    evidence = virtual_time.run_with_servers(run())
    first = evidence.value.find("http").first
    assert (first.status, first.incomplete.reason, first.headers_cut) == (200, FailureReason.RESET, headers_cut)
    assert evidence.incomplete == (first.incomplete if headers_cut else None)


@pytest.mark.parametrize(
    ("endpoint", "address", "reason"),
    [
        (
            Endpoint("test", HOST, 25, Role.SERVER, starttls=StartTls.SMTP),
            Address("127.0.0.1", 1),
            FailureReason.NOT_RUN,
        ),
        (Endpoint("test", HOST, 5432, Role.SERVER), Address("127.0.0.1", 1), FailureReason.NOT_RUN),
        (Endpoint("test", HOST, 443), None, FailureReason.UNRESOLVABLE),
    ],
)
def test_where_there_is_nothing_to_ask(endpoint, address, reason):
    attempt, connections = virtual_time.run_with_servers(
        probe_http(Target(endpoint, address), ENVIRONMENT, SETTINGS, frozenset())
    )
    assert (attempt.failure.reason, connections) == (reason, 0)


def test_the_evidence_goes_to_json_and_back():
    evidence, _, connections = probe({"/": redirect("/next")}, shop("/a"))
    whole = TargetEvidence(NOW, 1.0, connections, http=Attempt.ok(evidence))
    assert from_json(to_json(whole)) == whole


def own_identity(folder: Path) -> Path:
    """A certificate for 127.0.0.1 with its key, which nobody else has signed."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "proxy")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "proxy.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.mark.parametrize("trusted", [True, False])
def test_a_proxy_inside_tls_gets_its_password_only_where_it_is_trusted(tmp_path, monkeypatch, trusted):
    identity = own_identity(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(identity))
    asked = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await read_request(reader)
        asked.append(request.split(b"\r\n")[0])
        assert b"Proxy-Authorization: Basic " + base64.b64encode(b"me:pw") in request
        connects = request.startswith(b"CONNECT")
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n" if connects else EMPTY)

    async def run() -> HttpEvidence:
        async with serving(proxy, context) as log:
            settings = ProbeSettings(timeout_s=2, proxy=f"https://me:pw@127.0.0.1:{log.port}")
            target = Target(Endpoint("test", HOST, 443, http_port=80), Address("192.0.2.1", 443, 80))
            return (await probe_http(target, ENVIRONMENT, settings, frozenset({HOST})))[0].value

    evidence = virtual_time.run_with_servers(run())
    plain, inside = evidence.find("http").first, evidence.find("https").first
    if trusted:
        assert sorted(asked) == [b"CONNECT shop.example:443 HTTP/1.1", b"GET http://shop.example/ HTTP/1.1"]
        assert plain.status == 204
        assert inside.failure == Failure(FailureReason.UNREACHABLE, f"the proxy does not connect: 407, {WANTS_LOGIN}")
    else:
        assert asked == []
        assert plain.failure == inside.failure
        assert plain.failure.reason is FailureReason.PROXY_UNREACHABLE
        assert plain.failure.detail.startswith("https://127.0.0.1:")


async def hears_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


@pytest.mark.parametrize("scheme", ["http", "https", "socks5"])
@pytest.mark.parametrize("state", ["closed", "closing", "silent", "unknown"])
def test_a_proxy_that_fails_tells_nothing_of_the_server(scheme, state):
    async def run() -> Attempt[HttpEvidence]:
        async with serving(hears_nothing if state == "silent" else close_at_once) as proxy:
            port = free_port() if state == "closed" else proxy.port
            name = "no-such-proxy.invalid" if state == "unknown" else "127.0.0.1"
            settings = ProbeSettings(timeout_s=0.3, deadline_s=10, proxy=f"{scheme}://{name}:{port}")
            target = Target(Endpoint("test", HOST, 443, http_port=80), Address("192.0.2.1", 443, 80))
            return (await probe_http(target, ENVIRONMENT, settings, frozenset({HOST})))[0]

    attempt = virtual_time.run_with_servers(run())
    through_tunnel = attempt.value.find("https").first.failure
    assert through_tunnel.reason is FailureReason.PROXY_UNREACHABLE
    assert through_tunnel.detail.startswith(f"{scheme}://")
    assert through_tunnel.detail.partition(": ")[2]
    assert attempt.incomplete is not None


@pytest.mark.parametrize("scheme", ["http", "https", "socks5"])
def test_a_proxy_that_takes_all_the_time_of_an_exchange_is_no_late_server(scheme, monkeypatch):
    monkeypatch.setattr(client, "_EXCHANGE_TIMEOUTS", 0.5)

    async def run() -> Attempt[HttpEvidence]:
        async with serving(hears_nothing) as proxy:
            settings = ProbeSettings(timeout_s=1, deadline_s=60, proxy=f"{scheme}://127.0.0.1:{proxy.port}")
            target = Target(Endpoint("test", HOST, 443, http_port=80), Address("192.0.2.1", 443, 80))
            return (await probe_http(target, ENVIRONMENT, settings, frozenset({HOST})))[0]

    failure = virtual_time.run_with_servers(run()).value.find("https").first.failure
    assert failure.reason is FailureReason.PROXY_UNREACHABLE
    assert failure.detail.endswith(": no answer in time")


async def close_at_once(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_through_a_proxy_the_name_is_what_it_gets(scheme):
    asked = []

    async def run() -> HttpEvidence:
        async def origin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader, log)
            writer.write(EMPTY)

        async def http_proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            request = await read_request(reader)
            asked.append(request.split(b"\r\n")[0].decode())
            assert b"Proxy-Authorization: Basic " + base64.b64encode(b"me:p:w") in request
            if request.startswith(b"CONNECT"):
                writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
                return
            upstream_reader, upstream = await asyncio.open_connection("127.0.0.1", log.port)
            upstream.write(request)
            await relay(upstream_reader, writer)
            upstream.close()

        async def socks_proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            _version, methods = await reader.readexactly(2)
            await reader.readexactly(methods)
            writer.write(b"\x05\x02")
            _version, length = await reader.readexactly(2)
            user = await reader.readexactly(length)
            password = await reader.readexactly((await reader.readexactly(1))[0])
            assert (user, password) == (b"me", b"p:w")
            writer.write(b"\x01\x00")
            await reader.readexactly(4)
            name = await reader.readexactly((await reader.readexactly(1))[0])
            port = int.from_bytes(await reader.readexactly(2))
            asked.append(f"{name.decode()}:{port}")
            if port != 80:
                writer.write(b"\x05\x05\x00\x01\0\0\0\0\0\0")
                return
            writer.write(b"\x05\x00\x00\x01\0\0\0\0\0\0")
            upstream_reader, upstream = await asyncio.open_connection("127.0.0.1", log.port)
            await asyncio.gather(relay(reader, upstream), relay(upstream_reader, writer))

        proxy = http_proxy if scheme == "http" else socks_proxy
        async with serving(origin) as log, serving(proxy) as proxy_log:
            url = f"{scheme}://me:p%3Aw@127.0.0.1:{proxy_log.port}"
            settings = ProbeSettings(timeout_s=2, proxy=url)
            target = Target(Endpoint("test", HOST, 443, http_port=80), Address("192.0.2.1", 443, 80))
            attempt, _ = await probe_http(target, ENVIRONMENT, settings, frozenset({HOST}))
            return attempt.value

    evidence = virtual_time.run_with_servers(run())
    assert evidence.find("http").first.status == 204
    failure = evidence.find("https").first.failure
    assert failure.reason is FailureReason.UNREACHABLE
    assert "p:w" not in failure.detail
    if scheme == "http":
        assert sorted(asked) == ["CONNECT shop.example:443 HTTP/1.1", "GET http://shop.example/ HTTP/1.1"]
    else:
        assert sorted(asked) == ["shop.example:443", "shop.example:80"]
