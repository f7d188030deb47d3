"""What a scan says to type next, on stderr."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from scanner.lab import Lab
from tests.conftest import Runner, reach


@contextlib.contextmanager
def greets(line: bytes) -> Iterator[int]:
    """A server that greets, and understands nothing."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.sendall(line)
            while connection.recv(4096):
                connection.sendall(b"500 what\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"220 mail.example ESMTP Postfix\r\n", "greets as SMTP: try smtp://127.0.0.1:{port}"),
        (b"220 (vsFTPd 3.0.3)\r\n", "greets as FTP: try ftp://127.0.0.1:{port}"),
        (b"* OK IMAP4rev1 ready\r\n", "greets as IMAP: try imap://127.0.0.1:{port}"),
        (b"+OK ready\r\n", "greets as POP3: try pop3://127.0.0.1:{port}"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "speaks plain HTTP here; try https://127.0.0.1, or the port"),
        (b"<html>\r\n<head><title>400 Bad Request</title>", "speaks plain HTTP here; try https://127.0.0.1, or"),
        (b"hello there\r\n", ""),
    ],
)
def test_a_port_that_speaks_something_else_is_answered_with_what_to_type(quick: Runner, line: bytes, said: str) -> None:
    with greets(line) as port:
        done = quick("scan", f"127.0.0.1:{port}")

    assert done.status in {1, 3}
    assert ("Hint: " in done.err) is bool(said)
    assert said.format(port=port) in done.err


@pytest.mark.parametrize("scheme", ["smtp", "imap", "ldap", "postgres"])
def test_tls_where_starttls_was_looked_for_is_told(lab: Lab, quick: Runner, scheme: str) -> None:
    """A server that speaks TLS at once waits for a hello: that is seen, and not taken for silence."""
    server = lab.servers["good"]
    meant = {"smtp": "smtps", "imap": "imaps", "ldap": "ldaps", "postgres": "tls"}[scheme]

    done = quick("scan", f"{scheme}://{server.address}:{server.actual_port}", "--format", "json")

    (target,) = done.json["targets"]
    assert target["error"]["reason"] == "tls-only"
    assert f"TLS begins at once at {server.address}:{server.actual_port}: try {meant}://" in done.err


def test_at_a_port_of_tls_it_is_told_at_once(lab: Lab, quick: Runner) -> None:
    server = lab.servers["good"]
    there = f"--connect-to=mail.example:465={server.address}:{server.actual_port}"

    done = quick("scan", "smtp://mail.example:465", there, "--format", "json")

    (target,) = done.json["targets"]
    assert (target["error"]["reason"], target["connections"]) == ("tls-only", 2), "TLS, and a login before it"
    assert "try smtps://mail.example:465" in done.err


def test_a_private_ca_is_answered_with_the_option(lab: Lab, quick: Runner) -> None:
    server = lab.servers["good"]
    options = reach(lab, "good")
    there = options[2:]  # without the CA

    alone = quick("scan", server.host, *there, "--rule", "cert.trusted")
    trusted = quick("scan", server.host, *options, "--rule", "cert.trusted")
    quiet = quick("scan", server.host, *there, "--rule", "cert.trusted", "--quiet")

    assert "add that CA with --ca-file PEM" in alone.err
    assert "Hint" not in trusted.err + quiet.err


def test_a_server_is_asked_under_another_name(lab: Lab, quick: Runner) -> None:
    server = lab.servers["good"]
    (mapped,) = [
        option for option in reach(lab, "good") if option.startswith(f"--connect-to={server.host}:{server.port}=")
    ]
    address = mapped.rpartition("=")[2]
    ca = reach(lab, "good")[:2]

    done = quick("scan", f"tls://{address}", "--sni", server.host, *ca, "--rule", "cert.hostname", "--format", "json")

    (target,) = done.json["targets"]
    hostname = next(verdict for verdict in target["verdicts"] if verdict["rule"] == "cert.hostname")
    assert (target["host"], hostname["status"]) == (server.host, "pass")


def test_a_server_of_plain_http_is_answered_with_where_https_is(quick: Runner) -> None:
    """Python's own, which answers a hello as HTTP/0.9 did."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        where = f"127.0.0.1:{server.server_address[1]}"
        done = quick("scan", where)
        server.shutdown()

    assert done.status == 1
    said = f"Hint: {where} speaks plain HTTP here; try https://127.0.0.1, or the port of 127.0.0.1 that speaks HTTPS"
    assert said in done.err


def test_a_server_that_requires_a_client_certificate_is_answered_with_the_option(lab: Lab, quick: Runner) -> None:
    options = reach(lab, "client-certificate-required")
    server = lab.servers["client-certificate-required"]
    identity = ("--client-cert", str(lab.client_certificate_file), "--client-key", str(lab.client_key_file))

    alone = quick("scan", server.host, *options)
    identified = quick("scan", server.host, *options, *identity)

    assert alone.status == 3
    assert f"Hint: {server.host}:443 requires a client certificate: present yours with --client-cert PEM" in alone.err
    assert "Hint" not in identified.err
