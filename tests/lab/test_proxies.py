"""A proxy carries every probe, counted at the server; what it cannot carry is refused."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scanner.inventory import StartTls
from scanner.lab import Lab
from tests.build.counting_door import CountingDoor
from tests.build.ports import free_port
from tests.build.proxies import PASSWORD, Proxies
from tests.build.servers import HOST, servers
from tests.build.service import wait_for
from tests.conftest import Runner

NAME = "intra.nowhere.invalid"
"""Nobody here can resolve it."""
LOOPBACK = "127.0.0.1"


def accepted(status_port: int) -> int:
    """How many connections nginx accepted."""
    with urllib.request.urlopen(f"http://127.0.0.1:{status_port}/status") as answer:
        return int(answer.read().split(b"\n")[2].split()[0])


@pytest.mark.parametrize(("scheme", "engine"), [("socks5", "survey"), ("http", "survey"), ("socks5", "sslyze")])
def test_everything_goes_through_the_proxy(quick: Runner, tmp_path: Path, scheme: str, engine: str) -> None:
    """By either engine, and HTTP: the server counts as many connections as the proxy carried to it, so none was direct."""
    (tmp_path / "engine.toml").write_text(f'[scan]\nengine = "{engine}"\ndeadline = "120s"\n', "utf-8")
    with servers(tmp_path) as context:
        status, plain = free_port(), free_port()
        more = (
            f"listen 127.0.0.1:{plain}; }} server {{ listen 127.0.0.1:{status}; location = /status {{ stub_status; }}"
        )
        port = context.nginx(["rsa"], f"ssl_protocols TLSv1.2 TLSv1.3; {more}")
        before = accepted(status)
        with Proxies(scheme, {(NAME, 443): (LOOPBACK, port), (NAME, 80): (LOOPBACK, plain)}).running() as proxy:
            how = ("--config", "engine.toml", "--proxy", "env", "--format", "json")
            done = quick("scan", NAME, *how, env={"ALL_PROXY": proxy.url})
            asked = accepted(status) - before - 1

    (target,) = done.json["targets"]
    evidence = target["evidence"]
    assert (target["status"], target["ip"]) == ("assessed", None), done.out[:500]
    assert evidence["protocols"] == ["tls1.2", "tls1.3"]
    heartbleed = next(verdict for verdict in target["verdicts"] if verdict["rule"] == "vuln.heartbleed")
    assert heartbleed["status"] == "pass"  # which sslyze alone asks for
    assert target["connections"] >= 40
    assert asked == proxy.carried >= 40
    assert set(proxy.reached) == {(NAME, 443), (NAME, 80)}
    assert PASSWORD not in done.out + done.err


@pytest.mark.parametrize("scheme", ["socks5", "http"])
@pytest.mark.parametrize("protocol", [protocol.value for protocol in StartTls])
def test_starttls_goes_through_the_proxy(lab: Lab, quick: Runner, protocol: str, scheme: str) -> None:
    """Also where the server speaks first, and its greeting comes in one packet with the proxy's answer."""
    server = lab.servers[f"{protocol}-starttls"]
    there = {(NAME, server.port): (server.address, server.actual_port)}
    with Proxies(scheme, there, in_one=True).running() as proxy:
        done = quick("scan", f"{protocol}://{NAME}", "--proxy", proxy.url, "--format", "json")

    (target,) = done.json["targets"]
    assert target["evidence"]["protocols"], target["error"]
    assert target["status"] == "assessed", target["error"]
    assert len(proxy.reached) == proxy.carried >= 20


@pytest.fixture
def elsewhere() -> Iterator[list[str]]:
    """What this process itself sends to anything but loopback TCP and its own workers, or asks of a resolver."""
    _SENT.clear()
    _WATCHED.set()
    yield _SENT
    _WATCHED.clear()


