"""Pages that are compressed and give back what their address says: on servers of the lab, and on nginx."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from scanner.evidence import ChainEnd, ClientIdentity, Hop, HttpProbe, Purpose
from scanner.lab import Lab
from scanner.probe.http.echo import pages_of
from tests.build.servers import HOST, servers
from tests.conftest import Runner, reach

RULE = "vuln.breach"
_PAGE = 'location = /echo { add_header Content-Type text/html; return 200 "$request_uri"; }'
_GZIP = "gzip on; gzip_min_length 0; gzip_types *;"


def judged(target: dict[str, Any]) -> list[str]:
    return [item["reason"] for item in target["verdicts"] if item["rule"] == RULE]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("breach", "echoed"), ("compressed", "not-echoed"), ("good", "not-compressed"), ("ssl2", "not-observed")],
)
def test_pages_are_told(lab: Lab, quick: Runner, tmp_path: Path, name: str, reason: str) -> None:
    server = lab.servers[name]
    # SSL 2 takes what TLS says for the beginning of something long, and is silent: no answer comes however long one waits.
    (tmp_path / "config.toml").write_text('[scan]\ntimeout = "1s"\n' if name == "ssl2" else "")
    there = (server.host, *reach(lab, name), "--config", "config.toml")
    (target,) = quick("scan", *there, "--format", "json", "--rule", RULE).json["targets"]

    assert judged(target) == [reason]


def test_the_answers_are_printed_with_what_was_asked_for_them(lab: Lab, quick: Runner) -> None:
    server = lab.servers["breach"]
    shown = quick("scan", server.host, *reach(lab, "breach"), "--show", "http", "--rule", RULE).out

    assert f"GET https://{server.host}/: HTTP/1.1 200\n" in shown
    assert re.search(rf"a word in the address +comes back, gzip: https://{server.host}/\n", shown)


@pytest.mark.parametrize(
    ("directives", "reason"),
    [
        (f"{_GZIP} location = / {{ return 200 '<p>$request_uri'; }}", "echoed"),
        (f"{_GZIP} absolute_redirect off; location = / {{ return 302 /echo; }} {_PAGE}", "echoed"),
        ("location = / { return 200 '<p>$request_uri'; }", "not-compressed"),
        (f"{_GZIP} location = / {{ return 200 '<p>$uri, and nothing of what was asked'; }}", "not-echoed"),
        ("location = / { return 404; }", "no-page"),
    ],
)
def test_nginx_is_told(quick: Runner, tmp_path: Path, directives: str, reason: str) -> None:
    with servers(tmp_path) as context:
        port = context.nginx(["rsa"], directives)
        there = ("--connect-to", f"{HOST}:443=127.0.0.1:{port}", "--format", "json", "--deadline", "120s")
        (target,) = quick("scan", f"{HOST}:443", *there, "--rule", RULE).json["targets"]
        (usual,) = quick("scan", f"{HOST}:443", *there).json["targets"]

    assert judged(target) == [reason], target["evidence"]["not_observed"]
    assert target["connections"] - usual["connections"] <= 6
    assert judged(usual) == []


def test_few_pages_are_asked_and_only_where_the_host_answers_itself() -> None:
    def probe(*hops: Hop, purpose: Purpose = Purpose.PATH, identity: ClientIdentity = ClientIdentity.NONE) -> HttpProbe:
        return HttpProbe(hops[0].url.partition(":")[0], "/", purpose, hops, ChainEnd.ANSWER, identity)

    def page(url: str, status: int = 200) -> Hop:
        return Hop(url, status=status)

    found = pages_of(
        [
            probe(page("http://a.example/")),
            probe(page("https://a.example/", 302), page("https://a.example/home")),
            probe(page("https://a.example/x", 302), page("https://b.example/")),
            probe(page("https://a.example/y", 302), page("https://a.example:8443/")),
            probe(page("https://a.example/gone", 404)),
            probe(page("https://a.example/soap"), purpose=Purpose.INTEGRATION),
            probe(page("https://a.example/mine"), identity=ClientIdentity.CONFIGURED),
            *(probe(page(f"https://a.example/{number}")) for number in range(9)),
        ]
    )
    assert found == tuple(f"https://a.example/{name}" for name in ("home", "0", "1", "2"))
