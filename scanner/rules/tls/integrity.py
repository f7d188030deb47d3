"""Whether what is sent can be changed on the way, or the handshake be meddled with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from scanner.evidence import Attempt, Failure, FailureReason, Protocol, TlsEvidence, not_run
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
    unproven,
)
from scanner.rules.registry.listing import listing
from scanner.rules.registry.sources import rfc
from scanner.rules.tls import fixes
from scanner.rules.tls.accepted import (
    BEFORE_TLS13,
    SEEN_TWICE,
    accepted_suites,
    judge_suites,
    nothing_negotiated,
    older_than_tls13,
    unseen,
)
from scanner.rules.tls.ciphers import SUITES_HOW
from scanner.verdict import Goal, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scanner.rules.tls.accepted import Accepted


class AeadParameters(Parameters):
    """Parameters of integrity.aead."""

    every: bool = True
    """Whether every accepted suite must be AEAD, or only one in each protocol version at least."""


@rule(
    "integrity.aead",
    title="Authenticated encryption",
    goal=Goal.INTEGRITY,
    severity=Severity.MEDIUM,
    of=TlsEvidence,
    why="Suites that encrypt and authenticate separately (CBC with HMAC) leak through timing and padding; every "
    "attack of the Lucky 13 family needs them.",
    how=SUITES_HOW,
    sources=(rfc(9325, "4.2"),),
    reasons={
        "all-aead": passes("Every accepted cipher suite is AEAD."),
        "not-aead": fails("Cipher suites without authenticated encryption are accepted: {observed}."),
        "aead-everywhere": passes("Each negotiated protocol version has an AEAD suite."),
        "version-without-aead": fails("No AEAD suite is accepted in {observed}."),
    },
    fix=fixes.SUITES,
    mistake=fixes.BAD_SUITES,
    parameters=AeadParameters,
)
def _aead(tls: TlsEvidence, facts: Facts, parameters: AeadParameters) -> list[Finding]:
    if parameters.every:
        return judge_suites(tls, lambda item: not item.suite.aead, "not-aead", "all-aead")
    suites = accepted_suites(tls)
    without = [
        protocol
        for protocol in tls.negotiated
        if tls.offer(protocol).cut_off is None
        and not any(item.suite.aead for item in suites.items if item.protocol is protocol)
    ]
    expected = "an AEAD suite in each protocol version"
    if without:
        return [Finding("version-without-aead", listing(without), expected)]
    if suites.gap:
        return [suites.gap]
    return [Finding("aead-everywhere", listing(tls.negotiated), expected)]


class WeakMacParameters(Parameters):
    """Parameters of integrity.no-weak-mac."""

    sha1: bool = False
    """Whether HMAC with SHA-1 counts as weak too."""


@rule(
    "integrity.no-weak-mac",
    title="No weak record MAC",
    goal=Goal.INTEGRITY,
    severity=Severity.MEDIUM,
    of=TlsEvidence,
    why="The MAC distinguishes a modified record from a genuine one; MD5 is broken, and SHA-1 is being retired.",
    how=SUITES_HOW,
    sources=(rfc(6151, "2.3"), rfc(9325, "4.2")),
    reasons={
        "none-accepted": passes("No cipher suite with a weak MAC is accepted."),
        "accepted": fails("Cipher suites with a weak MAC are accepted: {observed}."),
    },
    fix=fixes.SUITES,
    mistake=fixes.WORST_SUITES,
    parameters=WeakMacParameters,
)
def _weak_mac(tls: TlsEvidence, facts: Facts, parameters: WeakMacParameters) -> list[Finding]:
    weak = {"MD5", "NULL", "SHA"} if parameters.sha1 else {"MD5", "NULL"}

    def offends(item: Accepted) -> bool:
        return item.suite.mac in weak

    return judge_suites(tls, offends, "accepted", "none-accepted")


class HandshakeSignatureParameters(Parameters):
    """Parameters of integrity.signature-algorithms."""

    allowed: Mapping[Protocol, tuple[str, ...]] = {}
    """IANA names of the signature schemes that are allowed, by protocol; empty: all but those with MD5 and SHA-1."""
    phase_out: tuple[str, ...] = ()
    """Schemes that fail at low severity, because the source wants them phased out."""


_FIRST_SHARE = "x25519"
"""The group for which the resuming client sends a key share."""


def _weak_scheme(name: str) -> bool:
    return name.endswith(("md5", "sha1")) or "_md5" in name or "_sha1_" in name


@rule(
    "integrity.signature-algorithms",
    title="The handshake is signed with a strong hash",
    goal=Goal.INTEGRITY,
    severity=Severity.HIGH,
    of=TlsEvidence,
    why="An attacker who finds a collision of the hash can forge the signature that binds the key exchange to the "
    "server.",
    how="Signature schemes are offered one by one; the server's ServerKeyExchange (TLS 1.2) or CertificateVerify "
    "(TLS 1.3) tells which it signs with. Versions before TLS 1.2 always sign with MD5 and SHA-1, as proto.* reports.",
    sources=(rfc(9155, "4"), rfc(9325, "4.5")),
    reasons={
        "good": passes("The handshake is signed with {observed}."),
        "weak-hash": fails("The server signs the handshake with {observed}."),
        "weak-hash-too": fails("The server signs with {observed} for clients that offer nothing better."),
        "not-listed": fails("The server signs the handshake with {observed}, which the policy does not list."),
        "phase-out": fails("The server signs the handshake with {observed}, which the policy wants phased out."),
        "not-signed": not_applicable("No handshake of TLS 1.2 or newer is signed."),
    },
    fix=fixes.SIGNATURES,
    mistake=fixes.SHA1_SIGNATURES,
    parameters=HandshakeSignatureParameters,
)
def _signature_algorithms(tls: TlsEvidence, facts: Facts, parameters: HandshakeSignatureParameters) -> list[Finding]:
    versions = [protocol for protocol in (Protocol.TLS1_2, Protocol.TLS1_3) if protocol in tls.negotiated]
    suites = accepted_suites(tls, (Protocol.TLS1_2, Protocol.TLS1_3))
    seen = [(name, protocol) for protocol in versions for name in _schemes(tls, protocol).value or ()]
    if weak := [name for name, _ in seen if _weak_scheme(name)]:
        # Schemes are offered one by one: with a better one beside it, this is what an old client alone is served.
        better = any(protocol is Protocol.TLS1_2 and not _weak_scheme(name) for name, protocol in seen)
        old_clients_alone = better and not any("md5" in name for name in weak)
        reason, severity = ("weak-hash-too", Severity.LOW) if old_clients_alone else ("weak-hash", None)
        return [Finding(reason, listing(weak), "SHA-256 or better", severity=severity)]
    unlisted = [
        name
        for name, protocol in seen
        if parameters.allowed and name not in {*parameters.allowed.get(protocol, ()), *parameters.phase_out}
    ]
    if unlisted:
        return [Finding("not-listed", listing(unlisted), "only schemes on the policy's list")]
    if phase_out := [name for name, _ in seen if name in parameters.phase_out]:
        return [Finding("phase-out", listing(phase_out), "other schemes", severity=Severity.LOW)]
    for protocol in versions:
        attempt = _schemes(tls, protocol)
        matters = protocol is Protocol.TLS1_2 or parameters.allowed
        if attempt.cut_off and matters and _signs(item for item in suites.items if item.protocol is protocol):
            return [unseen(protocol, attempt.cut_off)]
    if suites.gap:
        return [suites.gap]
    if not seen and Protocol.TLS1_3 not in versions:
        return [Finding("not-signed", listing(tls.negotiated))]
    # RFC 8446 section 4.2.3 leaves TLS 1.3 no scheme with MD5 or SHA-1 to sign a handshake with.
    return [Finding("good", listing(name for name, _ in seen) or "the schemes of TLS 1.3", "SHA-256 or better")]


def _schemes(tls: TlsEvidence, protocol: Protocol) -> Attempt[tuple[str, ...]]:
    return tls.signature_schemes.get(protocol, not_run())


def _signs(items: Iterable[Accepted]) -> bool:
    """Whether the server signs any handshake: with RSA key transport and anonymous suites it does not."""
    return any(item.suite.tls13 or (item.suite.ephemeral and not item.suite.anonymous) for item in items)


def _judge_older(tls: TlsEvidence, attempt: Attempt[bool], observed: tuple[str, str], expected: str) -> list[Finding]:
    """Judge a protection that only versions before TLS 1.3 need."""
    older = older_than_tls13(tls)
    if older is False:
        return [Finding("tls1.3-alone", listing(tls.negotiated))] if tls.negotiated else [nothing_negotiated(tls)]
    if older is None:  # what the handshake that was made tells may be of TLS 1.3, where it says nothing
        return [next(unseen(item, cause) for item in BEFORE_TLS13 if (cause := tls.offer(item).cut_off))]
    if gap := unproven(attempt, good=True):
        return [gap]
    return [Finding("there" if attempt.value else "missing", observed[not attempt.value], expected)]


_TLS13_ALONE = not_applicable("The server negotiates only TLS 1.3, which has the protection built in.")


@rule(
    "integrity.encrypt-then-mac",
    title="CBC suites use encrypt-then-MAC",
    goal=Goal.INTEGRITY,
    severity=Severity.LOW,
    of=TlsEvidence,
    why="In CBC suites the MAC is computed before the encryption, so the padding can be probed (Lucky 13). Where they "
    "must be offered, this extension reverses the order.",
    how="A ClientHello of TLS 1.2 or older offers CBC suites and the extension; the ServerHello tells if it is used.",
    sources=(rfc(7366), rfc(9325, "4.2")),
    reasons={
        "there": passes("The server uses encrypt-then-MAC."),
        "missing": fails("The server accepts CBC suites without encrypt-then-MAC: {suites}."),
        "no-cbc": not_applicable("No CBC suite is accepted in TLS."),
    },
    fix=fixes.SUITES,
    mistake=fixes.BAD_SUITES,
    proof=Proof.SINGULAR,
)
def _encrypt_then_mac(tls: TlsEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    suites = accepted_suites(tls, (Protocol.TLS1_0, Protocol.TLS1_1, Protocol.TLS1_2))
    cbc = [item for item in suites.items if item.suite.cbc]
    if not cbc:
        return [suites.gap or Finding("no-cbc", listing(tls.negotiated))]
    attempt = tls.encrypt_then_mac
    if gap := unproven(attempt, good=True):
        return [gap]
    words = ("encrypt-then-MAC", "no encrypt-then-MAC")
    values = {"suites": suites.names(cbc)}
    return [Finding("there" if attempt.value else "missing", words[not attempt.value], words[0], values=values)]


@rule(
    "integrity.extended-master-secret",
    title="Extended master secret",
    goal=Goal.INTEGRITY,
    severity=Severity.MEDIUM,
    of=TlsEvidence,
    why="Without it, a malicious server can make two sessions share one secret, and insert itself into a resumed or "
    "renegotiated connection (triple handshake).",
    how="A ClientHello of TLS 1.2 or older offers the extension; the ServerHello tells whether it is used. A handshake "
    "in TLS 1.3 says nothing about it.",
    sources=(rfc(7627), rfc(9325, "3.5")),
    reasons={
        "there": passes("The server uses the extended master secret."),
        "missing": fails("The server negotiates TLS 1.2 or older without the extended master secret."),
        "tls1.3-alone": _TLS13_ALONE,
        "ssl-alone": not_applicable("The server negotiates only SSL, which has no extensions."),
    },
    fix=fixes.MASTER_SECRET,
    mistake=fixes.WITHOUT_MASTER_SECRET,
    proof=Proof.SINGULAR,
)
def _extended_master_secret(tls: TlsEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    if tls.negotiated and tls.negotiated[-1] in {Protocol.SSL2, Protocol.SSL3}:
        gap = accepted_suites(tls).gap
        return [gap] if gap else [Finding("ssl-alone", listing(tls.negotiated))]
    words = ("extended master secret", "no extended master secret")
    return _judge_older(tls, tls.extended_master_secret, words, words[0])


@rule(
    "integrity.secure-renegotiation",
    title="Secure renegotiation",
    goal=Goal.INTEGRITY,
    severity=Severity.HIGH,
    of=TlsEvidence,
    why="Without it, an attacker can insert data in front of what a client sends (CVE-2009-3555).",
    how="A ClientHello of TLS 1.2 or older offers renegotiation_info; the ServerHello tells whether it is known.",
    sources=(rfc(5746, "3.6"), rfc(9325, "3.5")),
    reasons={
        "there": passes("The server supports secure renegotiation."),
        "missing": fails("The server does not support secure renegotiation."),
        "tls1.3-alone": _TLS13_ALONE,
    },
    fix=fixes.RENEGOTIATION,
    mistake=fixes.INSECURE_RENEGOTIATION,
    proof=Proof.SINGULAR,
)
def _secure_renegotiation(tls: TlsEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    words = ("secure renegotiation", "no secure renegotiation")
    return _judge_older(tls, tls.secure_renegotiation, words, words[0])


@rule(
    "integrity.fallback-scsv",
    title="Downgrades are refused",
    goal=Goal.INTEGRITY,
    severity=Severity.LOW,
    of=TlsEvidence,
    why="It warns a client that fell back to an older version because an attacker blocked its first attempt.",
    how="A ClientHello of an older version than the best carries TLS_FALLBACK_SCSV; the server must answer with the "
    "alert inappropriate_fallback. Not asked where only one version is negotiated, nor of TLS 1.3 servers: their "
    "ServerHello marks a downgrade (RFC 8446 section 4.1.3), and RFC 8996 made the SCSV historic.",
    sources=(rfc(7507, "3"), rfc(8996), rfc(9325, "3.1.3")),
    reasons={
        "there": passes("The server refuses a downgrade."),
        "missing": fails("The server accepts a downgrade that the client marked as one."),
        "tls1.3": not_applicable("The server negotiates TLS 1.3, which protects against downgrades by itself."),
        "one-version": not_applicable("The server negotiates only {observed}: there is nothing to fall back to."),
    },
    fix=fixes.FALLBACK,
    mistake=fixes.DOWNGRADE,
    proof=Proof.SINGULAR,
)
def _fallback(tls: TlsEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    if Protocol.TLS1_3 in tls.negotiated:
        return [Finding("tls1.3", listing(tls.negotiated))]
    if (cause := tls.offer(Protocol.TLS1_3).cut_off) is not None:
        return [unseen(Protocol.TLS1_3, cause)]
    if len(tls.negotiated) <= 1:
        return [accepted_suites(tls).gap or Finding("one-version", listing(tls.negotiated))]
    attempt = tls.fallback_scsv
    if gap := unproven(attempt, good=True):
        return [gap]
    observed = "downgrade refused" if attempt.value else "downgrade accepted"
    return [Finding("there" if attempt.value else "missing", observed, "downgrade refused")]


@rule(
    "integrity.no-early-data",
    title="No early data",
    goal=Goal.INTEGRITY,
    severity=Severity.MEDIUM,
    of=TlsEvidence,
    why="Early data (0-RTT) can be replayed by an attacker on the path: an order or a payment is then made twice.",
    how="A TLS 1.3 session is resumed and data sent before the handshake is done, or the ticket's max_early_data_size "
    "is read. " + SEEN_TWICE,
    sources=(rfc(8446, "8"), rfc(9325, "3.10"), rfc(8470, "3")),
    reasons={
        "off": passes("The server accepts no early data."),
        "on": fails("The server accepts early data."),
        "no-tls1.3": not_applicable("The server does not negotiate TLS 1.3, the only version with early data."),
        "starttls": not_applicable("After {protocol} upgrades to TLS, early data has no defined meaning."),
    },
    fix=fixes.EARLY_DATA,
    mistake=fixes.EARLY,
    proof=Proof.SINGULAR,
)
def _early_data(tls: TlsEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    allowed = tls.max_early_data_size
    if tls.early_data.value:
        return [Finding("on", "early data accepted", "no early data")]
    if allowed.value:
        return [Finding("on", f"a session ticket allows {allowed.value} bytes of early data", "no early data")]
    if tls.negotiated and Protocol.TLS1_3 not in tls.negotiated and tls.offer(Protocol.TLS1_3).cut_off is None:
        return [Finding("no-tls1.3", listing(tls.negotiated))]
    starttls = facts.target.endpoint.starttls
    if allowed.value == 0 and allowed.incomplete is None:
        return [Finding("off", "no session ticket allows early data", "no early data")]
    if allowed.cut_off is not None and allowed.cut_off.reason is not FailureReason.NOT_RUN:
        return [not_observed(allowed.cut_off)]  # a ticket would have told, whatever was answered without it
    if tls.early_data.value is None and starttls is not None:
        return [Finding("starttls", values={"protocol": starttls})]
    if gap := unproven(tls.early_data, good=False):
        return [gap]
    groups = tls.groups.get(Protocol.TLS1_3, not_run())
    if _FIRST_SHARE not in (groups.value or ()):
        # It was asked for with a key share for this group: a HelloRetryRequest refuses early data, whatever is allowed.
        return [not_observed(Failure(FailureReason.UNSUPPORTED, f"early data is asked for only with {_FIRST_SHARE}"))]
    return [Finding("off", "no early data", "no early data")]
