"""ALPACA: may another protocol's server pass for this one?"""

from __future__ import annotations

from scanner.evidence import TlsEvidence
from scanner.rules.registry import (
    UNSEEN_NAMES,
    Facts,
    Finding,
    Fix,
    Parameters,
    Proof,
    fails,
    indeterminate,
    not_applicable,
    passes,
    rule,
    untried,
)
from scanner.rules.registry.listing import listing
from scanner.rules.registry.sources import attack, rfc
from scanner.verdict import Goal, Severity


@rule(
    "vuln.alpaca",
    opt_in=True,
    title="No mail or file server can pass for the web server",
    goal=Goal.AUTHENTICITY,
    severity=Severity.LOW,
    of=TlsEvidence,
    why="Where a mail or FTP server has a certificate for the web server's name, somebody on the way leads a browser's "
    "connection there: what the browser sends is stored or echoed as what it is not, and cookies with it.",
    how="The certificates of all endpoints of the run that do not speak HTTP are looked through for the name of this "
    "one. One that has it must refuse a hello that is only for HTTP (ALPN, one hello more), or names that are not its "
    "own (SNI). What is not in the run is not seen.",
    sources=(attack("ALPACA (2021)", "https://alpaca-attack.com/"), rfc(7301, "3.2"), rfc(9325, "3.8")),
    reasons={
        "no-other": passes("No endpoint of the run that does not speak HTTP has a certificate for the name."),
        "strict": passes("Other servers with a certificate for the name refuse what is meant for HTTP: {observed}."),
        "confusable": fails("Other servers with a certificate for the name take what is meant for HTTP: {observed}."),
        "unseen": indeterminate("Nobody saw the certificates of other servers, or what they refuse: {observed}."),
        "not-http": not_applicable("The endpoint does not speak HTTP."),
    },
    fix=Fix(
        "Give each service its own name and certificate, without wildcards over both; update what ends TLS for "
        "mail and files, so that it refuses protocols (ALPN) and names (SNI) that are not its own.",
        {
            "load balancer": "Bind the certificate to the names of the one service.",
        },
    ),
    mistake=untried("it takes a server that does not speak HTTP; tests/lab/test_alpaca.py shows it on some"),
    proof=Proof.SINGULAR,
)
def _alpaca(tls: TlsEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    endpoint = facts.target.endpoint
    if not endpoint.role.speaks_http or endpoint.starttls is not None:
        return [Finding("not-http")]
    expected = "no other protocol's server with a certificate for the name"
    name = endpoint.host.lower().rstrip(".")
    patterns = (name, f"*.{name.partition('.')[2]}")
    found = {other for pattern in patterns for other in facts.other_services.get(pattern, frozenset())}
    unknown = {other for other in facts.other_services.get(UNSEEN_NAMES, frozenset()) if other.takes(name) is not False}
    takes = {
        "confusable": {other.address for other in found if other.takes(name)},
        "unseen": {other.address for other in found if other.takes(name) is None} | {item.address for item in unknown},
        "strict": {other.address for other in found},
    }
    for reason, those in takes.items():
        if those:
            return [Finding(reason, listing(sorted(those)), expected)]
    return [Finding("no-other", "none", expected)]
