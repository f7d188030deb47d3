"""`nightseal clients`: now, and from the history without network."""

from __future__ import annotations

import json
from pathlib import Path

from scanner.lab import Lab
from tests.acceptance.test_commands import endpoint, write_config
from tests.conftest import Runner, reach

HOST = "good"


def test_who_connects_and_whom_a_change_cuts_off(lab: Lab, nightseal: Runner, tmp_path: Path) -> None:
    """A run keeps the evidence; asked again of the history, nothing connects anywhere: the address leads nowhere."""
    server = lab.servers[HOST]
    write_config(tmp_path, endpoint(lab, HOST))
    assert nightseal("run", "--quiet", *reach(lab, HOST)).status in {0, 1, 3}
    nowhere = ("--connect-to", f"{server.host}:{server.port}=127.0.0.1:9")

    stored = nightseal("clients", server.host, "--config", "config.toml", *nowhere, "--format", "json")
    assert stored.status == 0, stored.err
    (target,) = json.loads(stored.out)["targets"]
    found = {row["id"]: row for row in target["clients"]}
    assert len(found) >= 80
    assert found["chromium-156"]["connects"] is True
    assert found["chromium-156"]["protocol"] == "tls1.3"
    assert found["schannel-win7"]["why"] == "protocol"

    cut = nightseal("clients", server.host, "--config", "config.toml", "--if", "only tls1.3", *nowhere)
    assert cut.status == 1
    assert "that connect now would not connect any more" in cut.out
    assert "Chrome 64" in cut.out
    assert "Chrome / Chromium 153-156" not in cut.out

    same = nightseal("clients", server.host, "--config", "config.toml", "--if", "no rc4", *nowhere)
    assert same.status == 0
    assert "  0 of " in same.out

    policy = nightseal("clients", server.host, "--config", "config.toml", "--policy", "mozilla-modern", *nowhere)
    assert policy.status == 1
    assert "Chrome 64" in policy.out

    now = nightseal("clients", f"{server.host}:{server.port}", *reach(lab, HOST), "--client", "node-*")
    assert now.status == 0, now.err
    assert "Node" in now.out
    assert "Chrome" not in now.out


def test_what_the_history_does_not_know_is_said(lab: Lab, nightseal: Runner, tmp_path: Path) -> None:
    write_config(tmp_path, endpoint(lab, HOST))
    assert nightseal("run", "--quiet", *reach(lab, HOST)).status in {0, 1, 3}

    done = nightseal("clients", "elsewhere.example", "--config", "config.toml")

    assert done.status == 2
    assert "--now looks at it" in done.err


def test_wrong_use_of_clients(nightseal: Runner) -> None:
    both = nightseal("clients", "a.example", "--if", "no cbc", "--policy", "mozilla-modern")
    assert (both.status, "leave one out" in both.err) == (2, True)
    typo = nightseal("clients", "a.example", "--client", "chromum-156")
    assert (typo.status, "chromium-156" in typo.err) == (2, True)
