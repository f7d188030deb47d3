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
from scanner.inventory import Address, Endpoint, Environment, EnvironmentKind, Target
from scanner.lab.cases.encryption import OAKLEY_GROUP_2
from scanner.lab.certificates import CertificateAuthority, CertificateRecipe
from scanner.policy import PolicyRule
from scanner.probe import ProbeSettings
from scanner.probe.handshake.probe import observe as handshakes
from scanner.probe.http.probe import probe_http
from scanner.probe.survey.probe import survey
from scanner.rules import Facts, Observed, all_rules
from scanner.verdict import Status
from tests.build.fix_servers import Ports, apache, apache_site, free_ports, mended, nginx, nginx_site
from tests.build.servers import node

Kind = Literal["nginx", "apache"]
_SERVED = {
    "nginx": "server {\nlisten 80;\nserver_name x;\nlocation / { return 200 '<!doctype html><p>fine'; }\n}",
    "apache": "<VirtualHost *:80>\n    DocumentRoot FOLDER/page\n</VirtualHost>",
}
_TEMPORARY = {
    "nginx": "server {\nlisten 80;\nserver_name x;\nreturn 302 https://$host$request_uri;\n}",
    "apache": "<VirtualHost *:80>\n    ServerName www.example.com\n    Redirect / https://www.example.com/\n</VirtualHost>",
}
_MOVED = all_rules()["https.redirect"].fix.servers
_DHE = "DHE+AESGCM:ECDHE+AESGCM:@SECLEVEL=0"
_BAD_SUITES = "ECDHE+AESGCM:AES128-GCM-SHA256:ECDHE-RSA-AES128-SHA:AES128-SHA:NULL-MD5:AECDH-AES128-SHA:@SECLEVEL=0"


@dataclass(frozen=True)
class Mistake:
    """Directives that are wrong, the rules that must find them wrong, and what the owners demand.

    All the rules have the same advice. `plain` is what answers plain HTTP; where the advice is about that, it is put in
    its place. `certificate` names the one that is served.
    """

    rules: str
    nginx: str | None = None
    apache: str | None = None
    plain: Mapping[str, str] = dataclasses.field(default_factory=lambda: _MOVED)
    certificate: str = ""
    application: str = 'kind = "traditional-web"'
    role: str = "application"

    @property
    def name(self) -> str:
        return self.rules.split()[0]


def _certificate(name: str) -> dict[Kind, str]:
    nginx_text = f"ssl_certificate FOLDER/{name}.pem;\nssl_certificate_key FOLDER/{name}.key;"
    return {
        "nginx": f"{nginx_text}\nssl_ciphers ECDHE+AESGCM:@SECLEVEL=0;",
        "apache": f"SSLCertificateFile FOLDER/{name}.pem\nSSLCertificateKeyFile FOLDER/{name}.key",
    }


