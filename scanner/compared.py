"""What of a target's evidence its rules compare with other targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scanner.evidence import FailureReason, NameReaction, TicketKey
from scanner.rules import UNSEEN_NAMES, Observed, OtherService

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scanner.evidence import TargetEvidence

_NOBODY: Final = frozenset({FailureReason.REFUSED, FailureReason.UNRESOLVABLE, FailureReason.NOT_TLS})
_REFUSED: Final = frozenset({NameReaction.ALERT, NameReaction.UNRECOGNIZED_NAME})


def leaves(evidence: TargetEvidence) -> Iterator[str]:
    """The fingerprints of the certificates that are served."""
    tls = evidence.tls.value
    for deployment in (tls.certificates.value or ()) if tls else ():
        yield deployment.leaf.fingerprint


def unpublished_primes(evidence: TargetEvidence) -> Iterator[str]:
    """The Diffie-Hellman moduli that nobody publishes, in hexadecimal."""
    tls = evidence.tls.value
    for offer in tls.protocols.values() if tls else ():
        for suite in offer.value.suites if offer.value else ():
            if suite.dh_modulus is not None:
                yield suite.dh_modulus


def ticket_key(evidence: TargetEvidence) -> str | None:
    """The name of the key that makes the session tickets."""
    key = evidence.tls.value.ticket_key.value if evidence.tls.value else None
    return key if key not in {None, *TicketKey} else None


def certificate_names(evidence: TargetEvidence) -> frozenset[str]:
    """The names in the certificates that are served, wildcards as they stand there.

    `UNSEEN_NAMES` stands for those that nobody saw; where nobody answers by TLS there are none.
    """
    tls, seen = evidence.tls, evidence.tls.value
    if seen is None:
        return frozenset() if tls.failure and tls.failure.reason in _NOBODY else frozenset({UNSEEN_NAMES})
    names = {name.lower() for item in seen.certificates.value or () for name in item.leaf.dns_names}
    return frozenset(names | ({UNSEEN_NAMES} if seen.certificates.cut_off else set()))


def other_service(item: Observed) -> OtherService | None:
    """The target as one that might stand in for a web server; None where it is one, or a file."""
    endpoint, tls = item.target.endpoint, item.evidence.tls.value
    if endpoint.is_file or (endpoint.role.speaks_http and endpoint.starttls is None):
        return None
    strict = tls is not None and tls.wrong_sni.value in _REFUSED
    return OtherService(endpoint.address, endpoint.host, strict, tls.other_alpn.value if tls else None)
