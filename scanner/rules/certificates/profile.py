"""Is the certificate well made: key, signature, purpose?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scanner.evidence import Deployment, Extension, Failure, FailureReason, KeyType
from scanner.inventory import Role
from scanner.rules.certificates import fixes
from scanner.rules.certificates.leaves import CERTIFICATES_HOW, below_root
from scanner.rules.registry import Facts, Finding, IssuerParameters, fails, not_observed, passes, rule
from scanner.rules.registry.listing import listing
from scanner.rules.registry.sources import baseline, rfc
from scanner.verdict import Goal, Severity

if TYPE_CHECKING:
    from scanner.evidence import Certificate

SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
_ANY_USAGE = "2.5.29.37.0"
_CURVES = ("secp256r1", "secp384r1", "secp521r1", "brainpoolp256r1", "brainpoolp384r1", "brainpoolp512r1")
_DECISIVE = (Extension.EXTENDED_KEY_USAGE, Extension.KEY_USAGE, Extension.BASIC_CONSTRAINTS)
"""The extensions that say what the certificate is for: malformed, it is fit for nothing."""


class KeyParameters(IssuerParameters):
    """Parameters of cert.key."""

    types: tuple[KeyType, ...] = (KeyType.RSA, KeyType.ECDSA, KeyType.ED25519, KeyType.ED448)
    """Key types that the server's own certificate may have."""
    min_rsa_bits: int = 2048
    """The smallest modulus of RSA (and DSA) in bits, of the intermediates too."""
    curves: tuple[str, ...] = _CURVES
    """Names of the curves that an ECDSA key may be on, in lower case."""
    browsers: bool = True
    """Whether the keys of applications and consoles must be such as browsers take, whatever else is listed here."""
    phase_out_rsa_below: int | None = None
    """RSA keys from `min_rsa_bits` up to this size fail at low severity."""


_TAKEN_BY_ALL = frozenset({"secp256r1", "secp384r1"})
_TAKEN = _TAKEN_BY_ALL | {"secp521r1"}
"""Curves that browsers take: Baseline Requirements section 6.1.5, Mozilla's Root Store Policy section 5.1.

Chrome offers no signature scheme for the last. EdDSA, other curves and keys for RSASSA-PSS alone are for no browser.
"""


def _is_among(certificate: Certificate, curves: frozenset[str]) -> bool:
    """Whether a key is RSA, or on one of the curves."""
    if certificate.key_type is KeyType.ECDSA:
        return (certificate.curve or "").lower() in curves
    return certificate.key_type is KeyType.RSA


def _describe_key(certificate: Certificate) -> str:
    if certificate.key_type is KeyType.ECDSA:
        return f"ecdsa on {certificate.curve or 'an unnamed curve'}"
    return f"{certificate.key_type.value} of {certificate.key_bits} bits"


