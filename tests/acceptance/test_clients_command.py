"""`nightseal clients`: now, and from the history without network."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest

from scanner.lab import Lab
from tests.acceptance.test_commands import endpoint, write_config
from tests.build.command_line import call
from tests.conftest import Runner, reach

pytestmark = pytest.mark.xdist_group("clients-command")
HOST = "good"


@pytest.fixture(scope="module")
def kept(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a configuration and the history of one run."""
    folder = tmp_path_factory.mktemp("kept")
    write_config(folder, endpoint(lab, HOST))
    assert call("run", "--quiet", "--format", "json", *reach(lab, HOST), cwd=folder).status in {0, 1, 3}
    return folder


@pytest.fixture
def nightseal(kept: Path) -> Runner:
    """The command line in this process, where the history is."""
    return functools.partial(call, cwd=kept)


def test_who_connects_and_whom_a_change_cuts_off(lab: Lab, nightseal: Runner) -> None:
    """A run keeps the evidence; asked again of the history, nothing connects anywhere: the address leads nowhere."""
    server = lab.servers[HOST]
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
    assert "that connect now could no longer connect" in cut.out
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


def test_what_the_history_does_not_know_is_said(nightseal: Runner) -> None:
    done = nightseal("clients", "elsewhere.example", "--config", "config.toml")

    assert done.status == 2
    assert "--now looks at it" in done.err


def test_wrong_use_of_clients(nightseal: Runner) -> None:
    both = nightseal("clients", "a.example", "--if", "no cbc", "--policy", "mozilla-modern")
    assert (both.status, "omit one of them" in both.err) == (2, True)
    nobody = nightseal("clients", "a.example", "--core", "--client", "swaks")
    assert (nobody.status, "leave no client" in nobody.err) == (2, True)
    typo = nightseal("clients", "a.example", "--client", "chromum-156")
    assert (typo.status, "chromium-156" in typo.err) == (2, True)


def test_a_host_that_was_not_seen_is_told_to_programs_too(nightseal: Runner) -> None:
    done = nightseal("clients", "127.0.0.1:9", "--format", "json")

    assert done.status == 3
    told = json.loads(done.out)
    assert told["targets"] == []
    assert [(row["target"].rpartition("/")[2], row["reason"]) for row in told["not_assessed"]] == [
        ("127.0.0.1:9@127.0.0.1", "refused")
    ]
    assert nightseal("clients", "127.0.0.1:9").out == ""
