"""Known attacks, judged by what a server offers or answers; none is carried out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scanner.evidence import Attempt, Failure, FailureReason, Protocol, Robot, TlsEvidence
from scanner.rules.registry import (
    Facts,
    Finding,
    Observed,
    Parameters,
    Proof,
    Reason,
    fails,
    indeterminate,
    not_applicable,
    not_observed,
    passes,
    rule,
    unproven,
)
from scanner.rules.registry.listing import listing
from scanner.rules.registry.sources import attack, rfc
from scanner.rules.tls import fixes
from scanner.rules.tls.accepted import (
    BEFORE_TLS13,
    SEEN_TWICE,
    AcceptedSuites,
    accepted_suites,
    judge_suites,
    nothing_negotiated,
    only_tls13,
    unseen,
)
from scanner.rules.tls.groups import bits_of
from scanner.rules.tls.protocols import judge_compression
from scanner.verdict import Goal, Severity

if TYPE_CHECKING:
    from scanner.rules.tls.accepted import Accepted

_TLS13_ALONE = not_applicable("The server negotiates only TLS 1.3, to which the attack does not apply.")
_VULNERABLE: dict[str, Reason] = {
    "not-vulnerable": passes("The server is not vulnerable."),
    "vulnerable": fails("The server is vulnerable: {observed}."),
}


def _judge_probe(tls: TlsEvidence, attempt: Attempt[bool], observed: tuple[str, str]) -> list[Finding]:
    """Judge an attack that a probe tested for; `observed` says what was seen of a safe and of a vulnerable server."""
    if attempt.value is not None:
        if gap := unproven(attempt, good=False):
            return [gap]
        return [Finding("vulnerable" if attempt.value else "not-vulnerable", observed[attempt.value], observed[0])]
    if only_tls13(tls):
        return [Finding("tls1.3-alone", listing(tls.negotiated))]
    return [not_observed(attempt.failure)]


@rule(
    "vuln.heartbleed",
    title="Not open to Heartbleed",
    goal=Goal.ENCRYPTION,
    severity=Severity.CRITICAL,
    of=TlsEvidence,
    why="Anyone can read up to 64 kB of the server's memory at a time: keys, passwords, other users' data.",
    how="A heartbeat request that claims to be longer than it is is sent; a vulnerable server answers it. No more "
    "data is requested than is needed as proof. A server that speaks TLS 1.3 is asked in its newest older "
    "version; one that agrees to no "
    "heartbeats there has no code that could answer. " + SEEN_TWICE,
    sources=(attack("CVE-2014-0160", "https://heartbleed.com/"), rfc(6520, "4")),
    reasons={**_VULNERABLE, "tls1.3-alone": _TLS13_ALONE},
    fix=fixes.UPDATE,
    proof=Proof.SINGULAR,
)
def _heartbleed(tls: TlsEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    words = ("no answer to an overlong heartbeat", "an overlong heartbeat was answered")
    return _judge_probe(tls, tls.heartbleed, words)


@rule(
    "vuln.ccs-injection",
    title="Not open to CCS injection",
    goal=Goal.ENCRYPTION,
    severity=Severity.CRITICAL,
    of=TlsEvidence,
    why="An attacker between two vulnerable OpenSSL programs can make both use a key that the attacker knows.",
    how="A ChangeCipherSpec is sent before any key is agreed on; a sound server ends the connection. A server that "
    "speaks TLS 1.3 is asked in its newest older version. " + SEEN_TWICE,
    sources=(attack("CVE-2014-0224", "https://openssl-library.org/news/secadv/20140605.txt"), rfc(5246, "7.1")),
    reasons={**_VULNERABLE, "tls1.3-alone": _TLS13_ALONE},
    fix=fixes.UPDATE,
    proof=Proof.SINGULAR,
)
def _ccs_injection(tls: TlsEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    words = ("an early ChangeCipherSpec is refused", "an early ChangeCipherSpec was accepted")
    return _judge_probe(tls, tls.ccs_injection, words)


@rule(
    "vuln.renegotiation-dos",
    title="Clients cannot exhaust the server by renegotiation",
    goal=Goal.INTEGRITY,
    severity=Severity.MEDIUM,
    of=TlsEvidence,
    why="A renegotiation costs the server many times what it costs the client, so one client can keep it busy.",
    how="The client asks for renegotiation several times on one connection.",
    sources=(attack("CVE-2011-1473", "https://nvd.nist.gov/vuln/detail/CVE-2011-1473"), rfc(9325, "3.5")),
    reasons={**_VULNERABLE, "tls1.3-alone": _TLS13_ALONE},
    fix=fixes.RENEGOTIATION_BY_CLIENTS,
    mistake=fixes.RENEGOTIATION_BY_CLIENT,
    proof=Proof.SINGULAR,
)
def _renegotiation(tls: TlsEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    words = ("renegotiation by the client is refused", "the client may renegotiate as often as it likes")
    return _judge_probe(tls, tls.client_renegotiation, words)


@rule(
    "vuln.robot",
    title="Not open to ROBOT",
    goal=Goal.ENCRYPTION,
    severity=Severity.CRITICAL,
    of=TlsEvidence,
    why="The server's behaviour reveals whether a padding was valid, which lets an attacker decrypt traffic or forge "
    "signatures.",
    how="Five differently broken RSA ciphertexts are sent; a sound server answers all of them alike. Where the answers "
    "differ, three more series must agree with the first. Servers without RSA key transport cannot be attacked. "
    + SEEN_TWICE,
    sources=(attack("ROBOT (CVE-2017-13099 and others)", "https://robotattack.org/"), rfc(5246, "7.4.7.1")),
    reasons={
        "not-vulnerable": passes("The server answers all broken RSA ciphertexts alike."),
        "rsa-not-offered": passes("No cipher suite with RSA key transport is accepted."),
        "strong-oracle": fails(
            "The server's answers distinguish valid from invalid padding: recorded traffic can be decrypted."
        ),
        "weak-oracle": fails("The server's answers distinguish some valid from invalid padding; an attack takes long."),
    },
    fix=fixes.ROBOT,
    mistake=fixes.PADDING_ORACLE,
    proof=Proof.SINGULAR,
)
def _robot(tls: TlsEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    expected = "no difference between the answers"
    if tls.robot.value is None or tls.robot.value is Robot.RSA_NOT_OFFERED:
        suites = accepted_suites(tls, BEFORE_TLS13)
        transport = [item for item in suites.items if item.suite.rsa_key_transport]
        if suites.gap is None and tls.negotiated and not transport:
            return [Finding("rsa-not-offered", "no RSA key transport", expected)]
        if tls.robot.value is None:
            return [not_observed(tls.robot.failure)]
        if not transport:
            return [suites.gap or nothing_negotiated(tls)]
        # A handshake that the test needs was refused, and another one accepted: neither may be believed.
        detail = f"no RSA key transport in the test, beside {suites.names(transport)}"
        return [not_observed(Failure.of(FailureReason.INCONSISTENT, detail))]
    if tls.robot.value is Robot.NOT_VULNERABLE and tls.robot.incomplete:
        return [not_observed(tls.robot.incomplete)]
    severity = Severity.HIGH if tls.robot.value is Robot.WEAK_ORACLE else None
    return [Finding(tls.robot.value.value, tls.robot.value.value, expected, severity=severity)]


@rule(
    "vuln.crime",
    title="Not open to CRIME",
    goal=Goal.ENCRYPTION,
    severity=Severity.HIGH,
    of=TlsEvidence,
    why="With TLS compression, the length of a message reveals whether a guess at a cookie was right.",
    how="As comp.none.",
    sources=(attack("CRIME (CVE-2012-4929)", "https://nvd.nist.gov/vuln/detail/CVE-2012-4929"), rfc(9325, "3.3")),
    reasons={**_VULNERABLE, "tls1.3-alone": _TLS13_ALONE},
    fix=fixes.COMPRESSION,
    mistake=fixes.COMPRESSED,
    proof=Proof.SINGULAR,
)
def _crime(tls: TlsEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    return judge_compression(tls, failing="vulnerable", passing="not-vulnerable")


def _judge_cbc(tls: TlsEvidence, protocols: tuple[Protocol, ...], none: str) -> list[Finding]:
    """Judge an attack that needs a CBC suite in one of `protocols`."""
    suites = accepted_suites(tls, protocols)
    bad = [item for item in suites.items if item.suite.cbc]
    if bad:
        return [Finding("vulnerable", suites.names(bad), none)]
    if suites.gap:
        return [suites.gap]
    return [Finding("not-vulnerable", none, none)]


@rule(
    "vuln.poodle",
    title="Not open to POODLE",
    goal=Goal.ENCRYPTION,
    severity=Severity.CRITICAL,
    of=TlsEvidence,
    why="SSL 3.0 does not protect the padding of CBC: an attacker on the path can read a cookie with about 256 "
    "attempts per byte.",
    how="By evidence: SSL 3.0 is negotiated with a CBC suite.",
    sources=(attack("POODLE (CVE-2014-3566)", "https://nvd.nist.gov/vuln/detail/CVE-2014-3566"), rfc(7568, "3")),
    reasons=_VULNERABLE,
    fix=fixes.PROTOCOLS,
    mistake=fixes.SSL,
)
def _poodle(tls: TlsEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    return _judge_cbc(tls, (Protocol.SSL3,), "no CBC suite in SSL 3.0")


@rule(
    "vuln.beast",
    title="Not open to BEAST",
    goal=Goal.ENCRYPTION,
    severity=Severity.LOW,
    of=TlsEvidence,
    why="In TLS 1.0 and SSL 3.0 the initialisation vector of a record is known beforehand, so guesses can be tested. "
    "Current browsers split their records to prevent this, hence the low severity.",
    how="By evidence: TLS 1.0 or SSL 3.0 is negotiated with a CBC suite.",
    sources=(attack("BEAST (CVE-2011-3389)", "https://nvd.nist.gov/vuln/detail/CVE-2011-3389"), rfc(8996, "4")),
    reasons=_VULNERABLE,
    fix=fixes.PROTOCOLS,
    mistake=fixes.OLD_PROTOCOLS,
)
def _beast(tls: TlsEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    return _judge_cbc(tls, (Protocol.SSL3, Protocol.TLS1_0), "no CBC suite in TLS 1.0 or SSL 3.0")


@rule(
    "vuln.sweet32",
    title="Not open to SWEET32",
    goal=Goal.ENCRYPTION,
    severity=Severity.MEDIUM,
    of=TlsEvidence,
    why="Blocks of 64 bits collide after about 32 GB, and a collision reveals their contents.",
    how="By evidence: a suite with 3DES, DES, IDEA or RC2 is accepted in any protocol version.",
    sources=(attack("SWEET32 (CVE-2016-2183)", "https://sweet32.info/"), rfc(9325, "4.1")),
    reasons=_VULNERABLE,
    fix=fixes.SUITES,
    mistake=fixes.OLD_SUITES,
)
def _sweet32(tls: TlsEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    return judge_suites(tls, lambda item: item.suite.block_of_64_bits, "vulnerable", "not-vulnerable")


@rule(
    "vuln.freak",
    title="Not open to FREAK",
    goal=Goal.ENCRYPTION,
    severity=Severity.HIGH,
    of=TlsEvidence,
    why="An attacker can steer a client to a 512-bit RSA key, which can be factored in hours, and then read and "
    "change everything.",
    how="By evidence: an RSA export suite is accepted.",
    sources=(attack("FREAK (CVE-2015-0204)", "https://nvd.nist.gov/vuln/detail/CVE-2015-0204"), rfc(9325, "4.1")),
    reasons=_VULNERABLE,
    fix=fixes.SUITES,
    mistake=fixes.OLD_SUITES,
)
def _freak(tls: TlsEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    def offends(item: Accepted) -> bool:
        return item.suite.export and item.suite.rsa_key_transport

    return judge_suites(tls, offends, "vulnerable", "not-vulnerable")


class LogjamParameters(Parameters):
    """Parameters of vuln.logjam."""

    bits: int = 1024
    """The largest size in bits that counts as breakable."""


@rule(
    "vuln.logjam",
    title="Not open to Logjam",
    goal=Goal.ENCRYPTION,
    severity=Severity.HIGH,
    of=TlsEvidence,
    why="Breaking a 512-bit Diffie-Hellman group takes a week, and a 1024-bit group is within a state's means; the "
    "work is done once for each prime, and most servers share a few primes.",
    how="By evidence: a DHE export suite is accepted, or an ephemeral group of 1024 bits or less.",
    sources=(attack("Logjam (CVE-2015-4000)", "https://weakdh.org/"), rfc(9325, "4.5")),
    reasons={**_VULNERABLE, "common-prime": fails("The server uses a widely shared, breakable prime: {observed}.")},
    fix=fixes.DIFFIE_HELLMAN,
    mistake=fixes.SMALL_PRIME,
    parameters=LogjamParameters,
)
def _logjam(tls: TlsEvidence, facts: Facts, parameters: LogjamParameters) -> list[Finding]:
    suites = accepted_suites(tls, BEFORE_TLS13)
    expected = "no DHE export suite, and groups of 2048 bits or more"
    candidates = [item for item in suites.items if item.suite.finite_field]
    export = [item for item in candidates if item.suite.export]
    if export:
        return [Finding("vulnerable", suites.names(export), expected)]
    sizes = [(item, _bits(item)) for item in candidates]
    breakable = [(item, bits) for item, bits in sizes if bits is not None and bits <= parameters.bits]
    if breakable:
        primes = {item.seen.dh_prime for item, _ in breakable} - {None, "custom", "composite"}
        observed = _describe(suites, breakable)
        return [Finding("common-prime" if primes else "vulnerable", observed, expected)]
    if suites.gap:
        return [suites.gap]
    for item, bits in sizes:
        if bits is None:
            failure = Failure.of(FailureReason.UNSUPPORTED, f"the size of the group of {item.suite.name}")
            return [unseen(item.protocol, failure)]
    return [Finding("not-vulnerable", "no small Diffie-Hellman group", expected)]


def _bits(item: Accepted) -> int | None:
    if item.seen.group and (bits := bits_of(item.seen.group)):
        return bits
    return item.seen.ephemeral_bits


def _describe(suites: AcceptedSuites, breakable: list[tuple[Accepted, int]]) -> str:
    size = min(bits for _, bits in breakable)
    prime = next(
        (item.seen.dh_prime for item, _ in breakable if item.seen.dh_prime not in {None, "custom", "composite"}), None
    )
    return f"{size} bits{f', prime {prime}' if prime else ''} in {suites.names(item for item, _ in breakable)}"


@rule(
    "vuln.drown",
    title="Not open to DROWN",
    goal=Goal.ENCRYPTION,
    severity=Severity.CRITICAL,
    of=TlsEvidence,
    why="A server that speaks SSL 2.0 helps to decrypt the TLS connections of every server with the same RSA key.",
    how="By evidence: SSL 2.0 is negotiated by this server, or by another address of the same name.",
    sources=(attack("DROWN (CVE-2016-0800)", "https://drownattack.com/"), rfc(6176, "3")),
    reasons={
        **_VULNERABLE,
        "sibling": fails("Another address of the same name speaks SSL 2.0: {observed}."),
        "not-all-seen": indeterminate("Whether other addresses speak SSL 2.0 could not be seen: {observed}."),
    },
    fix=fixes.PROTOCOLS,
    mistake=fixes.SSL,
)
def _drown(tls: TlsEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    expected = "no SSL 2.0"
    if Protocol.SSL2 in tls.negotiated:
        return [Finding("vulnerable", "SSL 2.0 is negotiated", expected)]
    others = [
        other.target.ip
        for other in facts.siblings
        if other.evidence.tls.value and Protocol.SSL2 in other.evidence.tls.value.negotiated
    ]
    if others:
        return [Finding("sibling", listing(others), expected)]
    if (cause := tls.offer(Protocol.SSL2).cut_off) is not None:
        return [unseen(Protocol.SSL2, cause)]
    if not tls.negotiated:
        return [nothing_negotiated(tls)]
    unknown = [other.target.ip for other in facts.siblings if not _without_ssl2(other)]
    if unknown:
        return [Finding("not-all-seen", listing(unknown), expected)]
    return [Finding("not-vulnerable", expected, expected)]


def _without_ssl2(other: Observed) -> bool:
    """Whether another address is known not to help: it speaks no TLS, or was asked for SSL 2.0 to the end."""
    tls = other.evidence.tls
    if tls.value is None:
        return tls.failure is not None and tls.failure.reason is FailureReason.NOT_TLS
    return bool(tls.value.negotiated) and tls.value.offer(Protocol.SSL2).cut_off is None
