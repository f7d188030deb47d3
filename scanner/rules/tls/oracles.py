"""Attacks that no hello shows, and conditions of attacks that are told as such; all are asked for by name."""

from __future__ import annotations

from scanner.evidence import Attempt, FailureReason, TlsEvidence
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
    untried,
)
from scanner.rules.registry.listing import listing
from scanner.rules.registry.sources import attack, rfc
from scanner.rules.tls import fixes
from scanner.rules.tls.accepted import BEFORE_TLS13, Accepted, AcceptedSuites, accepted_suites
from scanner.verdict import Goal, Severity

_IN_THE_LAB = untried("nginx and Apache httpd cannot be made to do it; tests/lab/test_oracles.py shows it on others")
_UPDATE = Fix(
    "Update the TLS library, or the appliance that ends TLS, and offer only suites with AEAD (GCM, ChaCha20): an "
    "oracle needs CBC.",
    fixes.SUITES.servers,
)
_NO_EPHEMERAL = not_applicable("No version before TLS 1.3 has an ephemeral key exchange.")


def _unless_seen(attempt: Attempt[tuple[str, ...]]) -> tuple[str, ...] | Finding:
    """What was found, or the finding that says why nobody knows."""
    if attempt.value is None or (attempt.incomplete is not None and not attempt.value):
        return not_observed(attempt.cut_off)
    return attempt.value


def _in_cbc(suites: AcceptedSuites) -> list[Accepted]:
    return [item for item in suites.items if item.suite.cbc]


