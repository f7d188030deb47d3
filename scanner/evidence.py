"""What a probe observed at a target: facts, no judgement.

All types are frozen and go to JSON and back unchanged (`to_json`, `from_json`), so that evidence stored today can be
judged by tomorrow's policy. Whatever can fail to be observed is an `Attempt`: a value, or the reason why there is none.
Text that came from a host has passed `scanner.untrusted.printable`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Generic, Self, TypeVar

from pydantic import Base64Bytes, TypeAdapter

from scanner.untrusted import printable

T = TypeVar("T")


class FailureReason(StrEnum):
    """Why something was not observed."""

    NOT_RUN = "not-run"
    UNRESOLVABLE = "unresolvable"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed-out"
    DEADLINE = "deadline"
    RESET = "reset"
    NOT_TLS = "not-tls"
    STARTTLS_REFUSED = "starttls-refused"
    HANDSHAKE_FAILED = "handshake-failed"
    CLIENT_CERTIFICATE_REQUIRED = "client-certificate-required"
    MALFORMED = "malformed"
    TOO_LARGE = "too-large"
    UNSUPPORTED = "unsupported"
    INCONSISTENT = "inconsistent"
    INTERRUPTED = "interrupted"
    ENGINE_ERROR = "engine-error"


@dataclass(frozen=True, slots=True)
class Failure:
    """The reason why something was not observed, with a short, printable detail."""

    reason: FailureReason
    detail: str = ""

    @classmethod
    def of(cls, reason: FailureReason, detail: object = "") -> Self:
        """Build a failure whose detail may come from the host or from an exception: it is cut and made printable."""
        return cls(reason, printable(str(detail)))


@dataclass(frozen=True, slots=True)
class Attempt(Generic[T]):
    """An observation that may have failed: exactly one of the two is set."""

    value: T | None = None
    failure: Failure | None = None

    def __post_init__(self) -> None:
        if (self.value is None) == (self.failure is None):
            message = "an Attempt has either a value or a failure"
            raise ValueError(message)

    @classmethod
    def ok(cls, value: T) -> Attempt[T]:
        """An observation that succeeded."""
        return cls(value=value)

    @classmethod
    def failed(cls, reason: FailureReason, detail: object = "") -> Attempt[T]:
        """An observation that failed."""
        return cls(failure=Failure.of(reason, detail))


def not_run() -> Attempt[T]:
    """The attempt that nobody made."""
    return Attempt(failure=Failure(FailureReason.NOT_RUN))


class Protocol(StrEnum):
    """The protocol versions, oldest first."""

    SSL2 = "ssl2"
    SSL3 = "ssl3"
    TLS1_0 = "tls1.0"
    TLS1_1 = "tls1.1"
    TLS1_2 = "tls1.2"
    TLS1_3 = "tls1.3"


@dataclass(frozen=True, slots=True)
class AcceptedSuite:
    """A cipher suite that the server accepted, with the ephemeral key it then offered, where that was seen.

    `name` is the IANA name; `group` an IANA group name in lower case (`secp256r1`, `ffdhe2048`, `x25519mlkem768`);
    `ephemeral_bits` the size of the (EC)DH key in bits. `dh_prime` names a finite-field prime that is published
    (`ffdhe2048`, `rfc5114-…`, `oakley-14`), or is "custom".
    """

    name: str
    group: str | None = None
    ephemeral_bits: int | None = None
    dh_prime: str | None = None


@dataclass(frozen=True, slots=True)
class ProtocolOffer:
    """What a server accepts in one protocol version: nothing (no suites) means that it does not negotiate it.

    The suites are in the server's order where `server_order` is True, else in the order in which they were found.
    `server_order` is None where it was not found out (or means nothing: fewer than two suites).
    """

    suites: tuple[AcceptedSuite, ...] = ()
    server_order: bool | None = None

    @property
    def negotiated(self) -> bool:
        """Whether the server negotiates the protocol at all."""
        return bool(self.suites)


class KeyType(StrEnum):
    """Public key algorithms in certificates."""

    RSA = "rsa"
    ECDSA = "ecdsa"
    ED25519 = "ed25519"
    ED448 = "ed448"
    DSA = "dsa"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Certificate:
    """One X.509 certificate as received; the fields are read from `der`, which is kept whole.

    `fingerprint` is the SHA-256 of `der`, `spki` of its public key, both in lower-case hexadecimal. `key_bits` is the
    modulus or curve size in bits. `signature_hash` is None where the algorithm has none of its own (Ed25519).
    `extended_key_usage` holds dotted OIDs, empty where the extension is missing; `key_usage` the names of RFC 5280
    section 4.2.1.3 in its spelling (`digitalSignature`, …), None where the extension is missing.
    `subject` and `issuer` are RFC 4514 strings.
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


