"""Attacks on what HTTP does beside TLS: it compresses what an attacker writes, or switches to TLS on a plain port."""

from __future__ import annotations

from scanner.evidence import FailureReason, HttpProbe, Purpose, TlsEvidence
from scanner.rules.https.answers import host_of, unseen_answers
from scanner.rules.registry import (
    Facts,
    Finding,
    Fix,
    Parameters,
    Proof,
    fails,
    not_applicable,
    not_observed,
    passes,
    rule,
    unproven,
    untried,
)
from scanner.rules.registry.judged import NOT_HTTP, http_of
from scanner.rules.registry.listing import listing
from scanner.rules.registry.sources import attack, rfc
from scanner.verdict import Goal, Severity


@rule(
    "vuln.breach",
    opt_in=True,
    title="No compressed page gives back what its address says",
    goal=Goal.ENCRYPTION,
    severity=Severity.INFO,
    of=TlsEvidence,
    why="Where a page is compressed, holds a secret and repeats what the address says, its length tells how much of "
    "the secret an attacker has guessed.",
    how="Each page that was answered over HTTPS, at most four, is asked for once more with a word in a parameter that "
    "no application has, and with leave to compress (gzip, deflate): the word must not come back in a compressed page. "
    "A note: whether the page holds a secret, and what other parameters do, is not seen.",
    sources=(attack("BREACH (CVE-2013-3587)", "https://www.breachattack.com/"),),
    reasons={
        "not-compressed": passes("Pages are not compressed."),
        "not-echoed": passes("Compressed pages do not give back what their address says."),
        "echoed": fails("Compressed pages give back what their address says: {observed}."),
        "no-page": not_applicable("No page was answered over HTTPS."),
        **NOT_HTTP,
    },
    fix=Fix(
        "Do not compress pages that hold secrets and repeat what a request says; mask the secrets again for each "
        "answer (CSRF tokens), and have cookies SameSite.",
        {
            "nginx": "gzip off;",
            "apache": "SetEnv no-gzip 1",
            "haproxy": "# remove compression algo from the backend of such pages",
            "iis": '<urlCompression doDynamicCompression="false" />',
        },
    ),
    mistake=untried("it takes a page that repeats its address; tests/lab/test_breach.py shows it on nginx"),
)
def _breach(tls: TlsEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    http, expected = http_of(facts), "no such page"
    if isinstance(http, Finding):
        return [http]
    echoes = http.echoes.value
    if echoes is None:
        return [not_observed(http.echoes.failure)]
    if found := [echo for echo in echoes if echo.coding and echo.echoed]:
        return [Finding("echoed", listing(f"{echo.url} ({echo.coding})" for echo in found), expected)]
    if gap := http.echoes.incomplete or facts.evidence.http.incomplete:
        return [not_observed(gap)]
    host = facts.target.endpoint.host
    if unseen := unseen_answers(facts.evidence.http, lambda probe, hop: _is_page(probe) and host_of(hop.url) == host):
        return [unseen]
    if not echoes:
        return [Finding("no-page")]
    reason = "not-echoed" if any(echo.coding for echo in echoes) else "not-compressed"
    return [Finding(reason, f"{len(echoes)} asked", expected)]


def _is_page(probe: HttpProbe) -> bool:
    return probe.scheme == "https" and probe.purpose is not Purpose.INTEGRATION


@rule(
    "vuln.opossum",
    opt_in=True,
    title="Plain HTTP is not upgraded to TLS",
    goal=Goal.INTEGRITY,
    severity=Severity.MEDIUM,
    of=TlsEvidence,
    why="A port that switches to TLS within a connection (RFC 2817) lets somebody on the way send a request of his "
    "own first, and join a browser's connection to it: answers are then one request behind, and the browser takes one "
    "page for another.",
    how="A request for / in plain, with `Upgrade: TLS/1.2, TLS/1.0`. It counts if the answer is 101 and TLS begins "
    "after it. One connection.",
    sources=(attack("Opossum (CVE-2025-49812)", "https://opossum-attack.com/"), rfc(2817, "3")),
    reasons={
        "not-upgraded": passes("A request to switch to TLS is not followed."),
        "upgraded": fails("Plain HTTP switches to TLS when it is asked to."),
        "no-plain-http": not_applicable("There is no port of plain HTTP to ask."),
        "closed": passes("The port of plain HTTP takes no connections."),
    },
    fix=Fix(
        "Switch the upgrade off, or update: Apache httpd 2.4.64 and newer have it no more.",
        {"apache": "# SSLEngine optional no more: redirect to HTTPS\nSSLEngine off"},
    ),
    mistake=untried(
        "nginx never had it, and httpd 2.4.64 removed it; tests/lab/test_opossum.py shows it on a server that has it"
    ),
    proof=Proof.SINGULAR,
)
def _opossum(tls: TlsEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    endpoint, plain = facts.target.endpoint, facts.evidence.plain
    if not endpoint.role.speaks_http or endpoint.starttls is not None or endpoint.http_port is None:
        return [Finding("no-plain-http")]
    expected = "no answer 101"
    if plain.value is None:
        return [not_observed(plain.failure)]
    failure = plain.value.upgrade.failure
    if failure is not None and failure.reason is FailureReason.REFUSED:
        return [Finding("closed", "refused", expected)]
    if unknown := unproven(plain.value.upgrade, good=False):
        return [unknown]
    if plain.value.upgrade.value:
        return [Finding("upgraded", "101, and TLS after it", expected)]
    return [Finding("not-upgraded", expected, expected)]
