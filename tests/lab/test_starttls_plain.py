"""What servers take before STARTTLS: logins, and commands too many; the latter asked only where it is asked for."""

from __future__ import annotations

import pytest

from scanner.lab import Lab
from tests.conftest import Runner, reach

NEW = ("lmtp", "sieve", "nntp", "irc", "mysql", "mssql")


def scanned(quick: Runner, lab: Lab, name: str, *options: str) -> dict:
    server = lab.servers[name]
    scheme = server.starttls or "smtp"
    where = f"{scheme}://{server.host}:{server.port}"
    (target,) = quick("scan", where, *reach(lab, name), "--format", "json", *options).json["targets"]
    return target


def judged(target: dict) -> dict[str, str]:
    return {item["rule"]: item["reason"] for item in target["verdicts"] if item["rule"].startswith("starttls.")}


@pytest.mark.parametrize("protocol", NEW)
def test_a_protocol_is_upgraded_for_both_engines(quick: Runner, lab: Lab, protocol: str) -> None:
    target = scanned(quick, lab, f"{protocol}-starttls", "--rule", "starttls.*", "--rule", "vuln.*")

    assert target["evidence"]["protocols"] == ["tls1.2", "tls1.3"], target["error"]
    statuses = {item["rule"]: item["status"] for item in target["verdicts"]}
    assert statuses["vuln.heartbleed"] == "pass"
    expected = {
        "lmtp": ("refused", "discarded"),
        "sieve": ("refused", "discarded"),
        "nntp": ("refused", "discarded"),
        "irc": ("no-login", "no-lines"),
        "mysql": ("refused", "no-lines"),
        "mssql": ("refused", "no-lines"),
    }[protocol]
    assert judged(target) == dict(zip(("starttls.required", "starttls.no-injection"), expected, strict=True))


@pytest.mark.parametrize(
    ("name", "required", "injection"),
    [
        ("smtp-careless", "taken", "executed"),
        ("smtp-starttls", "refused", "discarded"),
        ("imap-starttls", "refused", "discarded"),
        ("pop3-starttls", "refused", "discarded"),
        ("ftp-starttls", "refused", "discarded"),
        ("xmpp-starttls", "refused", "no-lines"),
    ],
)
def test_what_is_taken_in_plain(quick: Runner, lab: Lab, name: str, required: str, injection: str) -> None:
    found = judged(scanned(quick, lab, name, "--rule", "starttls.*"))

    assert found == {"starttls.required": required, "starttls.no-injection": injection}


def test_nobody_asks_unasked(quick: Runner, lab: Lab) -> None:
    usual = scanned(quick, lab, "smtp-careless")
    without = scanned(quick, lab, "smtp-careless", "--policy", "mozilla-modern")
    asked = scanned(quick, lab, "smtp-careless", "--rule", "starttls.*")
    gentle = scanned(quick, lab, "smtp-careless", "--rule", "starttls.*", "--no-intrusive")

    assert judged(usual) == {"starttls.required": "taken"}
    assert usual["evidence"]["plain"]["injection"] is None
    assert judged(without) == {}
    assert without["evidence"]["plain"] is None
    assert judged(asked) == {"starttls.required": "taken", "starttls.no-injection": "executed"}
    assert judged(gentle)["starttls.no-injection"] == "not-asked"
