"""Sites that a rule finds wrong and whoever follows its advice has mended: their files, and what is seen of them."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import http.server
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import dh
from cryptography.hazmat.primitives.serialization import Encoding, ParameterFormat

from scanner import policy
from scanner.evaluate import evaluate
from scanner.evidence import Attempt, TargetEvidence, merge
from scanner.inventory import CLIENT_FILE, Address, Endpoint, Environment, Target
from scanner.lab.cases.encryption import OAKLEY_GROUP_2
from scanner.lab.certificates import CertificateAuthority, CertificateRecipe
from scanner.policy import PolicyRule
from scanner.probe import ProbeSettings
from scanner.probe.handshake.probe import observe as handshakes
from scanner.probe.http.probe import probe_http
from scanner.probe.survey.probe import survey
from scanner.rules import Observed
from scanner.verdict import Status

_ORDER = [Status.NOT_APPLICABLE, Status.PASS, Status.INDETERMINATE, Status.FAIL]


HANDSHAKEN = ("early-data", "renegotiation")
"""Words of hosts about which only a full handshake tells."""


def files(folder: Path, url: str) -> bytes:
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


def strict() -> policy.Policy:
    """The default, with TLS 1.3 demanded alone for the one rule that is about it."""
    default = policy.load("https-by-default")
    return dataclasses.replace(default, rules={**default.rules, "proto.no-tls1.2": PolicyRule("proto.no-tls1.2")})


async def observe(folder: Path, environment: Environment, connect_to: dict[str, tuple[str, ...]]) -> list[Observed]:
    """Survey each site and ask it over HTTP; full handshakes are made only where nothing else tells."""
    settings = ProbeSettings(
        timeout_s=30, deadline_s=240, connect_to=connect_to, trust_stores=("mozilla", str(folder / "ca.pem"))
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
            if any(word in endpoint.host for word in HANDSHAKEN) and tls.value is not None:
                more = await asyncio.to_thread(handshakes, target, settings)
                assert more.evidence.value is not None, more.evidence.failure
                tls = Attempt.ok(merge(tls.value, more.evidence.value))
        return Observed(target, TargetEvidence(datetime.now(UTC), 1.0, 1, tls=tls, http=page))

    return list(await asyncio.gather(*map(one, sites)))


def worst(observed: Sequence[Observed], environment: Environment) -> Mapping[str, Mapping[str, Status]]:
    """The worst status of each rule, by host."""
    name = environment.name
    verdicts = evaluate(observed, {name: environment}, {name: strict()}, (), datetime.now(UTC))
    found: dict[str, dict[str, Status]] = {}
    for item in observed:
        statuses = found.setdefault(item.target.endpoint.host, {})
        for verdict in verdicts[item.target.id]:
            known = statuses.get(verdict.rule, Status.NOT_APPLICABLE)
            statuses[verdict.rule] = max(known, verdict.status, key=_ORDER.index)
    return found
