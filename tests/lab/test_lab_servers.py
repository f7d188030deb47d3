"""Every server of the lab has the flaw that it is named for.

What is asserted here by real clients is what all other tests of the scanner take for granted.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from scanner.lab import Lab
from scanner.lab.cases import CASES
from scanner.lab.external import NODE_PACKAGE
from scanner.lab.pages import with_servers
from tests.build.lab_checks import CHECKS
from tests.build.lab_checks.client import connect, handshake, legacy
from tests.build.lab_checks.visible import is_visible

NAMES = [case.name for case in CASES]
BY_NAME = {case.name: case for case in CASES}
NEEDS_PROGRAM = {
    "post-quantum": NODE_PACKAGE,
    "post-quantum-only": NODE_PACKAGE,
    "early-data": "nginx",
    "zero-ticket-key": "nginx",
    "stapled": "nginx",
    "revoked": "nginx",
}
DOCUMENT = Path(__file__).parents[2] / "docs" / "lab.md"
pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion.*:DeprecationWarning")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab() as running:
        yield running


@pytest.mark.parametrize("name", NAMES)
def test_the_server_has_the_flaw_it_is_named_for(lab: Lab, name: str) -> None:
    if name in lab.skipped:
        # Where the program is missing the lab says which one to install, and serves everything else.
        assert NEEDS_PROGRAM[name] in lab.skipped[name]
        return
    if name in CHECKS:
        CHECKS[name](lab, lab.servers[name])
    else:
        is_visible(BY_NAME[name], lab)


def test_the_manifest_describes_every_case(lab: Lab) -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert len({case.host for case in CASES}) == len(NAMES)
    assert set(lab.servers) | set(lab.skipped) == set(NAMES) >= set(CHECKS)
    assert [case.name for case in CASES if case.visible and case.name in CHECKS] == [], "one of the two is enough"
    for server in lab.servers.values():
        assert server.expected
        assert set(server.expected.values()) <= {"pass", "fail", "not-applicable", "indeterminate"}
        assert server.status in {"assessed", "partial", "unreachable"}
        assert re.fullmatch(r"[a-z0-9.-]+\.lab\.example", server.host)


def test_the_connect_to_map_leads_to_every_port(lab: Lab) -> None:
    for server in lab.servers.values():
        shown = f"[{server.address}]" if ":" in server.address else server.address
        assert lab.connect_to[f"{server.host}:{server.port}"][0] == f"{shown}:{server.actual_port}"
        if server.http_port is not None:
            assert lab.connect_to[f"{server.host}:{server.http_port}"][0] == f"{shown}:{server.actual_http_port}"


def test_all_servers_survive_garbage_and_clients_that_leave(lab: Lab) -> None:
    apart = {"closed-port", "silent-after-handshakes"}
    alive = [server for name, server in lab.servers.items() if name not in apart]
    hello = bytes.fromhex("16030100050100000100")
    for payload in (b"", b"\x00" * 70_000, b"GET " + b"A" * 70_000, hello, os.urandom(999)):
        for server in alive:
            with connect(server) as plain:
                try:
                    plain.sendall(payload)
                    plain.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # it may well have hung up already
    for server in alive:
        connect(server).close()
    assert handshake(lab, lab.servers["good"]).version == "TLSv1.3"
    assert legacy(lab.servers["rc4"]).version == (3, 3)


def test_keys_are_readable_by_their_owner_alone(lab: Lab) -> None:
    assert lab.client_key_file.stat().st_mode & 0o077 == 0


def test_the_documentation_lists_every_case() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)` \| (.+?) \|$", text, flags=re.MULTILINE)
    assert rows == [(case.name, case.description) for case in CASES], "run: make docs"
    assert with_servers(text) == text
    row = "| `good` | Nothing: TLS 1.2 and 1.3, AEAD with forward secrecy, HSTS, a redirect |\n"
    assert with_servers(text.replace(row, "")) == text
