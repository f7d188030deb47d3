"""The evidence inside `nightseal.report/1`: what was seen, in the words of the field and with IANA's names.

The evidence that Nightseal keeps for itself (`scanner.evidence.to_json`) holds every attempt with its failure; here is
what was seen, and beside it one list of what was not and one of what was seen in part, with the reasons.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from reports.export.json_doors import doors_of
from reports.export.json_evidence_model import (
    Caa,
    CertificateOut,
    CompletionOut,
    CookieOut,
    Dns,
    Evidence,
    FailureOut,
    HopOut,
    Http,
    KeyExchange,
    KeyTroubleOut,
    Mail,
    NameCaaOut,
    NotObserved,
    Plain,
    Presented,
    ReferenceOut,
    Request,
    RevocationOut,
    SctOut,
    StapleOut,
    StoreOut,
    StsPolicyOut,
    TlsaOut,
    TransparencyOut,
    Trust,
)
from scanner.evidence import (
    Attempt,
    CaaRecord,
    Certificate,
    Completion,
    Deployment,
    DnsEvidence,
    Failure,
    FailureReason,
    Hop,
    HttpEvidence,
    HttpProbe,
    MailDomain,
    PathValidation,
    PlainEvidence,
    Protocol,
    TargetEvidence,
    TlsEvidence,
)

_OWN_KEYS = frozenset({"protocols", "groups", "signature_schemes", "certificates"})


def evidence_document(evidence: TargetEvidence) -> Evidence:
    """Bring a target's evidence into the outer form."""
    tls = evidence.tls.value or TlsEvidence()
    http, dns = evidence.http.value, evidence.dns.value
    offers = {protocol: attempt.value for protocol in tls.negotiated if (attempt := tls.offer(protocol)).value}
    return Evidence(
        observed_at=evidence.started_at,
        seen_from=evidence.seen_from,
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
        chacha20_not_first=[
            protocol.value for protocol, offer in offers.items() if offer and offer.chacha20_first is False
        ],
        groups=_groups(tls),
        group_lists={
            protocol.value: list(attempt.value) for protocol, attempt in tls.groups.items() if attempt.value is not None
        },
        classical_curves_only=tls.classical_curves_only,
        key_exchanges=[
            KeyExchange(
                protocol=protocol.value,
                cipher=suite.name,
                group=suite.group,
                bits=suite.ephemeral_bits,
                prime=suite.dh_prime,
                modulus=suite.dh_modulus,
                safe_prime=suite.dh_safe,
                generator_valid=suite.dh_generator_valid,
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
        mail=_mail(evidence.mail.value) if evidence.mail.value else None,
        doors=doors_of(evidence.doors.value) if evidence.doors.value else None,
        plain=_plain(evidence.plain.value) if evidence.plain.value else None,
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


def _attempts(evidence: TargetEvidence) -> Iterator[tuple[str, Attempt[Any]]]:  # noqa: C901, PLR0912  # one line for each
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
        for deployment in evidence.tls.value.certificates.value or ():
            place = f"tls.certificates.{deployment.leaf.short_fingerprint}"
            yield f"{place}.revocation", deployment.revocation
            yield f"{place}.transparency", deployment.transparency
    yield "http", evidence.http
    yield "mail", evidence.mail
    if evidence.mail.value is not None:
        for fact in ("tlsa", "signed", "sts_record", "sts_policy", "tls_reports"):
            yield f"mail.{fact}", getattr(evidence.mail.value, fact)
    yield "doors", evidence.doors
    if evidence.doors.value is not None:
        for fact in ("https_records", "http3", "preloading"):
            yield f"doors.{fact}", getattr(evidence.doors.value, fact)
    yield "plain", evidence.plain
    if evidence.plain.value is not None:
        yield "plain.login", evidence.plain.value.login
        yield "plain.injection", evidence.plain.value.injection
    yield "dns", evidence.dns
    if evidence.dns.value is not None:
        yield "dns.caa", evidence.dns.value.caa
        yield "dns.dnssec", evidence.dns.value.dnssec
        for name in evidence.dns.value.certificate_names:
            yield f"dns.certificate_names.{name.domain}.caa", name.caa


def _presented(deployment: Deployment) -> Presented:
    staple = deployment.staple
    return Presented(
        with_sni=deployment.with_sni,
        protocol=deployment.protocol.value if deployment.protocol else None,
        chain=[_certificate(certificate) for certificate in deployment.chain],
        trust=[_trust(path) for path in deployment.paths],
        staple=StapleOut(
            certificate_status=staple.certificate_status,
            this_update=staple.this_update,
            next_update=staple.next_update,
            produced_at=staple.produced_at,
            verified=staple.verified,
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
        key_troubles=[
            KeyTroubleOut(
                certificate=item.certificate,
                kind=item.kind.value,
                other=item.other,
                place=item.place,
                seen_at=item.seen_at,
                listed=item.listed,
            )
            for item in deployment.key_troubles
        ],
        completion=_completion(deployment.completion) if deployment.completion else None,
    )


def _completion(completion: Completion) -> CompletionOut:
    return CompletionOut(
        fetched=[_certificate(item) for item in completion.fetched],
        trust=[_trust(path) for path in completion.paths],
        failure=completion.failure.value if completion.failure else None,
        detail=completion.detail,
    )


def _trust(path: PathValidation) -> Trust:
    return Trust(
        store=path.store,
        trusted=path.trusted,
        publicly_trusted=path.publicly_trusted,
        path=list(path.path),
        missing=list(path.missing),
        detail=path.detail,
        refused=path.refused,
        lasting=list(path.lasting),
        store_digest=path.store_digest,
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
            since={program.value: state.since for program, state in item.states.items() if state.since},
            source=item.source.value,
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
        issuer_urls=list(certificate.issuer_urls),
        signature_hash=certificate.signature_hash,
        self_issued=certificate.self_issued,
        extended_key_usage=list(certificate.extended_key_usage),
        key_usage=None if certificate.key_usage is None else list(certificate.key_usage),
        policies=list(certificate.policies),
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
                domain=cookie.domain,
                path=cookie.path,
            )
            for cookie in hop.cookies
        ],
        insecure_references=[reference.url for reference in hop.insecure_references],
        failure=failure_of(hop.failure),
        incomplete=failure_of(hop.incomplete),
        headers_cut=hop.headers_cut,
        irregularities=list(hop.irregularities),
        certificate_requested=hop.certificate_requested,
        headers=list(hop.headers),
        server=hop.server,
        content_type=hop.content_type,
        body_bytes=hop.body_bytes,
        body_truncated=hop.body_truncated,
        upgrade_insecure_requests=hop.upgrade_insecure_requests,
        references=[ReferenceOut(kind=item.kind.value, tag=item.tag, url=item.url) for item in hop.insecure_references],
    )


def _mail(mail: MailDomain) -> Mail:
    records, policy = mail.tlsa.value, mail.sts_policy.value
    return Mail(
        domain=mail.domain,
        preference=mail.preference,
        tlsa=None
        if records is None
        else [
            TlsaOut(usage=item.usage, selector=item.selector, matching=item.matching, data=item.data)
            for item in records
        ],
        signed=mail.signed.value,
        sts_record=None if mail.sts_record.value is None else list(mail.sts_record.value),
        sts_policy=StsPolicyOut(mode=policy.mode, max_age=policy.max_age, mx=list(policy.mx)) if policy else None,
        tls_reports=None if mail.tls_reports.value is None else list(mail.tls_reports.value),
    )


def _plain(plain: PlainEvidence) -> Plain:
    login = plain.login.value
    return Plain(login=login.value if login else None, said=plain.said, injection=plain.injection.value)


def _dns(dns: DnsEvidence) -> Dns:
    return Dns(
        addresses=list(dns.addresses),
        caa=_caa(dns.caa),
        caa_domain=dns.caa_domain,
        dnssec=dns.dnssec.value.value if dns.dnssec.value else None,
        certificate_names=[
            NameCaaOut(name=item.domain, caa=_caa(item.caa), caa_domain=item.caa_domain)
            for item in dns.certificate_names
        ],
    )


def _caa(found: Attempt[tuple[CaaRecord, ...]]) -> list[Caa] | None:
    if found.value is None:
        return None
    return [Caa(tag=record.tag, value=record.value, critical=record.critical) for record in found.value]
