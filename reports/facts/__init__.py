"""What was seen at a target, without judgement: the facts that the rules judge, for people at a terminal.

Everything that a host said is printed as text: control characters were taken out where it entered the evidence, and
`readable` takes out what would turn the direction of writing.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from reports.clients import ClientsAt, lines_of, outcomes
from reports.facts.certificates import certificate_lines
from reports.facts.http import dns_lines, door_lines, http_lines, mail_lines, plain_lines
from reports.facts.lines import after, cut_off, fact, facts, failure, known, moment, why
from reports.view.readable import readable
from reports.wording import FAILURES, PROTOCOLS
from scanner.clients import all_clients
from scanner.counting import counted
from scanner.evidence import Protocol, not_run

if TYPE_CHECKING:
    from scanner.evidence import AcceptedSuite, TlsEvidence
    from scanner.verdict import RunRecord, TargetResult

_LEAST_WIDTH: Final = 60
_FEATURES: Final[Mapping[str, str]] = {
    "extended_master_secret": "extended master secret",
    "encrypt_then_mac": "encrypt-then-MAC",
    "secure_renegotiation": "secure renegotiation",
    "client_renegotiation": "client renegotiation",
    "compression": "compression",
    "early_data": "0-RTT",
    "max_early_data_size": "0-RTT bytes at most",
    "fallback_scsv": "fallback SCSV",
    "session_ids": "session IDs resume",
    "session_tickets": "session tickets resume",
    "client_authentication": "client certificate",
    "without_sni": "without server name",
    "wrong_sni": "another server name",
    "heartbleed": "Heartbleed",
    "ccs_injection": "CCS injection",
    "robot": "ROBOT",
    "padding_oracle": "padding oracles",
    "reused_keys": "ephemeral keys reused",
    "ticket_key": "session tickets' key",
    "ticketbleed": "Ticketbleed",
    "other_alpn": "HTTP's ALPN is taken",
    "intolerances": "intolerances",
}

_BY_POLICY: Final = frozenset({"padding_oracle", "reused_keys", "ticket_key", "ticketbleed", "other_alpn"})
"""What is asked where a policy judges it, and is else no fact that is missing."""


def render_facts(record: RunRecord, view: str, *, width: int = 100, pem: bool = False) -> str:
    """Write a view of what was seen at each target of a run.

    Args:
        record: the run.
        view: one of `scanner.formats.VIEWS`.
        width: columns; long lines are folded.
        pem: whether each certificate is printed itself as well.
    """
    lines: list[str] = []
    for target in readable(record).targets:
        lines += [*_header(target), *_shown(target, view, pem=pem), ""]
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
        if left_out := len({verdict.rule for verdict in target.verdicts if verdict.not_asked}):
            parts.append(f"{left_out} not checked")
        tls = target.evidence.tls.value if target.evidence else None
        if tls is not None and tls.negotiated:
            parts.append(", ".join(PROTOCOLS[protocol] for protocol in tls.negotiated))
            parts += [f"until {item.leaf.not_after:%Y-%m-%d}" for item in (tls.certificates.value or ())[:1]]
        elif target.error:
            parts.append(FAILURES[target.error.reason])
        lines.append(f"{where:<40} {', '.join(parts)}")
    return "".join(f"{line}\n" for line in lines)


def _folded(line: str, width: int) -> Sequence[str]:
    if line == line.strip() and " " not in line:
        return [line]  # a line of a PEM block, which other programs read
    if len(line) <= width and line.isprintable():
        return [line.rstrip(" ")]  # as nearly all are: what folding them would give
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.wrap(line, width, subsequent_indent=indent, break_on_hyphens=False) or [""]


def _header(target: TargetResult) -> Iterator[str]:
    yield target.address + (f" at {target.ip}" if target.ip and target.ip != target.host else "")
    if target.error is not None:
        yield fact("not all was seen", failure(target.error))
    if (evidence := target.evidence) is not None:
        took = f"{evidence.duration_s:.3g} s, {counted(evidence.connections, 'connection')}"
        yield fact("looked at", f"{moment(evidence.started_at)}, {took}")
        yield from facts(("seen from", evidence.seen_from))


def _shown(target: TargetResult, view: str, *, pem: bool) -> Iterator[str]:
    evidence = target.evidence
    if evidence is None:
        yield fact("evidence", "none is kept")
        return
    tls = evidence.tls.value
    if view in {"facts", "protocols", "ciphers", "certificate", "clients"} and tls is None:
        yield fact("TLS", why(evidence.tls))
    elif tls is not None:
        yield from facts(("TLS", cut_off(evidence.tls)))
        yield from _of_tls(tls, view, target.address, pem=pem)
    if view == "facts" and evidence.plain != not_run():
        yield from plain_lines(evidence)
    if view == "facts" and evidence.mail != not_run():
        yield from mail_lines(evidence)
    if view in {"facts", "http"}:
        yield from http_lines(evidence)
    if view in {"facts", "http"} and evidence.doors != not_run():
        yield from door_lines(evidence)
    if view == "facts":
        yield from dns_lines(evidence)


def _of_tls(tls: TlsEvidence, view: str, address: str, *, pem: bool) -> Iterator[str]:
    if view in {"facts", "protocols", "ciphers"}:
        yield from _protocols(tls)
    if view in {"facts", "protocols"}:
        yield from _groups(tls)
    if view == "facts":
        yield from _features(tls)
    if view in {"facts", "certificate"}:
        yield from certificate_lines(tls, pem=pem)
    if view == "clients":
        clients = all_clients()
        yield from lines_of(ClientsAt(address, outcomes(tls, clients)), clients, every=True)


def _protocols(tls: TlsEvidence) -> Iterator[str]:
    yield "  Protocols"
    for protocol in Protocol:
        attempt = tls.offer(protocol)
        if attempt.value is None:
            yield fact(PROTOCOLS[protocol], why(attempt))
            continue
        offer = attempt.value
        order = {True: "in the server's order", False: "the client's order decides", None: ""}[offer.server_order]
        chacha = {
            True: "ChaCha20 if the client prefers it",
            False: "not ChaCha20 even if the client prefers it",
            None: "",
        }
        parts = (counted(len(offer.suites), "cipher suite"), order, chacha[offer.chacha20_first], cut_off(attempt))
        told = ", ".join(filter(None, parts))
        yield fact(PROTOCOLS[protocol], told if offer.suites else f"not negotiated{after(cut_off(attempt))}")
        for suite in offer.suites:
            bits = f"{suite.ephemeral_bits} bits" if suite.ephemeral_bits else ""
            doubt = "no handshake completed" if suite.unconfirmed else ""
            detail = ", ".join(filter(None, (suite.group, bits, *_prime(suite), doubt)))
            yield f"      {suite.name}" + (f"  ({detail})" if detail else "")


def _groups(tls: TlsEvidence) -> Iterator[str]:
    for title, found in (("Groups", tls.groups), ("Signature schemes", tls.signature_schemes)):
        if found:
            yield f"  {title}"
        for protocol, names in found.items():
            yield fact(PROTOCOLS[protocol], known(names))
    if tls.classical_curves_only:
        yield fact("asked for", "only elliptic curves, in the newest protocol: other groups may be accepted")
    yield "  ALPN"
    yield fact("accepted", known(tls.alpn))


def _prime(suite: AcceptedSuite) -> Iterator[str]:
    if suite.dh_prime:
        yield f"prime {suite.dh_prime}"
    if suite.dh_safe is not None:
        yield "a safe prime" if suite.dh_safe else "not a safe prime"
    if suite.dh_generator_valid is False:
        yield "an invalid generator"
    if suite.dh_modulus:
        yield f"modulus {suite.dh_modulus}"


def _features(tls: TlsEvidence) -> Iterator[str]:
    yield "  Behaviour"
    for name, title in _FEATURES.items():
        found = getattr(tls, name)
        if name not in _BY_POLICY or found != not_run():
            yield fact(title, known(found))
    if tls.ticket_key_since is not None:
        yield fact("that key since", moment(tls.ticket_key_since))