MISTAKES = (
    Mistake(
        "proto.no-tls1.0 proto.no-tls1.1 proto.tls1.3 vuln.beast",
        "ssl_protocols TLSv1 TLSv1.1 TLSv1.2;\nssl_ciphers ALL:@SECLEVEL=0;",
        "SSLProtocol -all +TLSv1 +TLSv1.1 +TLSv1.2\nSSLCipherSuite ALL:@SECLEVEL=0",
    ),
    Mistake("proto.tls1.2", "ssl_protocols TLSv1.3;", "SSLProtocol -all +TLSv1.3"),
    Mistake("proto.no-tls1.2", "ssl_protocols TLSv1.2 TLSv1.3;", "SSLProtocol -all +TLSv1.2 +TLSv1.3"),
    Mistake(
        "cipher.no-null cipher.no-anonymous cipher.forward-secrecy cipher.allowed integrity.aead "
        "integrity.no-weak-mac integrity.encrypt-then-mac",
        f"ssl_protocols TLSv1.2;\nssl_ciphers {_BAD_SUITES};\nssl_conf_command Options -EncryptThenMac;",
        f"SSLProtocol -all +TLSv1.2\nSSLCipherSuite {_BAD_SUITES}\nSSLOpenSSLConfCmd Options -EncryptThenMac",
    ),
    Mistake("cipher.server-preference", "ssl_prefer_server_ciphers off;", "SSLHonorCipherOrder off"),
    Mistake(
        "kex.allowed-groups kex.min-ec-bits",
        "ssl_ecdh_curve prime192v1:prime256v1;\nssl_ciphers ECDHE+AESGCM:@SECLEVEL=0;\nssl_protocols TLSv1.2;",
        "SSLOpenSSLConfCmd Groups prime192v1:prime256v1\nSSLCipherSuite ECDHE+AESGCM:@SECLEVEL=0\nSSLProtocol -all +TLSv1.2",
    ),
    Mistake(
        "kex.min-dh-bits vuln.logjam",
        f"ssl_ciphers {_DHE};\nssl_dhparam FOLDER/dh.pem;",
        # httpd reads them from the end of the certificate's file.
        f"SSLCipherSuite {_DHE}\nSSLCertificateFile FOLDER/with-dh.pem",
    ),
    Mistake(
        "integrity.signature-algorithms",
        "ssl_conf_command SignatureAlgorithms RSA+SHA1;\nssl_ciphers ECDHE+AESGCM:@SECLEVEL=0;\nssl_protocols TLSv1.2;",
        "SSLOpenSSLConfCmd SignatureAlgorithms RSA+SHA1\nSSLCipherSuite ECDHE+AESGCM:@SECLEVEL=0\nSSLProtocol -all +TLSv1.2",
    ),
    Mistake(
        "integrity.no-early-data",
        "ssl_protocols TLSv1.2 TLSv1.3;\nssl_early_data on;\nssl_session_cache shared:fix:1m;",
    ),
    Mistake("cert.trusted cert.domain", **_certificate("self-signed")),
    Mistake("cert.hostname cert.valid-now cert.expiry cert.chain-complete", **_certificate("old")),
    Mistake("cert.key", **_certificate("short")),
    Mistake("cert.chain-order", **_certificate("reversed")),
    Mistake(
        "cert.stapled cert.must-staple",
        "ssl_certificate FOLDER/staple.pem;\nssl_certificate_key FOLDER/staple.key;",
        "SSLCertificateFile FOLDER/staple.pem\nSSLCertificateKeyFile FOLDER/staple.key",
    ),
    Mistake(
        "https.active",
        "listen 443;",
        "<VirtualHost *:443>\n    DocumentRoot FOLDER/page\n</VirtualHost>",
    ),
    Mistake(
        "https.redirect https.always https.path https.console",
        "",
        "",
        plain=_SERVED,
        application='kind = "mobile-backend"\npaths = [ { path = "/app" } ]',
        role="monitoring",
    ),
    Mistake("https.redirect-permanent", "", "", plain=_TEMPORARY),
    Mistake(
        "https.integration",
        "",
        "",
        plain=_SERVED,
        application='kind = "service"\nintegrations = [ { path = "/api", kind = "rest" } ]',
    ),
    Mistake("https.hsts", "add_header X-Frame-Options DENY;", 'Header always set X-Frame-Options "DENY"'),
    Mistake(
        "https.hsts-max-age https.hsts-subdomains",
        'add_header Strict-Transport-Security "max-age=86400" always;',
        'Header always set Strict-Transport-Security "max-age=86400"',
    ),
    Mistake(
        "https.hsts-preload",
        'add_header Strict-Transport-Security "max-age=31536000; includeSubDomains" always;',
        'Header always set Strict-Transport-Security "max-age=31536000; includeSubDomains"',
    ),
    Mistake(
        "https.no-downgrade",
        "location / { return 200 '<!doctype html><script src=\"http://$host/a.js\"></script>'; }",
        "DocumentRoot FOLDER/mixed",
    ),
    Mistake(
        "https.secure-cookies",
        "location / { proxy_pass http://127.0.0.1:BACKEND; }",
        "ProxyPass / http://127.0.0.1:BACKEND/",
    ),
    Mistake(
        "https.client-certificate",
        "ssl_verify_client off;",
        "SSLVerifyClient none",
        application='kind = "traditional-web"\nhttps = "tls-client-certificate"\n'
        'client_certificate = { cert = "client.pem", key = "client.key" }',
    ),
)

