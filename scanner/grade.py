"""A grade from A+ to F, T and M, after the published method of SSL Labs (Server Rating Guide 2009, up to 2009r).

It says how a server looks to a well-known yardstick, and nothing of compliance: no verdict comes from it, and it comes
from no policy. It is ours, not Qualys': the guide is public, their implementation sees some things that this scanner
does not look at (`NOT_LOOKED_AT`). Where the evidence lacks what the method needs, there is no grade, and it says why.

Source: https://github.com/ssllabs/research/wiki/SSL-Server-Rating-Guide
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from scanner.evidence import Protocol
from scanner.inventory import Endpoint, Environment, EnvironmentKind, Target
from scanner.rules import Facts, Finding, get_rule
from scanner.rules.certificates.leaves import below_root
from scanner.rules.https.answers import inside_tls
from scanner.rules.https.hsts_header import HstsError, parse_hsts
from scanner.rules.registry import deployments_of, http_of, tls_of
from scanner.rules.registry.listing import listing
from scanner.rules.tls.accepted import accepted_suites
from scanner.rules.tls.groups import bits_of, has_mlkem, is_elliptic
from scanner.verdict import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from scanner.evidence import Certificate, TargetEvidence, TlsEvidence
    from scanner.inventory import Role
    from scanner.verdict import TargetResult

_LOG = logging.getLogger(__name__)

METHOD: Final = "SSL-Labs-style grade (2009r rules)"
"""How the grade is named wherever it is shown."""

NOT_LOOKED_AT: Final = (
    "POODLE in TLS",
    "Ticketbleed",
    "GOLDENDOODLE and the other padding oracles of 2019",
    "CVE-2016-2107",
    "CVE-2019-1559",
    "DROWN through another host with the same key",
    "weak keys of Debian (2008)",
    "revocation beyond the staple",
)
"""What the method counts and this scanner does not observe: a server that has it is graded too well."""

_PROTOCOL_SCORES: Final = {
    Protocol.SSL2: 0,
    Protocol.SSL3: 80,
    Protocol.TLS1_0: 90,
    Protocol.TLS1_1: 95,
    Protocol.TLS1_2: 100,
    Protocol.TLS1_3: 100,
}
_FINITE_SCORES: Final = ((512, 20), (1024, 40), (2048, 80), (4096, 90))
"""Score of a key or a finite field below so many bits; 100 from the last on."""
_CURVE_SCORES: Final = ((110, 20), (123, 40), (163, 80), (225, 90))
"""The same of a curve, by the sizes of equal strength that testssl.sh uses."""
_CIPHER_SCORES: Final = ((1, 0), (128, 20), (256, 80))
_LETTERS: Final = ((80, "A"), (65, "B"), (50, "C"), (35, "D"), (20, "E"))
_LADDER: Final = "ABCDEF"
_HSTS_SECONDS: Final = 180 * 86_400
"""Shortest max-age for an A+ (six months)."""
_EXPORT_SCORE: Final = 40
_WEAK_BITS: Final = 112
_SMALL_BITS, _SHORT_BITS = 1024, 2048
_NAMED_BITS: Final = {
    "NULL": 0,
    "DES40": 40,
    "DES": 56,
    "IDEA": 128,
    "SEED": 128,
    "SM4": 128,
    "3DES_EDE": 168,
    "28147": 256,
    "CHACHA20": 256,
}
_BITS: Final = re.compile(r"_(\d+)(?:_|$)")
_TLS11_AND_LATER: Final = frozenset({Protocol.TLS1_1, Protocol.TLS1_2, Protocol.TLS1_3})
_TLS: Final = _TLS11_AND_LATER | {Protocol.TLS1_0}


class Effect(StrEnum):
    """What a reason does to the grade, the gravest first: decide it, cap it, or take the best ones away."""

    NOT_TRUSTED = "T"
    WRONG_NAME = "M"
    FAIL = "F"
    CAP_C = "cap C"
    CAP_B = "cap B"
    WARNING = "A-"
    NO_PLUS = "no A+"


@dataclass(frozen=True, slots=True)
class GradeReason:
    """One thing that decided: what it does, in which words."""

    effect: Effect
    text: str


@dataclass(frozen=True, slots=True)
class Grade:
    """The grade of one target.

    `letter` is None where it could not be determined, `missing` then says what was not observed. `score` is the total
    of the three categories, 0 to 100, before caps; None where one of them is unknown. `reasons` are the gravest first.
    """

    letter: str | None
    score: int | None = None
    protocol_score: int | None = None
    key_exchange_score: int | None = None
    cipher_score: int | None = None
    reasons: tuple[GradeReason, ...] = ()
    missing: tuple[str, ...] = ()


def grade(evidence: TargetEvidence, host: str, port: int, role: Role, now: datetime) -> Grade:
    """Grade what was observed at a host, as of a time. It never raises: a defect leaves it undetermined."""
    endpoint = Endpoint("", host, port, role)
    facts = Facts(Target(endpoint, None), Environment("", EnvironmentKind.ON_PREMISES), evidence, now)
    try:
        tls = tls_of(facts)
        if isinstance(tls, Finding):
            return Grade(None, missing=("the endpoint does not speak TLS",) if tls.reason == "no-tls" else (_why(tls),))
        return _Grading(facts, tls).result()
    except Exception:  # noqa: BLE001  # a run over a thousand others goes on; it is logged and shown
        _LOG.exception("the grade of %s failed", host)
        return Grade(None, missing=("the grading itself failed, which is a defect of Nightseal",))


def explained(target: TargetResult, now: datetime) -> Grade | None:
    """How the grade of a judged target came about, as of the end of its run.

    None where its evidence is no longer kept, or where another version of the method gave another grade.
    """
    if target.evidence is None:
        return None
    found = grade(target.evidence, target.host, target.port, target.role, now)
    return found if found.letter == target.grade else None


def in_words(found: Grade) -> str:
    """What decided, or what was missing, in one line."""
    if found.letter is None:
        return f"not determined: {'; '.join(found.missing)}"
    return "; ".join(reason.text for reason in found.reasons)


def _why(finding: Finding) -> str:
    return str(finding.values.get("why", finding.reason))


def _score(value: int, steps: Iterable[tuple[int, int]]) -> int:
    return next((score for below, score in steps if value < below), 100)


def _strength(bits: int, *, curve: bool) -> int:
    return _score(bits, _CURVE_SCORES if curve else _FINITE_SCORES)


def _bits(cipher: str) -> int | None:
    """Key size of a cipher by the name that its suites give it; None where nothing is known of it."""
    if found := _BITS.search(cipher):
        return int(found[1])
    return _NAMED_BITS.get(cipher)


class _Grading:
    """Gathers reasons and gaps of one target."""

    def __init__(self, facts: Facts, tls: TlsEvidence) -> None:
        self._facts = facts
        self._tls = tls
        self._suites = accepted_suites(tls)
        self._reasons: list[GradeReason] = []
        self._missing: dict[str, None] = {}

    def result(self) -> Grade:
        self._judge_certificates()
        self._judge_protocols()
        self._judge_suites()
        self._judge_attacks()
        sizes = list(self._key_sizes())
        self._judge_sizes(sizes)
        scores = self._protocol_score(), self._key_exchange_score(sizes), self._cipher_score()
        total = self._total(scores)
        letter = self._letter(total)
        rank = list(Effect)
        return Grade(
            letter,
            total,
            *scores,
            reasons=tuple(sorted(self._reasons, key=lambda reason: rank.index(reason.effect))),
            missing=tuple(self._missing) if letter is None else (),
        )

    def _say(self, effect: Effect, text: str) -> None:
        self._reasons.append(GradeReason(effect, text))

    def _has(self, *effects: Effect) -> bool:
        return any(reason.effect in effects for reason in self._reasons)

    def _status(self, rule_id: str, label: str) -> Status:
        """The worst that a rule says; where it cannot tell, that is noted as missing."""
        rule = get_rule(rule_id)
        findings = list(rule.check(self._facts, rule.parameters()))
        statuses = {rule.reasons[finding.reason].status for finding in findings}
        if Status.FAIL in statuses:
            return Status.FAIL
        if Status.INDETERMINATE in statuses:
            gap = next(item for item in findings if rule.reasons[item.reason].status is Status.INDETERMINATE)
            self._missing[f"{label}: {_why(gap)}"] = None
            return Status.INDETERMINATE
        return Status.PASS

    def _fails(self, rule_id: str, label: str, effect: Effect, text: str) -> None:
        if self._status(rule_id, label) is Status.FAIL:
            self._say(effect, text)

    def _judge_certificates(self) -> None:
        self._fails("cert.trusted", "trust", Effect.NOT_TRUSTED, "the certificate is not trusted")
        self._fails("cert.valid-now", "validity", Effect.NOT_TRUSTED, "a certificate is outside its dates")
        self._fails("cert.hostname", "name", Effect.WRONG_NAME, "the certificate is for another name")
        self._fails("cert.chain-complete", "chain", Effect.CAP_B, "the chain is incomplete")
        deployments = deployments_of(self._facts)
        if isinstance(deployments, Finding):
            return
        if any(item.staple and item.staple.certificate_status == "revoked" for item in deployments):
            self._say(Effect.NOT_TRUSTED, "the certificate is revoked")
        hashes = {item.signature_hash for deployment in deployments for item in below_root(deployment)}
        if hashes & {"md5", "md2"}:
            self._say(Effect.FAIL, "a certificate is signed with MD5 or MD2")
        if "sha1" in hashes:
            self._say(Effect.NOT_TRUSTED, "a certificate is signed with SHA-1")

    def _judge_protocols(self) -> None:
        for protocol in Protocol:
            cut_off = self._tls.offer(protocol).cut_off
            if cut_off is not None:
                self._missing[f"{protocol}: {cut_off.reason.value}"] = None
        negotiated = set(self._tls.negotiated)
        absent = {
            protocol for protocol in Protocol if (offer := self._tls.offer(protocol).value) and not offer.negotiated
        }
        if Protocol.SSL2 in negotiated:
            self._say(Effect.FAIL, "SSL 2.0 is supported")
        if negotiated and absent >= _TLS:
            self._say(Effect.FAIL, "nothing newer than SSL 3.0 is supported")
        if Protocol.SSL3 in negotiated:
            self._say(Effect.CAP_B, "SSL 3.0 is supported")
        if absent >= {Protocol.TLS1_2, Protocol.TLS1_3}:
            self._say(Effect.CAP_C, "neither TLS 1.2 nor TLS 1.3 is supported")
        old = sorted(negotiated & {Protocol.TLS1_0, Protocol.TLS1_1})
        if old:
            self._say(Effect.CAP_B, f"supported: {listing(old)}")
        if Protocol.TLS1_3 in absent:
            self._say(Effect.WARNING, "TLS 1.3 is not supported")

    def _judge_suites(self) -> None:
        items = self._suites.items
        if self._suites.gap:
            self._missing[f"cipher suites: {_why(self._suites.gap)}"] = None
        elif items:
            if not any(item.suite.ephemeral for item in items):
                self._say(Effect.CAP_B, "no suite has forward secrecy")
            if not any(item.suite.aead for item in items):
                self._say(Effect.CAP_B, "no suite is AEAD")
        weak = sorted(
            {
                item.suite.name
                for item in items
                if item.suite.export or ((bits := _bits(item.suite.cipher)) is not None and bits < _WEAK_BITS)
            }
        )
        if weak:
            self._say(Effect.FAIL, f"suites below {_WEAK_BITS} bits: {listing(weak)}")
        if any(item.suite.anonymous for item in items):
            self._say(Effect.FAIL, "suites without authentication")
        self._judge_old_ciphers()

    def _judge_old_ciphers(self) -> None:
        items = self._suites.items
        modern = [item for item in items if item.protocol in _TLS11_AND_LATER]
        if items and all(item.suite.rc4 for item in items):
            self._say(Effect.FAIL, "RC4 suites alone")
        elif any(item.suite.rc4 for item in modern):
            self._say(Effect.CAP_C, "RC4 with TLS 1.1 or newer")
        elif any(item.suite.rc4 for item in items):
            self._say(Effect.CAP_B, "RC4 is supported")
        if any(item.suite.block_of_64_bits for item in modern):
            self._say(Effect.CAP_C, "blocks of 64 bits with TLS 1.1 or newer")

    def _judge_attacks(self) -> None:
        self._fails("vuln.heartbleed", "Heartbleed", Effect.FAIL, "Heartbleed")
        self._fails("vuln.ccs-injection", "CCS injection", Effect.FAIL, "CCS injection")
        self._fails("vuln.robot", "ROBOT", Effect.FAIL, "ROBOT")
        self._fails("vuln.poodle", "POODLE", Effect.CAP_C, "POODLE (CBC suites with SSL 3.0)")
        self._fails("comp.none", "TLS compression", Effect.CAP_C, "TLS compression (CRIME)")
        if self._status("integrity.secure-renegotiation", "renegotiation") is Status.FAIL:
            by_client = self._tls.client_renegotiation
            if by_client.value:
                self._say(Effect.FAIL, "insecure renegotiation")
            elif by_client.value is None:
                self._missing["renegotiation by the client: not observed"] = None
            else:
                self._say(Effect.WARNING, "no secure renegotiation")

    def _key_sizes(self) -> Iterator[tuple[int, bool, str]]:
        """Bits of every key, whether they are of a curve, and whose they are."""
        deployments = deployments_of(self._facts)
        for deployment in () if isinstance(deployments, Finding) else deployments:
            leaf = deployment.leaf
            yield leaf.key_bits, _on_curve(leaf), "the server's key"
        seen = {name for attempt in self._tls.groups.values() for name in attempt.value or ()}
        for item in self._suites.items:
            if item.seen.group:
                seen.add(item.seen.group)
            elif item.seen.ephemeral_bits is not None:
                yield item.seen.ephemeral_bits, item.suite.elliptic, "the key exchange"
            elif item.suite.finite_field:
                self._missing[f"{item.suite.name}: the size of its key exchange"] = None
        for name in seen:
            bits = bits_of(name)
            if has_mlkem(name):
                continue
            if bits is None:
                self._missing[f"the size of the group {name}"] = None
            else:
                yield bits, is_elliptic(name), "the key exchange"

    def _judge_sizes(self, sizes: list[tuple[int, bool, str]]) -> None:
        for whose in dict.fromkeys(item[2] for item in sizes):
            smallest = min(_strength(bits, curve=curve) for bits, curve, of in sizes if of == whose)
            if smallest <= _score(_SMALL_BITS - 1, _FINITE_SCORES):
                self._say(Effect.FAIL, f"{whose} has the strength of less than {_SMALL_BITS} bits of RSA")
            elif smallest <= _score(_SHORT_BITS - 1, _FINITE_SCORES):
                self._say(Effect.CAP_B, f"{whose} has the strength of less than {_SHORT_BITS} bits of RSA")

    def _protocol_score(self) -> int | None:
        scores = [_PROTOCOL_SCORES[protocol] for protocol in self._tls.negotiated]
        return (max(scores) + min(scores)) // 2 if scores else None

    def _key_exchange_score(self, sizes: list[tuple[int, bool, str]]) -> int | None:
        if any(item.suite.anonymous for item in self._suites.items):
            return 0
        scores = [_strength(bits, curve=curve) for bits, curve, _ in sizes]
        if any(item.suite.export for item in self._suites.items):
            scores.append(_EXPORT_SCORE)
        return min(scores, default=None)

    def _cipher_score(self) -> int | None:
        bits = []
        for item in self._suites.items:
            size = _bits(item.suite.cipher)
            if size is None:
                self._missing[f"the key size of {item.suite.name}"] = None
            else:
                bits.append(size)
        return (_score(max(bits), _CIPHER_SCORES) + _score(min(bits), _CIPHER_SCORES)) // 2 if bits else None

    def _total(self, scores: tuple[int | None, int | None, int | None]) -> int | None:
        protocol, key_exchange, cipher = scores
        if protocol is None or key_exchange is None or cipher is None:
            self._missing["protocols, keys or cipher suites: not observed"] = None
            return None
        if 0 in scores:
            return 0
        return protocol * 30 // 100 + key_exchange * 30 // 100 + cipher * 40 // 100

    def _letter(self, total: int | None) -> str | None:
        """The letter; None where something that was not observed could have changed it."""
        if self._has(Effect.NOT_TRUSTED):
            return "T"
        if any(item.startswith(("trust:", "validity:", "name:")) for item in self._missing):
            return None
        for effect in (Effect.WRONG_NAME, Effect.FAIL):
            if self._has(effect):
                return effect.value
        return None if total is None or self._missing else self._by_score(total)

    def _by_score(self, total: int) -> str | None:
        letter = next((letter for least, letter in _LETTERS if total >= least), "F")
        caps = [effect.value[-1] for effect in (Effect.CAP_B, Effect.CAP_C) if self._has(effect)]
        letter = max([letter, *caps], key=_LADDER.index)
        if letter != "A":
            return letter
        return "A-" if self._has(Effect.WARNING) else self._best()

    def _best(self) -> str | None:
        """A+ with HSTS that lasts long enough, else A; without HTTP there is no A+."""
        http = http_of(self._facts)
        if isinstance(http, Finding):
            if http.reason == "not-http":
                return "A"
            self._missing[f"HSTS: {_why(http)}"] = None
            return None
        probe = inside_tls(http)
        if probe is None or probe.first.failure is not None:
            self._missing["HSTS: HTTPS gave no answer"] = None
            return None
        try:
            lasting = bool(probe.first.hsts) and parse_hsts(probe.first.hsts[0]).max_age >= _HSTS_SECONDS
        except HstsError:
            lasting = False
        if not lasting:
            # testssl.sh warns of it (A-); the guide's own text of 2009e only takes the plus away, and is followed.
            self._say(Effect.NO_PLUS, "HSTS is missing, invalid or shorter than 180 days")
        return "A+" if lasting else "A"


def _on_curve(certificate: Certificate) -> bool:
    return certificate.curve is not None or certificate.key_type.value in {"ecdsa", "ed25519", "ed448"}
