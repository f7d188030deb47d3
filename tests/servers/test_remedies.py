"""What is advised for server programs mends what is found: on the real program, before and after a restart."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import UTC, datetime

import pytest

from scanner.evaluate import evaluate
from scanner.evidence import Attempt, TargetEvidence, merge
from scanner.inventory import Address, Endpoint, Environment, EnvironmentKind, Role, StartTls, Target
from scanner.policy import PolicyRule, load
from scanner.probe import ProbeSettings
from scanner.probe.handshake.probe import observe as handshakes
from scanner.probe.survey.probe import survey
from scanner.rules import Observed, all_rules
from scanner.rules.registry.servers import NOT_RUN, SERVER_PROGRAMS, was_run
from scanner.verdict import Status
from tests.build.remedied import REMEDIED, Remedied, followed, start
from tests.build.servers import HOST, servers
from tests.lab.test_rule_fixes import SHOWN
from tests.servers.test_front_remedies import FOLLOWED
from tests.servers.test_starttls_remedies import PLAIN

TOPICS = {
    "PROTOCOLS": ("proto.no-tls1.0", "proto.no-tls1.1"),
    "TLS13": ("proto.tls1.3",),
    "ONLY_TLS13": ("proto.no-tls1.2",),
    "SUITES": ("cipher.allowed", "integrity.aead"),
    "ORDER": ("cipher.server-preference",),
    "GROUPS": ("kex.allowed-groups",),
    "MASTER_SECRET": ("integrity.extended-master-secret",),
    "POST_QUANTUM": ("kex.post-quantum",),
    "RENEGOTIATION": ("integrity.secure-renegotiation",),
    "BY_CLIENTS": ("vuln.renegotiation-dos",),
}
"""Advice, and the rules that it turns; each topic is that of its first rule."""

UNTRIED = {
    ("caddy", "PROTOCOLS"): "Caddy 2 has no older protocols to be switched on",
    ("caddy", "POST_QUANTUM"): "needs Caddy 2.10; Debian 12 has 2.6",
    ("go", "POST_QUANTUM"): "needs Go 1.24; Debian 12 has 1.19",
    ("haproxy", "POST_QUANTUM"): "needs OpenSSL 3.5, which Debian 12 does not have",
    ("mosquitto", "TLS13"): "it has no setting for the newest version, so the mistake cannot be made",
    ("java", "RENEGOTIATION"): "Java 17 answers with renegotiation_info whatever the setting",
    ("tomcat", "RENEGOTIATION"): "Java 17 answers with renegotiation_info whatever the setting",
    ("haproxy", "RENEGOTIATION"): "OpenSSL 3 has it always",
    ("haproxy", "BY_CLIENTS"): "HAProxy lets no client renegotiate, whatever its settings",
    ("tomcat", "BY_CLIENTS"): "Debian's Tomcat lets no client renegotiate, whatever Java's setting",
    ("node", "BY_CLIENTS"): "tests/servers/test_front_remedies.py follows it",
    ("gnutls", "MASTER_SECRET"): "gnutls-serv of Debian keeps it whatever the priority says",
}
"""Advice that nothing here can show, and why."""
NEVER_HAD = {("mosquitto", "proto.no-tls1.0")}
"""Rules that a program meets whatever its settings."""
QUICK = {("redis", "SUITES"), ("haproxy", "PROTOCOLS"), ("stunnel", "SUITES"), ("lighttpd", "TLS13")}
"""Of the programs that `make test` installs; the rest is of `make test-servers`."""

STATES = [
    pytest.param(
        item, topic, id=f"{item.key}-{topic}", marks=[] if (item.key, topic) in QUICK else [pytest.mark.servers]
    )
    for item in REMEDIED
    for topic, rules in TOPICS.items()
    if item.key in all_rules()[rules[0]].fix.servers and (item.key, topic) not in UNTRIED
]


def test_every_advice_for_a_program_is_tried_or_said_why_not() -> None:
    tried = {(item.key, topic) for item in REMEDIED for topic in TOPICS if item.mistake(topic) is not None}
    for topic, (first, *_) in TOPICS.items():
        for key in all_rules()[first].fix.servers:
            if key in SERVER_PROGRAMS and key not in NOT_RUN | {"nginx", "apache"}:
                assert ((key, topic) in tried) or ((key, topic) in UNTRIED), (key, topic)


def test_advice_says_of_itself_whether_it_was_run() -> None:
    """Exactly the lines that some test follows on the program are told without "not run"."""
    rules = all_rules()
    followed_here = {
        (item.key, rules[TOPICS[topic][0]].fix.servers[item.key])
        for item in REMEDIED
        for topic in TOPICS
        if item.mistake(topic) is not None
        and (item.key, topic) not in UNTRIED
        and item.key in rules[TOPICS[topic][0]].fix.servers
    }
    shown = followed_here | {(item.kind, item.advice) for item in SHOWN}
    shown |= {(item.key, item.advice) for item in FOLLOWED}
    shown |= {(key, rules["starttls.required"].fix.servers[key]) for key in PLAIN}
    for rule in rules.values():
        for key, advice in rule.fix.servers.items():
            if key in SERVER_PROGRAMS:
                # tests/lab/test_security_headers.py shows these.
                elsewhere = key in {"nginx", "apache"} and rule.id.startswith("headers.")
                assert was_run(key, rule.id) is ((key, advice) in shown or elsewhere), (key, rule.id)


def judged(port: int, item: Remedied, *, handshaken: bool) -> dict[str, tuple[Status, str]]:
    """The worst status of each rule at a port, with what was observed."""
    endpoint = Endpoint(
        "all", HOST, port, role=Role.SERVER, starttls=StartTls(item.starttls) if item.starttls else None
    )
    target = Target(endpoint, Address("127.0.0.1", port, 1))
    tls, _ = asyncio.run(survey(target, ProbeSettings(timeout_s=5, deadline_s=60)))
    assert tls.value is not None, tls.failure
    if handshaken:
        more = handshakes(target, ProbeSettings(timeout_s=5, deadline_s=60))
        assert more.evidence.value is not None, more.evidence.failure
        tls = Attempt.ok(merge(tls.value, more.evidence.value))
    observed = [Observed(target, TargetEvidence(datetime.now(UTC), 1.0, 1, tls=tls))]
    default = load("https-by-default")
    groups = PolicyRule(
        "kex.allowed-groups", parameters={"groups": ["x25519", "secp256r1", "secp384r1", "ffdhe2048", "x25519mlkem768"]}
    )
    # Stricter than the default where some program could not be made to fail it.
    strict = {"proto.no-tls1.2": PolicyRule("proto.no-tls1.2"), "kex.allowed-groups": groups}
    policy = dataclasses.replace(default, rules={**default.rules, **strict})
    environments = {"all": Environment("all", EnvironmentKind.ON_PREMISES)}
    order = [Status.NOT_APPLICABLE, Status.PASS, Status.INDETERMINATE, Status.FAIL]
    found: dict[str, tuple[Status, str]] = {}
    for verdict in evaluate(observed, environments, {"all": policy}, (), datetime.now(UTC))[target.id]:
        known = found.get(verdict.rule, (Status.NOT_APPLICABLE, ""))
        if order.index(verdict.status) >= order.index(known[0]):
            found[verdict.rule] = (verdict.status, verdict.message)
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("item", "topic"), STATES)
def test_the_advice_for_a_program_mends_it(tmp_path, item: Remedied, topic: str) -> None:
    wrong = item.mistake(topic)
    assert wrong is not None
    advice = all_rules()[TOPICS[topic][0]].fix.servers[item.key]
    with servers(tmp_path) as started:
        before = judged(start(item, started, wrong), item, handshaken=topic == "BY_CLIENTS")
    tmp_path.joinpath("after").mkdir()
    with servers(tmp_path / "after") as started:
        after = judged(start(item, started, followed(item, wrong, advice)), item, handshaken=topic == "BY_CLIENTS")

    assert Status.FAIL in {before[rule][0] for rule in TOPICS[topic]}, before
    for rule in TOPICS[topic]:
        assert before[rule][0] is Status.FAIL or (item.key, rule) in NEVER_HAD, (rule, before[rule])
        assert after[rule][0] in {Status.PASS, Status.NOT_APPLICABLE}, (rule, after[rule])
