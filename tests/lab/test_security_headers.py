"""Rules that are asked for by name: the advice on headers mends it on nginx, and clients are told that cannot connect."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanner.rules import all_rules
from tests.build.servers import HOST, servers
from tests.conftest import Runner

_HEADERS = [rule for rule in all_rules().values() if rule.area == "headers"]


def judged(quick: Runner, port: int, *options: str) -> dict[str, str]:
    there = ("--connect-to", f"{HOST}:{port}=127.0.0.1:{port}", "--format", "json")
    (target,) = quick("scan", f"{HOST}:{port}", *there, *options).json["targets"]
    return {item["rule"]: item["status"] for item in target["verdicts"] if item["reason"] != "not-asked"}


def test_the_advice_mends_it_on_nginx(quick: Runner, tmp_path: Path) -> None:
    by_header: dict[str, str] = {}
    for rule in _HEADERS:
        advice = rule.fix.servers["nginx"]
        header = advice.split()[1]
        if len(advice) > len(by_header.get(header, "")):
            by_header[header] = advice
    with servers(tmp_path) as context:
        bare = context.nginx(["rsa"], "default_type text/html;")
        mended = context.nginx(["rsa"], "default_type text/html; " + " ".join(by_header.values()))
        before = judged(quick, bare, "--rule", "headers.*")
        after = judged(quick, mended, "--rule", "headers.*")
        usual = judged(quick, bare)

    names = {rule.id for rule in _HEADERS}
    assert before == dict.fromkeys(names, "fail")
    assert after == dict.fromkeys(names, "pass")
    assert not names & set(usual), "nobody asked for them"


@pytest.mark.parametrize(("client", "status"), [("firefox-155", "pass"), ("ie11-win7", "fail")])
def test_a_policy_names_who_has_to_connect(quick: Runner, tmp_path: Path, client: str, status: str) -> None:
    (tmp_path / "ours.toml").write_text(
        '[policy]\nid = "ours"\ntitle = "Ours"\nversion = "1"\ndate = 2026-11-01\nurl = "https://example.com/"\n'
        f'description = "Who has to connect."\n[rules."clients.supported"]\nparameters = {{ clients = ["{client}"] }}\n'
        'source = { document = "Ours", clause = "1" }\n',
        "utf-8",
    )
    with servers(tmp_path) as context:
        port = context.nginx(["rsa"], "ssl_protocols TLSv1.3;")
        assert judged(quick, port, "--policy", "ours.toml")["clients.supported"] == status
