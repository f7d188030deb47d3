"""Evidence of a real scan, handed on."""

from __future__ import annotations

from pathlib import Path

from scanner.jobs.evidence_file import read_evidence_file
from scanner.lab import Lab
from tests.conftest import Runner, reach


def test_a_recorded_scan_is_exported_without_what_names_it(lab: Lab, quick: Runner, tmp_path: Path) -> None:
    host = lab.servers["expired"].host
    assert quick("config", "init", "config.toml").status == 0
    scanned = quick("scan", *reach(lab, "expired"), "--record", "--quiet", f"{host}:{lab.servers['expired'].port}")
    assert scanned.status == 1, scanned.err

    done = quick("evidence", "export", "--redact", "--output", "evidence.json")

    assert done.status == 0, done.err
    assert "Judged again, the redacted file gives the same" in done.err
    text = (tmp_path / "evidence.json").read_text()
    assert host not in text
    assert "127." not in text.replace("127.0.0.0", "")
    (target,) = read_evidence_file(text.encode()).targets
    assert [item.reason for item in target.verdicts if item.rule == "cert.valid-now"] == ["expired"]
    assert quick("verify", "evidence.json", "--replay").status == 0
    assert f'"{host}"' in quick("evidence", "export").out


def test_a_target_that_is_not_there_is_told(quick: Runner) -> None:
    assert quick("config", "init", "config.toml").status == 0
    done = quick("evidence", "export", "--target", "x")

    assert done.status == 2
    assert "history" in done.err