@rule(
    "cert.key",
    title="The keys are strong enough",
    goal=Goal.AUTHENTICITY,
    severity=Severity.HIGH,
    of=Deployment,
    why="Anyone who obtains the private key can impersonate the server.",
    how=CERTIFICATES_HOW + " Type and size are read from the public key of the server's certificate and of each "
    "intermediate. Applications and consoles need a key that browsers accept; servers that only programs use may have "
    "another.",
    sources=(rfc(9325, "4.5"), baseline("6.1.5")),
    reasons={
        "strong": passes("The server's key is {observed}."),
        "type": fails("The server's key is {observed}, a type that the policy does not list."),
        "too-short": fails("A key is too short: {observed}."),
        "curve": fails("A key is on a curve that the policy does not list: {observed}."),
        "browsers": fails("Browsers do not accept keys of this type: {observed}."),
        "some-browsers": fails("Not every browser accepts keys of this type: {observed}."),
        "phase-out": fails("A key is of a size that the policy wants phased out: {observed}."),
    },
    fix=fixes.KEY,
    mistake=fixes.SHORT_KEY,
    parameters=KeyParameters,
)
def _key(deployment: Deployment, facts: Facts, parameters: KeyParameters) -> list[Finding]:
    expected = f"{listing(item.value for item in parameters.types)}; RSA of {parameters.min_rsa_bits} bits or more"

    def _of(certificates: list[Certificate]) -> str:
        return listing(f"{_describe_key(item)} ({item.subject})" for item in certificates)

    leaf = deployment.leaf
    if (KeyType.RSA if leaf.key_type is KeyType.RSA_PSS else leaf.key_type) not in parameters.types:
        return [Finding("type", _describe_key(leaf), expected)]
    rsa = [item for item in below_root(deployment) if item.key_type in {KeyType.RSA, KeyType.RSA_PSS, KeyType.DSA}]
    elliptic = [item for item in below_root(deployment) if item.key_type is KeyType.ECDSA]
    if short := [item for item in rsa if item.key_bits < parameters.min_rsa_bits]:
        return [Finding("too-short", _of(short), expected)]
    if odd := [item for item in elliptic if (item.curve or "").lower() not in parameters.curves]:
        return [Finding("curve", _of(odd), listing(parameters.curves))]
    if parameters.browsers and facts.target.endpoint.role is not Role.SERVER:
        for reason, taken, severity in (("browsers", _TAKEN, None), ("some-browsers", _TAKEN_BY_ALL, Severity.LOW)):
            if odd := [item for item in below_root(deployment) if not _is_among(item, taken)]:
                return [Finding(reason, _of(odd), "RSA, or ECDSA on secp256r1 or secp384r1", severity=severity)]
    limit = parameters.phase_out_rsa_below
    if limit and (old := [item for item in rsa if item.key_bits < limit]):
        return [Finding("phase-out", _of(old), f"RSA of {limit} bits or more", severity=Severity.LOW)]
    return [Finding("strong", _describe_key(leaf), expected)]


class CertificateSignatureParameters(IssuerParameters):
    """Parameters of cert.signature."""

    hashes: tuple[str, ...] = ("sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512")
    """Hash functions that signatures may use. Signatures that include none (Ed25519, Ed448) are always allowed."""
    leaf_algorithms: tuple[str, ...] = ()
    """Signature algorithms of the server's certificate, such as `sha256WithRSAEncryption`; empty: any."""
    phase_out: tuple[str, ...] = ()
    """Signature algorithms that fail at low severity, because the source wants them phased out."""


