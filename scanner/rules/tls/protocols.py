"""Which protocol versions a server negotiates."""

from __future__ import annotations

from datetime import date

from scanner.evidence import Protocol, TlsEvidence
from scanner.rules.registry import (
    Facts,
    Finding,
    Parameters,
    Proof,
    Reason,
    fails,
    not_applicable,
    not_observed,
    passes,
    rule,
    unproven,
)
from scanner.rules.registry.listing import listing
from scanner.rules.registry.sources import rfc
from scanner.rules.tls import fixes
from scanner.rules.tls.accepted import nothing_negotiated, only_tls13, unseen
from scanner.verdict import Goal, Severity, Source

_HOW = (
    "A ClientHello that offers only this version, with every cipher suite known for it, is sent; the server "
    "negotiates the version if it answers with a ServerHello of it."
)
_LABELS = {
    Protocol.SSL2: "SSL 2.0",
    Protocol.SSL3: "SSL 3.0",
    Protocol.TLS1_0: "TLS 1.0",
    Protocol.TLS1_1: "TLS 1.1",
    Protocol.TLS1_2: "TLS 1.2",
    Protocol.TLS1_3: "TLS 1.3",
}


def _versions(tls: TlsEvidence) -> str:
    return listing(tls.negotiated) or "none"


def _negotiates(tls: TlsEvidence, protocol: Protocol) -> bool | Finding:
    if protocol in tls.negotiated:
        return True
    if (cause := tls.offer(protocol).cut_off) is not None:
        return unseen(protocol, cause)
    return False if tls.negotiated else nothing_negotiated(tls)