@rule(
    "vuln.padding-oracle",
    opt_in=True,
    title="No padding oracle in CBC",
    goal=Goal.ENCRYPTION,
    severity=Severity.HIGH,
    of=TlsEvidence,
    why="A server whose answers reveal how a record was broken lets an attacker on the path decrypt cookies, with "
    "about 256 attempts per byte: POODLE over TLS, GOLDENDOODLE, Zombie POODLE and others.",
    how="After a handshake with a CBC suite, one record is sent: a valid one, and four that are broken in different "
    "ways, each on a new connection. All broken records must get the same answer. If they do not, two more series "
    "must give the same result, otherwise it is `inconsistent`. Answers are compared, but not their timing. The "
    "test looks like an attack (`intrusive`), and runs only if a policy lists it: 5 connections, or 15 if an "
    "answer differs.",
    sources=(
        attack("CVE-2014-8730 and others", "https://nvd.nist.gov/vuln/detail/CVE-2014-8730"),
        rfc(5246, "6.2.3.2"),
    ),
    reasons={
        "not-vulnerable": passes("The server answers all broken records alike."),
        "no-cbc": passes("No cipher suite in CBC is accepted."),
        "vulnerable": fails("The server answers broken records differently: {observed}."),
    },
    fix=_UPDATE,
    mistake=_IN_THE_LAB,
    proof=Proof.SINGULAR,
)
def _padding_oracle(tls: TlsEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    expected = "the same answer to every broken record"
    found = _unless_seen(tls.padding_oracle)
    if isinstance(found, Finding):
        suites = accepted_suites(tls, BEFORE_TLS13)
        if suites.gap is None and not _in_cbc(suites):
            return [Finding("no-cbc", "no suite in CBC", expected)]
        return [found]
    if found:
        return [Finding("vulnerable", listing(found), expected)]
    return [Finding("not-vulnerable", "all broken records are answered alike", expected)]


def _judge_keys(tls: TlsEvidence, *, dhe: bool) -> Finding | tuple[str, ...]:
    """The exchanges whose key came again, or the finding that says why there are none to tell of."""
    suites = accepted_suites(tls, BEFORE_TLS13)
    there = [item for item in suites.items if item.suite.finite_field or (item.suite.elliptic and not dhe)]
    if suites.gap is None and not there:
        return Finding("no-exchange")
    return _unless_seen(tls.reused_keys)


@rule(
    "kex.fresh-keys",
    opt_in=True,
    title="Every connection has its own ephemeral key",
    goal=Goal.ENCRYPTION,
    severity=Severity.MEDIUM,
    of=TlsEvidence,
    why="A key used for many connections is not ephemeral: anyone who obtains it can read all of them, and some "
    "attacks (Raccoon, invalid curves) depend on such a key.",
    how="Two hellos are sent for each kind of exchange (ECDHE, DHE), in the newest version before TLS 1.3; if both "
    "answers have the same key, a third must have it too. A key that is changed in between is not noticed.",
    sources=(rfc(9325, "7.4"), rfc(8446, "2.2")),
    reasons={
        "fresh": passes("Each connection used a different key."),
        "reused": fails("Three connections used the same ephemeral key: {observed}."),
        "no-exchange": _NO_EPHEMERAL,
    },
    fix=Fix("Update the TLS library; switch off what keeps ephemeral keys (SSL_OP_SINGLE_DH_USE in old OpenSSL)."),
    mistake=_IN_THE_LAB,
    proof=Proof.SINGULAR,
)
def _fresh_keys(tls: TlsEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    found = _judge_keys(tls, dhe=False)
    if isinstance(found, Finding):
        return [found]
    expected = "a different key each time"
    return [
        Finding("reused", listing(found), expected)
        if found
        else Finding("fresh", "a different key each time", expected)
    ]


@rule(
    "vuln.raccoon",
    opt_in=True,
    title="Not open to Raccoon",
    goal=Goal.ENCRYPTION,
    severity=Severity.LOW,
    of=TlsEvidence,
    why="Where a server uses one Diffie-Hellman key for many connections, the duration of a handshake depends on the "
    "shared secret; with thousands of measurements a recorded connection can be decrypted.",
    how="By evidence: DHE is accepted, and kex.fresh-keys found that its key is reused. No time is measured.",
    sources=(attack("Raccoon (CVE-2020-1968 and others)", "https://raccoon-attack.com/"), rfc(9325, "4.1")),
    reasons={
        "not-vulnerable": passes("Each connection used a different Diffie-Hellman key."),
        "conditions-met": fails("The Diffie-Hellman key is reused, which the attack needs."),
        "no-exchange": passes("No suite with ephemeral Diffie-Hellman over a finite field is accepted."),
    },
    fix=fixes.DIFFIE_HELLMAN,
    mistake=_IN_THE_LAB,
    proof=Proof.SINGULAR,
)
def _raccoon(tls: TlsEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    found = _judge_keys(tls, dhe=True)
    if isinstance(found, Finding):
        return [found]
    told = listing(found) or "none reused"
    return [Finding("conditions-met" if "DHE" in found else "not-vulnerable", told, "a different key each time")]


@rule(
    "vuln.lucky13",
    opt_in=True,
    title="Not open to Lucky 13",
    goal=Goal.ENCRYPTION,
    severity=Severity.INFO,
    of=TlsEvidence,
    why="The time that a server takes for a broken CBC record reveals its padding, unless the library makes all "
    "records take the same time, which cannot be observed from outside.",
    how="By evidence: a suite in CBC is accepted, and no encrypt-then-MAC (RFC 7366), with which the attack does not "
    "work. It is only a note, because libraries of the last ten years prevent the attack.",
    sources=(attack("Lucky Thirteen (CVE-2013-0169)", "https://nvd.nist.gov/vuln/detail/CVE-2013-0169"), rfc(7366)),
    reasons={
        "no-cbc": passes("No cipher suite in CBC is accepted."),
        "encrypt-then-mac": passes("CBC is used with encrypt-then-MAC by clients that know it."),
        "cbc": fails("CBC is accepted without encrypt-then-MAC: {observed}."),
    },
    fix=fixes.SUITES,
    mistake=untried("what fixes it is the list of suites, as cipher.* shows it"),
    proof=Proof.SINGULAR,
)
def _lucky13(tls: TlsEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    suites = accepted_suites(tls, BEFORE_TLS13)
    bad = _in_cbc(suites)
    if not bad:
        return [suites.gap or Finding("no-cbc", "no suite in CBC", "no suite in CBC")]
    if tls.encrypt_then_mac.value is None:
        failure = tls.encrypt_then_mac.failure
        unsupported = failure is not None and failure.reason is FailureReason.UNSUPPORTED
        return [Finding("cbc", suites.names(bad), "no suite in CBC")] if unsupported else [not_observed(failure)]
    return [Finding("encrypt-then-mac" if tls.encrypt_then_mac.value else "cbc", suites.names(bad), "no suite in CBC")]
