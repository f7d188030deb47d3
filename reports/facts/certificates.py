"""The certificates that a server showed, and what is known of them, as lines."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from reports.facts.lines import after, cut_off, fact, facts, failure, listed, moment, why, yes
from reports.wording import PROTOCOLS
from scanner.evidence import SctSource

if TYPE_CHECKING:
    from scanner.evidence import (
        Certificate,
        Completion,
        Deployment,
        KeyTrouble,
        PathValidation,
        RevocationAnswer,
        Staple,
        TlsEvidence,
        Transparency,
    )


def certificate_lines(tls: TlsEvidence, *, pem: bool) -> Iterator[str]:
    """Every chain that was shown."""
    if tls.certificates.value is None:
        yield fact("certificates", why(tls.certificates))
        return
    for number, deployment in enumerate(tls.certificates.value, 1):
        to_whom = "" if deployment.with_sni else ", for clients that send no server name"
        yield f"  Certificate chain {number}{to_whom}"
        yield from facts(("first seen in", PROTOCOLS[deployment.protocol] if deployment.protocol else ""))
        for position, certificate in enumerate(deployment.chain):
            yield from _certificate(certificate, "leaf" if position == 0 else f"sent {position + 1}", pem=pem)
        yield from _along_with(deployment, pem=pem)
    if tls.certificates.incomplete:
        yield fact("more chains", cut_off(tls.certificates))


def _certificate(certificate: Certificate, name: str, *, pem: bool) -> Iterator[str]:
    curve = f" {certificate.curve}" if certificate.curve else ""
    usage = certificate.key_usage
    yield fact(name, certificate.subject or "(no subject)")
    yield fact("  issuer", certificate.issuer or "(none)")
    yield fact("  valid", f"{certificate.not_before:%Y-%m-%d %H:%M} to {certificate.not_after:%Y-%m-%d %H:%M} UTC")
    yield from facts(
        ("  names", listed((*certificate.dns_names, *certificate.ip_addresses))),
        ("  key", f"{certificate.key_type} {certificate.key_bits} bits{curve}"),
        ("  signature", certificate.signature_algorithm + after(certificate.signature_hash or "")),
        ("  serial", certificate.serial),
        ("  SHA-256", certificate.fingerprint),
        ("  SPKI SHA-256", certificate.spki),
        ("  is a CA", yes(certificate.is_ca)),
        ("  self-signed", yes(certificate.self_signed)),
        ("  self-issued", yes(certificate.self_issued)),
        ("  key usage", "" if usage is None else listed(usage) or "none allowed"),
        ("  extended key usage", listed(certificate.purposes)),
        ("  policies", listed(certificate.policies)),
        ("  OCSP at", listed(certificate.ocsp_urls)),
        ("  CRL at", listed(certificate.crl_urls)),
        ("  issuer at", listed(certificate.issuer_urls)),
        ("  embedded SCTs", str(certificate.embedded_scts or "")),
        ("  must-staple", yes(certificate.must_staple)),
        ("  unreadable", listed(certificate.unreadable_extensions)),
    )
    if pem:
        yield from pem_lines(certificate)


def pem_lines(certificate: Certificate) -> Iterator[str]:
    """The certificate itself, as other programs take it."""
    yield from ssl.DER_cert_to_PEM_cert(certificate.der).splitlines()


def _along_with(deployment: Deployment, *, pem: bool) -> Iterator[str]:
    yield fact("OCSP staple", _staple(deployment.staple) if deployment.staple else "none")
    if deployment.tls_scts is not None:
        yield fact("SCTs in TLS", str(deployment.tls_scts))
    yield from _lists_of_scts(deployment, pem=pem)
    for answer in deployment.revocation.value or ():
        yield fact("revocation", _revocation(answer))
    if deployment.revocation.failure is not None:
        yield fact("revocation", failure(deployment.revocation.failure))
    if deployment.revocation.incomplete is not None:
        yield fact("revocation", cut_off(deployment.revocation))
    for trouble in deployment.key_troubles:
        yield fact("weak key", _trouble(trouble))
    for path in deployment.paths:
        yield fact("trusted", _path(path))
    for store in deployment.stores:
        held = f", as of {moment(store.date)}"
        yield fact("trusted", f"{'yes' if store.trusted else 'no'}, by {store.store}{held}{after(store.condition)}")
    if deployment.completion is not None:
        yield from _completion(deployment.completion, pem=pem)
    if deployment.transparency.value is not None:
        yield from _transparency(deployment.transparency.value)
        yield from facts(("transparency", cut_off(deployment.transparency)))
    else:
        yield fact("transparency", why(deployment.transparency))


def _lists_of_scts(deployment: Deployment, *, pem: bool) -> Iterator[str]:
    """What came along in the handshake, whole, where certificates are shown whole."""
    lists = (deployment.tls_sct_list, deployment.staple.sct_list if deployment.staple else b"") if pem else (b"", b"")
    yield from facts(*zip(("  as received", "SCTs in staple"), (item.hex() for item in lists), strict=True))


def _staple(staple: Staple) -> str:
    signed = {True: "verified", False: "not verified: the issuer is not known", None: ""}[staple.verified]
    dates = (("from", staple.this_update), ("to", staple.next_update), ("made", staple.produced_at))
    told = (signed, *(f"{word} {moment(when)}" for word, when in dates if when is not None))
    return listed((staple.certificate_status, *filter(None, told)))


def _revocation(answer: RevocationAnswer) -> str:
    said = (
        f"{answer.status or ''}{answer.failure or ''} {'by the list' if answer.source == 'crl' else 'by'} {answer.url}"
    )
    dates = (
        ("revoked", answer.revoked_at),
        ("from", answer.this_update),
        ("to", answer.next_update),
        ("fetched", answer.fetched_at),
    )
    more = (
        answer.detail,
        answer.reason,
        *(f"{word} {moment(when)}" for word, when in dates if when is not None),
        "kept from before" if answer.from_cache else "",
        f"SHA-256 {answer.digest}" if answer.digest else "",
        listed(answer.faults),
        f"of {answer.certificate}",
    )
    return said + after("; ".join(filter(None, more)))


def _trouble(trouble: KeyTrouble) -> str:
    more = (
        f"as that of {trouble.other}" if trouble.other else "",
        f"at {trouble.place}" if trouble.place else "",
        moment(trouble.seen_at),
        f"number {trouble.listed} of the list" if trouble.listed is not None else "",
    )
    return f"{trouble.kind} of {trouble.certificate}{after('; '.join(filter(None, more)))}"


def _path(path: PathValidation) -> str:
    what = "yes" if path.trusted else "no"
    more = (
        path.detail,
        "refused although signed" if path.refused else "",
        path.unsigned,
        f"root {path.root} until {moment(path.root_ends)}" if path.root or path.root_ends else "",
        "a public CA" if path.publicly_trusted else "",
        f"path {' > '.join(path.path)}" if path.path else "",
        f"missing {listed(path.missing)}" if path.missing else "",
        f"lasting path {' > '.join(path.lasting)}" if path.lasting else "",
        f"store {path.store_digest}",
    )
    return f"{what}, by {path.store_title}{after('; '.join(filter(None, more)))}"


def _completion(completion: Completion, *, pem: bool) -> Iterator[str]:
    for certificate in completion.fetched:
        yield from _certificate(certificate, "fetched", pem=pem)
    for path in completion.paths:
        yield fact("trusted then", _path(path))
    if completion.failure is not None or completion.detail:
        yield fact("fetching", f"{completion.failure or 'done'}{after(completion.detail)}")


_PLACES: Final = {
    SctSource.CERTIFICATE: "the certificate",
    SctSource.TLS: "the handshake",
    SctSource.STAPLE: "the staple",
}


def _transparency(found: Transparency) -> Iterator[str]:
    yield fact("log list", f"{found.list_source}, of {moment(found.list_date)}")
    for sct in found.scts:
        states = (
            f"{program}: {state.state}" + (f" since {moment(state.since)}" if state.since else "")
            for program, state in sct.states.items()
        )
        named = filter(None, (sct.log, sct.operator, *states))
        said = f"{sct.check}, {moment(sct.logged_at)}, in {_PLACES[sct.source]}, log {sct.log_id}"
        yield fact("SCT", said + after("; ".join(named)))
