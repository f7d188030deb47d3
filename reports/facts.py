"""What was seen at a target, without judgement: the facts that the rules judge, for people at a terminal.

Everything that a host said is printed as text: control characters were taken out where it entered the evidence, and
`readable` takes out what would turn the direction of writing.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from reports.clients import ClientsAt, lines_of, outcomes
from reports.view.readable import readable
from reports.wording import FAILURES, PROTOCOLS
from scanner.clients import all_clients
from scanner.counting import counted
from scanner.evidence import Attempt, Protocol

if TYPE_CHECKING:
    from scanner.evidence import Certificate, Deployment, Failure, Hop, TargetEvidence, TlsEvidence
    from scanner.verdict import RunRecord, TargetResult

_NAME_WIDTH: Final = 22
_LEAST_WIDTH: Final = 60
_FEATURES: Final[Mapping[str, str]] = {
    "extended_master_secret": "extended master secret",
    "encrypt_then_mac": "encrypt-then-MAC",
    "secure_renegotiation": "secure renegotiation",
    "client_renegotiation": "client renegotiation",
    "compression": "compression",
    "early_data": "0-RTT",
    "fallback_scsv": "fallback SCSV",
    "session_ids": "session IDs resume",
    "session_tickets": "session tickets resume",
    "client_authentication": "client certificate",
    "without_sni": "without server name",
    "wrong_sni": "another server name",
    "heartbleed": "Heartbleed",
    "ccs_injection": "CCS injection",
    "robot": "ROBOT",
}
_UNKNOWN: Final = "unknown"
_YES_OR_NO: Final = {"True": "yes", "False": "no"}


def render_facts(record: RunRecord, view: str, *, width: int = 100) -> str:
    """Write a view of what was seen at each target of a run.

    Args:
        record: the run.
        view: one of `scanner.formats.VIEWS`.
        width: columns; long lines are folded.
    """
    lines: list[str] = []
    for target in readable(record).targets:
        lines += [*_header(target), *_shown(target, view), ""]
    return "\n".join(folded for line in lines for folded in _folded(line, max(width, _LEAST_WIDTH))) + "\n"


def render_overview(record: RunRecord) -> str:
    """One line a target: what is not met, what is not known, and until when its certificate holds."""
    lines = []
    for target in readable(record).targets:
        failed = [verdict for verdict in target.verdicts if verdict.counts_as_failure and verdict.severity.rank > 0]
        unknown = sum(verdict.status.value == "indeterminate" for verdict in target.verdicts)
        worst = f" ({max(verdict.severity for verdict in failed)})" if failed else ""
        where = target.address + (f" at {target.ip}" if target.ip and target.ip != target.host else "")
        parts = [target.status.value, f"{len(failed)} not met{worst}", f"{unknown} not assessed"]
        tls = target.evidence.tls.value if target.evidence else None
        if tls is not None and tls.negotiated:
            parts.append(", ".join(PROTOCOLS[protocol] for protocol in tls.negotiated))
            parts += [f"until {item.leaf.not_after:%Y-%m-%d}" for item in (tls.certificates.value or ())[:1]]
        elif target.error:
            parts.append(FAILURES[target.error.reason])
        lines.append(f"{where:<40} {', '.join(parts)}")
    return "".join(f"{line}\n" for line in lines)


def _folded(line: str, width: int) -> Sequence[str]:
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.wrap(line, width, subsequent_indent=indent, break_on_hyphens=False) or [""]


def _header(target: TargetResult) -> Iterator[str]:
    yield target.address + (f" at {target.ip}" if target.ip and target.ip != target.host else "")
    if target.error is not None:
        yield _fact("not all was seen", _failure(target.error))


def _shown(target: TargetResult, view: str) -> Iterator[str]:
    evidence = target.evidence
    if evidence is None:
        yield _fact("evidence", "none is kept")
        return
    tls = evidence.tls.value
    if view in {"facts", "protocols", "certificate", "clients"} and tls is None:
        yield _fact("TLS", _why(evidence.tls))
    elif tls is not None:
        if view in {"facts", "protocols"}:
            yield from _protocols(tls)
        if view == "facts":
            yield from _features(tls)
        if view in {"facts", "certificate"}:
            yield from _certificates(tls)
        if view == "clients":
            clients = all_clients()
            yield from lines_of(ClientsAt(target.address, outcomes(tls, clients)), clients, every=True)
    if view in {"facts", "http"}:
        yield from _http(evidence)


def _protocols(tls: TlsEvidence) -> Iterator[str]:
    yield "  Protocols"
    for protocol in Protocol:
        attempt = tls.offer(protocol)
        if attempt.value is None:
            yield _fact(PROTOCOLS[protocol], _why(attempt))
            continue
        offer = attempt.value
        order = {True: "in the server's order", False: "the client's order decides", None: ""}[offer.server_order]
        told = ", ".join(filter(None, (counted(len(offer.suites), "cipher suite"), order, _cut_off(attempt))))
        yield _fact(PROTOCOLS[protocol], told if offer.suites else f"not negotiated{_after(_cut_off(attempt))}")
        for suite in offer.suites:
            bits = f"{suite.ephemeral_bits} bits" if suite.ephemeral_bits else ""
            prime = f"prime {suite.dh_prime}" if suite.dh_prime else ""
            doubt = "no handshake completed" if suite.unconfirmed else ""
            detail = ", ".join(filter(None, (suite.group, bits, prime, doubt)))
            yield f"      {suite.name}" + (f"  ({detail})" if detail else "")
    for title, found in (("Groups", tls.groups), ("Signature schemes", tls.signature_schemes)):
        if found:
            yield f"  {title}"
        for protocol, names in found.items():
            value = _why(names) if names.value is None else ", ".join(names.value) or "none"
            yield _fact(PROTOCOLS[protocol], value + _after(_cut_off(names)))
    yield "  ALPN"
    yield _fact("accepted", _why(tls.alpn) if tls.alpn.value is None else ", ".join(tls.alpn.value) or "none")


def _features(tls: TlsEvidence) -> Iterator[str]:
    yield "  Behaviour"
    for name, title in _FEATURES.items():
        attempt: Attempt[Any] = getattr(tls, name)
        yield _fact(
            title, _why(attempt) if attempt.value is None else _YES_OR_NO.get(str(attempt.value), str(attempt.value))
        )
    broken = tls.intolerances
    yield _fact("intolerances", _why(broken) if broken.value is None else ", ".join(broken.value) or "none")


def _certificates(tls: TlsEvidence) -> Iterator[str]:
    if tls.certificates.value is None:
        yield _fact("certificates", _why(tls.certificates))
        return
    for number, deployment in enumerate(tls.certificates.value, 1):
        yield f"  Certificate chain {number}" + ("" if deployment.with_sni else ", to clients that name no host")
        for position, certificate in enumerate(deployment.chain):
            yield from _certificate(certificate, "leaf" if position == 0 else f"sent {position + 1}")
        yield from _along_with(deployment)


def _certificate(certificate: Certificate, name: str) -> Iterator[str]:
    curve = f" {certificate.curve}" if certificate.curve else ""
    yield _fact(name, certificate.subject or "(no subject)")
    yield _fact("  issuer", certificate.issuer or "(none)")
    yield _fact("  valid", f"{certificate.not_before:%Y-%m-%d %H:%M} to {certificate.not_after:%Y-%m-%d %H:%M} UTC")
    if names := (*certificate.dns_names, *certificate.ip_addresses):
        yield _fact("  names", ", ".join(names))
    yield _fact("  key", f"{certificate.key_type} {certificate.key_bits} bits{curve}")
    yield _fact("  signature", certificate.signature_algorithm)
    yield _fact("  serial", certificate.serial)
    yield _fact("  SHA-256", certificate.fingerprint)
    yield _fact("  SPKI SHA-256", certificate.spki)
    if certificate.embedded_scts:
        yield _fact("  embedded SCTs", str(certificate.embedded_scts))
    if certificate.must_staple:
        yield _fact("  must-staple", "yes")


def _along_with(deployment: Deployment) -> Iterator[str]:
    staple = deployment.staple
    yield _fact("OCSP staple", "none" if staple is None else staple.certificate_status)
    if deployment.tls_scts is not None:
        yield _fact("SCTs in TLS", str(deployment.tls_scts))
    for answer in deployment.revocation.value or ():
        said = answer.status or answer.failure or ""
        more = f" ({answer.detail or answer.reason})" if answer.detail or answer.reason else ""
        yield _fact("revocation", f"{said} {'by the list' if answer.source == 'crl' else 'by'} {answer.url}{more}")
    if deployment.revocation.failure is not None:
        yield _fact("revocation", deployment.revocation.failure.detail or deployment.revocation.failure.reason.value)
    for path in deployment.paths:
        detail = f" ({path.detail})" if path.detail else ""
        yield _fact("trusted", f"{'yes' if path.trusted else 'no'}, by {path.store}{detail}")


def _http(evidence: TargetEvidence) -> Iterator[str]:
    yield "  HTTP"
    if evidence.http.value is None:
        yield _fact("answers", _why(evidence.http))
        return
    for probe in evidence.http.value.probes:
        identity = "" if probe.identity.value == "none" else f", client certificate: {probe.identity}"
        yield _fact(f"{probe.scheme} {probe.path}", f"{counted(len(probe.hops), 'answer')}, then {probe.end}{identity}")
        for hop in probe.hops:
            yield from _hop(hop)


def _hop(hop: Hop) -> Iterator[str]:
    if hop.failure is not None:
        answer = _failure(hop.failure)
    else:
        answer = f"HTTP/{hop.http_version} {hop.status}" if hop.http_version else str(hop.status)
    yield f"      {hop.method} {hop.url}: {answer}"
    facts = [
        ("location", hop.location),
        ("strict-transport-security", " | ".join(hop.hsts)),
        ("server", hop.server),
        ("content-type", hop.content_type),
        ("refreshes to", hop.meta_refresh),
        ("a script leads to", hop.script_redirect),
    ]
    for name, value in facts:
        if value:
            yield f"        {name}: {value}"
    for cookie in hop.cookies:
        marks = [("Secure", cookie.secure), ("HttpOnly", cookie.http_only)]
        said = ", ".join(name for name, there in marks if there) or "neither Secure nor HttpOnly"
        yield f"        cookie {cookie.name}: {said}" + (f", SameSite={cookie.same_site}" if cookie.same_site else "")
    for reference in hop.insecure_references:
        yield f"        in plain ({reference.kind}): {reference.url}"


def _fact(name: str, value: str) -> str:
    return f"    {name:<{_NAME_WIDTH}} {value}"


def _failure(failure: Failure) -> str:
    return FAILURES[failure.reason] + _after(failure.detail)


def _why(attempt: Attempt[Any]) -> str:
    """Why nothing is known. Unknown is never a no."""
    if attempt.failure is None:
        return _UNKNOWN
    return f"{_UNKNOWN}: {_failure(attempt.failure)}"


def _cut_off(attempt: Attempt[Any]) -> str:
    return f"cut off: {_failure(attempt.incomplete)}" if attempt.incomplete else ""


def _after(text: str) -> str:
    return f" ({text})" if text else ""