_NO_LIBRARY = "the mistake needs a library that has what OpenSSL 3 has no more; the advice is that of "
_NO_CODE = "the mistake is a defect of an old library, which no directive brings back; the advice is that of "
LEFT_OUT = {
    "proto.no-ssl2": f"{_NO_LIBRARY}proto.no-tls1.0",
    "proto.no-ssl3": f"{_NO_LIBRARY}proto.no-tls1.0",
    "vuln.poodle": f"{_NO_LIBRARY}proto.no-tls1.0",
    "vuln.drown": f"{_NO_LIBRARY}proto.no-tls1.0",
    "cipher.no-export": f"{_NO_LIBRARY}cipher.allowed",
    "cipher.no-rc4": f"{_NO_LIBRARY}cipher.allowed",
    "cipher.no-64bit-block": f"{_NO_LIBRARY}cipher.allowed",
    "vuln.sweet32": f"{_NO_LIBRARY}cipher.allowed",
    "vuln.freak": f"{_NO_LIBRARY}cipher.allowed",
    "vuln.robot": f"{_NO_CODE}cipher.allowed",
    "integrity.fallback-scsv": f"{_NO_CODE}proto.no-tls1.0",
    "cert.same-on-all-addresses": "it takes two nodes; the advice is that of cert.chain-complete",
    "cert.revocation": "the advice is a new certificate, installed as that of cert.trusted",
    "cert.transparency": "the same, and only public CAs are judged",
    "comp.none": "OpenSSL 3 of Debian has no compression; nginx has no directive for it",
    "vuln.crime": "the same",
    "integrity.secure-renegotiation": "OpenSSL 3 has it always; nginx has no directive for it",
    "vuln.renegotiation-dos": "nginx and Apache httpd have refused renegotiation by the client for ten years",
    "kex.post-quantum": "its group needs OpenSSL 3.5, which neither is linked to here; it is shown with Node.js",
}
"""Rules whose advice for nginx or Apache is not tried on them, and why. No test stands for them in silence."""

_NEVER = "httpd adds !aNULL:!eNULL to whatever is configured, so the mistake cannot be made"
LEFT_OUT_ON_APACHE = {"cipher.no-null": _NEVER, "cipher.no-anonymous": _NEVER, "integrity.no-weak-mac": _NEVER}
"""Rules whose advice is tried on nginx alone, and why."""


def _kinds(mistake: Mistake) -> tuple[Kind, ...]:
    return tuple(kind for kind in ("nginx", "apache") if getattr(mistake, kind) is not None)


_TRIED = [
    (item, kind, rule_id)
    for item in MISTAKES
    for kind in _kinds(item)
    for rule_id in item.rules.split()
    if not (kind == "apache" and rule_id in LEFT_OUT_ON_APACHE)
]


def test_every_advice_for_nginx_and_apache_is_tried_or_said_why_not() -> None:
    tried = {(rule_id, kind) for _, kind, rule_id in _TRIED}
    advised = {
        (rule.id, kind) for rule in all_rules().values() for kind in ("nginx", "apache") if kind in rule.fix.servers
    }

    assert tried <= advised
    left = {(rule_id, kind) for rule_id, kind in advised if rule_id in LEFT_OUT}
    assert advised - tried == left | {(rule_id, "apache") for rule_id in LEFT_OUT_ON_APACHE}
    assert {rule_id for rule_id, _ in left} == set(LEFT_OUT)


