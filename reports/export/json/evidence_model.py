"""The form of the evidence inside `nightseal.report/1`: what was seen, in the words of the field, with IANA's names.

Beside it stand one list of what was not seen and one of what was seen in part, with the reasons.
"""

from __future__ import annotations

from datetime import datetime

from reports.export.json.base import Out as Out  # noqa: PLC0414  # the base of all models, told to mypy as ours
from reports.export.json.doors import Doors
from reports.export.json.plain import EchoOut, Plain


class FailureOut(Out):
    """Reason why something was not observed."""

    reason: str
    """A stable slug: refused, timed-out, not-tls, …"""
    detail: str


class NotObserved(FailureOut):
    """A fact that could not be observed."""

    what: str
    """The dotted path of the fact, such as `tls.robot` or `tls.protocols.tls1.0`."""


class KeyExchange(Out):
    """The ephemeral key that a server sent with a cipher suite."""

    protocol: str
    cipher: str
    group: str | None
    bits: int | None
    prime: str | None
    """The published name of a finite-field prime, `custom`, or `composite` for a modulus that is not a prime."""
    modulus: str | None = None
    """The modulus in hexadecimal, where its prime has no published name."""
    safe_prime: bool | None = None
    """Whether half of the prime is also prime (a safe prime); null if that was not tested."""
    generator_valid: bool | None = None
    """Whether the generator is valid: from 2 to the modulus minus 2."""


class CertificateOut(Out):
    """One X.509 certificate. Fingerprints are SHA-256, in hexadecimal."""

    fingerprint: str
    spki: str
    subject: str
    issuer: str
    serial: str
    not_before: datetime
    not_after: datetime
    key_type: str
    key_bits: int
    curve: str | None
    signature_algorithm: str
    dns_names: list[str]
    ip_addresses: list[str]
    is_ca: bool
    self_signed: bool
    must_staple: bool
    embedded_scts: int
    unreadable_extensions: list[str] = []
    """Extensions that are malformed or occur twice, by RFC name or OID; "all" if the list of extensions itself is."""
    ocsp_urls: list[str]
    crl_urls: list[str]
    issuer_urls: list[str] = []
    signature_hash: str | None = None
    """Null if the signature algorithm includes no separate hash (Ed25519)."""
    self_issued: bool = False
    extended_key_usage: list[str] = []
    """Dotted OIDs; empty if the extension is missing."""
    key_usage: list[str] | None = None
    """Names as in RFC 5280; null if the extension is missing."""
    policies: list[str] = []


class Trust(Out):
    """Whether a path leads from the chain to a root of one trust store, regardless of name and dates."""

    store: str
    trusted: bool
    publicly_trusted: bool
    path: list[str]
    """Fingerprints, leaf first, root last; empty if there is no path."""
    missing: list[str]
    detail: str
    refused: bool = False
    """The signatures lead to a root, but clients reject the path; `detail` gives the reason."""
    unsigned: str = ""
    """Where the chain breaks because the key of a certificate with the issuer's name did not sign, in words."""
    root: str = ""
    """Subject of the root that is valid longest."""
    root_ends: datetime | None = None
    """Expiry date of that root."""
    lasting: list[str] = []
    """The path that is valid longest, if it is not `path`."""
    store_digest: str = ""


class StapleOut(Out):
    """A stapled OCSP response."""

    certificate_status: str
    this_update: datetime | None
    next_update: datetime | None
    produced_at: datetime | None = None
    verified: bool | None = None
    """Whether the signature on behalf of the issuer was verified; null if it was not checked."""


class RevocationOut(Out):
    """The answer of a CRL or an OCSP responder about one certificate of the chain, or why there is none."""

    certificate: str
    """Fingerprint of the certificate."""
    source: str
    url: str
    status: str | None
    failure: str | None
    detail: str
    reason: str | None
    revoked_at: datetime | None
    this_update: datetime | None
    next_update: datetime | None
    fetched_at: datetime | None
    from_cache: bool
    digest: str
    """SHA-256 of the CRL or response, in hexadecimal."""
    faults: list[str]


