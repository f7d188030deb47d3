"""The whole lab through the real command line: server × rule, expected against got.

One run over every server serves all the tests; it is made in a lab of its own, because some servers remember.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from scanner.lab import Lab, LabServer
from scanner.lab.cases import CASES
from tests.conftest import COMMAND_SECONDS, REPOSITORY, reach

pytestmark = pytest.mark.xdist_group("whole-lab")
_RANK = {"not-applicable": 0, "pass": 1, "indeterminate": 2, "fail": 3}


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[LabServer, dict[str, Any]]]]:
    """Every server of the lab with what the JSON report says of each of its addresses, by its name."""
    output = tmp_path_factory.mktemp("scan") / "report.json"
    config = output.parent / "config.toml"
    with Lab() as lab:
        assert not lab.skipped, f"the lab lacks something: {dict(lab.skipped)}"
        config.write_text(_config(lab))
        options = ["--format", "json", "--output", str(output), "--config", str(config), "--quiet"]
        command = [sys.executable, "-m", "scanner.app.cli", "run", *options, *reach(lab)]
        done = subprocess.run(
            command, cwd=REPOSITORY, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
        )
        assert done.returncode == 1, done.stderr
        servers = {f"{server.host}:{server.port}": server for server in lab.servers.values()}
    found: dict[str, list[tuple[LabServer, dict[str, Any]]]] = {}
    for target in json.loads(output.read_text())["targets"]:
        server = servers[f"{target['host']}:{target['port']}"]
        found.setdefault(server.name, []).append((server, target))
    return found


def _config(lab: Lab) -> str:
    """Every server as an endpoint of one environment, with times that keep the slow ones short."""
    # Few at once: the servers share this machine's processors with the scanner.
    lines = [
        '[scan]\nconcurrency = 6\ndeadline = "25s"\ntimeout = "5s"\n[[environment]]\nname = "lab"\nkind = "on-premises"'
    ]
    for server in lab.servers.values():
        role = "server" if server.starttls else "application"
        lines += ["[[environment.endpoint]]", f'host = "{server.host}"', f"port = {server.port}", f'role = "{role}"']
        if server.starttls:
            lines.append(f'starttls = "{server.starttls}"')
    return "\n".join(lines)


def _worst(target: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The verdict of each rule; of several subjects the worst."""
    worst: dict[str, dict[str, Any]] = {}
    for verdict in target["verdicts"]:
        known = worst.get(verdict["rule"])
        if known is None or _RANK[verdict["status"]] > _RANK[known["status"]]:
            worst[verdict["rule"]] = verdict
    return worst


@pytest.mark.parametrize("name", [case.name for case in CASES])
def test_each_server_gets_the_verdicts_that_it_was_made_for(
    scanned: dict[str, list[tuple[LabServer, dict[str, Any]]]], name: str
) -> None:
    for server, target in scanned[name]:
        worst = _worst(target)
        got = {rule: worst[rule]["status"] for rule in server.expected if rule in worst}

        assert target["status"] == server.status, (target["id"], target["error"])
        assert got == dict(server.expected), {
            rule: worst.get(rule) for rule, status in server.expected.items() if got.get(rule) != status
        }


def test_a_server_without_a_flaw_fails_nothing_but_notes(
    scanned: dict[str, list[tuple[LabServer, dict[str, Any]]]],
) -> None:
    for name in ("good", "good-rsa", "good-dual-address", "ipv6", "wildcard"):
        for _, target in scanned[name]:
            failed = [verdict["rule"] for verdict in target["verdicts"] if verdict["status"] == "fail"]
            unknown = [verdict["rule"] for verdict in target["verdicts"] if verdict["status"] == "indeterminate"]
            assert failed == ["kex.post-quantum"], name
            assert unknown == [], name


def test_nothing_unobserved_is_ever_called_compliant(
    scanned: dict[str, list[tuple[LabServer, dict[str, Any]]]],
) -> None:
    for name in ("silent", "dribble", "closed-port", "reset"):
        ((_, target),) = scanned[name]
        passed = [
            verdict["rule"]
            for verdict in target["verdicts"]
            if verdict["status"] == "pass" and not verdict["rule"].startswith("https.")
        ]
        assert passed == [], name


def test_a_tenth_of_the_connections_of_the_peer(
    scanned: dict[str, list[tuple[LabServer, dict[str, Any]]]],
) -> None:
    ((_, target),) = scanned["good"]
    peers = 602  # sslyze 6.3.1 with all its commands (docs/architecture.md)

    assert 0 < target["connections"] <= peers / 10
