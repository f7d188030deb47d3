"""Which verdicts of one target exclude each other: if one is true, the other is not.

A table, because that is how it is read: who adds a rule looks for the rules that speak of the same thing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from scanner.verdict import Status, Verdict


@dataclass(frozen=True)
class Said:
    """A verdict by its rule and reason; `observed` must be found in what it says was seen, where it is given."""

    rule: str
    reason: str
    observed: str = ""

    def by(self, verdict: Verdict) -> bool:
        if (verdict.rule, verdict.reason) != (self.rule, self.reason):
            return False
        return re.search(self.observed, verdict.observed) is not None


@cache
def said(text: str) -> tuple[Said, ...]:
    """`rule: reason reason ~ observed; rule: …` as alternatives."""
    found = []
    for part in text.split(";"):
        rule, _, rest = part.partition(":")
        reasons, _, observed = rest.partition("~")
        found += [Said(rule.strip(), reason, observed.strip()) for reason in reasons.split()]
    return tuple(found)


_TLS_SPOKEN = "https.active: tls"
_ONLY_TLS13 = (
    "comp.none: tls1.3-alone; vuln.crime: tls1.3-alone; vuln.heartbleed: tls1.3-alone; vuln.ccs-injection: tls1.3-alone;"
    "vuln.renegotiation-dos: tls1.3-alone; integrity.extended-master-secret: tls1.3-alone;"
    "integrity.secure-renegotiation: tls1.3-alone"
)
_OLDER = (
    "proto.tls1.2: offered; proto.no-tls1.2: offered allowed; proto.no-tls1.1: offered; proto.no-tls1.0: offered;"
    "proto.no-ssl3: offered; proto.no-ssl2: offered"
)
_TLS13 = "proto.tls1.3: offered"
_NO_TLS13 = "proto.tls1.3: not-offered"
_NOT_AEAD = (
    "integrity.encrypt-then-mac: there missing; vuln.beast: vulnerable; vuln.poodle: vulnerable; vuln.sweet32: vulnerable;"
    "cipher.no-rc4: accepted; cipher.no-null: accepted; cipher.no-64bit-block: accepted; cipher.no-export: accepted;"
    "vuln.freak: vulnerable; integrity.no-weak-mac: accepted"
)
_PROBED = "cipher.no-null: accepted none-accepted; cert.trusted: trusted self-signed unknown-issuer"

EXCLUSIONS: tuple[tuple[str, str], ...] = (
    # Whether TLS is spoken, and which versions.
    ("https.active: plain", f"{_OLDER}; {_TLS13}; {_NO_TLS13}; {_PROBED}"),
    (_TLS_SPOKEN, "cipher.no-null: no-tls; cert.trusted: no-tls; proto.tls1.2: no-tls"),
    (_TLS_SPOKEN, "https.console: no-tls"),
    ("proto.tls1.2: offered", "proto.no-tls1.2: not-offered"),
    ("proto.tls1.2: not-offered newer-alone", "proto.no-tls1.2: offered allowed"),
    ("proto.tls1.2: newer-alone", _NO_TLS13),
    (_ONLY_TLS13, f"{_OLDER}; {_NO_TLS13}"),
    ("integrity.fallback-scsv: tls1.3", _NO_TLS13),
    ("integrity.fallback-scsv: there missing one-version", _TLS13),
    ("integrity.no-early-data: no-tls1.3", _TLS13),
    ("integrity.no-early-data: on off", _NO_TLS13),
    ("kex.post-quantum: offered not-offered", _NO_TLS13),
    ("kex.post-quantum: no-tls1.3", _TLS13),
    ("integrity.signature-algorithms: not-signed", _TLS13),
    ("integrity.extended-master-secret: ssl-alone", f"{_TLS13}; proto.tls1.2: offered; proto.no-tls1.0: offered"),
    # Attacks that live on a version or a suite.
    ("proto.no-ssl2: not-offered", "vuln.drown: vulnerable"),
    ("proto.no-ssl2: offered", "vuln.drown: not-vulnerable sibling"),
    ("proto.no-ssl3: not-offered", "vuln.poodle: vulnerable"),
    ("vuln.poodle: vulnerable", "vuln.beast: not-vulnerable"),
    ("cipher.no-64bit-block: accepted", "vuln.sweet32: not-vulnerable"),
    ("cipher.no-64bit-block: none-accepted", "vuln.sweet32: vulnerable"),
    ("cipher.no-export: none-accepted", "vuln.freak: vulnerable; vuln.logjam: vulnerable ~ EXPORT"),
    ("comp.none: off", "vuln.crime: vulnerable"),
    ("comp.none: on", "vuln.crime: not-vulnerable"),
    ("kex.min-dh-bits: large-enough no-dhe", "vuln.logjam: vulnerable common-prime"),
    ("vuln.robot: rsa-not-offered", "cipher.forward-secrecy: static ~ TLS_RSA_; vuln.freak: vulnerable"),
    ("vuln.robot: rsa-not-offered", "cipher.no-null: accepted ~ TLS_RSA_; cipher.no-rc4: accepted ~ TLS_RSA_"),
    ("cipher.forward-secrecy: all-ephemeral", "vuln.freak: vulnerable; vuln.robot: not-vulnerable strong-oracle weak-oracle"),
    ("integrity.aead: all-aead", _NOT_AEAD),
    ("integrity.encrypt-then-mac: no-cbc", "vuln.beast: vulnerable ~ tls1.0"),
    # Certificates.
    ("cert.valid-now: expired", "cert.expiry: enough-time expires-soon expires-very-soon"),
    ("cert.valid-now: valid", "cert.expiry: expired"),
    ("cert.trusted: self-signed", "cert.domain: own"),
    ("cert.trusted: chain-incomplete", "cert.chain-complete: complete"),
    ("cert.must-staple: sent", "cert.stapled: not-sent stale no-responder"),
    ("cert.must-staple: not-sent", "cert.stapled: sent stale"),
    ("cert.revocation: not-stated", "cert.revocation-service: in-order"),
    ("cert.transparency: private-ca", "dns.caa: allows other-issuer no-record"),
    ("cert.transparency: enough too-few", "dns.caa: private-ca"),
    ("cert.same-on-all-addresses: same", "https.node-consistency: one-address"),
    # Enforcement.
    ("https.hsts: missing invalid", "https.hsts-max-age: long-enough too-short; https.hsts-preload: eligible"),
    ("https.hsts: sent not-everywhere several over-http-too", "https.hsts-max-age: no-hsts; https.hsts-subdomains: no-hsts"),
    ("https.hsts-max-age: long-enough too-short", "https.hsts-subdomains: no-hsts; https.hsts-preload: no-hsts"),
    ("https.redirect: redirects", "https.redirect-permanent: no-redirect"),
    ("https.redirect: served plain-refused plain-silent error-answer", "https.redirect-permanent: permanent temporary"),
    ("https.redirect: served client-side", "https.always: never-plain; https.console: https-alone"),
    ("https.redirect: plain-refused plain-silent redirects", "https.console: served-in-plain"),
    ("https.active: client-certificate", "https.client-certificate: open works-without"),
)  # fmt: skip
"""Of each pair the verdicts on the left exclude every one on the right, where they speak of the same subject."""


def excluding_pairs(verdicts: Iterable[Verdict]) -> list[str]:
    """The pairs of verdicts of one target that cannot both be true, in words."""
    by_rule: Mapping[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        by_rule[verdict.rule].append(verdict)
    return list(dict.fromkeys(_found(by_rule)))


def _found(by_rule: Mapping[str, list[Verdict]]) -> Iterator[str]:
    for left, right in EXCLUSIONS:
        for one in said(left):
            excluding = [*filter(one.by, by_rule[one.rule])]
            for other in said(right) if excluding else ():
                for first in excluding:
                    for second in filter(other.by, by_rule[other.rule]):
                        if "" in {first.subject, second.subject} or first.subject == second.subject:
                            yield f"{first.rule} ({first.reason}) beside {second.rule} ({second.reason})"
    yield from _without_any_version(by_rule)


def _without_any_version(by_rule: Mapping[str, list[Verdict]]) -> Iterator[str]:
    """TLS is spoken, and every version is known not to be negotiated."""
    versions = ("no-ssl2", "no-ssl3", "no-tls1.0", "no-tls1.1", "tls1.2", "tls1.3")
    absent = [
        verdict
        for name in versions
        for verdict in by_rule[f"proto.{name}"]
        if verdict.reason == "not-offered" and verdict.status in {Status.PASS, Status.FAIL}
    ]
    if len(absent) == len(versions) and any(item.reason == "tls" for item in by_rule["https.active"]):
        yield "https.active (tls) beside no version that is negotiated"
