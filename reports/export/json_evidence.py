"""The evidence inside `nightseal.report/1`: what was seen, in the words of the field and with IANA's names.

The evidence that Nightseal keeps for itself (`scanner.evidence.to_json`) holds every attempt with its failure; here is
what was seen, and beside it one list of what was not and one of what was seen in part, with the reasons.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from scanner.evidence import (
    Attempt,
    Certificate,
    Deployment,
    DnsEvidence,
    Failure,
    FailureReason,
    Hop,
    HttpEvidence,
    HttpProbe,
    Protocol,
    TargetEvidence,
    TlsEvidence,
)


class _Out(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class FailureOut(_Out):
    """Why something was not observed."""

    reason: str
    """A stable slug: refused, timed-out, not-tls, …"""
    detail: str


class NotObserved(FailureOut):
    """One fact that was looked for and not found out."""

    what: str
    """The dotted path of the fact, such as `tls.robot` or `tls.protocols.tls1.0`."""


class KeyExchange(_Out):
    """The ephemeral key that a server offered with a cipher suite."""

    protocol: str
    cipher: str
    group: str | None
    bits: int | None
    prime: str | None
    """The published name of a finite-field prime, `custom`, or `composite` for a modulus that is not a prime."""


class CertificateOut(_Out):
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


class Trust(_Out):
    """Whether a path leads from the chain to a root of one trust store, name and dates apart."""

    store: str
    trusted: bool
    publicly_trusted: bool
    path: list[str]
    """Fingerprints, leaf first, root last; empty where there is no path."""
    missing: list[str]
    detail: str


class StapleOut(_Out):
    """A stapled OCSP response."""

    certificate_status: str
    this_update: datetime | None
    next_update: datetime | None


class RevocationOut(_Out):
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


class SctOut(_Out):
    """A signed certificate timestamp in a leaf, verified by a list of logs."""

    log_id: str
    logged_at: datetime
    check: str
    """`valid`, `unknown-log`, `bad-signature` or `future`."""
    log: str
    operator: str
    states: dict[str, str]
    """How each program that keeps a list sees the log."""


class TransparencyOut(_Out):
    """What the SCTs in a leaf are worth, and by which list."""

    scts: list[SctOut]
    list_source: str
    list_date: datetime


class StoreOut(_Out):
    """Whether a list of roots trusts the chain: `mozilla`, `chrome`, `apple`, `microsoft`, `android`, `java`."""

    store: str
    trusted: bool
    date: datetime
    """Of when the list is, at least."""
    condition: str


class Presented(_Out):
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


class CookieOut(_Out):
    """A cookie that an answer sets, without its value."""

    name: str
    secure: bool
    http_only: bool
    same_site: str | None
    deleted: bool = False
    """It has ended when it is set, which tells browsers to forget the cookie."""


class HopOut(_Out):
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


class Request(_Out):
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


class Http(_Out):
    """What HTTP answers, in plain and inside TLS."""

    requests: list[Request]


class Caa(_Out):
    """A CAA record."""

    tag: str
    value: str
    critical: bool


class Dns(_Out):
    """What the DNS says of the name."""

    addresses: list[str]
    caa: list[Caa] | None
    caa_domain: str | None


class Evidence(_Out):
    """What was observed at a target. What was not stands in `not_observed`, what was cut off in `incomplete`."""

    observed_at: datetime
    protocols: list[str]
    """The protocols that the server negotiates, oldest first."""
    ciphers: dict[str, list[str]]
    """By protocol, in the server's order of preference where it has one."""
    unconfirmed: dict[str, list[str]] = {}
    """By protocol, those of `ciphers` that the server chose, but of which no handshake was completed."""
    server_order: dict[str, bool]
    """By protocol, whether the server imposes its own order; absent where that was not found out."""
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


_OWN_KEYS = frozenset({"protocols", "groups", "signature_schemes", "certificates"})


