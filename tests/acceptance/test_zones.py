"""Environments of other networks: what is told where nobody is there to look, and what is refused before anything is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scanner.fleet import leases
from tests.conftest import Runner

CONFIG = """
[nightseal]
history = "history"
{dispatch}
[[environment]]
name = "plant"
kind = "on-premises"
zone = "dmz"

[[environment.endpoint]]
host = "127.0.0.1"
port = 9
role = "monitoring"
"""


def test_a_zone_without_a_worker_is_told_and_never_scanned_from_here(quick: Runner, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(CONFIG.format(dispatch=""), "utf-8")

    done = quick("run", "--quiet", "--format", "json", "--output", "out.json")

    (target,) = json.loads((tmp_path / "out.json").read_text("utf-8"))["targets"]
    assert done.status == 3
    assert target["status"] == "unreachable"
    assert target["error"]["reason"] == "no-worker-in-zone"
    assert 'zone "dmz"' in target["error"]["detail"]
    assert target["connections"] == 0
    assert {verdict["status"] for verdict in target["verdicts"]} <= {"indeterminate", "not-applicable"}
    assert any("no-worker-in-zone" in verdict["message"] for verdict in target["verdicts"])


@pytest.mark.parametrize(
    ("dispatch", "told"),
    [
        ('[dispatch]\nengine = "celery"', "needs a broker"),
        ('[dispatch]\nengine = "celery"\nbroker = "redis://127.0.0.1:1/0"', "would not use TLS"),
        ('[dispatch]\nengine = "celery"\nbroker = "rediss://u:secret@127.0.0.1:1/0"', "no certificates for mutual TLS"),
        ('[dispatch]\nengine = "celery"\nbroker = "http://127.0.0.1:1/0"', "not a broker"),
    ],
)
def test_a_broker_that_cannot_be_spoken_to_is_refused_before_anything_is_scanned(
    quick: Runner, tmp_path: Path, dispatch: str, told: str
) -> None:
    (tmp_path / "config.toml").write_text(CONFIG.format(dispatch=dispatch), "utf-8")

    done = quick("run")

    assert done.status == 2
    assert told in done.err
    assert "secret" not in done.err
    assert not (tmp_path / "history").exists()


def test_a_broker_that_is_not_there_leaves_its_zones_unseen_and_want_of_tls_is_told(
    quick: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "NO_WORKER_S", 1.0)
    dispatch = '[dispatch]\nengine = "celery"\nbroker = "redis://127.0.0.1:1/0"\ninsecure = true'
    (tmp_path / "config.toml").write_text(CONFIG.format(dispatch=dispatch), "utf-8")

    done = quick("run", "--quiet", "--format", "json", "--output", "out.json")

    report = json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert done.status == 3
    assert report["targets"][0]["error"]["reason"] == "no-worker-in-zone"
    assert "without mutual TLS" in json.dumps(report["run"])
