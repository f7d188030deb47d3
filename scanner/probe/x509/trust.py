"""Trust stores, and whether a path leads from a served chain to one of their roots.

Only the path is judged here: names, dates and profile have rules of their own, and one string that mixes them all, as
libraries give it, answers none of them. A path is built by `cryptography.x509.verification`, as browsers build it, at a
moment when the leaf was valid, and with the checks of its extensions left to the rules.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import ssl
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import verification

from scanner.errors import TrustStoreError
from scanner.evidence import Certificate, PathValidation
from scanner.probe.x509.extensions import BROKEN
from scanner.probe.x509.parsing import certificate_from_der
from scanner.probe.x509.signatures import is_checkable, is_named_by, issued_by
from scanner.untrusted import printable

MOZILLA = "mozilla"
SYSTEM = "system"
_MAX_CHAIN = 8
_LATER_PATHS = 4
# The library insists on basicConstraints in a CA, and so does RFC 5280 section 4.2.1.9.
_CA_EXTENSIONS = verification.ExtensionPolicy.permit_all().require_present(
    x509.BasicConstraints, verification.Criticality.AGNOSTIC, None
)

_DETAILS = (
    ("no interior errors", "no path from what was sent leads to a root of this store"),
    ("max depth", "no path from what was sent leads to a root of this store"),
    (
        "Forbidden signature algorithm",
        "a certificate on the path to a root is signed with an algorithm that browsers reject",
    ),
    ("Forbidden public key algorithm", "a CA on the path to a root has a type of key that browsers reject"),
    ("RSA key is too weak", "a CA on the path to a root has too short an RSA key"),
    ("not valid at validation time", "no certificate on the path to a root was valid together with the server's"),
    ("must be an X509v3", "a certificate on the path to a root is older than X.509 version 3"),
    ("basicConstraints", "what signed a certificate on the path to a root is not marked as a CA"),
    ("serial number cannot be negative", "the serial number of a certificate is negative (RFC 5280 section 4.1.2.2)"),
    ("critical extensions", "a certificate on the path to a root has a critical extension that is not known"),
)
"""What the library says, and what that means: its own words are of its inner workings."""


@dataclass(frozen=True, slots=True)
class TrustStore:
    """Roots under a name. `digest` is the SHA-256 over the sorted fingerprints, in hexadecimal; it stands for them."""

    name: str
    digest: str
    # Left out of comparisons, and so of hashes, which are taken for each chain that is judged.
    roots: tuple[x509.Certificate, ...] = field(compare=False, repr=False)
    fingerprints: frozenset[str] = field(compare=False, repr=False)


def load_store(name: str) -> TrustStore:
    """Load a store: `mozilla`, `system`, or the path of a PEM file. Read again only when the file has changed.

    Raises:
        TrustStoreError: it cannot be read, or holds no certificate.
    """
    path = _path_of(name)
    try:
        state = path.stat()
        return _load(name, path, state.st_mtime_ns, state.st_size)
    except OSError as error:
        raise TrustStoreError(f"trust store {name}: {path} cannot be read: {error.strerror}") from error


def roots_above(certificate: x509.Certificate, store: TrustStore) -> tuple[x509.Certificate, ...]:
    """The roots of a store that have the name which a certificate gives its issuer; none where it cannot be read."""
    try:
        return _by_name(store).get(certificate.issuer, ())
    except BROKEN:
        return ()


# The library compares names in Python, attribute by attribute: with each of some hundred roots that takes milliseconds.
@functools.lru_cache(maxsize=32)
def _by_name(store: TrustStore) -> Mapping[x509.Name, tuple[x509.Certificate, ...]]:
    found: dict[x509.Name, tuple[x509.Certificate, ...]] = {}
    for root in store.roots:
        with contextlib.suppress(*BROKEN):  # a name that cannot be read is nobody's issuer
            found[root.subject] = (*found.get(root.subject, ()), root)
    return found


def prepare_store(name: str) -> None:
    """Load a store in the form in which paths are looked for, so that the first to look need not. Raises as above."""
    store = load_store(name)
    for prepare in (_library_store, _by_name, _by_fingerprint):
        prepare(store)


@functools.lru_cache(maxsize=32)
def _load(name: str, path: Path, _changed: int, _size: int) -> TrustStore:
    data = path.read_bytes()
    if b"-----BEGIN CERTIFICATE-----" not in data:
        hint = "convert it: openssl x509 -in FILE -out FILE.pem" if data[:1] == b"\x30" else "it should be a PEM file"
        raise TrustStoreError(f"trust store {name}: {path} holds no PEM certificate ({hint})")
    try:
        with warnings.catch_warnings():
            # An old root has a serial number of zero; it is the stores' business whom they trust.
            warnings.simplefilter("ignore")
            roots = x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise TrustStoreError(f"trust store {name}: {path} holds a malformed certificate: {error}") from error
    fingerprints = frozenset(fingerprint_of(root) for root in roots)
    digest = hashlib.sha256("".join(sorted(fingerprints)).encode()).hexdigest()
    return TrustStore(name, digest, tuple(roots), fingerprints)


def _path_of(name: str) -> Path:
    if name == MOZILLA:
        return Path(certifi.where())
    if name == SYSTEM:
        paths = ssl.get_default_verify_paths()
        candidates = (paths.cafile, "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
        for candidate in candidates:
            if candidate and Path(candidate).is_file():
                return Path(candidate)
        raise TrustStoreError('trust store system: this machine has none (Debian: "apt-get install ca-certificates")')
    return Path(name)


def store_digests(names: Iterable[str]) -> dict[str, str]:
    """The digest of each store, by name. Raises what `load_store` raises."""
    return {name: load_store(name).digest for name in sorted(names)}


def validate_paths(chain: Sequence[Certificate], stores: Sequence[str]) -> tuple[PathValidation, ...]:
    """Look for a path from the chain's leaf to a root of each store.

    Mozilla's store is always asked as well, because some rules hold for publicly trusted certificates only.
    """
    public = _validate(chain, MOZILLA)
    results = []
    for name in stores:
        result = public if name == MOZILLA else _validate(chain, name)
        results.append(dataclasses.replace(result, publicly_trusted=public.trusted))
    return tuple(results)


def _validate(chain: Sequence[Certificate], name: str) -> PathValidation:
    return path_in(chain, load_store(name))


def path_in(chain: Sequence[Certificate], store: TrustStore) -> PathValidation:
    """Look for a path from the chain's leaf to a root of a store that is at hand."""
    name, leaf = store.name, chain[0]
    if leaf.fingerprint in store.fingerprints:
        # Its owner put this very certificate into the store; a path of one.
        return PathValidation(name, store.digest, trusted=True, path=(leaf.fingerprint,), detail="is itself trusted")
    failure = ""
    for moment in _moments(chain):
        try:
            path = _path(chain, store, moment)
        except (verification.VerificationError, ValueError, OverflowError, UnsupportedAlgorithm) as error:
            # The first moment is the likeliest: what is said of it is what there is to say.
            failure = failure or str(error) or type(error).__name__
        else:
            lasting = _lasting(chain, store, path)
            root, ends = _lasting_root(chain, store, path)
            found = PathValidation(name, store.digest, trusted=True, path=path, lasting=lasting)
            return dataclasses.replace(found, root=root, root_ends=ends)
    refused = _leads_to_root(chain, store)
    unsigned = "" if refused else _unsigned(chain, store)
    detail = _detail(failure)
    return PathValidation(name, store.digest, trusted=False, detail=detail, refused=refused, unsigned=unsigned)