def evidence_document(evidence: TargetEvidence) -> Evidence:
    """Bring a target's evidence into the outer form."""
    tls = evidence.tls.value or TlsEvidence()
    http, dns = evidence.http.value, evidence.dns.value
    offers = {protocol: attempt.value for protocol in tls.negotiated if (attempt := tls.offer(protocol)).value}
    return Evidence(
        observed_at=evidence.started_at,
        protocols=[protocol.value for protocol in tls.negotiated],
        ciphers={protocol.value: [suite.name for suite in offer.suites] for protocol, offer in offers.items() if offer},
        unconfirmed={
            protocol.value: [suite.name for suite in offer.suites if suite.unconfirmed]
            for protocol, offer in offers.items()
            if offer and any(suite.unconfirmed for suite in offer.suites)
        },
        server_order={
            protocol.value: offer.server_order
            for protocol, offer in offers.items()
            if offer and offer.server_order is not None
        },
        chacha20_first=[protocol.value for protocol, offer in offers.items() if offer and offer.chacha20_first],
        groups=_groups(tls),
        key_exchanges=[
            KeyExchange(
                protocol=protocol.value,
                cipher=suite.name,
                group=suite.group,
                bits=suite.ephemeral_bits,
                prime=suite.dh_prime,
            )
            for protocol, offer in offers.items()
            if offer
            for suite in offer.suites
            if suite.group or suite.ephemeral_bits
        ],
        signature_schemes={
            protocol.value: list(attempt.value)
            for protocol, attempt in tls.signature_schemes.items()
            if attempt.value is not None
        },
        certificates=[_presented(deployment) for deployment in tls.certificates.value or ()],
        tls=dict(_features(tls)),
        http=_http(http) if http else None,
        dns=_dns(dns) if dns else None,
        not_observed=[
            NotObserved(what=what, reason=attempt.failure.reason.value, detail=attempt.failure.detail)
            for what, attempt in _attempts(evidence)
            # What nobody tried (HTTP at a mail server) is not listed.
            if attempt.failure is not None and attempt.failure.reason is not FailureReason.NOT_RUN
        ],
        incomplete=[
            NotObserved(what=what, reason=attempt.incomplete.reason.value, detail=attempt.incomplete.detail)
            for what, attempt in _attempts(evidence)
            if attempt.incomplete is not None
        ],
    )


def failure_of(failure: Failure | None) -> FailureOut | None:
    """Bring a failure into the outer form."""
    return FailureOut(reason=failure.reason.value, detail=failure.detail) if failure else None


def _groups(tls: TlsEvidence) -> list[str]:
    newest_first = [tls.groups[protocol].value or () for protocol in reversed(Protocol) if protocol in tls.groups]
    return list(dict.fromkeys(group for groups in newest_first for group in groups))


def _features(tls: TlsEvidence) -> Iterator[tuple[str, bool | int | str | list[str]]]:
    for item in dataclasses.fields(TlsEvidence):
        attempt = getattr(tls, item.name)
        if item.name not in _OWN_KEYS and isinstance(attempt, Attempt) and attempt.value is not None:
            value: Any = attempt.value
            yield item.name, list(value) if isinstance(value, tuple) else value


def _attempts(evidence: TargetEvidence) -> Iterator[tuple[str, Attempt[Any]]]:
    """Every fact that was looked for, by its dotted path."""
    yield "tls", evidence.tls
    if evidence.tls.value is not None:
        for item in dataclasses.fields(TlsEvidence):
            found = getattr(evidence.tls.value, item.name)
            if isinstance(found, Mapping):
                for protocol, attempt in found.items():
                    yield f"tls.{item.name}.{protocol.value}", attempt
            elif isinstance(found, Attempt):
                yield f"tls.{item.name}", found
    yield "http", evidence.http
    yield "dns", evidence.dns
    if evidence.dns.value is not None:
        yield "dns.caa", evidence.dns.value.caa


