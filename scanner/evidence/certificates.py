"""Certificates as a server presents them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import PurePath
from typing import Final

from pydantic import Base64Bytes

from scanner.evidence.attempt import Attempt, not_run
from scanner.evidence.revocation import RevocationAnswer, RevocationFailure
from scanner.evidence.transparency import Transparency


class Protocol(StrEnum):
    """The protocol versions, oldest first."""

    SSL2 = "ssl2"
    SSL3 = "ssl3"
    TLS1_0 = "tls1.0"
    TLS1_1 = "tls1.1"
    TLS1_2 = "tls1.2"
    TLS1_3 = "tls1.3"


class KeyType(StrEnum):
    """Public key algorithms in certificates. RSA_PSS is RSA for PSS signatures alone (id-RSASSA-PSS, RFC 8017)."""

    RSA = "rsa"
    RSA_PSS = "rsa-pss"
    ECDSA = "ecdsa"
    ED25519 = "ed25519"
    ED448 = "ed448"
    DSA = "dsa"
    OTHER = "other"


FINGERPRINT_SHOWN = 16
"""Hexadecimal digits of a fingerprint that stand for a certificate where people read it."""

ALL_EXTENSIONS = "all"
"""Stands in `Certificate.unreadable_extensions` where not even the list of extensions can be read."""


class Extension(StrEnum):
    """The extensions of certificates that are looked at, as RFC 5280, RFC 7633 and RFC 6962 call them."""

    SUBJECT_ALT_NAME = "subjectAltName"
    EXTENDED_KEY_USAGE = "extKeyUsage"
    KEY_USAGE = "keyUsage"
    BASIC_CONSTRAINTS = "basicConstraints"
    NAME_CONSTRAINTS = "nameConstraints"
    AUTHORITY_INFO_ACCESS = "authorityInfoAccess"
    CRL_DISTRIBUTION_POINTS = "cRLDistributionPoints"
    CERTIFICATE_POLICIES = "certificatePolicies"
    TLS_FEATURE = "TLSFeature"
    SCT_LIST = "SignedCertificateTimestampList"


_PURPOSES: Final = {
    "1.3.6.1.5.5.7.3.1": "serverAuth",
    "1.3.6.1.5.5.7.3.2": "clientAuth",
    "1.3.6.1.5.5.7.3.3": "codeSigning",
    "1.3.6.1.5.5.7.3.4": "emailProtection",
    "1.3.6.1.5.5.7.3.8": "timeStamping",
    "1.3.6.1.5.5.7.3.9": "OCSPSigning",
    "2.5.29.37.0": "anyExtendedKeyUsage",
}
"""The names of RFC 5280 section 4.2.1.12."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """One X.509 certificate as received; the fields are read from `der`, which is kept whole.

    `fingerprint` is the SHA-256 of `der`, `spki` of its public key, both in lower-case hexadecimal. `key_bits` is the
    modulus or curve size in bits. `signature_hash` is None where the algorithm has none of its own (Ed25519).
    `extended_key_usage` holds dotted OIDs, empty where the extension is missing; `key_usage` the names of RFC 5280
    section 4.2.1.3 in its spelling (`digitalSignature`, …), None where the extension is missing.
    `subject` and `issuer` are RFC 4514 strings. `unreadable_extensions` names those that are malformed or there twice,
    by `Extension` or dotted OID ("all" where not even their list can be read): nothing is claimed of what they hold.
    """

    der: Base64Bytes
    fingerprint: str
    spki: str
    subject: str
    issuer: str
    serial: str
    not_before: datetime
    not_after: datetime
    key_type: KeyType
    key_bits: int
    signature_algorithm: str
    signature_hash: str | None
    curve: str | None = None
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[str, ...] = ()
    is_ca: bool = False
    self_signed: bool = False
    self_issued: bool = False
    extended_key_usage: tuple[str, ...] = ()
    key_usage: tuple[str, ...] | None = None
    ocsp_urls: tuple[str, ...] = ()
    crl_urls: tuple[str, ...] = ()
    issuer_urls: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    must_staple: bool = False
    embedded_scts: int = 0
    unreadable_extensions: tuple[str, ...] = ()

    @property
    def short_fingerprint(self) -> str:
        """The beginning of its fingerprint, enough to tell it from any other that a server has."""
        return self.fingerprint[:FINGERPRINT_SHOWN]

    @property
    def purposes(self) -> tuple[str, ...]:
        """The extended key usage by name where RFC 5280 has one, else as dotted OIDs."""
        return tuple(_PURPOSES.get(usage, usage) for usage in self.extended_key_usage)

    def unreadable(self, *extensions: Extension) -> bool:
        """Whether any of these extensions could not be read, so that nothing can be said of what it holds."""
        return ALL_EXTENSIONS in self.unreadable_extensions or any(
            extension in self.unreadable_extensions for extension in extensions
        )


def title_of_store(name: str) -> str:
    """What people call a trust store: a file by its own name, as its folder says nothing of the CAs in it."""
    file = PurePath(name).name
    return name if file in {"", "mozilla", "system"} else file


@dataclass(frozen=True, slots=True)
class PathValidation:
    """Whether a path from a served chain leads to a root of one trust store, name and dates apart.

    `store` is `mozilla`, `system` or the path of a PEM file; `store_digest` the SHA-256 over its certificates.
    `refused` tells that the signatures do lead to a root, and `detail` why clients take no such path all the same.
    `path` holds SHA-256 fingerprints, leaf first, root last; empty where there is none.
    `missing` holds fingerprints of intermediates that the path needed and the server did not send. `lasting` is the
    path that holds longest, where another one than `path` does; its root's dates do not count. `unsigned` says in words
    where the chain breaks because a certificate of the issuer's name is there and its key did not sign; else empty.
    `root` is the subject of the root that holds longest, and `root_ends` its end; empty where that is not known.
    """

    store: str
    store_digest: str
    trusted: bool
    path: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    publicly_trusted: bool = False
    detail: str = ""
    refused: bool = False
    lasting: tuple[str, ...] = ()
    unsigned: str = ""
    root: str = ""
    root_ends: datetime | None = None

    @property
    def store_title(self) -> str:
        """What people call the store."""
        return title_of_store(self.store)


BROWSER_STORES = frozenset({"mozilla", "chrome", "apple", "microsoft", "android"})
"""The lists of roots of which each makes a certificate one of the public web."""


@dataclass(frozen=True, slots=True)
class StoreTrust:
    """Whether a list of roots (`mozilla`, `chrome`, `apple`, `microsoft`, `android`, `java`) trusts a chain.

    `date` says of when the list is at least, `condition` why a root of it is not trusted for this certificate.
    """

    store: str
    trusted: bool
    date: datetime
    condition: str = ""


@dataclass(frozen=True, slots=True)
class Completion:
    """What was fetched of the intermediates that a server did not send, as browsers fetch them (RFC 5280 4.2.2.1).

    `paths` are those that the chain has with what was fetched, one for each store; empty where it still has none.
    `failure` and `detail` tell why nothing more was fetched then.
    """

    fetched: tuple[Certificate, ...] = ()
    paths: tuple[PathValidation, ...] = ()
    failure: RevocationFailure | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Staple:
    """A stapled OCSP response: `certificate_status` is `good`, `revoked` or `unknown`.

    `verified` is False where the certificate's issuer is not known, so that nobody can tell who signed; the status is
    then `unknown`, whatever the response says. None where that was not written down. `sct_list` holds the SCTs of the
    leaf that a verified response brings, in the form of RFC 6962 section 3.3.
    """

    certificate_status: str
    this_update: datetime | None = None
    next_update: datetime | None = None
    produced_at: datetime | None = None
    verified: bool | None = None
    sct_list: Base64Bytes = b""


class KeyWeakness(StrEnum):
    """How a key is broken by what is known of other keys."""

    SHARED_FACTOR = "shared-factor"
    PUBLISHED = "published"


@dataclass(frozen=True, slots=True)
class KeyTrouble:
    """That the key of a certificate (by SHA-256 fingerprint) is broken by what is known of other keys.

    `other` is the fingerprint of a certificate whose key shares a prime with it, `place` where and `seen_at` when that
    was seen first. `listed` is the number of the list, in the file of published keys, that the key is on.
    """

    certificate: str
    kind: KeyWeakness
    other: str = ""
    place: str = ""
    seen_at: datetime | None = None
    listed: int | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """One certificate chain that the server presents, as received (leaf first), and what came along with it.

    `with_sni` tells whether it was served to a client that named the host. `staple` None means that none was sent.
    `tls_scts` counts SCTs delivered in the TLS extension, None where that was not looked at; `tls_sct_list` holds them
    in the form of RFC 6962 section 3.3, empty also where they are too large to be any.
    `paths` has one entry for each configured trust store. `revocation` holds what was said of the leaf and of the
    intermediates; empty where none of them names a source. `completion` is what was fetched of what was not sent; None
    where nothing had to be, or nobody looked. `stores` are the lists of browsers and platforms, side by side.
    `key_troubles` are keys that are broken by what is known of others; empty also where nobody compared them.
    """

    chain: tuple[Certificate, ...]
    with_sni: bool = True
    protocol: Protocol | None = None
    staple: Staple | None = None
    tls_scts: int | None = None
    paths: tuple[PathValidation, ...] = ()
    revocation: Attempt[tuple[RevocationAnswer, ...]] = field(default_factory=not_run)
    completion: Completion | None = None
    transparency: Attempt[Transparency] = field(default_factory=not_run)
    stores: tuple[StoreTrust, ...] = ()
    key_troubles: tuple[KeyTrouble, ...] = ()
    tls_sct_list: Base64Bytes = b""

    @property
    def leaf(self) -> Certificate:
        """The server's own certificate."""
        return self.chain[0]

    @property
    def completed(self) -> bool:
        """Whether a path leads to a root only with what was fetched."""
        return self.completion is not None and any(path.trusted for path in self.completion.paths)

    @property
    def browser_paths(self) -> tuple[PathValidation, ...]:
        """The paths as browsers see them: with what they fetch where the server did not send it."""
        return self.completion.paths if self.completion is not None and self.completed else self.paths

    @property
    def browser_chain(self) -> tuple[Certificate, ...]:
        """What was sent, and what browsers fetch besides."""
        return (*self.chain, *self.completion.fetched) if self.completion is not None and self.completed else self.chain

    @property
    def ends_first(self) -> Certificate | None:
        """With which certificate the chain ends, of the path that holds longest; None where no path is trusted.

        A root does not count: clients have it, and take it by itself.
        """
        first = []
        for path in self.browser_paths:
            for holding in (path.path, path.lasting) if path.trusted else ():
                if holding:
                    on_path = [item for item in self.browser_chain if item.fingerprint in holding[:-1]]
                    first.append(min(on_path or [self.leaf], key=lambda item: item.not_after))
        return max(first, key=lambda item: item.not_after, default=None)

    @property
    def ending(self) -> tuple[Certificate, ...]:
        """The certificates whose ends are watched: the leaf, and the one with which the chain ends before it."""
        first = self.ends_first
        return (self.leaf,) if first is None or first == self.leaf else (self.leaf, first)

    @property
    def publicly_trusted(self) -> bool | None:
        """Whether its chain leads to a root of any browser; None where no path was looked for."""
        if not self.paths:
            return None
        if any(item.trusted and item.store in BROWSER_STORES for item in self.stores):
            return True
        return any(path.trusted and path.publicly_trusted for path in self.browser_paths)
