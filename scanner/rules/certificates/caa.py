"""Do the CAA records of the name allow who issued its certificate?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from scanner.evidence import Deployment
from scanner.rules.certificates import fixes
from scanner.rules.certificates.caa_identifiers import AS_OF, IDENTIFIERS
from scanner.rules.registry import (
    Facts,
    Finding,
    Parameters,
    fails,
    indeterminate,
    not_applicable,
    not_observed,
    passes,
    rule,
)
from scanner.rules.registry.listing import listing
from scanner.rules.registry.sources import rfc
from scanner.verdict import Goal, Severity

if TYPE_CHECKING:
    from scanner.evidence import CaaRecord, Certificate

_KNOWN_TAGS: Final = frozenset({"issue", "issuewild", "iodef", "issuemail", "issuevmc", "contactemail", "contactphone"})
_DOMAIN: Final = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)
_PARAMETER: Final = re.compile(r"\s*[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\s*=\s*[\x21-\x3a\x3c-\x7e]*\s*")
_ORGANISATION: Final = re.compile(r"(?:^|(?<!\\),)O=((?:\\.|[^,\\])*)")


class CaaParameters(Parameters):
    """Parameters of dns.caa."""

    identifiers: Mapping[str, tuple[str, ...]] = {}
    """Domains in CAA records that are those of an issuer which is not known here, by its organisation (O)."""


@rule(
    "dns.caa",
    title="A CAA record allows the issuer",
    goal=Goal.AUTHENTICITY,
    severity=Severity.INFO,
    of=Deployment,
    why="Without CAA any of a hundred CAs may issue a certificate for the name; with it, all but those named must not.",
    how="The CAA records of the name, or of the nearest ancestor that has any, are looked up. Wildcards in the "
    "certificate are judged by issuewild where there is one, other names by issue; a critical property that is not "
    "known and a malformed value forbid every CA. Which domains are a CA's is told by the organisation that stands in "
    f"the issuer's name, as of {AS_OF:%B %Y}; whether it kept to an account or method of validation cannot be seen. "
    "Certificates of a private CA are left out.",
    sources=(rfc(8659, "3"), rfc(8659, "4"), rfc(8657, "3")),
    reasons={
        "allows": passes("The CAA records allow the issuer: {observed}."),
        "no-record": fails("There is no CAA record, so any CA may issue a certificate for the name."),
        "other-issuer": fails("The CAA records do not allow the issuer of the certificate: {observed}."),
        "critical-unknown": fails(
            "A CAA record is critical and of a kind that no CA knows, so none may issue a certificate any more: "
            "{observed}."
        ),
        "unknown-issuer": indeterminate(
            "Whether the CAA records mean the certificate's issuer is not known: {observed}."
        ),
        "private-ca": not_applicable("The certificate is of a private CA, which CAA does not bind."),
        "address": not_applicable("The host is an address, which has no CAA records."),
    },
    fix=fixes.CAA,
    parameters=CaaParameters,
)
def _caa(deployment: Deployment, facts: Facts, parameters: CaaParameters) -> list[Finding]:
    if facts.target.endpoint.is_address:
        return [Finding("address")]
    if deployment.publicly_trusted is False:
        return [Finding("private-ca")]
    dns = facts.evidence.dns.value
    caa = dns.caa if dns else facts.evidence.dns
    if dns is None or dns.caa.value is None or caa.cut_off is not None:
        return [not_observed(caa.cut_off)]
    return [_judge(dns.caa.value, deployment.leaf, parameters)]


def _judge(records: tuple[CaaRecord, ...], leaf: Certificate, parameters: CaaParameters) -> Finding:
    expected = f"a record that names {leaf.issuer}"
    if unknown := [item for item in records if item.critical and item.tag.lower() not in _KNOWN_TAGS]:
        return Finding("critical-unknown", listing(item.tag for item in unknown), expected)
    issue = [item for item in records if item.tag.lower() == "issue"]
    wild = [item for item in records if item.tag.lower() == "issuewild"] or issue
    wildcards = [name for name in leaf.dns_names if name.startswith("*.")]
    binding = [*([wild] if wildcards else []), *([issue] if len(wildcards) < len(leaf.dns_names) else [])]
    if not any(binding):
        return Finding("no-record", "no CAA record that restricts issuing", expected)
    observed = listing(dict.fromkeys(_told(item) for group in binding for item in group)) or "none is allowed"
    known = _identifiers(leaf.issuer, parameters.identifiers)
    allowed = [_allowed(group, known) for group in binding if group]
    if False in allowed:
        return Finding("other-issuer", observed, expected)
    return Finding("unknown-issuer" if None in allowed else "allows", observed, expected)


def _allowed(records: Iterable[CaaRecord], known: frozenset[str] | None) -> bool | None:
    """Whether one of the records names the issuer; None where its domains are not known and any is named."""
    domains = {domain for item in records if (domain := _domain(item.value))}
    if not domains:
        return False
    return None if known is None else bool(domains & known)


def _domain(value: str) -> str | None:
    """The domain of an issuer in the value of a property; None where it names nobody, or is malformed."""
    domain, _, parameters = value.partition(";")
    name = domain.strip(" \t").lower()
    well_formed = all(_PARAMETER.fullmatch(item) for item in parameters.split(";") if item.strip())
    return name if well_formed and _DOMAIN.fullmatch(name) else None


def _told(record: CaaRecord) -> str:
    """A record in words, with the account and the methods of validation that it binds to (RFC 8657)."""
    domain = _domain(record.value)
    if domain is None:
        return f"{record.tag} {record.value or ';'} (nobody)"
    parameters = [item.strip() for item in record.value.partition(";")[2].split(";") if item.strip()]
    return f"{domain} ({', '.join(parameters)})" if parameters else domain


def _identifiers(issuer: str, others: Mapping[str, tuple[str, ...]]) -> frozenset[str] | None:
    """The domains of an issuer, by the organisation in its name; None where it is not known."""
    found = _ORGANISATION.search(issuer)
    if found is None:
        return None
    organisation = re.sub(r"\\(.)", r"\1", found[1]).strip().lower()
    own = {name.strip().lower(): domains for name, domains in others.items()}
    domains = own.get(organisation) or IDENTIFIERS.get(organisation)
    return None if domains is None else frozenset(domain.lower() for domain in domains)
