"""Ticketbleed and the keys of session tickets: on servers of the lab that have the flaw, and on nginx, which has not."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from scanner.evidence import Attempt, TargetEvidence
from scanner.history import History
from scanner.known_ticket_keys import SeenTicketKeys
from scanner.lab import Lab
from scanner.probe.survey.tickets import key_of, made_with_zeros
from tests.build.facts import tls
from tests.build.ports import free_port
from tests.build.servers import HOST, servers
from tests.conftest import Runner

BLEED, KEYS = "vuln.ticketbleed", "kex.ticket-keys"
_POLICY = f"""[policy]
id = "keys"
title = "Keys of tickets"
version = "1"
date = 2026-11-01
[rules."{KEYS}"]
"""
_RULES = ("--rule", BLEED, "--rule", KEYS)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(only=("ticketbleed", "zero-ticket-key", "tls1.3-only")) as running:
        yield running


def scanned(quick: Runner, host: str, address: str, port: int, *options: str) -> dict[str, Any]:
    there = ("--connect-to", f"{host}:443={address}:{port}", "--format", "json", "--deadline", "120s")
    (target,) = quick("scan", f"{host}:443", *there, *options).json["targets"]
    return target


def judged(target: dict[str, Any]) -> dict[str, str]:
    return {item["rule"]: item["reason"] for item in target["verdicts"] if item["rule"] in {BLEED, KEYS}}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ticketbleed", {BLEED: "vulnerable", KEYS: "nameless"}),
        ("zero-ticket-key", {BLEED: "not-vulnerable", KEYS: "zero-key"}),
        ("tls1.3-only", {BLEED: "tls1.3-alone", KEYS: "own"}),
    ],
)
def test_servers_with_the_flaw_are_told(lab: Lab, quick: Runner, name: str, expected: dict[str, str]) -> None:
    server = lab.servers[name]
    target = scanned(quick, server.host, server.address, server.actual_port, *_RULES)

    assert judged(target) == expected, target["evidence"]["not_observed"]


@pytest.mark.parametrize(
    ("directives", "bleed", "keys"),
    [
        ("ssl_protocols TLSv1.2;", "not-vulnerable", "own"),
        ("ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:one:1m;", "not-vulnerable", "own"),
        ("ssl_protocols TLSv1.2; ssl_session_tickets off;", "no-tickets", "no-tickets"),
    ],
)
def test_nginx_has_none(quick: Runner, tmp_path: Path, directives: str, bleed: str, keys: str) -> None:
    with servers(tmp_path) as context:
        port = context.nginx(["rsa"], directives)
        target = scanned(quick, HOST, "127.0.0.1", port, *_RULES)
        quiet = scanned(quick, HOST, "127.0.0.1", port, *_RULES, "--no-intrusive")
        usual = scanned(quick, HOST, "127.0.0.1", port)

    assert judged(target) == {BLEED: bleed, KEYS: keys}, target["evidence"]["not_observed"]
    assert judged(quiet) == {BLEED: "not-asked", KEYS: keys}
    assert judged(usual) == {}
    assert not {"ticketbleed", "ticket_key"} & set(usual["evidence"]["tls"])
    # Two connections for the attack and two for the key; where there are no tickets, one each.
    assert target["connections"] - usual["connections"] <= 8


def test_a_key_that_another_environment_has_is_told(quick: Runner, tmp_path: Path) -> None:
    key, own = tmp_path / "shared.key", tmp_path / "own.key"
    key.write_bytes(bytes(range(80)))
    own.write_bytes(bytes(range(100, 180)))
    names = {"production": key, "test": key, "training": own}
    with servers(tmp_path) as context:
        options, text = [], '[nightseal]\nhistory = "history"\noutput = "out"\n'
        for name, file in names.items():
            port = context.nginx(["rsa"], f"ssl_session_ticket_key {file};")
            options.append(f"--connect-to={name}.lab.example:443=127.0.0.1:{port}")
            text += f'[[environment]]\nname = "{name}"\nkind = "on-premises"\n'
            text += f'[[environment.endpoint]]\nhost = "{name}.lab.example"\nrole = "server"\n'
        (tmp_path / "config.toml").write_text(text, "utf-8")
        (tmp_path / "keys.toml").write_text(_POLICY, "utf-8")
        more = ("--format", "json", "--output", "-", "--policy", str(tmp_path / "keys.toml"), "--offline", *options)
        done = quick("run", "--config", str(tmp_path / "config.toml"), *more)

    told = {
        (item["host"], verdict["reason"], verdict["observed"].partition("…")[2] or verdict["observed"])
        for item in done.json["targets"]
        for verdict in item["verdicts"]
        if verdict["rule"] == KEYS
    }
    assert len(done.json["targets"]) == 3
    assert {item[:2] for item in told} == {
        ("production.lab.example", "shared"),
        ("test.lab.example", "shared"),
        ("training.lab.example", "own"),
    }
    assert {item[2] for item in told if item[1] == "shared"} == {"test", "production"}


def test_addresses_of_a_name_may_share_a_key(quick: Runner, tmp_path: Path) -> None:
    key = tmp_path / "shared.key"
    key.write_bytes(bytes(range(80)))
    with servers(tmp_path) as context:
        other = free_port()
        port = context.nginx(["rsa"], f"listen 127.0.0.2:{other} ssl; ssl_session_ticket_key {key};")
        there = [f"--connect-to={HOST}:443=127.0.0.1:{port}", f"--connect-to={HOST}:443=127.0.0.2:{other}"]
        done = quick("scan", f"{HOST}:443", *there, "--format", "json", "--rule", KEYS)

    verdicts = [verdict for item in done.json["targets"] for verdict in item["verdicts"]]
    observed = [verdict["observed"] for verdict in verdicts if verdict["rule"] == KEYS]
    assert len(observed) == 2
    assert all("shared with 1 other address of the name" in item for item in observed), observed


def test_a_key_that_lived_for_nights_is_told_with_its_age(quick: Runner, tmp_path: Path) -> None:
    """A server began to use it before the history of this run: an earlier one saw its name; a new key is young."""
    key, history = tmp_path / "tickets.key", tmp_path / "history"
    key.write_bytes(bytes(range(80)))
    (tmp_path / "keys.toml").write_text(_POLICY, "utf-8")
    (tmp_path / "config.toml").write_text(
        f'[nightseal]\nhistory = "{history}"\noutput = "out"\npolicy = "keys.toml"\n'
        '[[environment]]\nname = "production"\nkind = "on-premises"\n'
        f'[[environment.endpoint]]\nhost = "{HOST}"\nrole = "server"\n',
        "utf-8",
    )
    before = SeenTicketKeys()
    then = datetime.now(UTC) - timedelta(days=9, minutes=1)
    seen = tls(ticket_key=Attempt.ok(bytes(range(16)).hex()))
    before.note(TargetEvidence(then, 1.0, 1, tls=Attempt.ok(seen)))
    before.since(tmp_path / ".authorities")

    def night(*command: str) -> list[tuple[str, str]]:
        with servers(tmp_path) as context:
            port = context.nginx(["rsa"], f"ssl_session_ticket_key {key};")
            there = f"--connect-to={HOST}:443=127.0.0.1:{port}"
            done = quick(*command, "--config", "config.toml", there, "--offline", "--format", "json", "--output", "-")
        (target,) = done.json["targets"]
        (verdict,) = (verdict for verdict in target["verdicts"] if verdict["rule"] == KEYS)
        return [(verdict["reason"], verdict["observed"])]

    assert night("run") == [("old", "9 days")]
    assert night("scan", f"{HOST}:443") == [("old", "9 days")]
    key.write_bytes(bytes(range(100, 180)))
    ((reason, observed),) = night("run")
    assert (reason, "old" in observed) == ("own", False)
    again = quick("policy", "replay", "keys.toml", "--config", "config.toml")
    assert again.status in {0, 1}, again.err
    shown = quick("report", "--config", "config.toml", "--format", "json", "--output", "-", "--run", first_run(history))
    assert KEYS in {verdict["rule"] for verdict in shown.json["targets"][0]["verdicts"] if verdict["reason"] == "old"}


def first_run(history: Path) -> str:
    return History.open(history, create=False).order()[0]


def test_the_name_of_a_key_is_what_tickets_have_in_common() -> None:
    first, second = bytes(16) + b"a" * 100, bytes(16) + b"b" * 100
    assert key_of(first, second) == "00" * 16
    assert key_of(b"a" * 116, second) == "nameless"
    assert key_of(first, first) == "nameless", "the same ticket tells nothing"
    assert key_of(first, b"") == key_of(b"", second) == "no-tickets"
    assert key_of(b"short", b"short") == "nameless"


@pytest.mark.parametrize("hashing", ["sha256", "sha1"])
def test_a_mac_by_a_key_of_zeros_is_known(hashing: str) -> None:
    content = bytes(range(120))
    assert made_with_zeros(content + hmac.digest(bytes(16), content, hashing))
    assert made_with_zeros(content + hmac.digest(bytes(64), content, hashing))
    assert not made_with_zeros(content + hmac.digest(b"\x01", content, hashing))
    assert not made_with_zeros(hmac.digest(bytes(16), b"", hashing))