class SctOut(Out):
    """A signed certificate timestamp of a leaf, verified against a list of logs."""

    log_id: str
    logged_at: datetime
    check: str
    """`valid`, `unknown-log`, `bad-signature` or `future`."""
    log: str
    operator: str
    states: dict[str, str]
    """State of the log in each browser's list."""
    since: dict[str, datetime] = {}
    """Start of that state, if the list has it."""
    source: str = "certificate"
    """Where it came from: `certificate`, `tls` (the extension of the handshake) or `staple`."""


class TransparencyOut(Out):
    """Result of verifying the SCTs of a leaf, and the list that was used."""

    scts: list[SctOut]
    list_source: str
    list_date: datetime


class KeyTroubleOut(Out):
    """A key of the chain that is broken because of other known keys."""

    certificate: str
    kind: str
    other: str
    """The fingerprint of a certificate whose key shares a prime with it."""
    place: str
    """Where and when that certificate was first seen."""
    seen_at: datetime | None
    listed: int | None
    """Number of the list of published keys that contains it."""


class CompletionOut(Out):
    """Intermediates that the server did not send and that were fetched, whether or not they completed the chain."""

    fetched: list[CertificateOut]
    trust: list[Trust]
    failure: str | None
    detail: str


class StoreOut(Out):
    """Whether a list of roots trusts the chain: `mozilla`, `chrome`, `apple`, `microsoft`, `android`, `java`."""

    store: str
    trusted: bool
    date: datetime
    """Date of the list, at the earliest."""
    condition: str


class Presented(Out):
    """One certificate chain that the server presents, leaf first, as received."""

    with_sni: bool
    protocol: str | None
    chain: list[CertificateOut]
    trust: list[Trust]
    staple: StapleOut | None
    tls_scts: int | None
    revocation: list[RevocationOut] = []
    """Empty if revocation was not checked, or no certificate names a CRL or responder."""
    stores: list[StoreOut] = []
    transparency: TransparencyOut | None = None
    """Null if the SCTs were not verified: there are none, or the certificate is not from a public CA."""
    fetched: list[CertificateOut] = []
    """Intermediates that were not sent, and were fetched as browsers fetch them; with them a path leads to a root."""
    key_troubles: list[KeyTroubleOut] = []
    completion: CompletionOut | None = None
    """Null if nothing had to be fetched, or fetching was not tried."""


class CookieOut(Out):
    """A cookie that a response sets, without its value."""

    name: str
    secure: bool
    http_only: bool
    same_site: str | None
    deleted: bool = False
    """The cookie is already expired when it is set, which tells browsers to delete it."""
    domain: str | None = None
    path: str | None = None


class ReferenceOut(Out):
    """An `http:` URL in a page that was served over HTTPS, and how the page uses it."""

    kind: str
    tag: str
    url: str


class HopOut(Out):
    """A request and its response."""

    method: str
    url: str
    status: int | None
    http_version: str
    location: str | None
    meta_refresh: str | None
    script_redirect: str | None
    hsts: list[str]
    cookies: list[CookieOut]
    insecure_references: list[str]
    failure: FailureOut | None
    incomplete: FailureOut | None = None
    """Reason why the response was not read completely, if it was not."""
    headers_cut: bool = False
    """The response ended within its headers: a header that is missing here is unknown."""
    irregularities: list[str] = []
    """Malformed parts of the response that were ignored, as browsers ignore them."""
    certificate_requested: bool = False
    """The server asked for a client certificate."""
    headers: list[tuple[str, str]] = []
    """Headers that protect a page or advertise other ways to reach it: name in lower case, and value, in order."""
    server: str = ""
    content_type: str = ""
    body_bytes: int = 0
    body_truncated: bool = False
    upgrade_insecure_requests: bool = False
    references: list[ReferenceOut] = []
    """Those of `insecure_references`, with how the page uses each."""


