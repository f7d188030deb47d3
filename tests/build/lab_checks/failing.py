"""Checks of servers that answer wrongly, or not at all."""

from __future__ import annotations

import ssl
import time

import pytest

from scanner.lab import Lab, LabServer
from scanner.lab.cases.failing import HANDSHAKES_BEFORE_SILENCE
from tests.build.lab_checks.client import (
    ask,
    check,
    connect,
    connection_refused,
    get,
    handshake,
    is_silent,
)


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
