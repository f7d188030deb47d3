"""The form of the evidence inside `nightseal.report/1`: what was seen, in the words of the field, with IANA's names.

Beside it stand one list of what was not seen and one of what was seen in part, with the reasons.
"""

from __future__ import annotations

from datetime import datetime

from reports.export.json_base import Out as Out  # noqa: PLC0414  # the base of all models, told to mypy as ours
from reports.export.json_doors import Doors
from reports.export.json_plain import EchoOut, Plain


class FailureOut(Out):
    """Why something was not observed."""

    reason: str
    """A stable slug: refused, timed-out, not-tls, …"""
    detail: str


class NotObserved(FailureOut):
    """One fact that was looked for and not found out."""

    what: str
    """The dotted path of the fact, such as `tls.robot` or `tls.protocols.tls1.0`."""


class KeyExchange(Out):
    """The ephemeral key that a server offered with a cipher suite."""

    protocol: str
    cipher: str
    group: str | None
    bits: int | None
    prime: str | None
    """The published name of a finite-field prime, `custom`, or `composite` for a modulus that is not a prime."""
    modulus: str | None = None
    """The modulus in hexadecimal, where its prime has no published name."""
    safe_prime: bool | None = None
    """Whether half of the prime is a prime too; null where that was not tested."""
    generator_valid: bool | None = None
    """Whether the generator is one at all: from 2 to the modulus less 2."""


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
    """Extensions that are malformed or there twice, by the RFC's name or by OID; "all" where the list itself is."""
    ocsp_urls: list[str]
    crl_urls: list[str]
    issuer_urls: list[str] = []
    signature_hash: str | None = None
    """None where the signature algorithm has none of its own (Ed25519)."""
    self_issued: bool = False
    extended_key_usage: list[str] = []
    """Dotted OIDs; empty where the extension is missing."""
    key_usage: list[str] | None = None
    """By the names of RFC 5280; None where the extension is missing."""
    policies: list[str] = []


class Trust(Out):
    """Whether a path leads from the chain to a root of one trust store, name and dates apart."""

    store: str
    trusted: bool
    publicly_trusted: bool
    path: list[str]
    """Fingerprints, leaf first, root last; empty where there is no path."""
    missing: list[str]
    detail: str
    refused: bool = False
    """The signatures lead to a root, and clients take no such path all the same; `detail` says why."""
    unsigned: str = ""
    """Where the chain breaks because a certificate of the issuer's name is there and its key did not sign, in words."""
    root: str = ""
    """Subject of the root that holds longest."""
    root_ends: datetime | None = None
    """When that root ends."""
    lasting: list[str] = []
    """The path that holds longest, where another one than `path` does."""
    store_digest: str = ""


class StapleOut(Out):
    """A stapled OCSP response."""

    certificate_status: str
    this_update: datetime | None
    next_update: datetime | None
    produced_at: datetime | None = None
    verified: bool | None = None
    """Whether it was seen to be signed for the issuer; None where nobody looked."""


class RevocationOut(Out):
    """What a list of revoked certificates or an OCSP responder said of one certificate of the chain, or why not."""

    certificate: str
    """Its fingerprint."""
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
    """SHA-256 of the list or response, in hexadecimal."""
    faults: list[str]


class SctOut(Out):
    """A signed certificate timestamp of a leaf, verified by a list of logs."""

    log_id: str
    logged_at: datetime
    check: str
    """`valid`, `unknown-log`, `bad-signature` or `future`."""
    log: str
    operator: str
    states: dict[str, str]
    """How each program that keeps a list sees the log."""
    since: dict[str, datetime] = {}
    """Since when, where the list says so."""
    source: str = "certificate"
    """Where it came from: `certificate`, `tls` (the extension of the handshake) or `staple`."""


class TransparencyOut(Out):
    """What the SCTs of a leaf are worth, and by which list."""

    scts: list[SctOut]
    list_source: str
    list_date: datetime


class KeyTroubleOut(Out):
    """A key of the chain that is broken by what is known of other keys."""

    certificate: str
    kind: str
    other: str
    """The fingerprint of a certificate whose key shares a prime with it."""
    place: str
    """Where that was seen first, and when."""
    seen_at: datetime | None
    listed: int | None
    """The number of the list of published keys that it is on."""


class CompletionOut(Out):
    """What was fetched of the intermediates that the server did not send, whether it helped or not."""

    fetched: list[CertificateOut]
    trust: list[Trust]
    failure: str | None
    detail: str


class StoreOut(Out):
    """Whether a list of roots trusts the chain: `mozilla`, `chrome`, `apple`, `microsoft`, `android`, `java`."""

    store: str
    trusted: bool
    date: datetime
    """Of when the list is, at least."""
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
    """Empty where nobody was asked, or none of its certificates names whom to ask."""
    stores: list[StoreOut] = []
    transparency: TransparencyOut | None = None
    """Nothing where nobody verified the SCTs: there are none, or the certificate is of no public CA."""
    fetched: list[CertificateOut] = []
    """Intermediates that were not sent, and were fetched as browsers fetch them; with them a path leads to a root."""
    key_troubles: list[KeyTroubleOut] = []
    completion: CompletionOut | None = None
    """Nothing where nothing had to be fetched, or nobody looked."""


