"""Is it the right certificate for this place: environment, addresses?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scanner.evidence import Deployment, Extension, TlsEvidence, not_run
from scanner.inventory import EnvironmentKind, Role
from scanner.rules.certificates import fixes
from scanner.rules.certificates.hostname import matches, under
from scanner.rules.certificates.leaves import CERTIFICATES_HOW
from scanner.rules.registry import (
    Facts,
    Finding,
    Parameters,
    deployments_of,
    fails,
    indeterminate,
    not_applicable,
    passes,
    rule,
    unseen_certificates,
)
from scanner.rules.registry.listing import listing
from scanner.rules.registry.sources import OUTSYSTEMS_CERTIFICATE, rfc
from scanner.verdict import Goal, Severity

if TYPE_CHECKING:
    from scanner.evidence import Certificate
    from scanner.inventory import Environment


class DomainParameters(Parameters):
    """Parameters of cert.domain."""

    default_names: tuple[str, ...] = (
        "acme co",
        "default company ltd",
        "example.com",
        "fake certificate",
        "internet widgits",
        "localhost",
        "outsystemsenterprise.com",
        "plesk",
        "snake oil",
        "snakeoil",
        "someorganization",
        "traefik default cert",
        "wmsvc",
    )
    """Words in subject, issuer or all names that betray a certificate which came with the software, in lower case."""


@rule(
    "cert.domain",
    title="The certificate is this environment's own",
    goal=Goal.AUTHENTICITY,
    severity=Severity.HIGH,
    of=Deployment,
    why="On a platform, the certificate of the provider's domain or of your own is what makes HTTPS work at all; on "
    "your own premises, a self-signed or default certificate proves nothing, and one that is shared between "
    "environments lets an attacker who breaks into test impersonate production.",
    how=CERTIFICATES_HOW + " On a platform (paas) its names are compared with the domain that contains the host, "
    "otherwise with the custom domain: the domain itself, a wildcard over it, or this host's name under it. Where "
    "the host is "
    "the domain, a wildcard over it is not enough. On premises it is compared with those served in the "
    "other environments of the same run, and its names with those of well-known default certificates.",
    sources=(OUTSYSTEMS_CERTIFICATE, rfc(9525, "6.3")),
    reasons={
        "covers-domain": passes("The certificate covers {expected}."),
        "other-domain": fails("The certificate does not cover {expected}, but is for {observed}."),
        "own": passes("The certificate was acquired only for this environment."),
        "self-signed": fails("The certificate is self-signed, so it was not acquired from a CA."),
        "default": fails("The certificate came with the software: {observed}."),
        "shared": fails("The certificate is shared with other environments: {observed}."),
        "unreadable": indeterminate("The subjectAltName of the certificate is malformed, so its names are not known."),
        "no-domain": not_applicable("The environment has no domain configured."),
        "not-the-front-end": not_applicable("The endpoint is not a web front end of the environment."),
    },
    fix=fixes.DOMAIN,
    mistake=fixes.SELF_SIGNED,
    parameters=DomainParameters,
)
def _domain(deployment: Deployment, facts: Facts, parameters: DomainParameters) -> list[Finding]:
    if facts.environment.kind is EnvironmentKind.PAAS:
        return [_judge_platform(deployment, facts)]
    leaf = deployment.leaf
    expected = "an acquired certificate of only this environment"
    if leaf.self_signed:
        return [Finding("self-signed", leaf.subject, expected)]
    if found := _default_names(leaf, parameters.default_names, facts.target.endpoint.host):
        return [Finding("default", listing(found), expected)]
    others = facts.certificate_users.get(leaf.fingerprint, frozenset()) - {facts.environment.name}
    if others:
        return [Finding("shared", listing(sorted(others)), expected)]
    return [Finding("own", leaf.subject, expected)]


def _default_names(leaf: Certificate, words: tuple[str, ...], host: str) -> list[str]:
    """The words that betray a default certificate: in subject or issuer, or in every name that it is for."""
    text = f"{leaf.subject}\n{leaf.issuer}".lower()
    names = [name.lower() for name in leaf.dns_names]
    return [
        word
        for word in words
        if word not in host and (_stands_in(word, text) or (names and all(_stands_in(word, name) for name in names)))
    ]


def _stands_in(word: str, text: str) -> bool:
    """Whether it stands there as a word of its own, not as the end of a longer name."""
    return re.search(rf"(?<![a-z0-9-]){re.escape(word)}(?![a-z0-9-])", text) is not None


def _judge_platform(deployment: Deployment, facts: Facts) -> Finding:
    endpoint, environment = facts.target.endpoint, facts.environment
    if endpoint.role is Role.SERVER:
        return Finding("not-the-front-end")
    domain = _own_domain(environment, endpoint.host)
    if domain is None:
        return Finding("no-domain")
    if deployment.leaf.unreadable(Extension.SUBJECT_ALT_NAME):
        return Finding("unreadable", "a malformed subjectAltName", domain)
    names = deployment.leaf.dns_names
    if any(_covers_domain(name, domain, endpoint.host) for name in names):
        return Finding("covers-domain", listing(names), domain)
    return Finding("other-domain", listing(names) or "no name", domain)


def _own_domain(environment: Environment, host: str) -> str | None:
    """The domain that a host is judged by: the one that it lies under most narrowly, else the custom one, if any.

    The provider's own name goes on answering beside a custom domain, with the provider's certificate.
    """
    own = [domain for domain in environment.domains.values() if under(host, domain)]
    return max(own, key=len, default=environment.custom_domain or environment.default_domain)


def _covers_domain(name: str, domain: str, host: str) -> bool:
    """Whether an entry covers the domain: as itself, or in the way in which it concerns this host.

    A wildcard over the domain covers the hosts under it, and not the domain where that is the host; and one right below
    the top of the DNS covers nothing, as no client takes it.
    """
    return matches(name, domain) or matches(name, host if under(host, domain) else f"any.{domain}")


@rule(
    "cert.same-on-all-addresses",
    title="Every address presents the same certificate",
    goal=Goal.AUTHENTICITY,
    severity=Severity.MEDIUM,
    of=TlsEvidence,
    why="A node that was missed at the last renewal fails for some visitors, but not for others, on the day its old "
    "certificate expires.",
    how=CERTIFICATES_HOW + " The certificates of every address of the name are compared.",
    sources=(rfc(9325, "3.9"),),
    reasons={
        "same": passes("Every address presents the same certificate."),
        "different": fails("Other addresses present a different certificate: {observed}."),
        "one-address": not_applicable("The name has one address."),
        "not-all-seen": indeterminate("The certificate of other addresses could not be observed: {observed}."),
    },
    fix=fixes.SAME,
    mistake=fixes.ONE_NODE,
)
def _same(tls: TlsEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    ours = deployments_of(facts)
    if isinstance(ours, Finding):
        return [ours]
    if not facts.siblings:
        return [Finding("one-address")]
    own = {item.leaf.fingerprint for item in ours}
    gap = unseen_certificates(facts)
    expected = listing(sorted(item.leaf.short_fingerprint for item in ours))
    different: list[str] = []
    unseen: list[str] = []
    for other in facts.siblings:
        sent = other.evidence.tls.value.certificates if other.evidence.tls.value else not_run()
        theirs = {item.leaf.fingerprint: item.leaf for item in sent.value or () if item.with_sni}
        whole = bool(theirs) and sent.cut_off is None
        # What one address is not known to present, it may present all the same.
        if (not gap and theirs.keys() - own) or (whole and own - theirs.keys()):
            shown = listing(sorted(leaf.short_fingerprint for leaf in theirs.values()))
            different.append(f"{other.target.ip}: {shown}")
        elif not whole:
            unseen.append(str(other.target.ip))
    if different:
        return [Finding("different", listing(different), expected)]
    if unseen:
        return [Finding("not-all-seen", listing(unseen), expected)]
    return gap or [Finding("same", expected, expected)]