@dataclass(frozen=True, slots=True)
class PathValidation:
    """Whether a path from a served chain leads to a root of one trust store, name and dates apart.

    `store` is `mozilla`, `system` or the path of a PEM file; `store_digest` the SHA-256 over its certificates.
    `path` holds SHA-256 fingerprints, leaf first, root last; empty where there is none.
    `missing` holds fingerprints of intermediates that the path needed and the server did not send.
    """

    store: str
    store_digest: str
    trusted: bool
    path: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    publicly_trusted: bool = False
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Staple:
    """A stapled OCSP response: `certificate_status` is `good`, `revoked` or `unknown`."""

    certificate_status: str
    this_update: datetime | None = None
    next_update: datetime | None = None
    produced_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """One certificate chain that the server presents, as received (leaf first), and what came along with it.

    `with_sni` tells whether it was served to a client that named the host. `staple` None means that none was sent.
    `tls_scts` counts SCTs delivered in the TLS extension, None where that was not looked at.
    `paths` has one entry for each configured trust store.
    """

    chain: tuple[Certificate, ...]
    with_sni: bool = True
    protocol: Protocol | None = None
    staple: Staple | None = None
    tls_scts: int | None = None
    paths: tuple[PathValidation, ...] = ()

    @property
    def leaf(self) -> Certificate:
        """The server's own certificate."""
        return self.chain[0]


class ClientAuthentication(StrEnum):
    """Whether the server asks for a client certificate in the handshake."""

    NOT_ASKED = "not-asked"
    OPTIONAL = "optional"
    REQUIRED = "required"


class Robot(StrEnum):
    """The answers of a ROBOT test."""

    NOT_VULNERABLE = "not-vulnerable"
    RSA_NOT_OFFERED = "rsa-not-offered"
    WEAK_ORACLE = "weak-oracle"
    STRONG_ORACLE = "strong-oracle"


class NameReaction(StrEnum):
    """How a server reacts to a server_name that it was not asked under, or to none."""

    SAME_CERTIFICATE = "same-certificate"
    OTHER_CERTIFICATE = "other-certificate"
    ALERT = "alert"
    UNRECOGNIZED_NAME = "unrecognized-name"