def _presented(deployment: Deployment) -> Presented:
    staple = deployment.staple
    return Presented(
        with_sni=deployment.with_sni,
        protocol=deployment.protocol.value if deployment.protocol else None,
        chain=[_certificate(certificate) for certificate in deployment.chain],
        trust=[
            Trust(
                store=path.store,
                trusted=path.trusted,
                publicly_trusted=path.publicly_trusted,
                path=list(path.path),
                missing=list(path.missing),
                detail=path.detail,
            )
            for path in deployment.paths
        ],
        staple=StapleOut(
            certificate_status=staple.certificate_status,
            this_update=staple.this_update,
            next_update=staple.next_update,
        )
        if staple
        else None,
        tls_scts=deployment.tls_scts,
        revocation=[
            RevocationOut(
                certificate=answer.certificate,
                source=answer.source.value,
                url=answer.url,
                status=answer.status.value if answer.status else None,
                failure=answer.failure.value if answer.failure else None,
                detail=answer.detail,
                reason=answer.reason,
                revoked_at=answer.revoked_at,
                this_update=answer.this_update,
                next_update=answer.next_update,
                fetched_at=answer.fetched_at,
                from_cache=answer.from_cache,
                digest=answer.digest,
                faults=[fault.value for fault in answer.faults],
            )
            for answer in deployment.revocation.value or ()
        ],
        stores=[
            StoreOut(store=item.store, trusted=item.trusted, date=item.date, condition=item.condition)
            for item in deployment.stores
        ],
        transparency=_transparency(deployment),
        fetched=[_certificate(item) for item in deployment.browser_chain[len(deployment.chain) :]],
    )


def _transparency(deployment: Deployment) -> TransparencyOut | None:
    seen = deployment.transparency.value
    if seen is None:
        return None
    scts = [
        SctOut(
            log_id=item.log_id,
            logged_at=item.logged_at,
            check=item.check.value,
            log=item.log,
            operator=item.operator,
            states={program.value: state.state for program, state in item.states.items()},
        )
        for item in seen.scts
    ]
    return TransparencyOut(scts=scts, list_source=seen.list_source, list_date=seen.list_date)


def _certificate(certificate: Certificate) -> CertificateOut:
    return CertificateOut(
        fingerprint=certificate.fingerprint,
        spki=certificate.spki,
        subject=certificate.subject,
        issuer=certificate.issuer,
        serial=certificate.serial,
        not_before=certificate.not_before,
        not_after=certificate.not_after,
        key_type=certificate.key_type.value,
        key_bits=certificate.key_bits,
        curve=certificate.curve,
        signature_algorithm=certificate.signature_algorithm,
        dns_names=list(certificate.dns_names),
        ip_addresses=list(certificate.ip_addresses),
        is_ca=certificate.is_ca,
        self_signed=certificate.self_signed,
        must_staple=certificate.must_staple,
        embedded_scts=certificate.embedded_scts,
        unreadable_extensions=list(certificate.unreadable_extensions),
        ocsp_urls=list(certificate.ocsp_urls),
        crl_urls=list(certificate.crl_urls),
    )


def _http(http: HttpEvidence) -> Http:
    return Http(requests=[_request(probe) for probe in http.probes])


def _request(probe: HttpProbe) -> Request:
    return Request(
        scheme=probe.scheme,
        path=probe.path,
        purpose=probe.purpose.value,
        application=probe.application,
        identity=probe.identity.value,
        hops=[_hop(hop) for hop in probe.hops],
        end=probe.end.value,
    )


def _hop(hop: Hop) -> HopOut:
    return HopOut(
        method=hop.method,
        url=hop.url,
        status=hop.status,
        http_version=hop.http_version,
        location=hop.location,
        meta_refresh=hop.meta_refresh,
        script_redirect=hop.script_redirect,
        hsts=list(hop.hsts),
        cookies=[
            CookieOut(
                name=cookie.name,
                secure=cookie.secure,
                http_only=cookie.http_only,
                same_site=cookie.same_site,
                deleted=cookie.deleted,
            )
            for cookie in hop.cookies
        ],
        insecure_references=[reference.url for reference in hop.insecure_references],
        failure=failure_of(hop.failure),
        incomplete=failure_of(hop.incomplete),
        headers_cut=hop.headers_cut,
        irregularities=list(hop.irregularities),
        certificate_requested=hop.certificate_requested,
    )


def _dns(dns: DnsEvidence) -> Dns:
    records = dns.caa.value
    return Dns(
        addresses=list(dns.addresses),
        caa=None
        if records is None
        else [Caa(tag=record.tag, value=record.value, critical=record.critical) for record in records],
        caa_domain=dns.caa_domain,
    )