def _forbid(protocol: Protocol, severity: Severity, why: str, sources: tuple[Source, ...]) -> None:
    label = _LABELS[protocol]

    @rule(
        f"proto.no-{protocol.value}",
        title=f"{label} is off",
        goal=Goal.ENCRYPTION,
        severity=severity,
        of=TlsEvidence,
        why=why,
        how=_HOW,
        sources=sources,
        reasons={
            "not-offered": passes(f"The server does not negotiate {label}."),
            "offered": fails(f"The server negotiates {label}."),
        },
        fix=fixes.PROTOCOLS,
        mistake=fixes.SSL if protocol in {Protocol.SSL2, Protocol.SSL3} else fixes.OLD_PROTOCOLS,
    )
    def _check(tls: TlsEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
        negotiates = _negotiates(tls, protocol)
        if isinstance(negotiates, Finding):
            return [negotiates]
        reason = "offered" if negotiates else "not-offered"
        return [Finding(reason, observed=_versions(tls), expected=f"{label} not negotiated")]


_forbid(
    Protocol.SSL2,
    Severity.CRITICAL,
    "SSL 2.0 lets an attacker on the path choose the weakest cipher and forge the end of a connection; by DROWN, it "
    "opens even the TLS connections of every server with the same RSA key.",
    (rfc(6176, "3"), rfc(9325, "3.1.1")),
)
_forbid(
    Protocol.SSL3,
    Severity.CRITICAL,
    "SSL 3.0 does not protect the padding of its CBC suites, so cookies can be read by POODLE, and its other cipher is "
    "the broken RC4.",
    (rfc(7568, "3"), rfc(9325, "3.1.1")),
)
_forbid(
    Protocol.TLS1_0,
    Severity.HIGH,
    "TLS 1.0 signs and derives its keys with MD5 and SHA-1, has no authenticated encryption, and its CBC suites are "
    "open to BEAST. Clients that need it have been out of support for years.",
    (rfc(8996, "4"), rfc(9325, "3.1.1")),
)
_forbid(
    Protocol.TLS1_1,
    Severity.HIGH,
    "TLS 1.1 signs and derives its keys with MD5 and SHA-1 and has no authenticated encryption. Clients that need it "
    "have been out of support for years.",
    (rfc(8996, "5"), rfc(9325, "3.1.1")),
)


class NoTls12Parameters(Parameters):
    """Parameters of proto.no-tls1.2."""

    demanded: bool = True
    """Whether the policy wants only TLS 1.3. Where it does not, a server that negotiates TLS 1.2 is not judged."""
    since: date | None = None
    """The first day on which it is wanted; always, where none is given."""


@rule(
    "proto.no-tls1.2",
    title="TLS 1.2 is off",
    goal=Goal.ENCRYPTION,
    severity=Severity.MEDIUM,
    of=TlsEvidence,
    why="With only TLS 1.3 no weak suite can be negotiated at all, and no downgrade is possible.",
    how=_HOW,
    sources=(rfc(8446, "1.2"),),
    reasons={
        "not-offered": passes("The server does not negotiate TLS 1.2."),
        "offered": fails("The server negotiates TLS 1.2, but the policy allows only TLS 1.3."),
        "allowed": not_applicable("The server negotiates TLS 1.2, which the policy allows."),
    },
    fix=fixes.ONLY_TLS13,
    mistake=fixes.WITH_TLS12,
    parameters=NoTls12Parameters,
)
def _no_tls12(tls: TlsEvidence, facts: Facts, parameters: NoTls12Parameters) -> list[Finding]:
    negotiates = _negotiates(tls, Protocol.TLS1_2)
    if isinstance(negotiates, Finding):
        return [negotiates]
    expected = "TLS 1.2 not negotiated"
    demanded = parameters.demanded and (parameters.since is None or facts.now.date() >= parameters.since)
    if negotiates and not demanded:
        return [Finding("allowed", observed=_versions(tls))]
    return [Finding("offered" if negotiates else "not-offered", observed=_versions(tls), expected=expected)]


_DEMANDED: dict[str, Reason] = {
    "offered": passes("The server negotiates {version}."),
    "not-offered": fails("The server does not negotiate {version}."),
}


def _demand(tls: TlsEvidence, protocol: Protocol, missing: str, severity: Severity | None = None) -> list[Finding]:
    negotiates = _negotiates(tls, protocol)
    if isinstance(negotiates, Finding):
        return [negotiates]
    version = _LABELS[protocol]
    observed, expected = _versions(tls), f"{version} negotiated"
    if negotiates:
        return [Finding("offered", observed, expected, values={"version": version})]
    return [Finding(missing, observed, expected, severity=severity, values={"version": version})]


@rule(
    "proto.tls1.2",
    title="TLS 1.2 is on",
    goal=Goal.ENCRYPTION,
    severity=Severity.MEDIUM,
    of=TlsEvidence,
    why="It is the oldest version that can be configured safely, and the newest that many clients speak.",
    how=_HOW,
    sources=(rfc(9325, "3.1.1"),),
    reasons={
        **_DEMANDED,
        "newer-alone": fails("The server negotiates only TLS 1.3: safe, but older clients cannot reach it."),
    },
    fix=fixes.PROTOCOLS,
    mistake=fixes.TOO_NEW,
    proof=Proof.EXISTENTIAL,
)
def _tls12(tls: TlsEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    if Protocol.TLS1_3 in tls.negotiated:
        # Nothing that was sent is less safe for it, so it weighs least of all.
        return _demand(tls, Protocol.TLS1_2, "newer-alone", Severity.INFO)
    return _demand(tls, Protocol.TLS1_2, "not-offered")


@rule(
    "proto.tls1.3",
    title="TLS 1.3 is on",
    goal=Goal.ENCRYPTION,
    severity=Severity.LOW,
    of=TlsEvidence,
    why="TLS 1.3 has no weak suites left, always gives forward secrecy, hides the certificate, takes a round trip "
    "less, and is the only version with a key exchange that withstands quantum computers.",
    how=_HOW,
    sources=(rfc(9325, "3.1.1"), rfc(8446)),
    reasons=_DEMANDED,
    fix=fixes.TLS13,
    mistake=fixes.OLD_PROTOCOLS,
    proof=Proof.EXISTENTIAL,
)
def _tls13(tls: TlsEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    return _demand(tls, Protocol.TLS1_3, "not-offered")


@rule(
    "comp.none",
    title="TLS compression is off",
    goal=Goal.ENCRYPTION,
    severity=Severity.HIGH,
    of=TlsEvidence,
    why="The length of compressed data reveals whether a guess at a secret was right; cookies can be read that way, "
    "one character at a time (CRIME).",
    how="A ClientHello that offers DEFLATE beside no compression is sent; the ServerHello tells which was chosen. "
    "TLS 1.3 has no compression.",
    sources=(rfc(9325, "3.3"),),
    reasons={
        "off": passes("The server does not compress."),
        "on": fails("The server compresses inside TLS."),
        "tls1.3-alone": not_applicable("The server negotiates only TLS 1.3, which has no compression."),
    },
    fix=fixes.COMPRESSION,
    mistake=fixes.COMPRESSED,
    proof=Proof.SINGULAR,
)
def _compression(tls: TlsEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    return judge_compression(tls, failing="on", passing="off")


def judge_compression(tls: TlsEvidence, *, failing: str, passing: str) -> list[Finding]:
    """Judge whether TLS compresses; TLS 1.3 cannot."""
    if tls.compression.value is not None:
        if gap := unproven(tls.compression, good=False):
            return [gap]
        compresses = tls.compression.value
        observed = "compression" if compresses else "no compression"
        return [Finding(failing if compresses else passing, observed=observed, expected="no compression")]
    if only_tls13(tls):
        return [Finding("tls1.3-alone", observed=_versions(tls))]
    return [not_observed(tls.compression.failure)]
