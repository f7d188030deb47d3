"""Where from and as whom: a client certificate, and another name server than the system's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.build.client_certificates import client_certificate
from tests.build.dns_server import DnsServer
from tests.build.ports import free_port
from tests.build.servers import HOST, servers
from tests.conftest import Runner


def test_a_client_certificate_opens_what_asks_for_one(quick: Runner, tmp_path: Path) -> None:
    cert, key = tmp_path / "me.pem", tmp_path / "me.key"
    client_certificate(cert, key)
    log = tmp_path / "seen.log"
    with servers(tmp_path) as context:
        asks = f"ssl_verify_client optional_no_ca; access_log {log};"
        port = context.nginx(["rsa"], f"{asks} if ($ssl_client_s_dn = '') {{ return 403; }}")
        there = ("--connect-to", f"{HOST}:{port}=127.0.0.1:{port}", "--format", "json", "--rule", "https.client-*")
        mine = ("--client-cert", str(cert), "--client-key", str(key))
        done = quick("scan", f"{HOST}:{port}", *there, *mine)
        alone = quick("scan", f"{HOST}:{port}", *there)

    assert {line.split()[8] for line in log.read_text("utf-8").splitlines() if "/ HTTP" in line} >= {"200", "403"}

    def judged(ran):
        (target,) = ran.json["targets"]
        return {
            (item["status"], item["reason"])
            for item in target["verdicts"]
            if item["rule"] == "https.client-certificate"
        }

    assert {status for status, _ in judged(done)} <= {"pass", "fail"}
    assert judged(done) != judged(alone)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--client-key", "me.key"), "goes with --client-cert"),
        (("--client-cert", "none.pem"), "cannot be used"),
        (("--resolver", "ns.example"), "is not the address of a name server"),
        (("--resolver", "192.0.2.1:0"), "is not the address of a name server"),
        (("--resolver", "192.0.2.1", "--proxy", "http://192.0.2.2:8080"), "names are resolved at the proxy"),
    ],
)
def test_wrong_standpoints_are_refused(quick: Runner, arguments: tuple[str, ...], said: str) -> None:
    done = quick("scan", "a.example", *arguments)

    assert done.status == 2
    assert said in done.err


@pytest.mark.parametrize("command", ["scan", "clients"])
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("a.example", "--resolver", "ns", "--source-address", "here", "--helo", "a b"), "--resolver: "),
        (("https://a.example:x/", "--source-address", "here", "--helo", "a b"), '"https://a.example:x/": '),
        (("a.example", "--source-address", "here", "--helo", "a b"), '--source-address "here": '),
        (("a.example", "--helo", "a b"), '--helo "a b": '),
    ],
)
def test_of_several_mistakes_the_one_is_told_that_is_met_first(
    quick: Runner, command: str, arguments: tuple[str, ...], said: str
) -> None:
    done = quick(command, *arguments)

    assert done.status == 2
    assert said in done.err
    assert "--helo" in said or "--helo" not in done.err


def test_a_name_is_asked_of_the_resolver_that_was_named(quick: Runner, tmp_path: Path) -> None:
    """The system's resolver knows no such name; the one that is given leads to the server, and is asked for CAA."""
    dns_server = DnsServer({"www.zone.net.": ['0 issue "ca.example"']}, {"zone.net."}, {"www.zone.net.": ["127.0.0.1"]})
    try:
        with servers(tmp_path) as context:
            port = context.nginx(["rsa"], "")
            asked = ("--resolver", f"127.0.0.1:{dns_server.port}", "--format", "json")
            done = quick("scan", f"www.zone.net:{port}", *asked)
            unknown = quick("scan", f"missing.zone.net:{port}", *asked)
            through = quick("scan", f"www.zone.net:{port}", "--sni", HOST, *asked)
    finally:
        dns_server.stop()

    (target,) = done.json["targets"]
    assert target["ip"] == "127.0.0.1"
    assert target["evidence"]["protocols"]
    assert dns_server.asked.count("www.zone.net.") >= 3  # AAAA, A, and CAA
    (absent,) = unknown.json["targets"]
    assert absent["error"]["reason"] == "unresolvable"
    assert (through.json["targets"][0]["host"], through.json["targets"][0]["ip"]) == (HOST, "127.0.0.1")


def test_a_resolver_that_is_silent_tells_nothing_of_the_name(quick: Runner) -> None:
    done = quick("scan", "www.zone.net", "--resolver", f"127.0.0.1:{free_port()}", "--format", "json")

    (target,) = done.json["targets"]
    assert (done.status, target["error"]["reason"]) == (3, "resolver-failed")
