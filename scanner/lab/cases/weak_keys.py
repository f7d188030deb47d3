"""Keys that are weak, or that browsers do not take, and a chain that ends before the leaf."""

from scanner.lab.case import WEAK_KEYS, Case, expect
from scanner.lab.certificates import CertificateRecipe, KeyKind

_REST = "cert.trusted cert.hostname cert.valid-now cert.chain-complete cert.signature"


def _weak(kind: KeyKind, flaw: str) -> Case:
    return Case(
        name=f"weak-{kind}",
        description=f"The certificate has an RSA key of 2048 bits {flaw}",
        certificate=CertificateRecipe(key=kind),
        engine=WEAK_KEYS,
        expected=expect(f"{_REST} cert.key", "cert.weak-key"),
    )


def _for_no_browser(name: str, kind: KeyKind, what: str, visible: str = "") -> Case:
    return Case(
        name=name,
        description=f"The certificate has a key {what}",
        certificate=CertificateRecipe(key=kind),
        engine=WEAK_KEYS,
        expected=expect(_REST, "cert.key"),
        visible={"certificate": visible} if visible else {},
    )


CASES = (
    _weak("rsa-close-primes", "of two primes that are close to each other"),
    _weak("rsa-roca", "with the fingerprint of ROCA"),
    _weak("rsa-small-factor", "that is divisible by 65521"),
    _weak("rsa-shared-prime-1", "that shares a prime with the key of another server"),
    _weak("rsa-shared-prime-2", "that shares a prime with the key of another server"),
    _weak("rsa-exponent-3", "with the public exponent 3"),
    _for_no_browser("ed25519-key", "ed25519", "for Ed25519, which no browser takes", "ED25519 Public-Key"),
    _for_no_browser("brainpool-key", "brainpool", "on a Brainpool curve, which no browser takes"),
    _for_no_browser("p-521-key", "p-521", "on P-521, which not every browser takes", "NIST CURVE: P-521"),
    Case(
        name="intermediate-ends",
        description="The intermediate certificate ends in ten days, the server's own in 45",
        certificate=CertificateRecipe(issuer="ending-intermediate"),
        expected=expect(f"{_REST} cert.expiry", "cert.chain-expiry"),
    ),
)
