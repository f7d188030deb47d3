"""Padding oracles and keys used again: on servers of the lab that have the flaw, and on nginx, which has not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scanner.lab import Lab
from scanner.probe.survey.oracles import BROKEN, RIGHT, told_apart
from tests.build.servers import HOST, servers
from tests.conftest import Runner

ORACLE, FRESH, RACCOON = "vuln.padding-oracle", "kex.fresh-keys", "vuln.raccoon"
_RULES = ("--rule", ORACLE, "--rule", FRESH, "--rule", RACCOON)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(only=("padding-oracle", "padding-unchecked", "key-reuse", "tls1.3-only")) as running:
        yield running


def scanned(quick: Runner, host: str, address: str, port: int, *options: str) -> dict[str, Any]:
    there = ("--connect-to", f"{host}:443={address}:{port}", "--format", "json", "--deadline", "120s")
    (target,) = quick("scan", f"{host}:443", *there, *options).json["targets"]
    return target


def judged(target: dict[str, Any]) -> dict[str, str]:
    return {item["rule"]: item["reason"] for item in target["verdicts"] if item["rule"] in {ORACLE, FRESH, RACCOON}}


@pytest.mark.parametrize(
    ("name", "expected", "observed"),
    [
        ("padding-oracle", {ORACLE: "vulnerable", FRESH: "fresh", RACCOON: "no-exchange"}, "wrong padding"),
        ("padding-unchecked", {ORACLE: "vulnerable", FRESH: "fresh", RACCOON: "no-exchange"}, "wrong padding"),
        ("key-reuse", {ORACLE: "no-cbc", FRESH: "reused", RACCOON: "conditions-met"}, None),
        ("tls1.3-only", {ORACLE: "no-cbc", FRESH: "no-exchange", RACCOON: "no-exchange"}, None),
    ],
)
def test_servers_with_the_flaw_are_told(
    lab: Lab, quick: Runner, name: str, expected: dict[str, str], observed: str | None
) -> None:
    server = lab.servers[name]
    target = scanned(quick, server.host, server.address, server.actual_port, *_RULES)

    assert judged(target) == expected, target["evidence"]["not_observed"]
    if observed:
        assert observed in target["evidence"]["tls"]["padding_oracle"]


@pytest.mark.parametrize(
    "directives", ["ssl_protocols TLSv1.2;", "ssl_ciphers ECDHE-RSA-AES128-SHA; ssl_protocols TLSv1.2;"]
)
def test_nginx_has_none(quick: Runner, tmp_path: Path, directives: str) -> None:
    with servers(tmp_path) as context:
        port = context.nginx(["rsa"], directives)
        target = scanned(quick, HOST, "127.0.0.1", port, *_RULES)
        quiet = scanned(quick, HOST, "127.0.0.1", port, *_RULES, "--no-intrusive")
        usual = scanned(quick, HOST, "127.0.0.1", port)

    assert judged(target) == {ORACLE: "not-vulnerable", FRESH: "fresh", RACCOON: "no-exchange"}, target["evidence"]
    assert judged(quiet)[ORACLE] == "not-asked"
    assert judged(quiet)[FRESH] == "fresh"
    assert judged(usual) == {}
    assert "padding_oracle" not in usual["evidence"]["tls"]
    # Five connections for the records, and two hellos; a server that is slow is asked a little more.
    assert 7 <= target["connections"] - usual["connections"] <= 12


def test_what_differs_from_a_wrong_mac_is_told() -> None:
    alike = {kind: {"the alert bad_record_mac"} for kind in BROKEN} | {RIGHT: {"content"}}
    assert told_apart(alike) == ()
    assert told_apart(alike | {"wrong padding": {"content"}}) == ("wrong padding",)
