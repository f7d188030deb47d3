"""HTTP/3 of a server that speaks it by itself: Caddy, which advertises it by Alt-Svc."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.build.programs import PROGRAMS, start
from tests.build.servers import HOST, servers
from tests.conftest import Runner

pytestmark = pytest.mark.servers
RULE = "https.http3"
_CADDY = next(item for item in PROGRAMS if item.name == "caddy")


def scanned(quick: Runner, port: int, *options: str) -> dict[str, Any]:
    there = ("--connect-to", f"{HOST}:{port}=127.0.0.1:{port}", "--format", "json", "--deadline", "120s")
    (target,) = quick("scan", f"{HOST}:{port}", *there, *options).json["targets"]
    return target


def test_caddy_answers_over_both_alike(quick: Runner, tmp_path: Path) -> None:
    with servers(tmp_path) as context:
        port = start(_CADDY, context)
        target = scanned(quick, port, "--rule", RULE)
        usual = scanned(quick, port)

    (verdict,) = (item for item in target["verdicts"] if item["rule"] == RULE)
    found = target["evidence"]["doors"]["http3"]
    assert verdict["reason"] == "same", verdict
    assert (found["advertised"], found["port"], found["status"]) == (["alt-svc"], port, 200)
    assert found["certificate"] == target["evidence"]["certificates"][0]["chain"][0]["fingerprint"]
    assert usual["evidence"]["doors"] is None