def test_what_is_left_out_for_having_the_advice_of_another_rule_has_it() -> None:
    rules = all_rules()
    for rule_id, reason in LEFT_OUT.items():
        other = reason.rpartition(" ")[2]
        if other in rules:
            for kind in ("nginx", "apache"):
                assert rules[rule_id].fix.servers[kind] == rules[other].fix.servers[kind], rule_id


def test_rules_without_advice_for_nginx_and_apache_have_it_elsewhere() -> None:
    elsewhere = {"dns.caa", "https.node-consistency"}  # the DNS; every server alike
    without = {rule.id for rule in all_rules().values() if not {"nginx", "apache"} <= set(rule.fix.servers)}
    made_by_the_ca = {"cert.lifetime", "cert.renewal-ready", "cert.signature", "cert.usage"}
    by_update = {"vuln.heartbleed", "vuln.ccs-injection", "integrity.extended-master-secret"}
    no_such_switch = {"integrity.no-early-data"}  # Apache httpd has no early data
    assert without == elsewhere | made_by_the_ca | by_update | no_such_switch


def advice(mistake: Mistake, kind: Kind) -> str:
    """The advice of the mistake's rules, which is one."""
    (text,) = {all_rules()[rule_id].fix.servers[kind] for rule_id in mistake.rules.split()}
    return text


def blocks(mistake: Mistake, kind: Kind, *, fixed: bool) -> tuple[str, str]:
    """The directives of the secure site and the whole plain one, before or after the advice is followed."""
    secure, plain = getattr(mistake, kind), mistake.plain[kind]
    if not fixed:
        return secure, plain
    text = advice(mistake, kind)
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
    states = [(item, fixed) for item in MISTAKES if kind in _kinds(item) for fixed in (False, True)]
    ports = free_ports(2 * len(states) + 1)
    backend = ports.pop()
    sites, connect_to, keys = [], {}, {}
    text = '[[environment]]\nname = "all"\nkind = "on-premises"\n'
    for number, (item, fixed) in enumerate(states):
        host = f"{item.name.replace('.', '-')}-{'fixed' if fixed else 'wrong'}-{kind}.fix.example"
        here = Ports(ports[2 * number], ports[2 * number + 1], backend)
        secure, plain = (text.replace("FOLDER", str(folder)) for text in blocks(item, kind, fixed=fixed))
        sites.append((nginx_site if kind == "nginx" else apache_site)(folder, host, here, secure, plain))
        connect_to |= {f"{host}:443": (f"127.0.0.1:{here.tls}",), f"{host}:80": (f"127.0.0.1:{here.plain}",)}
        text += f'[[environment.endpoint]]\nhost = "{host}"\nrole = "{item.role}"\n'
        text += f'[[environment.application]]\nname = "{host}"\nhost = "{host}"\n{item.application}\n'
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
        timeout_s=3, deadline_s=30, connect_to=connect_to, trust_stores=("mozilla", str(folder / "ca.pem"))
    )
    scope = frozenset(endpoint.host for endpoint in environment.endpoints)
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

    return list(await asyncio.gather(*map(one, environment.endpoints)))


@pytest.mark.xdist_group("rule-fixes")
@pytest.mark.parametrize(("mistake", "kind", "rule_id"), _TRIED, ids=[f"{rule}-{kind}" for _, kind, rule in _TRIED])
def test_the_advice_mends_it(statuses: Statuses, mistake: Mistake, kind: Kind, rule_id: str) -> None:
    before, after = (statuses[mistake.name, kind, fixed][rule_id] for fixed in (False, True))

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
        tls, _ = asyncio.run(survey(target, ProbeSettings(timeout_s=3, deadline_s=20)))
        process.terminate()
    evidence = TargetEvidence(datetime.now(UTC), 1.0, 1, tls=tls)
    rule = all_rules()["kex.post-quantum"]
    facts = Facts(target, Environment("e", EnvironmentKind.ON_PREMISES), evidence, datetime.now(UTC))

    assert [rule.reasons[finding.reason].status for finding in rule.check(facts, rule.parameters())] == [status]