_SENT: list[str] = []
_WATCHED = threading.Event()
_ROUTE_TO_THE_PROXY = (LOOPBACK, 443)
"""Where a UDP socket is tied to, which sends nothing, to learn from which address the proxy is reached (`vantage`)."""


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if not _WATCHED.is_set():
        return
    if event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
        ours = arguments[0]
        kept_to_us = ours.family == socket.AF_UNIX or (ours.type == socket.SOCK_STREAM and arguments[1][0] == LOOPBACK)
        if not kept_to_us and (event, arguments[1]) != ("socket.connect", _ROUTE_TO_THE_PROXY):
            _SENT.append(f"{event} {arguments[1]}")
    elif event in {"socket.getaddrinfo", "socket.gethostbyname"} and arguments[0] not in {None, LOOPBACK}:
        _SENT.append(f"{event} {arguments[0]}")


sys.addaudithook(_watch)


@pytest.mark.parametrize("command", ["scan", "clients"])
def test_every_rule_and_every_client_is_asked_through_it(
    quick: Runner, tmp_path: Path, elsewhere: list[str], command: str
) -> None:
    """The target is an address, so that whatever went past the proxy would arrive, and be counted at the server alone."""
    old = "ssl_protocols TLSv1.2 TLSv1.3; ssl_ciphers ALL:@SECLEVEL=0; add_header Alt-Svc 'h3=\":8443\"; ma=60';"
    with servers(tmp_path) as context, CountingDoor((LOOPBACK, context.nginx(["rsa"], old))).open() as door:
        there = (LOOPBACK, door.port)
        with Proxies("socks5", {there: there}).running() as proxy:
            every = ("--rule", "*") if command == "scan" else ("--core", "--now")
            options = ("--config", _patient(tmp_path), "--proxy", proxy.url, "--format", "json")
            done = quick(command, f"{LOOPBACK}:{door.port}", *every, *options)
            wait_for(
                lambda: proxy.carried == door.entered, "the server to count what the proxy carried, and nothing besides"
            )

    assert proxy.carried == len(proxy.reached) == door.entered >= 20, done.err
    assert elsewhere == []
    (target,) = done.json["targets"]
    if command == "clients":
        assert sum(bool(row["connects"]) for row in target["clients"]) > 30
        return
    said = {verdict["rule"]: verdict for verdict in target["verdicts"]}
    for rule in ("vuln.ticketbleed", "vuln.padding-oracle", "vuln.heartbleed", "kex.ticket-keys", "kex.fresh-keys"):
        assert said[rule]["status"] in {"pass", "fail"}, said[rule]
    assert "proxy" in said["https.http3"]["message"]
    assert said["https.http3"]["reason"] == "not-asked"


def _patient(folder: Path) -> str:
    """A configuration for a slow machine, where silence is no answer."""
    (folder / "patient.toml").write_text('[scan]\ntimeout = "20s"\ndeadline = "280s"\n', "utf-8")
    return "patient.toml"


def test_mail_is_asked_through_it(lab: Lab, quick: Runner, tmp_path: Path, elsewhere: list[str]) -> None:
    server = lab.servers["smtp-starttls"]
    with CountingDoor((server.address, server.actual_port)).open() as door:
        there = (LOOPBACK, door.port)
        with Proxies("socks5", {there: there}).running() as proxy:
            options = ("--config", _patient(tmp_path), "--rule", "*", "--proxy", proxy.url, "--format", "json")
            done = quick("scan", f"smtp://{LOOPBACK}:{door.port}", *options)
            wait_for(
                lambda: proxy.carried == door.entered, "the server to count what the proxy carried, and nothing besides"
            )

    (target,) = done.json["targets"]
    assert target["evidence"]["protocols"], done.out[:500]
    assert proxy.carried == door.entered >= 20
    assert elsewhere == []


def test_what_would_need_a_name_server_is_refused(quick: Runner, tmp_path: Path, elsewhere: list[str]) -> None:
    """Also where the configuration names the proxy."""
    (tmp_path / "p.toml").write_text('[scan]\nproxy = "socks5://127.0.0.1:9"\n', "utf-8")
    for options in (("--proxy", "socks5://127.0.0.1:9"), ("--config", "p.toml")):
        for command in (("scan",), ("clients", "--now")):
            mail = quick(*command, "mx:example.com", *options)
            assert (mail.status, "through a proxy" in mail.err) == (2, True), mail.err
            named = quick(*command, "www.example.com", "--sni", "other.example.com", *options)
            assert (named.status, "needs the address of TARGET" in named.err) == (2, True), named.err
            server = quick(*command, "www.example.com", "--resolver", "127.0.0.1", *options)
            assert (server.status, "at the proxy" in server.err) == (2, True), server.err
    assert elsewhere == []


