"""Whether an inventory has as many hosts as expected is judged in a run, on a real server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from scanner.app.cli import cli
from scanner.lab import Lab
from scanner.verdict import Status
from tests.conftest import reach


def test_an_inventory_that_lost_hosts_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Lab(only=("good",)) as lab:
        server = lab.servers["good"]
        Path("hosts.csv").write_text(f"host,port\n{server.host},{server.port}\n")
        found = {}
        for count in (1, 2):
            Path("config.toml").write_text(
                '[[environment]]\nname = "e"\nkind = "on-premises"\n'
                f'[[environment.inventory]]\nfrom = "hosts.csv"\nexpected_count = {count}\n'
            )
            options = ["--config", "config.toml", "--format", "json", "--output", "r.json", "--quiet", "--offline"]
            done = CliRunner().invoke(cli, ["run", *options, *reach(lab)])
            assert done.exit_code in {0, 1}, done.output
            (target,) = json.loads(Path("r.json").read_text())["targets"]
            found[count] = {verdict["rule"]: Status(verdict["status"]) for verdict in target["verdicts"]}

    assert found[1]["inventory.expected-count"] is Status.PASS
    assert found[2]["inventory.expected-count"] is Status.FAIL
