"""What was seen of a target, as far as the method asks for it, and what it would have needed besides."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from scanner.evidence import Protocol
from scanner.grade.scores import cipher_bits
from scanner.rules import Facts, Finding, get_rule
from scanner.rules.certificates.leaves import below_root
from scanner.rules.https.answers import inside_tls
from scanner.rules.https.hsts_header import HstsError, parse_hsts
from scanner.rules.registry import deployments_of, http_of
from scanner.rules.tls.accepted import Accepted, AcceptedSuites, accepted_suites
from scanner.rules.tls.groups import bits_of, has_mlkem, is_elliptic
from scanner.rules.tls.key_exchange import groups_gap
from scanner.verdict import Severity, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scanner.evidence import Certificate, Deployment, TlsEvidence

_MODERN = frozenset({Protocol.TLS1_1, Protocol.TLS1_2, Protocol.TLS1_3})
KEY, EXCHANGE = "the server's key", "the key exchange"


@dataclass(frozen=True)
class Size:
    """Bits of a key or a key exchange: whose they are, and whether they are of a curve."""

    whose: str
    bits: int
    curve: bool


@dataclass(frozen=True)
class Seen:
    """One target's facts. What is not known of them is `missing`."""

    facts: Facts
    tls: TlsEvidence

    @cached_property
    def suites(self) -> AcceptedSuites:
        """The cipher suites accepted in any version."""
        return accepted_suites(self.tls)

    @property
    def items(self) -> tuple[Accepted, ...]:
        """Each suite in each version."""
        return self.suites.items

    @property
    def in_modern_versions(self) -> tuple[Accepted, ...]:
        """Those of TLS 1.1 and newer."""
        return tuple(item for item in self.items if item.protocol in _MODERN)

    @cached_property
    def absent(self) -> frozenset[Protocol]:
        """The versions that are known not to be negotiated."""
        offers = {protocol: self.tls.offer(protocol) for protocol in Protocol}
        return frozenset(
            item for item, offer in offers.items() if offer.cut_off is None and item not in self.tls.negotiated
        )

    @cached_property
    def deployments(self) -> tuple[Deployment, ...]:
        """The certificates, as far as they were seen; the rules about them say what was not."""
        found = deployments_of(self.facts)
        return () if isinstance(found, Finding) else found

    @property
    def signature_hashes(self) -> frozenset[str | None]:
        """The hashes that certificates below the root are signed with."""
        return frozenset(item.signature_hash for deployment in self.deployments for item in below_root(deployment))

    @cached_property
    def sizes(self) -> tuple[Size, ...]:
        """Every key and key exchange whose size is known."""
        return tuple(item for item in self._sizes() if isinstance(item, Size))

    def _sizes(self) -> Iterator[Size | str]:
        """The sizes, and in words those that are not known."""
        for deployment in self.deployments:
            yield Size(KEY, deployment.leaf.key_bits, _on_curve(deployment.leaf))
        groups = {name for attempt in self.tls.groups.values() for name in attempt.value or ()}
        for item in self.items:
            if item.seen.group:
                groups.add(item.seen.group)
            elif item.seen.ephemeral_bits is not None:
                yield Size(EXCHANGE, item.seen.ephemeral_bits, item.suite.elliptic)
            elif item.suite.finite_field:
                yield f"{item.suite.name}: the size of its key exchange"
        for name in sorted(name for name in groups if not has_mlkem(name)):
            bits = bits_of(name)
            yield f"the size of the group {name}" if bits is None else Size(EXCHANGE, bits, is_elliptic(name))

    @property
    def cipher_sizes(self) -> tuple[int, ...]:
        """The key sizes of the ciphers, as far as they are known."""
        return tuple(bits for item in self.items if (bits := cipher_bits(item.suite.cipher)) is not None)

    def status(self, rule_id: str) -> tuple[Status, str]:
        """The worst that a rule says with its own parameters, and where it cannot tell, why. A low failure is none."""
        rule = get_rule(rule_id)
        findings = list(rule.check(self.facts, rule.parameters()))
        failing = [finding for finding in findings if rule.reasons[finding.reason].status is Status.FAIL]
        if any((finding.severity or rule.severity) > Severity.LOW for finding in failing):
            return Status.FAIL, ""
        for finding in findings:
            if rule.reasons[finding.reason].status is Status.INDETERMINATE or finding.reason == "not-asked":
                return Status.INDETERMINATE, why(finding)
        return Status.PASS, ""

    def lasting_hsts(self, seconds: int) -> bool | str | None:
        """Whether HSTS lasts so long; None without HTTP, and in words where nobody knows."""
        http = http_of(self.facts)
        if isinstance(http, Finding):
            return None if http.reason == "not-http" else f"HSTS: {why(http)}"
        probe = inside_tls(http)
        if probe is None or probe.first.failure is not None:
            return "HSTS: HTTPS gave no answer"
        if not probe.first.hsts:
            return "HSTS: the answer broke off" if probe.first.headers_cut else False
        try:
            return parse_hsts(probe.first.hsts[0]).max_age >= seconds
        except HstsError:
            return False

    def unknown(self) -> Iterator[str]:
        """What the method would have needed and was not seen, rules apart."""
        for protocol in Protocol:
            if (cut_off := self.tls.offer(protocol).cut_off) is not None:
                yield f"{protocol}: {cut_off.reason.value}"
        if self.suites.gap:
            yield f"cipher suites: {why(self.suites.gap)}"
        elif gap := groups_gap(self.tls, self.suites):
            yield f"key exchanges: {why(gap)}"
        yield from (item for item in self._sizes() if isinstance(item, str))
        for item in self.items:
            if cipher_bits(item.suite.cipher) is None:
                yield f"the key size of {item.suite.name}"


def why(finding: Finding) -> str:
    """What a finding says of why nobody can tell."""
    return str(finding.values.get("why", finding.reason))


def _on_curve(certificate: Certificate) -> bool:
    return certificate.curve is not None or certificate.key_type.value in {"ecdsa", "ed25519", "ed448"}
