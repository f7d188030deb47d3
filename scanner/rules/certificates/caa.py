"""Do the CAA records of the name allow who issued its certificate?"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from msgspec import Struct, structs

from scanner.evidence import Attempt, Deployment, Failure, FailureReason
from scanner.rules.certificates import fixes
from scanner.rules.certificates.caa_identifiers import dates, identifiers
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
    from scanner.evidence import CaaRecord, DnsEvidence

_KNOWN_TAGS: Final = frozenset({"issue", "issuewild", "iodef", "issuemail", "issuevmc", "contactemail", "contactphone"})
_DOMAIN: Final = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)
_PARAMETER: Final = re.compile(r"\s*[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\s*=\s*[\x21-\x3a\x3c-\x7e]*\s*")
_SINCE, _UNTIL = dates()
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
    why="Without CAA, any public CA may issue a certificate for the name; with it, only the CAs that it names may.",
    how="The CAA records of each name in the certificate, or of its nearest ancestor that has any, are looked up, "
    "along aliases too. Wildcards are judged by issuewild if present, other names by issue; an unknown critical "
    "property or a malformed value forbids every CA. The domains of a CA are found by the organisation in the "
    "issuer's name, as listed in the CCADB in {_SINCE:%B %Y} to {_UNTIL:%B %Y}; an issuer that is not listed there is "
    "not judged. Whether the CA respected a required account or validation method cannot be observed. Certificates "
    "from a private CA are not judged.",
    sources=(rfc(8659, "3"), rfc(8659, "4"), rfc(8657, "3")),
    reasons={
        "allows": passes("The CAA records allow the issuer: {observed}."),
        "no-record": fails("No CAA record applies, so any CA may issue a certificate: {observed}."),
        "other-issuer": fails("The CAA records do not allow the issuer of the certificate: {observed}."),
        "critical-unknown": fails(
            "A critical CAA record has an unknown type, so no CA may issue a certificate: {observed}."
        ),
        "unknown-issuer": indeterminate(
            "Whether the CAA records name the certificate's issuer is unknown: {observed}."
        ),
        "private-ca": not_applicable("The certificate is from a private CA, to which CAA does not apply."),
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
    if dns is None or (not dns.certificate_names and (dns.caa.value is None or caa.cut_off is not None)):
        return [not_observed(caa.cut_off)]
    issuer = _Issuer(deployment.leaf.issuer, _identifiers(deployment.leaf.issuer, parameters.identifiers))
    found: dict[str, list[tuple[str, Finding]]] = defaultdict(list)
    for name in deployment.leaf.dns_names or (facts.target.endpoint.host,):
        finding = _of_name(name, _records_of(name, dns), issuer)
        found[finding.reason].append((name, finding))
    worst = min(found, key=_WORST.index)
    return [_together(found[worst], alone=len(found) == 1)]


_WORST: Final = (
    "critical-unknown", "other-issuer", "no-record", "not-asked", "not-observed", "unknown-issuer", "allows",
)  # fmt: skip
"""What is told where the names of a certificate differ."""
_NOT_ASKED_FOR: Final = Failure(FailureReason.NOT_RUN, "it has more names than are asked for")


class _Issuer(Struct, frozen=True):
    """Who issued, and the domains that are theirs in CAA records; None where these are not known."""

    name: str
    domains: frozenset[str] | None


def _records_of(name: str, dns: DnsEvidence) -> Attempt[tuple[CaaRecord, ...]]:
    """The records that hold for a name; evidence that has none of any name in it has those of the host."""
    if not dns.certificate_names:
        return dns.caa
    asked = name.lower().removeprefix("*.").rstrip(".")
    found = next((item.caa for item in dns.certificate_names if item.domain == asked), None)
    return found if found is not None else Attempt(failure=_NOT_ASKED_FOR)


def _of_name(name: str, caa: Attempt[tuple[CaaRecord, ...]], issuer: _Issuer) -> Finding:
    """What the records say of one name in the certificate."""
    if caa.value is None or caa.cut_off is not None:
        return not_observed(caa.cut_off)
    expected = f"a record that names {issuer.name}"
    records = caa.value
    if unknown := [item for item in records if item.critical and item.tag.lower() not in _KNOWN_TAGS]:
        return Finding("critical-unknown", listing(item.tag for item in unknown), expected)
    binding = [item for item in records if item.tag.lower() == "issue"]
    if name.startswith("*."):
        binding = [item for item in records if item.tag.lower() == "issuewild"] or binding
    if not binding:
        return Finding("no-record", "none restricts issuing", expected)
    observed = listing(dict.fromkeys(map(_told, binding)))
    allowed = _allowed(binding, issuer.domains)
    reasons = {True: "allows", False: "other-issuer", None: "unknown-issuer"}
    return Finding(reasons[allowed], observed, expected)


def _together(found: list[tuple[str, Finding]], *, alone: bool) -> Finding:
    """One finding for the names that fare alike; they are named where others fare otherwise, or have other records."""
    first = found[0][1]
    if alone and all(finding.observed == first.observed for _, finding in found):
        return first
    if first.reason in {"not-observed", "not-asked"}:
        return structs.replace(first, values={"why": f"{first.values['why']}: {listing(name for name, _ in found)}"})
    names: dict[str, list[str]] = defaultdict(list)
    for name, finding in found:
        names[finding.observed].append(name)
    return structs.replace(first, observed="; ".join(f"{told} for {listing(same)}" for told, same in names.items()))


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
    domains = own.get(organisation) or identifiers().get(organisation)
    return None if domains is None else frozenset(domain.lower() for domain in domains)
