"""The evidence inside `nightseal.report/1`: what was seen, in the words of the field and with IANA's names.

The evidence that Nightseal keeps for itself (`scanner.evidence.to_json`) holds every attempt with its failure; here is
what was seen, and beside it one list of what was not and one of what was seen in part, with the reasons.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from reports.export.json.doors import doors_of
from reports.export.json.evidence_certificates import presented
from reports.export.json.evidence_http import http_document
from reports.export.json.evidence_model import (
    Caa,
    Dns,
    Evidence,
    KeyExchange,
    Mail,
    NameCaaOut,
    NotObserved,
    StsPolicyOut,
    TlsaOut,
)
from reports.export.json.plain import plain_of
from scanner.evidence import (
    Attempt,
    CaaRecord,
    DnsEvidence,
    FailureReason,
    MailDomain,
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
        ticket_key_since=tls.ticket_key_since,
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
        certificates=[presented(deployment) for deployment in tls.certificates.value or ()],
        tls=dict(_features(tls)),
        http=http_document(http) if http else None,
        dns=_dns(dns) if dns else None,
        mail=_mail(evidence.mail.value) if evidence.mail.value else None,
        doors=doors_of(evidence.doors.value) if evidence.doors.value else None,
        plain=plain_of(evidence.plain.value) if evidence.plain.value else None,
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
    if evidence.http.value is not None:
        yield "http.echoes", evidence.http.value.echoes
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
        yield "plain.upgrade", evidence.plain.value.upgrade
    yield "dns", evidence.dns
    if evidence.dns.value is not None:
        yield "dns.caa", evidence.dns.value.caa
        yield "dns.dnssec", evidence.dns.value.dnssec
        for name in evidence.dns.value.certificate_names:
            yield f"dns.certificate_names.{name.domain}.caa", name.caa


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
