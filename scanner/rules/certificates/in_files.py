"""Certificates in files: which rules judge them, and those that judge nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scanner.evidence import Deployment, Extension
from scanner.rules.certificates import fixes
from scanner.rules.certificates.hostname import covers
from scanner.rules.registry import (
    Facts,
    Finding,
    Parameters,
    fails,
    indeterminate,
    not_applicable,
    passes,
    rule,
    untried,
)
from scanner.rules.registry.listing import listing
from scanner.rules.registry.sources import rfc
from scanner.verdict import Goal, Severity, Source

if TYPE_CHECKING:
    from scanner.inventory import Endpoint

_CLIENT_AUTH: Final = "1.3.6.1.5.5.7.3.2"
_ANY_USAGE: Final = "2.5.29.37.0"
_OF_ANY_FILE: Final = frozenset({
    "cert.valid-now", "cert.expiry", "cert.chain-expiry", "cert.key", "cert.signature", "cert.weak-key",
    "cert.revocation",
})  # fmt: skip
_OF_FILES: Final = _OF_ANY_FILE | {"cert.trusted", "cert.served"}
_OF_CLIENTS: Final = _OF_ANY_FILE | {"cert.client-purpose"}
_OF_FILES_ALONE: Final = frozenset({"cert.served", "cert.client-purpose"})
_CHROME_ROOTS: Final = Source(
    "Chrome Root Program Policy",
    "Dedicated TLS Server Authentication PKI Hierarchies",
    url="https://googlechrome.github.io/chromerootprogram/",
)


def is_asked_of(rule_id: str, endpoint: Endpoint) -> bool:
    """Whether a rule judges what an endpoint is: a port, a file of a server's, or of a client's certificate."""
    if not endpoint.is_file:
        return rule_id not in _OF_FILES_ALONE
    return rule_id in (_OF_CLIENTS if endpoint.is_client_file else _OF_FILES)


@rule(
    "cert.served",
    title="A certificate in a file is the one that servers present",
    goal=Goal.AUTHENTICITY,
    severity=Severity.MEDIUM,
    of=Deployment,
    why="A server that has not reloaded a renewed file presents the old certificate until it expires; a certificate "
    "that no server presents is easily forgotten, along with its key.",
    how="For each certificate in the files of [[environment.certificate]], it is checked whether a server scanned in "
    "the same run presents it; if none does, whether servers with its names present another one.",
    sources=(rfc(9525, "6.3"),),
    reasons={
        "served": passes("A server presents the certificate: {observed}."),
        "another-served": fails("Servers with its names present another certificate: {observed}."),
        "unused": fails("No server that was scanned presents the certificate."),
        "unreadable": indeterminate("The subjectAltName of the certificate is malformed, so its names are not known."),
        "not-a-servers": not_applicable("The certificate is a CA certificate, which no server presents as its own."),
    },
    fix=fixes.SERVED,
    mistake=untried("it takes a file and a server that read it before; tests/lab/test_certificate_files.py shows it"),
)
def _served(deployment: Deployment, facts: Facts, parameters: Parameters) -> list[Finding]:
    leaf = deployment.leaf
    expected = "a server that presents it"
    if leaf.is_ca:
        return [Finding("not-a-servers")]
    hosts = facts.served
    here = sorted(host for host, found in hosts.items() if leaf.fingerprint in found)
    if here:
        return [Finding("served", listing(here), expected)]
    if leaf.unreadable(Extension.SUBJECT_ALT_NAME):
        return [Finding("unreadable")]
    others = sorted(host for host in hosts if covers(leaf, host))
    if others:
        return [Finding("another-served", listing(others), expected)]
    return [Finding("unused", "nobody", expected, severity=Severity.INFO)]


@rule(
    "cert.client-purpose",
    title="A client certificate permits client authentication",
    goal=Goal.AUTHENTICITY,
    severity=Severity.MEDIUM,
    of=Deployment,
    why="Servers reject a client certificate that permits only server authentication. Public CAs have issued no other "
    "kind since June 2026, so a certificate that permits both cannot be renewed as it is.",
    how="The extended key usage of the certificate named by client_certificate is read; its path shows whether a "
    "public CA issued it.",
    sources=(rfc(5280, "4.2.1.12"), _CHROME_ROOTS),
    reasons={
        "for-clients": passes("The certificate permits client authentication."),
        "not-for-clients": fails("The certificate does not permit client authentication, only {observed}."),
        "public-ca": fails(
            "The certificate is from a public CA, and public CAs no longer issue certificates for clients."
        ),
        "issuer-unknown": indeterminate("Whether the certificate is from a public or a private CA was not checked."),
        "unreadable": indeterminate("The extended key usage of the certificate is malformed."),
    },
    fix=fixes.CLIENT_CERTIFICATE,
    mistake=untried("what a certificate is for is in it; the advice is another certificate"),
)
def _client_purpose(deployment: Deployment, facts: Facts, parameters: Parameters) -> list[Finding]:
    leaf = deployment.leaf
    expected = "clientAuth, from a CA that still issues it"
    if leaf.unreadable(Extension.EXTENDED_KEY_USAGE):
        return [Finding("unreadable")]
    usages = set(leaf.extended_key_usage)
    if usages and not usages & {_CLIENT_AUTH, _ANY_USAGE}:
        return [Finding("not-for-clients", listing(leaf.purposes), expected)]
    if deployment.publicly_trusted:
        return [Finding("public-ca", leaf.issuer, expected, severity=Severity.LOW)]
    if deployment.publicly_trusted is None:
        return [Finding("issuer-unknown")]
    return [Finding("for-clients", listing(leaf.purposes) or "everything", expected)]
