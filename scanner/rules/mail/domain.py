"""DANE and MTA-STS of a mail domain: do they keep mail from being read on the way?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from scanner.evidence import Certificate, Deployment, FailureReason, MailDomain, Tlsa
from scanner.rules.registry import (
    Facts,
    Finding,
    Fix,
    Parameters,
    fails,
    judged,
    not_applicable,
    not_observed,
    passes,
    rule,
)
from scanner.rules.registry.judged import EvidenceJudge, deployments_of
from scanner.rules.registry.listing import listing
from scanner.rules.registry.rule import Proof, untried
from scanner.rules.registry.sources import rfc
from scanner.verdict import Goal, Severity

_UNTRIED = untried("nginx and Apache httpd are no mail servers; tests/lab/test_mail_domain.py shows it on Knot DNS")
_TA, _EE = 2, 3


@judged(
    MailDomain,
    {"no-domain": not_applicable("The target was not found through a mail domain: use nightseal scan mx:DOMAIN.")},
)
def _mail(facts: Facts, _: Parameters, judge: EvidenceJudge[MailDomain]) -> Iterable[Finding]:
    mail = facts.evidence.mail
    if mail.value is not None:
        return judge(mail.value)
    if mail.failure is None or mail.failure.reason is FailureReason.NOT_RUN:
        return [Finding("no-domain")]
    return [not_observed(mail.failure)]


@rule(
    "mail.dane",
    opt_in=True,
    title="DANE records name the mail server's certificate",
    goal=Goal.AUTHENTICITY,
    severity=Severity.HIGH,
    of=MailDomain,
    why="Sending mail servers accept any certificate, or none, unless the domain publishes which one is right.",
    how="TLSA records of _25._tcp at the MX host are compared with the certificates that it serves; the resolver must "
    "have validated the signatures of MX and TLSA records (its AD bit). Names and dates count only for usage 2, "
    "and are "
    "judged by cert.hostname and cert.valid-now.",
    sources=(rfc(7672, "2.2"), rfc(7672, "3.1"), rfc(6698, "2.1")),
    reasons={
        "matches": passes("A signed TLSA record names a certificate that is served: {observed}."),
        "missing": fails("The mail server has no TLSA record."),
        "unsigned": fails("TLSA records are not signed, so senders ignore them: {observed}."),
        "unusable": fails("No TLSA record is of a type that mail servers use (usage 2 or 3): {observed}."),
        "mismatch": fails("No TLSA record names a certificate that is served; senders refuse to deliver: {observed}."),
    },
    fix=Fix(
        "Sign the domain and the mail server's zone, publish a 3 1 1 record for the key in use and one for the next, "
        "and change it before the certificate."
    ),
    mistake=_UNTRIED,
    proof=Proof.SINGULAR,
)
def _dane(mail: MailDomain, facts: Facts, parameters: Parameters) -> list[Finding]:
    expected = "a signed TLSA record 3 1 1 of the key that is served"
    records = mail.tlsa.value
    if records is None or (not records and mail.tlsa.incomplete):
        return [not_observed(mail.tlsa.cut_off)]
    if not records:
        return [Finding("missing", "no TLSA record", expected, severity=Severity.LOW)]
    told = listing(f"{item.usage} {item.selector} {item.matching} {item.data[:16]}…" for item in records)
    if mail.signed.value is None:
        return [not_observed(mail.signed.failure)]
    if not mail.signed.value:
        return [Finding("unsigned", told, expected, severity=Severity.MEDIUM)]
    usable = [item for item in records if item.usage in {_TA, _EE}]
    if not usable:
        return [Finding("unusable", told, expected)]
    deployments = deployments_of(facts)
    if isinstance(deployments, Finding):
        return [deployments if deployments.reason in {"not-observed", "not-asked"} else not_observed(None)]
    named = all(any(_names(item, deployment) for item in usable) for deployment in deployments)
    return [Finding("matches" if named else "mismatch", told, expected)]


def _names(record: Tlsa, deployment: Deployment) -> bool:
    candidates = deployment.chain[:1] if record.usage == _EE else deployment.chain
    return any(_digest(record, certificate) == record.data for certificate in candidates)


def _digest(record: Tlsa, certificate: Certificate) -> str | None:
    """What the record would hold for a certificate; None for kinds that nobody defined."""
    data = certificate.der
    if record.selector == 1:
        key = x509.load_der_x509_certificate(certificate.der).public_key()
        data = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    elif record.selector != 0:
        return None
    if record.matching == 0:
        return data.hex()
    algorithm = {1: hashlib.sha256, 2: hashlib.sha512}.get(record.matching)
    return algorithm(data).hexdigest() if algorithm else None


@rule(
    "mail.mta-sts",
    opt_in=True,
    title="MTA-STS makes senders insist on TLS",
    goal=Goal.AUTHENTICITY,
    severity=Severity.MEDIUM,
    of=MailDomain,
    why="An attacker between two mail servers can remove STARTTLS and read the mail; a policy tells senders not to "
    "deliver in that case.",
    how="The TXT record of _mta-sts is read, and the policy fetched over HTTPS that is verified. The policy must be in "
    "mode enforce, and name the MX host.",
    sources=(rfc(8461, "3.1"), rfc(8461, "3.2"), rfc(8461, "4.1")),
    reasons={
        "enforced": passes("Senders must use TLS at this server: {observed}."),
        "missing": fails("The domain has no MTA-STS record."),
        "several": fails("The domain has several MTA-STS records, so senders ignore all of them: {observed}."),
        "no-policy": fails("There is an MTA-STS record, but no policy that senders can use: {observed}."),
        "not-enforced": fails("The MTA-STS policy requires nothing of senders: {observed}."),
        "not-listed": fails(
            "The MTA-STS policy does not name this server; senders refuse to deliver to it: {observed}."
        ),
    },
    fix=Fix(
        "Publish a policy in mode enforce at https://mta-sts.DOMAIN/.well-known/mta-sts.txt that names every MX host, "
        "and the record _mta-sts with a new id at each change. Begin with mode testing and TLS-RPT."
    ),
    mistake=_UNTRIED,
    proof=Proof.SINGULAR,
)
def _mta_sts(mail: MailDomain, facts: Facts, parameters: Parameters) -> list[Finding]:
    expected = "a policy in mode enforce that names the server"
    records = mail.sts_record.value
    if records is None or (not records and mail.sts_record.incomplete):
        return [not_observed(mail.sts_record.cut_off)]
    if not records:
        return [Finding("missing", "no record", expected, severity=Severity.LOW)]
    if len(records) > 1:
        return [Finding("several", listing(records), expected)]
    policy = mail.sts_policy.value
    if policy is None:
        failure = mail.sts_policy.failure
        if failure is None or failure.reason in {
            FailureReason.NOT_ASKED,
            FailureReason.NOT_RUN,
            FailureReason.DEADLINE,
        }:
            return [not_observed(failure)]
        return [Finding("no-policy", f"{failure.reason}: {failure.detail}", expected)]
    told = f"mode {policy.mode}, max_age {policy.max_age}, mx {listing(policy.mx)}"
    if policy.mode != "enforce":
        return [Finding("not-enforced", told, expected, severity=Severity.LOW)]
    host = facts.target.endpoint.host.lower().rstrip(".")
    return [Finding("enforced" if any(_covers(one, host) for one in policy.mx) else "not-listed", told, expected)]


def _covers(pattern: str, host: str) -> bool:
    """Whether a pattern of a policy means a host: one label for a leading wildcard (RFC 8461 section 4.1)."""
    pattern = pattern.lower().rstrip(".")
    if pattern.startswith("*."):
        return host.partition(".")[2] == pattern[2:]
    return host == pattern