def looked_at(chain: Sequence[Certificate], most: int = _MAX_CHAIN + 1) -> list[Certificate]:
    """So many certificates of a chain, its leaf first, and before all others those that names lead to from there.

    A server may send any number of others, and the one that is needed last.
    """
    leaf, *others = chain
    found = [leaf]
    for below in found:
        found += (above := [item for item in others if item.subject == below.issuer])
        others = [item for item in others if item not in above]
    return [*found, *others][:most]


def _lasting(chain: Sequence[Certificate], store: TrustStore, path: tuple[str, ...]) -> tuple[str, ...]:
    """The path that holds longest, where that is another one: looked for again whenever the last one has ended."""
    ends = {item.fingerprint: item.not_after for item in chain}
    wanted = chain[0].not_after
    found: tuple[str, ...] = ()
    for _ in range(_LATER_PATHS):
        end = min((ends[name] for name in (found or path)[:-1] if name in ends), default=wanted)
        if end >= wanted:
            break
        moment = (end + timedelta(seconds=1)).replace(microsecond=0, tzinfo=None)
        try:
            found = _path(chain, store, moment)
        except (verification.VerificationError, ValueError, OverflowError, UnsupportedAlgorithm):
            break
    return found


def _lasting_root(
    chain: Sequence[Certificate], store: TrustStore, path: tuple[str, ...]
) -> tuple[str, datetime | None]:
    """The root that holds longest, as its subject and its end: another is looked for when one ends before the leaf."""
    found: x509.Certificate | None = None
    for _ in range(_LATER_PATHS):
        root = _by_fingerprint(store).get(path[-1])
        found = root or found
        if root is None or root.not_valid_after_utc >= chain[0].not_after:
            break
        moment = (root.not_valid_after_utc + timedelta(seconds=1)).replace(microsecond=0, tzinfo=None)
        try:
            path = _path(chain, store, moment)
        except (verification.VerificationError, ValueError, OverflowError, UnsupportedAlgorithm):
            break
    read = certificate_from_der(found.public_bytes(Encoding.DER)).value if found is not None else None
    return (read.subject, read.not_after) if read is not None else ("", None)


