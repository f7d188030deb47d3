"""Every command of the documents that connects to somebody is run as it stands there, with servers of the lab in the names' places.

`tests/packaging/test_documented_commands.py` runs the others.
"""

from __future__ import annotations

import contextlib
import re
import shlex
from pathlib import Path

import pytest

from scanner.lab import Lab
from tests.build.client_certificates import client_certificate
from tests.build.dns_server import DnsServer
from tests.build.documented import commands, connects
from tests.build.proxies import Proxies
from tests.build.receivers import Webhook
from tests.conftest import REPOSITORY, Runner, reach

LINES = [line for line in commands() if connects(line)]
INTRA = "intra.example.com"

CONFIGURATION = """\
[nightseal]
history = "history"
output = "out"

[[environment]]
name = "production"
kind = "on-premises"

  [[environment.endpoint]]
  host = "{host}"
  role = "server"

[[notify]]
name = "security"
url = "{receiver}"
"""


def test_there_are_such_commands() -> None:
    assert len(LINES) > 20


@pytest.mark.parametrize("line", LINES)
def test_it_works_as_it_is_documented(quick: Runner, lab: Lab, tmp_path: Path, line: str) -> None:
    good, mail = lab.servers["good"], lab.servers["smtp-starttls"]
    place = (good.address, good.actual_port)
    with contextlib.ExitStack() as stack:
        receiver = Webhook()
        stack.callback(receiver.stop)
        resolver = DnsServer({}, addresses={f"{INTRA}.": ["127.0.0.1"]})
        stack.callback(resolver.stop)
        proxy = stack.enter_context(Proxies("socks5", {(INTRA, 443): place}).running())
        client_certificate(tmp_path / "me.pem", tmp_path / "me.key")
        (tmp_path / "hosts.txt").write_text(f"{good.host}\n", "utf-8")
        (tmp_path / "secret-headers").write_text("X-Token: abcdef\n", "utf-8")
        (tmp_path / "config.toml").write_text(CONFIGURATION.format(host=good.host, receiver=receiver.url), "utf-8")
        (tmp_path / "scanner" / "lab").mkdir(parents=True)
        (tmp_path / "scanner" / "lab" / "enforcement.toml").write_bytes(
            (REPOSITORY / "scanner" / "lab" / "enforcement.toml").read_bytes()
        )
        there = {
            "/etc/nightseal/config.toml": "config.toml",
            "www.example.com": good.host,
            "mail.example.com": mail.host,
            "192.0.2.9": "127.0.0.1",
            "192.0.2.53": f"127.0.0.1:{resolver.port}",
            "socks5://bastion:1080": proxy.url,
        }
        known = re.sub("|".join(map(re.escape, there)), lambda found: there[found[0]], line)
        _, command, *words = shlex.split(known)
        options = reach(lab, "good", "smtp-starttls") if command in {"scan", "run", "clients"} else []
        if command in {"scan", "clients"}:
            options += [f"--connect-to={name}={place[0]}:{place[1]}" for name in (f"{good.host}:8443", "192.0.2.7:443")]
        if "--proxy" in words:
            options = options[:2]  # who asks through a proxy does not say where names lead
        done = quick(command, *words, *options, env={"ALL_PROXY": proxy.url} if "env" in words else {})

        assert done.status in ({0, 1, 3} if command in {"scan", "run", "clients", "doctor", "demo"} else {0}), done.err
        assert done.out or "--quiet" in words or "--output" in words
        if "--proxy" in words:
            assert (INTRA, 443) in proxy.reached
        if "--resolver" in words:
            assert f"{INTRA}." in resolver.asked
        if command == "notify":
            assert receiver.bodies
        if "--output" in words:
            assert (tmp_path / words[words.index("--output") + 1]).stat().st_size > 1000
        if command == "run":
            assert {path.suffix for path in (tmp_path / "out").iterdir()} >= {".html", ".pdf"}
