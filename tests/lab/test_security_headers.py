"""Rules that are asked for by name: the advice on headers mends it, and clients are told that cannot connect."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from scanner.rules import all_rules
from tests.build.fix_servers import Ports, apache, apache_site
from tests.build.ports import free_port
from tests.build.servers import HOST, Servers, servers
from tests.conftest import Runner

_HEADERS = [rule for rule in all_rules().values() if rule.area == "headers"]


def judged(quick: Runner, port: int, *options: str) -> dict[str, str]:
    there = ("--connect-to", f"{HOST}:{port}=127.0.0.1:{port}", "--format", "json")
    (target,) = quick("scan", f"{HOST}:{port}", *there, *options).json["targets"]
    return {item["rule"]: item["status"] for item in target["verdicts"] if item["reason"] != "not-asked"}


def served(context: Servers, key: str, lines: Iterable[str]) -> int:
    """Start nginx or Apache httpd with the lines, and return its port."""
    if key == "nginx":
        return context.nginx(["rsa"], "default_type text/html; " + " ".join(lines))
    port = free_port()
    home = Path(context.enter(tempfile.TemporaryDirectory(prefix="nightseal-", ignore_cleanup_errors=True)))
    home.chmod(0o755)
    for name in ("fullchain.pem", "privkey.pem"):
        (home / name).write_bytes(context.identities["rsa"].read_bytes())
    (home / "page").mkdir()
    (home / "page" / "index.html").write_text("<!doctype html><p>fine", encoding="utf-8")
    plain, backend = free_port(), free_port()
    site = apache_site(home, HOST, Ports(port, plain, backend), "\n".join(lines), "")
    context.enter(apache(home, [site], backend, [port]))
    return port


@pytest.mark.parametrize("key", ["nginx", "apache"])
def test_the_advice_mends_it(quick: Runner, tmp_path: Path, key: str) -> None:
    by_header: dict[str, str] = {}
    for rule in _HEADERS:
        advice = rule.fix.servers[key]
        header = advice.removeprefix("Header always ").split()[1]
        if len(advice) > len(by_header.get(header, "")):
            by_header[header] = advice
    with servers(tmp_path) as context:
        bare, mended = (served(context, key, lines) for lines in ((), by_header.values()))
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
