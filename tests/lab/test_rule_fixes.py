"""What the rules advise for nginx and Apache httpd mends what they find: on the real servers, before and after.

A mistake is a few directives, one to a line. Whoever follows the advice replaces those that it names and adds the rest;
that is all that happens here between a failing verdict and one that does not fail.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import http.server
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest
from cryptography.hazmat.primitives.asymmetric import dh
from cryptography.hazmat.primitives.serialization import Encoding, ParameterFormat

from scanner import config, policy
from scanner.evaluate import evaluate
from scanner.evidence import Attempt, TargetEvidence, merge
from scanner.inventory import CLIENT_FILE, Address, Endpoint, Environment, EnvironmentKind, Target
from scanner.lab.cases.encryption import OAKLEY_GROUP_2
from scanner.lab.certificates import CertificateAuthority, CertificateRecipe
from scanner.policy import PolicyRule
from scanner.probe import ProbeSettings
from scanner.probe.handshake.probe import observe as handshakes
from scanner.probe.http.probe import probe_http
from scanner.probe.survey.probe import survey
from scanner.rules import Facts, Observed, all_rules
from scanner.rules.registry import Mistake
from scanner.verdict import Status
from tests.build.fix_servers import Ports, apache, apache_site, mended, nginx, nginx_site
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
        staple = _files(folder, url)
        answers.append(staple)
        yield {
            **asyncio.run(_served(folder, "nginx")),
            **asyncio.run(_served(folder, "apache")),
        }


def _files(folder: Path, url: str) -> bytes:
    """Certificates, pages and parameters in place; returns the OCSP response for the one that names the responder."""
    authority = CertificateAuthority(datetime.now(UTC).replace(microsecond=0))
    (folder / "ca.pem").write_bytes(authority.root.chain_pem)
    names = ("*.fix.example",)
    recipes = {
        "fullchain": CertificateRecipe(key="rsa", names=names),
        "self-signed": CertificateRecipe(key="rsa", names=names, issuer="self"),
        "old": CertificateRecipe(key="rsa", names=("old.example",), from_day=-45, to_day=-3, chain="leaf-only"),
        "short": CertificateRecipe(key="rsa-1024", names=names),
        "reversed": CertificateRecipe(key="rsa", names=names, chain="reversed"),
        "staple": CertificateRecipe(key="rsa", names=names, must_staple=True, responder=url, staple="good"),
        "client": CertificateRecipe(usage="client"),
    }
    identities = {name: authority.issue(recipe, "x.fix.example") for name, recipe in recipes.items()}
    for name, identity in identities.items():
        (folder / f"{name}.pem").write_bytes(identity.chain_pem)
        key = folder / ("privkey.pem" if name == "fullchain" else f"{name}.key")
        key.touch(mode=0o600)
        key.write_bytes(identity.key_pem)
    (folder / "clients-ca.pem").write_bytes(authority.root.chain_pem + authority.intermediate.chain_pem)
    for page, text in (("page", "<p>fine"), ("mixed", '<script src="http://x.fix.example/a.js"></script>')):
        (folder / page).mkdir()
        for place in (folder / page / "index.html", folder / page / "app", folder / page / "api"):
            place.write_text(f"<!doctype html>{text}", encoding="utf-8")
    parameters = dh.DHParameterNumbers(OAKLEY_GROUP_2, 2).parameters()
    (folder / "dh.pem").write_bytes(parameters.parameter_bytes(Encoding.PEM, ParameterFormat.PKCS3))
    (folder / "with-dh.pem").write_bytes((folder / "fullchain.pem").read_bytes() + (folder / "dh.pem").read_bytes())
    staple = identities["staple"].staple
    assert staple is not None
    return staple


@contextlib.contextmanager
def responder() -> Iterator[tuple[str, list[bytes]]]:
    """An OCSP responder that answers every question alike."""
    answers: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the library's name
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.send_header("Content-Type", "application/ocsp-response")
            self.send_header("Content-Length", str(len(answers[0])))
            self.end_headers()
            self.wfile.write(answers[0])

        do_GET = do_POST  # noqa: N815  # the library's name

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", answers
        finally:
            server.shutdown()
            thread.join()


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
        observed = await _observe(folder, environment, connect_to)
    verdicts = evaluate(observed, {"all": environment}, {"all": _policy()}, (), datetime.now(UTC))
    found: dict[tuple[str, Kind, bool], dict[str, Status]] = {}
    order = [Status.NOT_APPLICABLE, Status.PASS, Status.INDETERMINATE, Status.FAIL]
    for item in observed:
        worst = found.setdefault(keys[item.target.endpoint.host], {})
        for verdict in verdicts[item.target.id]:
            known = worst.get(verdict.rule, Status.NOT_APPLICABLE)
            worst[verdict.rule] = max(known, verdict.status, key=order.index)
    return found


def _policy() -> policy.Policy:
    """The default, with TLS 1.3 demanded alone for the one rule that is about it."""
    default = policy.load("https-by-default")
    return dataclasses.replace(default, rules={**default.rules, "proto.no-tls1.2": PolicyRule("proto.no-tls1.2")})


async def _observe(folder: Path, environment: Environment, connect_to: dict[str, tuple[str, ...]]) -> list[Observed]:
    """Survey each site and ask it over HTTP; full handshakes are made only where nothing else tells."""
    settings = ProbeSettings(
        timeout_s=8, deadline_s=60, connect_to=connect_to, trust_stores=("mozilla", str(folder / "ca.pem"))
    )
    # The certificate by which an integration identifies the caller is judged from its file, which no server mends.
    sites = [endpoint for endpoint in environment.endpoints if not endpoint.host.startswith(CLIENT_FILE)]
    scope = frozenset(endpoint.host for endpoint in sites)
    few = asyncio.Semaphore(4)

    async def one(endpoint: Endpoint) -> Observed:
        tls_port, plain_port = (int(connect_to[f"{endpoint.host}:{port}"][0].rpartition(":")[2]) for port in (443, 80))
        target = Target(endpoint, Address("127.0.0.1", tls_port, plain_port))
        async with few:
            tls, _ = await survey(target, settings)
            if "staple" in endpoint.host:  # nginx asks the responder when it is first asked, and does not wait for it
                tls, _ = await survey(target, settings)
            page, _ = await probe_http(target, environment, settings, scope)
            if "early-data" in endpoint.host and tls.value is not None:
                more = await asyncio.to_thread(handshakes, target, settings)
                assert more.evidence.value is not None, more.evidence.failure
                tls = Attempt.ok(merge(tls.value, more.evidence.value))
        return Observed(target, TargetEvidence(datetime.now(UTC), 1.0, 1, tls=tls, http=page))

    return list(await asyncio.gather(*map(one, sites)))


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