def _folded(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


@rule(
    "cert.signature",
    title="The certificates are signed with a strong hash",
    goal=Goal.AUTHENTICITY,
    severity=Severity.HIGH,
    of=Deployment,
    why="An attacker who finds a collision of the hash can obtain a certificate for somebody else's name.",
    how=CERTIFICATES_HOW + " The signature algorithm of the server's certificate and of each intermediate is read; a "
    "root's signature proves nothing and is left out.",
    sources=(rfc(9325, "4.5"), baseline("7.1.3.2")),
    reasons={
        "good": passes("The certificates are signed with {observed}."),
        "weak-hash": fails("A certificate is signed with a weak hash: {observed}."),
        "not-listed": fails("The certificate is signed with {observed}, which the policy does not list."),
        "phase-out": fails("A certificate is signed with {observed}, which the policy wants phased out."),
    },
    fix=fixes.SIGNATURE,
    parameters=CertificateSignatureParameters,
)
def _signature(deployment: Deployment, facts: Facts, parameters: CertificateSignatureParameters) -> list[Finding]:
    hashes = {_folded(name) for name in parameters.hashes}
    leaf_algorithms = {_folded(name) for name in parameters.leaf_algorithms}
    phase_out = {_folded(name) for name in parameters.phase_out}
    signed = below_root(deployment)
    expected = listing(parameters.hashes)
    weak = [item for item in signed if item.signature_hash and _folded(item.signature_hash) not in hashes]
    if weak:
        names = listing(f"{item.signature_algorithm} ({item.subject})" for item in weak)
        return [Finding("weak-hash", names, expected)]
    leaf = deployment.leaf
    if leaf_algorithms and _folded(leaf.signature_algorithm) not in leaf_algorithms:
        return [Finding("not-listed", leaf.signature_algorithm, listing(parameters.leaf_algorithms))]
    observed = listing(item.signature_algorithm for item in signed)
    if old := [item for item in signed if _folded(item.signature_algorithm) in phase_out]:
        names = listing(item.signature_algorithm for item in old)
        return [Finding("phase-out", names, "another algorithm", severity=Severity.LOW)]
    return [Finding("good", observed, expected)]


def _may_issue_for_servers(item: Certificate) -> bool:
    return not item.extended_key_usage or bool({SERVER_AUTH, _ANY_USAGE} & set(item.extended_key_usage))


def _confined_otherwise(deployment: Deployment) -> list[Certificate]:
    """The intermediates on a path that may not issue for servers, where no other certificate stands for them."""
    used = {fingerprint for path in deployment.browser_paths if path.trusted for fingerprint in path.path[1:]}
    fitting = {(item.subject, item.spki) for item in deployment.browser_chain if _may_issue_for_servers(item)}
    return [
        item
        for item in deployment.browser_chain[1:]
        if item.fingerprint in used and not item.self_signed and (item.subject, item.spki) not in fitting
    ]


@rule(
    "cert.usage",
    title="The certificate is intended for servers",
    goal=Goal.AUTHENTICITY,
    severity=Severity.HIGH,
    of=Deployment,
    why="Strict clients reject a certificate made for another purpose; a CA certificate could sign a certificate for "
    "any name, and its key does not belong on a server.",
    how=CERTIFICATES_HOW + " extendedKeyUsage must include serverAuth, basicConstraints must not say CA, and "
    "keyUsage, if present, must include digitalSignature and not keyCertSign. If an intermediate on the path has "
    "an extendedKeyUsage, it must include serverAuth, because it limits what is issued below. No extension may be "
    "malformed or occur twice; each is parsed separately, so that a malformed one does not hide another.",
    sources=(
        rfc(5280, "4.2"),
        rfc(5280, "4.2.1.3"),
        rfc(5280, "4.2.1.12"),
        baseline("7.1.2.10.6"),
        baseline("7.1.2.7.10"),
        baseline("7.1.2.7.11"),
    ),
    reasons={
        "fit": passes("The certificate is intended for servers."),
        "is-ca": fails("The server's certificate is a CA certificate."),
        "no-server-auth": fails("The extended key usage does not include serverAuth: {observed}."),
        "key-usage": fails("The key usage does not fit a server: {observed}."),
        "issuer-usage": fails("An intermediate may not issue certificates for servers: {observed}."),
        "unreadable": fails("Extensions of the certificate are malformed or occur twice: {observed}."),
    },
    fix=fixes.USAGE,
    parameters=IssuerParameters,
)
def _usage(deployment: Deployment, facts: Facts, parameters: IssuerParameters) -> list[Finding]:
    leaf = deployment.leaf
    expected = "serverAuth, digitalSignature, not a CA"
    if leaf.is_ca:
        return [Finding("is-ca", "basicConstraints: CA", expected)]
    if leaf.unreadable(*_DECISIVE):
        return [Finding("unreadable", listing(leaf.unreadable_extensions), expected)]
    if SERVER_AUTH not in leaf.extended_key_usage:
        return [Finding("no-server-auth", listing(leaf.purposes) or "none", expected)]
    usage = leaf.key_usage
    if usage is not None and ("digitalSignature" not in usage or "keyCertSign" in usage):
        return [Finding("key-usage", listing(usage) or "none", expected)]
    if not deployment.paths and not all(map(_may_issue_for_servers, below_root(deployment)[1:])):
        return [not_observed(Failure(FailureReason.NOT_RUN, "whether a path uses one intended for another purpose"))]
    if confined := _confined_otherwise(deployment):
        names = listing(f"{item.subject} ({listing(item.purposes)})" for item in confined)
        return [Finding("issuer-usage", names, "serverAuth, or no extendedKeyUsage")]
    if leaf.unreadable_extensions:
        observed = listing(leaf.unreadable_extensions)
        return [Finding("unreadable", observed, "well-formed extensions", severity=Severity.MEDIUM)]
    return [Finding("fit", listing(("serverAuth", *(usage or ()))), expected)]