def _leads_to_root(chain: Sequence[Certificate], store: TrustStore) -> bool:
    """Whether names and signatures lead from the leaf to a root, whatever else clients demand of a path."""
    try:
        leaf, *others = (x509.load_der_x509_certificate(certificate.der) for certificate in looked_at(chain))
    except ValueError:
        return False
    for _ in range(_MAX_CHAIN):
        if any(issued_by(leaf, root) for root in roots_above(leaf, store)):
            return True
        above = next((other for other in others if issued_by(leaf, other)), None)
        if above is None:
            return False
        others.remove(above)
        leaf = above
    return False


def _unsigned(chain: Sequence[Certificate], store: TrustStore) -> str:
    """Where a chain breaks although there is a certificate of the issuer's name: the key of none of them signed."""
    try:
        last, *others = ((item, x509.load_der_x509_certificate(item.der)) for item in looked_at(chain))
    except ValueError:
        return ""
    while not last[0].self_issued:
        above = next((other for other in others if issued_by(last[1], other[1])), None)
        if above is None:
            break
        others.remove(above)
        last = above
    sent = [one for _, one in others if is_named_by(last[1], one)]
    named = [*sent, *roots_above(last[1], store)]
    # Only a signature that could be checked, and did not hold, shows anything.
    if last[0].self_issued or not named or not all(is_checkable(last[1], one) for one in named):
        return ""
    where = "sent" if sent else "in the trust store"
    return f"{last[0].subject} names {last[0].issuer} as its issuer, and the key of the one {where} did not sign it"


def _path(chain: Sequence[Certificate], store: TrustStore, moment: datetime) -> tuple[str, ...]:
    """The fingerprints of a path, leaf first. Raises what the library raises where there is none."""
    leaf, *others = (x509.load_der_x509_certificate(certificate.der) for certificate in looked_at(chain))
    verifier = (
        verification.PolicyBuilder()
        .store(_library_store(store))
        .time(moment)
        .max_chain_depth(_MAX_CHAIN)
        .extension_policies(ca_policy=_CA_EXTENSIONS, ee_policy=verification.ExtensionPolicy.permit_all())
        .build_client_verifier()
    )
    return tuple(fingerprint_of(certificate) for certificate in verifier.verify(leaf, others).chain)


@functools.lru_cache(maxsize=32)
def _library_store(store: TrustStore) -> verification.Store:
    return verification.Store(list(store.roots))


@functools.lru_cache(maxsize=32)
def _by_fingerprint(store: TrustStore) -> Mapping[str, x509.Certificate]:
    return {fingerprint_of(root): root for root in store.roots}


def _detail(message: str) -> str:
    """The library's words, in ours where they are of its inner workings."""
    for sign, words in _DETAILS:
        if sign in message:
            return words
    return printable(message.removeprefix("validation failed: ").removeprefix("candidates exhausted: "))


def _moments(chain: Sequence[Certificate]) -> list[datetime]:
    """The moments at which a path counts, likeliest first: dates of what was sent are judged by rules of their own.

    That is the present, and nothing else where everything sent is valid. Else the ends of the time in which all of it
    was valid at once, and those of the leaf's own time, in case the chain has a stranger in it.
    """
    leaf, now = chain[0], datetime.now(UTC)
    starts = max(certificate.not_before for certificate in chain)
    ends = min(certificate.not_after for certificate in chain)
    if starts <= now <= ends:
        moments = [now]
    else:
        moments = [now] if leaf.not_before <= now <= leaf.not_after else []
        moments += [ends, starts] if starts <= ends else []
        moments += [leaf.not_after, leaf.not_before]
    # Certificates count in whole seconds, and the library in naive times of UTC.
    return list(dict.fromkeys(moment.replace(microsecond=0, tzinfo=None) for moment in moments))


def fingerprint_of(certificate: x509.Certificate) -> str:
    """The SHA-256 of a certificate, in lower-case hexadecimal."""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()
