"""What the rules advise for nginx and Apache httpd mends what they find: on the real servers, before and after.

A mistake is a few directives, one to a line. Whoever follows the advice replaces those that it names and adds the rest;
that is all that happens here between a failing verdict and one that does not fail.
"""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest

from scanner.config import loading as config
from scanner.evidence import TargetEvidence
from scanner.inventory import Address, Endpoint, Environment, EnvironmentKind, Target
from scanner.lab.certificates import CertificateAuthority, CertificateRecipe
from scanner.probe import ProbeSettings
from scanner.probe.survey.probe import survey
from scanner.rules import Facts, all_rules
from scanner.rules.registry import Mistake
from scanner.verdict import Status
from tests.build.fix_servers import Ports, apache, apache_site, mended, nginx, nginx_site
from tests.build.fixed_sites import files, observe, responder, worst
from tests.build.ports import free_ports
from tests.build.servers import node

Kind = Literal["nginx", "apache"]
_MOVED = all_rules()["https.redirect"].fix.servers
_KINDS: tuple[Kind, ...] = ("nginx", "apache")


@dataclass(frozen=True)
class Shown:
    """A mistake on one server, the advice against it there, and the rules that find the one and give the other."""

    kind: Kind
    mistake: Mistake
    advice: str
    rules: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.rules[0]

    @property
    def plain(self) -> str:
        return (self.mistake.plain or _MOVED)[self.kind]


def _shown() -> Iterator[Shown]:
    """Each mistake once on each server, for all the rules that give the same advice against it."""
    for kind in _KINDS:
        found: list[tuple[Mistake, str, list[str]]] = []
        for rule in all_rules().values():
            if rule.mistake is None or getattr(rule.mistake, kind) is None:
                continue
            advice = rule.fix.servers[kind]
            same = next((item for item in found if item[:2] == (rule.mistake, advice)), None)
            if same is None:
                found.append((rule.mistake, advice, [rule.id]))
            else:
                same[2].append(rule.id)
        yield from (Shown(kind, mistake, advice, tuple(rules)) for mistake, advice, rules in found)


SHOWN = tuple(_shown())
_TRIED = [(item, rule_id) for item in SHOWN for rule_id in item.rules]


def test_every_advice_for_nginx_and_apache_is_shown_or_said_why_not() -> None:
    for rule in all_rules().values():
        for kind in _KINDS:
            shown = rule.mistake is not None and getattr(rule.mistake, kind) is not None
            left_out = rule.mistake is not None and bool(rule.mistake.untried.get(kind))
            assert (shown, left_out) in {(True, False), (False, True)} or kind not in rule.fix.servers, (rule.id, kind)
            assert kind in rule.fix.servers or not shown, (rule.id, kind)


def test_what_is_left_out_for_having_the_advice_of_another_rule_has_it() -> None:
    rules = all_rules()
    left_out = [
        (rule, kind, why) for rule in rules.values() if rule.mistake for kind, why in rule.mistake.untried.items()
    ]
    named = [(rule, kind, why.rpartition(" ")[2]) for rule, kind, why in left_out if " advice is that of " in why]
    assert named
    for rule, kind, other in named:
        assert rule.fix.servers[kind] == rules[other].fix.servers[kind], rule.id


def blocks(shown: Shown, *, fixed: bool) -> tuple[str, str]:
    """The directives of the secure site and the whole plain one, before or after the advice is followed."""
    secure, plain = getattr(shown.mistake, shown.kind), shown.plain
    if not fixed:
        return secure, plain
    text = shown.advice
    if "listen 80;" in text or "*:80>" in text:
        return secure, text
    return (text if text.startswith("<VirtualHost") else mended(secure, text)), plain


Statuses = Mapping[tuple[str, Kind, bool], Mapping[str, Status]]


@pytest.fixture(scope="module")
def statuses() -> Iterator[Statuses]:
    """The worst status of each rule, by mistake, server, and whether the advice was followed."""
    with tempfile.TemporaryDirectory(prefix="nightseal-fixes-") as name, responder() as (url, answers):
        folder = Path(name)
        folder.chmod(0o755)  # httpd serves as nobody in particular
        staple = files(folder, url)
        answers.append(staple)
        yield {
            **asyncio.run(_served(folder, "nginx")),
            **asyncio.run(_served(folder, "apache")),
        }