class CookieOut(Out):
    """A cookie that an answer sets, without its value."""

    name: str
    secure: bool
    http_only: bool
    same_site: str | None
    deleted: bool = False
    """It has ended when it is set, which tells browsers to forget the cookie."""
    domain: str | None = None
    path: str | None = None


class ReferenceOut(Out):
    """An `http:` address in a page that was served over HTTPS, and what the page does with it."""

    kind: str
    tag: str
    url: str


class HopOut(Out):
    """One request and what came back."""

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
    """Why the answer was not read to its end, where it broke off."""
    headers_cut: bool = False
    """It broke off within its headers: one that is not here is unknown."""
    irregularities: list[str] = []
    """Malformed parts of the answer that were overlooked, as browsers do."""
    certificate_requested: bool = False
    """The server asked for a client certificate."""
    headers: list[tuple[str, str]] = []
    """The headers that protect a page or tell of other ways to it: name in lower case, and value, in order."""
    server: str = ""
    content_type: str = ""
    body_bytes: int = 0
    body_truncated: bool = False
    upgrade_insecure_requests: bool = False
    references: list[ReferenceOut] = []
    """Those of `insecure_references`, with what the page does with each."""


class Request(Out):
    """One start address and the answers that followed it, redirect by redirect."""

    scheme: str
    path: str
    purpose: str
    application: str | None
    identity: str
    """Which client certificate was shown: none, configured or wrong."""
    hops: list[HopOut]
    end: str
    """Why the following of redirects stopped."""


class Http(Out):
    """What HTTP answers, in plain and inside TLS."""

    requests: list[Request]
    echoes: list[EchoOut] | None = None
    """What pages make of a word in their address; None where nobody asked."""


class Caa(Out):
    """A CAA record."""

    tag: str
    value: str
    critical: bool


class NameCaaOut(Out):
    """The CAA records that hold for a name in a certificate."""

    name: str
    caa: list[Caa] | None
    caa_domain: str | None


class Dns(Out):
    """What the DNS says of the name."""

    addresses: list[str]
    caa: list[Caa] | None
    caa_domain: str | None
    dnssec: str | None = None
    """What a validating resolver says of it: `signed`, `unsigned` or `bogus`; None where none was asked."""
    certificate_names: list[NameCaaOut] = []
    """The same of each name in the certificates that are served, where that was asked."""


class TlsaOut(Out):
    """A TLSA record, with its data in hexadecimal."""

    usage: int
    selector: int
    matching: int
    data: str


class StsPolicyOut(Out):
    """A policy of MTA-STS."""

    mode: str
    max_age: int
    mx: list[str]


class Mail(Out):
    """What a mail domain says of its server. What was not found out is None, and stands in `not_observed`."""

    domain: str
    preference: int | None
    tlsa: list[TlsaOut] | None
    signed: bool | None
    """Whether the resolver vouches for the MX and the TLSA records."""
    sts_record: list[str] | None
    sts_policy: StsPolicyOut | None
    tls_reports: list[str] | None


class Evidence(Out):
    """What was observed at a target. What was not stands in `not_observed`, what was cut off in `incomplete`."""

    observed_at: datetime
    seen_from: str = ""
    """The zone whose worker looked; empty where it was the machine of the run."""
    protocols: list[str]
    """The protocols that the server negotiates, oldest first."""
    ciphers: dict[str, list[str]]
    """By protocol, in the server's order of preference where it has one."""
    unconfirmed: dict[str, list[str]] = {}
    """By protocol, those of `ciphers` that the server chose, but of which no handshake was completed."""
    server_order: dict[str, bool]
    """By protocol, whether the server imposes its own order; absent where that was not found out."""
    chacha20_not_first: list[str] = []
    """Those in which it makes no such exception."""
    chacha20_first: list[str] = []
    """The protocols in which a server that imposes its order gives ChaCha20 to clients that prefer it."""
    groups: list[str]
    """The named groups that are accepted in any protocol, those of the newest first."""
    key_exchanges: list[KeyExchange]
    signature_schemes: dict[str, list[str]]
    certificates: list[Presented]
    tls: dict[str, bool | int | str | list[str]]
    """Every other fact about TLS that was found out."""
    http: Http | None
    dns: Dns | None
    not_observed: list[NotObserved]
    incomplete: list[NotObserved] = []
    """Facts of which a part was seen, which stands above, and what cut off the rest."""
    group_lists: dict[str, list[str]] = {}
    """The groups by protocol, in the server's order where it has one."""
    mail: Mail | None = None
    """Nothing where no mail domain was asked for."""
    doors: Doors | None = None
    """Nothing where nobody judges them."""
    plain: Plain | None = None
    """Nothing where there is no STARTTLS, or nobody asked."""
    classical_curves_only: bool = False
    """No other groups than elliptic curves were asked for: what is not listed may still be accepted."""