@dataclass(frozen=True, slots=True)
class TlsEvidence:
    """What is known of a target's TLS, from one engine or merged from several (`merge`).

    `groups` and `signature_schemes` are per protocol, IANA names in lower case, in the server's order of preference
    where it has one. Booleans tell what the server does: `extended_master_secret` and `encrypt_then_mac` are of TLS 1.2
    and older alone, `client_renegotiation` that it renegotiates at a client's wish often enough to exhaust it,
    `compression` that it compresses, `early_data` that it accepts 0-RTT, `fallback_scsv` that it refuses a downgrade.
    `intolerances` names what an unusual but correct ClientHello broke (`size`, `version`, …).
    """

    protocols: Mapping[Protocol, Attempt[ProtocolOffer]] = field(default_factory=dict)
    groups: Mapping[Protocol, Attempt[tuple[str, ...]]] = field(default_factory=dict)
    signature_schemes: Mapping[Protocol, Attempt[tuple[str, ...]]] = field(default_factory=dict)
    certificates: Attempt[tuple[Deployment, ...]] = field(default_factory=not_run)
    alpn: Attempt[tuple[str, ...]] = field(default_factory=not_run)
    extended_master_secret: Attempt[bool] = field(default_factory=not_run)
    encrypt_then_mac: Attempt[bool] = field(default_factory=not_run)
    secure_renegotiation: Attempt[bool] = field(default_factory=not_run)
    client_renegotiation: Attempt[bool] = field(default_factory=not_run)
    compression: Attempt[bool] = field(default_factory=not_run)
    early_data: Attempt[bool] = field(default_factory=not_run)
    fallback_scsv: Attempt[bool] = field(default_factory=not_run)
    session_ids: Attempt[bool] = field(default_factory=not_run)
    session_tickets: Attempt[bool] = field(default_factory=not_run)
    client_authentication: Attempt[ClientAuthentication] = field(default_factory=not_run)
    heartbleed: Attempt[bool] = field(default_factory=not_run)
    ccs_injection: Attempt[bool] = field(default_factory=not_run)
    robot: Attempt[Robot] = field(default_factory=not_run)
    without_sni: Attempt[NameReaction] = field(default_factory=not_run)
    wrong_sni: Attempt[NameReaction] = field(default_factory=not_run)
    intolerances: Attempt[tuple[str, ...]] = field(default_factory=not_run)

    def offer(self, protocol: Protocol) -> Attempt[ProtocolOffer]:
        """What the server accepts in `protocol`, as far as anyone looked."""
        return self.protocols.get(protocol, not_run())

    @property
    def negotiated(self) -> tuple[Protocol, ...]:
        """The protocols that were seen to be negotiated, oldest first."""
        return tuple(
            protocol for protocol in Protocol if (value := self.offer(protocol).value) is not None and value.negotiated
        )


@dataclass(frozen=True, slots=True)
class Cookie:
    """A Set-Cookie header, without the cookie's value: that may be a secret."""

    name: str
    secure: bool
    http_only: bool
    same_site: str | None = None
    domain: str | None = None
    path: str | None = None


class ReferenceKind(StrEnum):
    """What a page does with a resource: fetch it as code, as a picture, send a form to it, or link to it."""

    ACTIVE = "active"
    PASSIVE = "passive"
    FORM = "form"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class InsecureReference:
    """An `http:` address in a page that was served over HTTPS."""

    kind: ReferenceKind
    tag: str
    url: str


@dataclass(frozen=True, slots=True)
class Hop:
    """One request and what came back.

    `hsts` holds the raw Strict-Transport-Security header values, in order. `location` is the absolute address that the
    answer leads to, None where it is no redirect. `meta_refresh` is the address in a refresh element or header,
    `script_redirect` one that a script in the page sets. `failure` is set where no answer came.
    """

    url: str
    method: str = "GET"
    status: int | None = None
    http_version: str = ""
    location: str | None = None
    hsts: tuple[str, ...] = ()
    cookies: tuple[Cookie, ...] = ()
    content_type: str = ""
    server: str = ""
    body_bytes: int = 0
    body_truncated: bool = False
    meta_refresh: str | None = None
    script_redirect: str | None = None
    insecure_references: tuple[InsecureReference, ...] = ()
    upgrade_insecure_requests: bool = False
    failure: Failure | None = None


class ChainEnd(StrEnum):
    """Why the following of redirects stopped."""

    ANSWER = "answer"
    FAILURE = "failure"
    LOOP = "loop"
    TOO_MANY = "too-many"
    OUT_OF_SCOPE = "out-of-scope"
    BAD_LOCATION = "bad-location"


class Purpose(StrEnum):
    """Why a request was made."""

    ROOT = "root"
    PATH = "path"
    INTEGRATION = "integration"


