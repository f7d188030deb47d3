"""Mail servers that could stand in for a web server: Dovecot and a strict server beside nginx, with one certificate."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from tests.build.ports import free_port
from tests.build.programs import PROGRAMS, start
from tests.build.servers import HOST, node, servers
from tests.conftest import Runner

RULE = "vuln.alpaca"
_DOVECOT = next(item for item in PROGRAMS if item.name == "dovecot")
_MAIL = f"imaps://{HOST}"


def judged(done: Any) -> dict[int, list[str]]:
    return {
        item["port"]: [verdict["reason"] for verdict in item["verdicts"] if verdict["rule"] == RULE]
        for item in done.json["targets"]
    }


def scanned(quick: Runner, web: int, mail: int | None, *options: str) -> Any:
    hosts = [f"{HOST}:443", *([_MAIL] if mail is not None else [])]
    there = ["--connect-to", f"{HOST}:443=127.0.0.1:{web}"]
    there += ["--connect-to", f"{HOST}:993=127.0.0.1:{mail}"] if mail is not None else []
    return quick("scan", *hosts, *there, "--format", "json", "--deadline", "120s", *options)


def test_a_mail_server_with_the_same_certificate_is_told(quick: Runner, tmp_path: Path) -> None:
    with servers(tmp_path) as context:
        web, mail = context.nginx(["rsa"], ""), start(_DOVECOT, context)
        both = scanned(quick, web, mail, "--rule", RULE)
        alone = scanned(quick, web, None, "--rule", RULE)
        usual = scanned(quick, web, mail)

    assert judged(both) == {443: ["confusable"], 993: ["not-http"]}
    assert judged(alone) == {443: ["no-other"]}
    assert judged(usual) == {443: [], 993: []}
    counted = {item["port"]: item["connections"] for item in both.json["targets"]}
    assert counted[993] - next(item["connections"] for item in usual.json["targets"] if item["port"] == 993) <= 2


def test_one_that_refuses_what_is_meant_for_http_is_no_danger(quick: Runner, tmp_path: Path) -> None:
    with servers(tmp_path) as context:
        web, mail = context.nginx(["rsa"], ""), free_port()
        pem = json.dumps(context.identities["rsa"].read_text("utf-8"))
        # Node.js refuses protocols that are not among its own (RFC 7301 section 3.2).
        program = f"const pem = {pem}; require('tls').createServer({{ key: pem, cert: pem, ALPNProtocols: ['imap'] }},"
        program += f" socket => socket.on('error', () => 0).write('* OK')).listen({mail}, '127.0.0.1')"
        context.run([node(), "-e", program], mail)
        both = scanned(quick, web, mail, "--rule", RULE)

    assert judged(both) == {443: ["strict"], 993: ["not-http"]}


def test_one_that_was_not_seen_leaves_it_open(quick: Runner, tmp_path: Path) -> None:
    with servers(tmp_path) as context, socket.create_server(("127.0.0.1", 0)) as silent:
        web = context.nginx(["rsa"], "")
        both = scanned(quick, web, silent.getsockname()[1], "--rule", RULE)
        refused = scanned(quick, web, free_port(), "--rule", RULE)

    assert judged(both)[443] == ["unseen"]
    assert judged(refused)[443] == ["no-other"]