async def _served(folder: Path, kind: Kind) -> Statuses:
    """Start one server with every site of its kind, look at each, and judge."""
    states = [(item, fixed) for item in SHOWN if item.kind == kind for fixed in (False, True)]
    ports = free_ports(2 * len(states) + 1)
    backend = ports.pop()
    sites, connect_to, keys = [], {}, {}
    text = '[[environment]]\nname = "all"\nkind = "on-premises"\n'
    for number, (item, fixed) in enumerate(states):
        host = f"{item.name.replace('.', '-')}-{'fixed' if fixed else 'wrong'}-{kind}.fix.example"
        here = Ports(ports[2 * number], ports[2 * number + 1], backend)
        secure, plain = (text.replace("FOLDER", str(folder)) for text in blocks(item, fixed=fixed))
        sites.append((nginx_site if kind == "nginx" else apache_site)(folder, host, here, secure, plain))
        connect_to |= {f"{host}:443": (f"127.0.0.1:{here.tls}",), f"{host}:80": (f"127.0.0.1:{here.plain}",)}
        text += f'[[environment.endpoint]]\nhost = "{host}"\nrole = "{item.mistake.role}"\n'
        text += f'[[environment.application]]\nname = "{host}"\nhost = "{host}"\n{item.mistake.application}\n'
        keys[host] = (item.name, kind, fixed)
    with (nginx if kind == "nginx" else apache)(folder, sites, backend, ports):
        (environment,) = config.parse(text, source="fixes", folder=folder).inventory.environments
        observed = await observe(folder, environment, connect_to)
    statuses = worst(observed, environment)
    return {key: statuses[host] for host, key in keys.items()}


@pytest.mark.xdist_group("rule-fixes")
@pytest.mark.parametrize(("shown", "rule_id"), _TRIED, ids=[f"{rule}-{item.kind}" for item, rule in _TRIED])
def test_the_advice_mends_it(statuses: Statuses, shown: Shown, rule_id: str) -> None:
    before, after = (statuses[shown.name, shown.kind, fixed][rule_id] for fixed in (False, True))

    assert before is Status.FAIL
    # What the rule is about may be gone with the mistake: CBC suites, for one.
    assert after in {Status.PASS, Status.NOT_APPLICABLE}


_GROUPS = """
const [key, cert, handler] = [...process.argv.slice(1).map((name) => require('fs').readFileSync(name)), () => {}];
const https = require('https');
const server = SERVER;
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
"""


@pytest.mark.parametrize(
    ("server", "status"),
    [
        ("https.createServer({ ecdhCurve: 'X25519', key, cert }, handler)", Status.FAIL),
        (all_rules()["kex.post-quantum"].fix.servers["node"], Status.PASS),
    ],
)
def test_the_advice_on_post_quantum_groups_is_shown_with_node(tmp_path: Path, server: str, status: Status) -> None:
    identity = CertificateAuthority(datetime.now(UTC)).issue(CertificateRecipe(), "node.fix.example")
    for name, data in (("key.pem", identity.key_pem), ("cert.pem", identity.chain_pem)):
        (tmp_path / name).write_bytes(data)
    script = _GROUPS.replace("SERVER", server.partition("  //")[0])
    command = [node(), "-e", script, str(tmp_path / "key.pem"), str(tmp_path / "cert.pem")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        target = Target(Endpoint("e", "node.fix.example", 443), Address("127.0.0.1", port))
        tls, _ = asyncio.run(survey(target, ProbeSettings(timeout_s=8, deadline_s=60)))
        process.terminate()
    evidence = TargetEvidence(datetime.now(UTC), 1.0, 1, tls=tls)
    rule = all_rules()["kex.post-quantum"]
    facts = Facts(target, Environment("e", EnvironmentKind.ON_PREMISES), evidence, datetime.now(UTC))

    assert [rule.reasons[finding.reason].status for finding in rule.check(facts, rule.parameters())] == [status]