@pytest.mark.parametrize(
    ("scheme", "state", "reason"),
    [("socks5", "refuses", "unreachable"), ("http", "refuses", "unreachable"), ("socks5", "gone", "proxy-unreachable")],
)
def test_a_proxy_that_fails_is_no_answer_of_the_server(quick: Runner, scheme: str, state: str, reason: str) -> None:
    with Proxies(scheme, {}).running() as proxy:
        url = proxy.url
        if state == "refuses":
            done = quick("scan", NAME, "--proxy", url, "--format", "json")
    if state == "gone":
        done = quick("scan", NAME, "--proxy", url, "--format", "json")

    (target,) = done.json["targets"]
    assert done.status == 3
    assert target["status"] == "unreachable"
    assert target["error"]["reason"] == reason
    said = f"socks5://127.0.0.1:{proxy.port}: Connection refused" if state == "gone" else "the proxy does not connect"
    assert said in target["error"]["detail"]
    assert PASSWORD not in done.out + done.err


def test_what_a_proxy_cannot_carry_is_refused(quick: Runner) -> None:
    inside = quick("scan", NAME, "--proxy", "https://127.0.0.1:9")
    assert (inside.status, "cannot carry every probe" in inside.err) == (2, True)
    unset = quick("scan", NAME, "--proxy", "env", env={"ALL_PROXY": "", "HTTPS_PROXY": ""})
    assert (unset.status, "ALL_PROXY" in unset.err) == (2, True)


def test_from_which_address_and_with_which_headers(quick: Runner, tmp_path: Path) -> None:
    log = tmp_path / "seen.log"
    with servers(tmp_path) as context:
        directives = f"access_log {log} combined; if ($http_x_key != 'k-0123') {{ return 403; }}"
        port = context.nginx(["rsa"], directives)
        (tmp_path / "headers").write_text("X-Key: k-0123\nUser-Agent: probe/1\n", "utf-8")
        there = ("--connect-to", f"{HOST}:{port}=127.0.0.1:{port}", "--source-address", "127.0.0.77")
        done = quick("scan", f"{HOST}:{port}", *there, "--header", "@headers", "--format", "json")

    lines = log.read_text("utf-8").splitlines()
    assert {line.split()[0] for line in lines} == {"127.0.0.77"}
    assert any('"probe/1"' in line and '" 200 ' in line for line in lines), lines
    assert not [line for line in lines if '" 403 ' in line and "probe/1" in line]
    assert "k-0123" not in done.out + done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--source-address", "here"), "is not an IP address"),
        (("--source-address", "192.0.2.9"), "192.0.2.9: cannot be connected from on this machine"),
        (("--header", "X-Key"), "NAME: VALUE"),
        (("--header", "Host: other.example"), "is set by each request itself"),
        (("--header", "X: a\r\nY: b"), "NAME: VALUE"),
        (("--header", "@missing"), "cannot be read"),
        (("--helo", "a b"), "is not a host name"),
    ],
)
def test_wrong_use(quick: Runner, arguments: tuple[str, ...], said: str) -> None:
    done = quick("scan", "a.example", *arguments)

    assert done.status == 2
    assert said in done.err


@pytest.mark.parametrize("scheme", ["socks5", "http"])
def test_a_proxy_that_wants_a_password_says_so(quick: Runner, scheme: str) -> None:
    answer = b"\x05\xff" if scheme == "socks5" else b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"
    with answering(answer) as port:
        done = quick("scan", NAME, "--proxy", f"{scheme}://127.0.0.1:{port}", "--format", "json")

    (target,) = done.json["targets"]
    assert done.status == 3
    assert target["error"]["detail"].startswith("the proxy does not connect: ")
    assert "it wants a user name and password" in target["error"]["detail"]


@contextlib.contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """A server that answers whatever comes first, and ends the connection."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65_536)
            self.request.sendall(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()
