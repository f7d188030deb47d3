"""Plain HTTP that goes over to TLS (RFC 2817), as Opossum needs it: on a server of the lab, and on others."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from scanner.lab import Lab
from tests.conftest import Runner, reach

RULE = "vuln.opossum"


def judged(target: dict[str, Any]) -> list[str]:
    return [item["reason"] for item in target["verdicts"] if item["rule"] == RULE]


@pytest.mark.parametrize(
    ("name", "reason"), [("opossum", "upgraded"), ("good", "not-upgraded"), ("no-plain-http", "closed")]
)
def test_servers_are_told(lab: Lab, quick: Runner, name: str, reason: str) -> None:
    server = lab.servers[name]
    options = (*reach(lab, name), "--format", "json")
    (target,) = quick("scan", server.host, *options, "--rule", RULE).json["targets"]
    (usual,) = quick("scan", server.host, *options).json["targets"]

    assert judged(target) == [reason]
    assert target["connections"] - usual["connections"] <= 2
    assert "switches to TLS" in quick("scan", server.host, *reach(lab, name), "--show", "facts", "--rule", RULE).out


@contextlib.contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """A port that answers whatever it is asked by the same bytes, and then ends the connection."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted, _ = server.accept()
                with accepted, contextlib.suppress(OSError):
                    accepted.recv(65_536)
                    accepted.sendall(answer)
                    accepted.shutdown(socket.SHUT_WR)
                    while accepted.recv(65_536):
                        pass

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: TLS/1.2\r\nContent-Length: 0\r\n\r\n", "not-upgraded"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", "not-upgraded"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: TLS/1.2\r\n\r\n", "not-observed"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: TLS/1.2\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "not-observed"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not-observed"),
        (b"", "not-observed"),
    ],
)
def test_only_tls_after_the_answer_counts(lab: Lab, quick: Runner, answer: bytes, reason: str) -> None:
    server = lab.servers["good"]
    with answering(answer) as port:
        where = f"{server.host}:443={server.address}:{server.actual_port}"
        plain = f"{server.host}:80=127.0.0.1:{port}"
        options = ("--connect-to", where, "--connect-to", plain, "--format", "json", "--rule", RULE)
        (target,) = quick("scan", server.host, *options).json["targets"]

    assert judged(target) == [reason]
