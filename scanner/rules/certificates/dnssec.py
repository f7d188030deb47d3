"""Does the chain of signatures hold that leads from the root of the DNS to the name?"""

from __future__ import annotations

from scanner.evidence import Dnssec, FailureReason
from scanner.rules.certificates import fixes
from scanner.rules.registry import (
    Facts,
    Finding,
    Parameters,
    Proof,
    fails,
    not_applicable,
    not_observed,
    passes,
    rule,
    untried,
)
from scanner.rules.registry.sources import baseline, rfc
from scanner.verdict import Goal, Severity


@rule(
    "dns.dnssec",
    title="DNSSEC is not broken",
    goal=Goal.AUTHENTICITY,
    severity=Severity.MEDIUM,
    why="Since 15 March 2026, public CAs validate DNSSEC before they issue a certificate. If the signatures are "
    "broken, no certificate can be renewed, and clients of a validating resolver cannot reach the server at all.",
    how="The resolver that [scan] validating_resolver names is asked for the CAA records and addresses of the name. "
    "It sets the AD bit for answers whose signatures are valid; an answer that it refuses, but returns when checking "
    "is disabled, is bogus. Nightseal does not validate signatures itself, and sends no query if no such resolver is "
    "named.",
    sources=(rfc(4035, "4.9.3"), baseline("3.2.2.8.1")),
    reasons={
        "signed": passes("The DNS answers of the name are signed, and the signatures hold."),
        "bogus": fails("The signatures of the name's DNS answers do not hold, so no CA may issue a certificate."),
        "unsigned": not_applicable("The zone of the name is not signed, so no signature can be wrong."),
        "address": not_applicable("The host is an IP address, which is in no DNS zone."),
        "not-public": not_applicable("The public DNS does not answer for the name, so no public CA asks it."),
    },
    fix=fixes.DNSSEC,
    mistake=untried("the signatures are the name server's; the advice is for the zone"),
    proof=Proof.SINGULAR,
)
def _dnssec(facts: Facts, parameters: Parameters) -> list[Finding]:
    if facts.target.endpoint.is_address:
        return [Finding("address")]
    dns = facts.evidence.dns
    if dns.value is None:
        # Of a name that does not resolve, nobody asks anything else.
        return [not_observed(facts.evidence.tls.failure or dns.cut_off)]
    found = dns.value.dnssec
    if found.failure is not None and found.failure.reason is FailureReason.UNSUPPORTED:
        return [Finding("not-public")]
    if found.value is None or found.cut_off is not None:
        return [not_observed(found.cut_off)]
    state = found.value
    reasons = {Dnssec.SIGNED: "signed", Dnssec.UNSIGNED: "unsigned", Dnssec.BOGUS: "bogus"}
    return [Finding(reasons[state], state.value, "answers whose signatures hold")]