class ClientIdentity(StrEnum):
    """Which client certificate a request carried."""

    NONE = "none"
    CONFIGURED = "configured"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """One start address and the chain of answers that followed it, redirects by hand. There is at least one hop."""

    scheme: str
    path: str
    purpose: Purpose
    hops: tuple[Hop, ...]
    end: ChainEnd
    identity: ClientIdentity = ClientIdentity.NONE
    application: str | None = None

    @property
    def first(self) -> Hop:
        """The answer to the start address itself."""
        return self.hops[0]

    @property
    def last(self) -> Hop:
        """Where the chain ended."""
        return self.hops[-1]


@dataclass(frozen=True, slots=True)
class HttpEvidence:
    """What HTTP answers, in plain and inside TLS."""

    probes: tuple[HttpProbe, ...] = ()

    def find(
        self,
        scheme: str,
        path: str = "/",
        *,
        purpose: Purpose | None = None,
        identity: ClientIdentity = ClientIdentity.NONE,
    ) -> HttpProbe | None:
        """The probe that started at `scheme` and `path` (of that purpose, where one is given), or None."""
        for probe in self.probes:
            if (probe.scheme, probe.path, probe.identity) == (scheme, path, identity) and purpose in {
                None,
                probe.purpose,
            }:
                return probe
        return None


@dataclass(frozen=True, slots=True)
class CaaRecord:
    """A CAA record (RFC 8659)."""

    tag: str
    value: str
    critical: bool = False


@dataclass(frozen=True, slots=True)
class DnsEvidence:
    """What the DNS says of a name. `caa_domain` is the ancestor at which the records were found, if any."""

    addresses: tuple[str, ...] = ()
    caa: Attempt[tuple[CaaRecord, ...]] = field(default_factory=not_run)
    caa_domain: str | None = None


@dataclass(frozen=True, slots=True)
class TargetEvidence:
    """Everything observed at one target in one run.

    `tls` fails as a whole where no TLS engine got an answer, with the reason (refused, not TLS, …).
    `http` is NOT_RUN at endpoints that do not speak HTTP. `connections` counts TCP connections opened to the target.
    """

    started_at: datetime
    duration_s: float
    connections: int
    tls: Attempt[TlsEvidence] = field(default_factory=not_run)
    http: Attempt[HttpEvidence] = field(default_factory=not_run)
    dns: Attempt[DnsEvidence] = field(default_factory=not_run)


_TARGET_EVIDENCE: TypeAdapter[TargetEvidence] = TypeAdapter(TargetEvidence)


def to_json(evidence: TargetEvidence) -> bytes:
    """Serialise to compact JSON."""
    return _TARGET_EVIDENCE.dump_json(evidence, exclude_defaults=True)


def from_json(data: bytes | str) -> TargetEvidence:
    """Read what `to_json` wrote.

    Raises:
        pydantic.ValidationError: the data is not evidence of this version.
    """
    return _TARGET_EVIDENCE.validate_json(data)


def merge(first: TlsEvidence, second: TlsEvidence) -> TlsEvidence:
    """Combine what two engines saw: of each fact the first engine's value, else the second's, else a reason.

    Where neither has a value, the reason of the one that tried is kept.
    """
    merged: dict[str, object] = {}
    for item in dataclasses.fields(TlsEvidence):
        ours, theirs = getattr(first, item.name), getattr(second, item.name)
        if isinstance(ours, Attempt):
            merged[item.name] = _better(ours, theirs)
        else:
            merged[item.name] = {key: _better(ours.get(key), theirs.get(key)) for key in sorted({*ours, *theirs})}
    return dataclasses.replace(first, **merged)  # type: ignore[arg-type]  # names and types are the dataclass's own


def _better(first: Attempt[T] | None, second: Attempt[T] | None) -> Attempt[T]:
    candidates = [attempt for attempt in (first, second) if attempt is not None]
    for attempt in candidates:
        if attempt.value is not None:
            return attempt
    for attempt in candidates:
        if attempt.failure is not None and attempt.failure.reason is not FailureReason.NOT_RUN:
            return attempt
    return candidates[0]
