"""Certificates as a server presents them, and what is known of them, inside `nightseal.report/1`."""

from __future__ import annotations

from reports.export.json.evidence_model import (
    CertificateOut,
    CompletionOut,
    KeyTroubleOut,
    Presented,
    RevocationOut,
    SctOut,
    StapleOut,
    StoreOut,
    TransparencyOut,
    Trust,
)
from scanner.evidence import Certificate, Completion, Deployment, PathValidation


def presented(deployment: Deployment) -> Presented:
    """Bring certificates that a server presents into the outer form."""
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
        unsigned=path.unsigned,
        root=path.root,
        root_ends=path.root_ends,
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