class Request(Out):
    """A start URL and the responses that followed, redirect by redirect."""

    scheme: str
    path: str
    purpose: str
    application: str | None
    identity: str
    """Client certificate that was presented: none, configured or wrong."""
    hops: list[HopOut]
    end: str
    """Reason why no further redirect was followed."""


class Http(Out):
    """HTTP responses, over plain HTTP and over HTTPS."""

    requests: list[Request]
    echoes: list[EchoOut] | None = None
    """How pages return a word of their URL; null if that was not tested."""


class Caa(Out):
    """A CAA record."""

    tag: str
    value: str
    critical: bool


class NameCaaOut(Out):
    """The CAA records that apply to a name in a certificate."""

    name: str
    caa: list[Caa] | None
    caa_domain: str | None


class Dns(Out):
    """DNS data of the name."""

    addresses: list[str]
    caa: list[Caa] | None
    caa_domain: str | None
    dnssec: str | None = None
    """Result of a validating resolver: `signed`, `unsigned` or `bogus`; null if none was queried."""
    certificate_names: list[NameCaaOut] = []
    """CAA records of each name in the served certificates, if they were queried."""


class TlsaOut(Out):
    """A TLSA record, with its data in hexadecimal."""

    usage: int
    selector: int
    matching: int
    data: str


class StsPolicyOut(Out):
    """An MTA-STS policy."""

    mode: str
    max_age: int
    mx: list[str]


class Mail(Out):
    """What a mail domain publishes about its server. What could not be determined is in `not_observed`."""

    domain: str
    preference: int | None
    tlsa: list[TlsaOut] | None
    signed: bool | None
    """Whether the resolver validated the signatures of the MX and TLSA records."""
    sts_record: list[str] | None
    sts_policy: StsPolicyOut | None
    tls_reports: list[str] | None


class Evidence(Out):
    """What was observed at a target. `not_observed` lists what was not, `incomplete` what was only partly observed."""

    observed_at: datetime
    seen_from: str = ""
    """Zone of the worker that scanned; empty if the machine of the run did."""
    protocols: list[str]
    """The protocols that the server negotiates, oldest first."""
    ciphers: dict[str, list[str]]
    """By protocol, in the server's order of preference if it has one."""
    unconfirmed: dict[str, list[str]] = {}
    """By protocol, those of `ciphers` that the server chose but with which no handshake was completed."""
    server_order: dict[str, bool]
    """By protocol, whether the server imposes its order; absent if that could not be determined."""
    chacha20_not_first: list[str] = []
    """Protocols in which it makes no such exception."""
    chacha20_first: list[str] = []
    """Protocols in which a server that imposes its order uses ChaCha20 for clients that prefer it."""
    groups: list[str]
    """The named groups that are accepted in any protocol, those of the newest first."""
    key_exchanges: list[KeyExchange]
    signature_schemes: dict[str, list[str]]
    certificates: list[Presented]
    tls: dict[str, bool | int | str | list[str]]
    """All other observed facts about TLS."""
    http: Http | None
    dns: Dns | None
    not_observed: list[NotObserved]
    incomplete: list[NotObserved] = []
    """Facts that were only partly observed, and what prevented the rest."""
    group_lists: dict[str, list[str]] = {}
    """The groups by protocol, in the server's order if it has one."""
    mail: Mail | None = None
    """Null if the target was not found through a mail domain."""
    doors: Doors | None = None
    """Null if no rule of the policy needs them."""
    plain: Plain | None = None
    """Null if there is no STARTTLS, or it was not tested."""
    classical_curves_only: bool = False
    """Only elliptic curves were offered: other groups may still be accepted."""
    ticket_key_since: datetime | None = None
    """When an earlier run saw the same key of session tickets first; null if none did."""
