"""Is a key weak although it is long enough: made by a bad generator, or by a wrong program?"""

from __future__ import annotations

from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa

from scanner.evidence import Certificate, Deployment, KeyTrouble, KeyType, KeyWeakness
from scanner.evidence.certificates import FINGERPRINT_SHOWN
from scanner.rules.certificates import fixes
from scanner.rules.certificates.leaves import CERTIFICATES_HOW, below_root
from scanner.rules.certificates.rsa_weakness import MOST_BITS, Weakness, weakness_of
from scanner.rules.registry import (
    Facts,
    Finding,
    Parameters,
    fails,
    indeterminate,
    not_applicable,
    passes,
    rule,
    untried,
)
from scanner.rules.registry.listing import listing
from scanner.rules.registry.sources import attack, baseline
from scanner.verdict import Goal, Severity

_USUAL_EXPONENT = 65_537


@rule(
    "cert.weak-key",
    title="The keys have no known weakness",
    goal=Goal.AUTHENTICITY,
    severity=Severity.CRITICAL,
    of=Deployment,
    why="A key from a faulty generator can be factored in a second, whatever its length, and then be used to "
    "impersonate the server.",
    how=CERTIFICATES_HOW
    + " The modulus of each RSA key below the root is tested: whether it is even or prime, is divisible by a prime up "
    "to 65537, has two primes so close that 100 rounds of Fermat's method find them, or has the ROCA fingerprint. "
    "It is also tested for a prime shared with any modulus seen before, all of which are kept beside the history. "
    "Keys of all types are looked up in the list of published keys that [scan] published_keys names.",
    sources=(
        baseline("6.1.1.3"),
        baseline("6.1.6"),
        attack("ROCA (CVE-2017-15361)", "https://nvd.nist.gov/vuln/detail/CVE-2017-15361"),
        attack("Close primes (CVE-2022-26320)", "https://fermatattack.secvuln.info/"),
    ),
    reasons={
        "sound": passes("No weakness was found in the keys: {observed}."),
        **{item.value: fails("A key is broken: {observed}.") for item in Weakness},
        "shared-factor": fails("A key is broken because it shares a prime with another one: {observed}."),
        "published": fails("A private key has been published: {observed}."),
        "small-exponent": fails("A key has a smaller public exponent than required: {observed}."),
        "no-rsa": not_applicable("No key is RSA, and keys of other types show none of the weaknesses tested for."),
        "too-large": indeterminate("A key is too large to be tested: {observed}."),
        "unreadable": indeterminate(
            "A key cannot be read, for example because it is not a point on its curve: {observed}."
        ),
    },
    fix=fixes.KEY,
    mistake=untried("a weak key is made, not configured; the advice is that of cert.key"),
)
def _weak_key(deployment: Deployment, facts: Facts, parameters: Parameters) -> list[Finding]:
    expected = "keys without a known weakness"
    keys = below_root(deployment)
    numbers = [(item, found) for item in keys if (found := _numbers(item)) is not None]
    for item, (modulus, exponent) in numbers:
        if weakness := weakness_of(modulus, exponent):
            kind, words = weakness
            return [Finding(kind.value, f"{words} ({item.subject})", expected)]
    subjects = {item.fingerprint: item.subject for item in keys}
    for trouble in deployment.key_troubles:
        if trouble.certificate in subjects:
            return [Finding(trouble.kind.value, f"{_told(trouble)} ({subjects[trouble.certificate]})", expected)]
    if large := [item for item, (modulus, _) in numbers if modulus.bit_length() > MOST_BITS]:
        return [Finding("too-large", listing(f"{item.key_bits} bits ({item.subject})" for item in large), expected)]
    if unread := [item for item in keys if item.key_type is KeyType.OTHER]:
        return [Finding("unreadable", listing(item.subject for item in unread), expected)]
    if small := [(item, exponent) for item, (_, exponent) in numbers if exponent < _USUAL_EXPONENT]:
        observed = listing(f"{exponent} ({item.subject})" for item, exponent in small)
        return [Finding("small-exponent", observed, f"{_USUAL_EXPONENT} or more", severity=Severity.LOW)]
    if not numbers:
        return [Finding("no-rsa")]
    return [Finding("sound", listing(f"RSA of {modulus.bit_length()} bits" for _, (modulus, _) in numbers), expected)]


def _told(trouble: KeyTrouble) -> str:
    if trouble.kind is KeyWeakness.PUBLISHED:
        return f"it is on list {trouble.listed} of the published keys"
    seen = f", first seen at {trouble.place} on {trouble.seen_at:%Y-%m-%d}" if trouble.seen_at else ""
    return f"with that of certificate {trouble.other[:FINGERPRINT_SHOWN]}{seen}"


def _numbers(certificate: Certificate) -> tuple[int, int] | None:
    """Modulus and public exponent of an RSA key; None of any other."""
    return _read(certificate.der) if certificate.key_type in {KeyType.RSA, KeyType.RSA_PSS} else None


@lru_cache(maxsize=4096)
def _read(der: bytes) -> tuple[int, int] | None:
    try:
        key = x509.load_der_x509_certificate(der).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None
    if not isinstance(key, rsa.RSAPublicKey):
        return None
    numbers = key.public_numbers()
    return numbers.n, numbers.e
