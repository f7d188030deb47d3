"""The whole lab through the real command line: server × rule, expected against got.

One run over every server serves all the tests; it is made in a lab of its own, because some servers remember.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scanner.config.loading import load as load_config
from scanner.history import History
from scanner.lab import Lab, LabServer
from scanner.lab.cases import CASES
from scanner.policy import builtin_names, load
from scanner.replay import Judge
from scanner.rules import all_rules
from scanner.verdict import RunRecord, Status
from tests.build import whole_lab
from tests.build.exclusions import excluding_pairs
from tests.conftest import REPOSITORY, reach

pytestmark = [pytest.mark.xdist_group("whole-lab"), pytest.mark.timeout(whole_lab.SECONDS + 200)]
_RANK = {"not-applicable": 0, "pass": 1, "indeterminate": 2, "fail": 3}


@dataclass(frozen=True)
class Scan:
    """One run over every server: where its configuration and history lie, and what the JSON report says of it."""

    folder: Path
    servers: Mapping[str, LabServer]
    targets: list[dict[str, Any]]


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    folder = tmp_path_factory.mktemp("scan")
    output, config = folder / "report.json", folder / "config.toml"
    with Lab() as lab:
        assert not lab.skipped, f"the lab lacks something: {dict(lab.skipped)}"
        config.write_text(whole_lab.configuration(lab))
        options = ["--format", "json", "--output", str(output), "--config", str(config), "--quiet"]
        command = [sys.executable, "-m", "scanner.app.cli", "run", *options, *reach(lab)]
        done = subprocess.run(
            command, cwd=REPOSITORY, capture_output=True, text=True, timeout=whole_lab.SECONDS, check=False
        )
        assert done.returncode == 1, done.stderr
        servers = {f"{server.host}:{server.port}": server for server in lab.servers.values()}
    return Scan(folder, servers, json.loads(output.read_text())["targets"])


@pytest.fixture(scope="module")
def scanned(scan: Scan) -> dict[str, list[tuple[LabServer, dict[str, Any]]]]:
    """Every server of the lab with what is said of each of its addresses, by its name."""
    found: dict[str, list[tuple[LabServer, dict[str, Any]]]] = {}
    for target in scan.targets:
        if target["port"] == 0:  # a certificate in a file, which no server shows
            continue
        server = scan.servers[f"{target['host']}:{target['port']}"]
        found.setdefault(server.name, []).append((server, target))
    return found


def _worst(target: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The verdict of each rule; of several subjects the worst."""
    worst: dict[str, dict[str, Any]] = {}
    for verdict in target["verdicts"]:
        known = worst.get(verdict["rule"])
        if known is None or _RANK[verdict["status"]] > _RANK[known["status"]]:
            worst[verdict["rule"]] = verdict
    return worst


def _told(verdict: dict[str, Any] | None) -> str:
    """What a failure has to say, short enough to stand in a log that is cut."""
    return "no verdict" if verdict is None else f"{verdict['status']}: {verdict['reason']}: {verdict['observed']}"


@pytest.mark.parametrize("name", [case.name for case in CASES])
def test_each_server_gets_the_verdicts_that_it_was_made_for(
    scanned: dict[str, list[tuple[LabServer, dict[str, Any]]]], name: str
) -> None:
    for server, target in scanned[name]:
        worst = _worst(target)
        got = {rule: worst[rule]["status"] for rule in server.expected if rule in worst}

        assert target["status"] == server.status, (target["id"], target["error"])
        assert got == dict(server.expected), {
            rule: _told(worst.get(rule)) for rule, status in server.expected.items() if got.get(rule) != status
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


GRADES = {
    "good": "A+",
    "no-hsts": "A",
    "no-tls1.3": "A-",
    "tls1.0-to-1.3": "B",
    "short-key": "B",
    "legacy-tls": "C",
    "rc4": "C",
    "ssl3": "C",
    "compression": "C",
    "null-ciphers": "F",
    "heartbleed": "F",
    "ssl2": "F",
    "expired": "T",
    "self-signed": "T",
    "revoked": "T",
    "revoked-by-list": "T",
    "revoked-intermediate": "T",
    "listed": "A+",
    "missing-intermediate": "T",
    "missing-intermediate-named": "B",
    "wrong-host": "M",
    "silent": None,
    "plain-http-on-tls-port": None,
}


@pytest.mark.parametrize("name", GRADES)
def test_each_server_gets_the_grade_of_the_published_method(
    scanned: dict[str, list[tuple[LabServer, dict[str, Any]]]], name: str
) -> None:
    ((_, target),) = scanned[name]

    assert target["grade"] == GRADES[name], target["grading"]
    assert target["grade"] or target["grading"]["missing"]


ELSEWHERE = {
    "cert.transparency": "judged of public CAs alone, which the lab's is not: tests/lab/test_public_ca.py",
    "cert.issuer": "no policy that ships knows from whom you have certificates: tests/lab/test_public_ca.py",
    "dns.caa": "the same, and the lab's names are in no DNS: tests/lab/test_public_ca.py",
    "cert.served": "of files alone: tests/lab/test_certificate_files.py",
    "cert.client-purpose": "of files alone: tests/lab/test_certificate_files.py",
    "inventory.expected-count": "of inventory files, which the lab has none of: tests/lab/test_expected_count.py",
    "dns.dnssec": "the lab's names are in no DNS: tests/lab/test_dns_signed.py",
}
"""Rules that no server of the lab can show, why, and where real servers show them."""


@pytest.fixture(scope="module")
def judged(scan: Scan) -> Mapping[str, RunRecord]:
    """The one run as each policy that ships judges it."""
    config = load_config(scan.folder / "config.toml")
    history = History.open(scan.folder / "history", create=False)
    (run_id,) = history.runs(columns=["run_id"])["run_id"]
    record = history.record(run_id)
    assert record.run.config_digest == config.digest
    return {
        policy: Judge(load(policy), (), lambda _digest: config.inventory)(record, record.run.finished_at)
        for policy in builtin_names()
    }


@pytest.fixture(scope="module")
def shown(judged: Mapping[str, RunRecord]) -> dict[str, set[Status]]:
    """What each rule said of any server, under any policy that ships."""
    found: dict[str, set[Status]] = defaultdict(set)
    for record in judged.values():
        for verdict in record.verdicts:
            found[verdict.rule].add(verdict.status)
    return found


@pytest.mark.parametrize("policy", builtin_names())
def test_no_two_verdicts_of_a_server_contradict_each_other(judged: Mapping[str, RunRecord], policy: str) -> None:
    found = {target.id: excluding_pairs(target.verdicts) for target in judged[policy].targets}
    assert {target: pairs for target, pairs in found.items() if pairs} == {}


@pytest.mark.parametrize(
    "rule_id", [rule.id for rule in all_rules().values() if rule.id not in ELSEWHERE and not rule.opt_in]
)
def test_some_server_passes_each_rule_and_some_server_fails_it(shown: dict[str, set[Status]], rule_id: str) -> None:
    assert {Status.PASS, Status.FAIL} <= shown[rule_id]


def test_what_is_shown_elsewhere_is_shown_there() -> None:
    for rule_id, reason in ELSEWHERE.items():
        text = (REPOSITORY / reason.rpartition(" ")[2]).read_text()
        for status in ("PASS", "FAIL"):
            assert re.search(rf'"{re.escape(rule_id)}".*Status\.{status}', text), (rule_id, status)
