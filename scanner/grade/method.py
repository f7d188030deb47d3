"""The method as data: what fails a server, what caps its grade or takes the best away, and in which words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct

from scanner.evidence import Deployment, Protocol
from scanner.grade.scores import FINITE, cipher_bits, points, strength
from scanner.grade.seen import EXCHANGE, KEY, Seen
from scanner.rules.certificates.revocation import revocations

METHOD: Final = "SSL-Labs-style grade (2009r rules)"
"""How the grade is named wherever it is shown."""

ONLY_IF_ASKED: Final = ("POODLE over TLS, GOLDENDOODLE and other padding oracles", "Ticketbleed")
"""What the method counts and a scan looks at only by rules that are asked for by name: otherwise as `NOT_LOOKED_AT`."""

NOT_LOOKED_AT: Final = (
    "CVE-2016-2107",
    "DROWN through another host with the same key",
    "published keys, Debian's (2008) among them, without a list of them (`[scan] published_keys`)",
)
"""What the method counts and this scanner does not observe: a server that has it is graded too well."""

HSTS_SECONDS: Final = 180 * 86_400
"""Shortest max-age for an A+ (six months)."""
_WEAK_BITS: Final = 112
_SMALL_BITS, _SHORT_BITS = 1024, 2048
_TLS: Final = frozenset({Protocol.TLS1_0, Protocol.TLS1_1, Protocol.TLS1_2, Protocol.TLS1_3})


class Effect(StrEnum):
    """What a reason does to the grade, the gravest first: decide it, cap it, or take the best ones away."""

    NOT_TRUSTED = "T"
    WRONG_NAME = "M"
    FAIL = "F"
    CAP_C = "cap C"
    CAP_B = "cap B"
    WARNING = "A-"
    NO_PLUS = "no A+"


class ByRule(Struct, frozen=True):
    """Holds where a rule fails, and not only a little.

    `name` is how the rule's question is called where it could not be answered. `asked` is the fact of the evidence that
    only a policy with the rule asks for, if there is such a one: without it nothing is missing (`ONLY_IF_ASKED`).
    """

    effect: Effect
    words: str
    rule: str
    name: str
    asked: str | None = None


class Where(Struct, frozen=True):
    """Holds where `seen` gives anything; that stands for {} in the words."""

    effect: Effect
    words: str
    seen: Callable[[Seen], Iterable[object]]


def _holds(condition: bool) -> tuple[bool, ...]:  # noqa: FBT001  # a condition, as an iterable that is empty or not
    return (True,) if condition else ()


def _below(whose: str, least: int, limit: int) -> Callable[[Seen], Iterable[object]]:
    """Whether the weakest of these has the strength of a size from `least` on, and less than `limit`."""

    def seen(seen: Seen) -> Iterable[object]:
        found = [strength(size.bits, curve=size.curve) for size in seen.sizes if size.whose == whose]
        lower = points(least - 1, FINITE) if least else -1
        return _holds(bool(found) and lower < min(found) <= points(limit - 1, FINITE))

    return seen


def _weak(seen: Seen) -> Iterable[object]:
    """The suites whose ciphers are too small, or of export grade."""
    small = [(item.suite, cipher_bits(item.suite.cipher)) for item in seen.items]
    return sorted({suite.name for suite, bits in small if suite.export or (bits is not None and bits < _WEAK_BITS)})


def _rc4_alone(seen: Seen) -> bool:
    return bool(seen.items) and all(item.suite.rc4 for item in seen.items)


def _rc4_in_modern(seen: Seen) -> bool:
    return any(item.suite.rc4 for item in seen.in_modern_versions)


def _complete(seen: Seen) -> bool:
    """Whether every accepted suite is known, and there is one."""
    return bool(seen.items) and seen.suites.gap is None


def _revoked(deployment: Deployment, now: datetime) -> bool:
    """Whether the certificate is revoked, or one on its way to the root."""
    stapled = deployment.staple is not None and deployment.staple.certificate_status == "revoked"
    return stapled or bool(revocations(deployment, now))


CONDITIONS: Final[tuple[ByRule | Where, ...]] = (
    # Certificates
    ByRule(Effect.NOT_TRUSTED, "the certificate is not trusted", "cert.trusted", "trust"),
    ByRule(Effect.NOT_TRUSTED, "a certificate is outside its validity period", "cert.valid-now", "validity"),
    ByRule(Effect.WRONG_NAME, "the certificate is for another name", "cert.hostname", "name"),
    ByRule(Effect.CAP_B, "the chain is incomplete", "cert.chain-complete", "chain"),
    Where(
        Effect.NOT_TRUSTED,
        "the certificate is revoked",
        lambda seen: [item for item in seen.deployments if _revoked(item, seen.facts.now)],
    ),
    Where(
        Effect.FAIL,
        "a certificate is signed with MD5 or MD2",
        lambda seen: seen.signature_hashes & {"md5", "md2"},
    ),
    Where(Effect.NOT_TRUSTED, "a certificate is signed with SHA-1", lambda seen: seen.signature_hashes & {"sha1"}),
    ByRule(Effect.FAIL, "a key is weak", "cert.weak-key", "weak keys"),
    # Protocols
    Where(Effect.FAIL, "SSL 2.0 is supported", lambda seen: _holds(Protocol.SSL2 in seen.tls.negotiated)),
    Where(
        Effect.FAIL,
        "nothing newer than SSL 3.0 is supported",
        lambda seen: _holds(bool(seen.tls.negotiated) and seen.absent >= _TLS),
    ),
    Where(Effect.CAP_B, "SSL 3.0 is supported", lambda seen: _holds(Protocol.SSL3 in seen.tls.negotiated)),
    Where(
        Effect.CAP_C,
        "neither TLS 1.2 nor TLS 1.3 is supported",
        lambda seen: _holds(seen.absent >= {Protocol.TLS1_2, Protocol.TLS1_3}),
    ),
    Where(
        Effect.CAP_B,
        "supported: {}",
        lambda seen: sorted({Protocol.TLS1_0, Protocol.TLS1_1} & {*seen.tls.negotiated}),
    ),
    Where(Effect.WARNING, "TLS 1.3 is not supported", lambda seen: _holds(Protocol.TLS1_3 in seen.absent)),
    # Cipher suites
    Where(
        Effect.CAP_B,
        "no suite has forward secrecy",
        lambda seen: _holds(_complete(seen) and not any(item.suite.ephemeral for item in seen.items)),
    ),
    Where(
        Effect.CAP_B,
        "no suite is AEAD",
        lambda seen: _holds(_complete(seen) and not any(item.suite.aead for item in seen.items)),
    ),
    Where(Effect.FAIL, f"suites below {_WEAK_BITS} bits: {{}}", _weak),
    Where(
        Effect.FAIL,
        "suites without authentication",
        lambda seen: [item for item in seen.items if item.suite.anonymous],
    ),
    Where(Effect.FAIL, "only RC4 suites", lambda seen: _holds(_complete(seen) and _rc4_alone(seen))),
    Where(
        Effect.CAP_C,
        "RC4 with TLS 1.1 or newer",
        lambda seen: _holds(_rc4_in_modern(seen) and not (_complete(seen) and _rc4_alone(seen))),
    ),
    Where(
        Effect.CAP_B,
        "RC4 is supported",
        lambda seen: _holds(
            any(item.suite.rc4 for item in seen.items)
            and not _rc4_in_modern(seen)
            and not (_complete(seen) and _rc4_alone(seen))
        ),
    ),
    Where(
        Effect.CAP_C,
        "blocks of 64 bits with TLS 1.1 or newer",
        lambda seen: [item for item in seen.in_modern_versions if item.suite.block_of_64_bits],
    ),
    # Attacks
    ByRule(Effect.FAIL, "Heartbleed", "vuln.heartbleed", "Heartbleed"),
    ByRule(Effect.FAIL, "CCS injection", "vuln.ccs-injection", "CCS injection"),
    ByRule(Effect.FAIL, "ROBOT", "vuln.robot", "ROBOT"),
    ByRule(Effect.FAIL, "Ticketbleed", "vuln.ticketbleed", "Ticketbleed", asked="ticketbleed"),
    ByRule(Effect.FAIL, "padding oracle in CBC", "vuln.padding-oracle", "padding oracles", asked="padding_oracle"),
    ByRule(Effect.CAP_C, "POODLE (CBC suites with SSL 3.0)", "vuln.poodle", "POODLE"),
    ByRule(Effect.CAP_C, "TLS compression (CRIME)", "comp.none", "TLS compression"),
    # Keys and key exchanges
    *(
        condition
        for whose in (KEY, EXCHANGE)
        for condition in (
            Where(
                Effect.FAIL,
                f"{whose} has the strength of less than {_SMALL_BITS} bits of RSA",
                _below(whose, 0, _SMALL_BITS),
            ),
            Where(
                Effect.CAP_B,
                f"{whose} has the strength of less than {_SHORT_BITS} bits of RSA",
                _below(whose, _SMALL_BITS, _SHORT_BITS),
            ),
        )
    ),
)

RENEGOTIATION: Final = ByRule(
    Effect.WARNING, "no secure renegotiation", "integrity.secure-renegotiation", "renegotiation"
)
"""Worse where clients may start one: then it is `INSECURE_RENEGOTIATION`."""
INSECURE_RENEGOTIATION: Final = Where(
    Effect.FAIL, "insecure renegotiation", lambda seen: _holds(seen.tls.client_renegotiation.value is True)
)
# testssl.sh warns of it (A-); the guide's own text of 2009e only takes the plus away, and is followed.
NO_HSTS: Final = "HSTS is missing, invalid or shorter than 180 days"
