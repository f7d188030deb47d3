"""Other ways to a host than its port: are they as safe, and does the browser know of them beforehand?"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from scanner.evidence import FailureReason, FrontDoors, Http3
from scanner.rules.registry import (
    Facts,
    Finding,
    Fix,
    Parameters,
    fails,
    indeterminate,
    judged,
    not_applicable,
    not_observed,
    passes,
    rule,
    untried,
)
from scanner.rules.registry.judged import EvidenceJudge, deployments_of
from scanner.rules.registry.listing import listing
from scanner.rules.registry.rule import Proof
from scanner.rules.registry.sources import PRELOAD, asvs, rfc
from scanner.verdict import Goal, Severity

_LIST_HOLDS: Final = timedelta(days=70)
"""Browsers bring a new list about every four weeks; one that is older says nothing of hosts that it does not have."""
_ADDRESS = not_applicable("The host is an IP address, for which no DNS record or list entry is looked up.")
_NOT_HTTP = not_applicable("The endpoint does not speak HTTP.")
_NOT_PUBLIC = not_applicable("The public DNS does not answer for the name.")


@judged(FrontDoors, {"not-http": _NOT_HTTP})
def _doors(facts: Facts, _: Parameters, judge: EvidenceJudge[FrontDoors]) -> Iterable[Finding]:
    if not facts.target.endpoint.role.speaks_http or facts.target.endpoint.starttls is not None:
        return [Finding("not-http")]
    doors = facts.evidence.doors
    return judge(doors.value) if doors.value is not None else [not_observed(doors.failure)]


@rule(
    "https.http3",
    opt_in=True,
    title="HTTP/3 reaches the same host as HTTPS",
    goal=Goal.AUTHENTICITY,
    severity=Severity.MEDIUM,
    of=FrontDoors,
    why="Browsers switch to HTTP/3 automatically where it is advertised; often another program answers there, with "
    "its own certificate and headers that nobody renews or monitors.",
    how="Where the Alt-Svc header or an HTTPS record advertises h3 for the host itself, / is asked for over QUIC, "
    "twice. Certificate and Strict-Transport-Security are compared with those of HTTPS. Other protocols "
    "and other hosts that are advertised are not asked.",
    sources=(rfc(9114, "3.1"), rfc(7838, "2.1"), rfc(6797, "7.2")),
    reasons={
        "same": passes("HTTP/3 answers with the same certificate and the same HSTS: {observed}."),
        "not-advertised": not_applicable("HTTP/3 is not advertised."),
        "other-certificate": fails("HTTP/3 answers with a certificate that HTTPS does not use: {observed}."),
        "other-hsts": fails("HTTP/3 and HTTPS send different Strict-Transport-Security headers: {observed}."),
        "no-answer": indeterminate("HTTP/3 is advertised, but did not answer the scanner: {observed}."),
    },
    fix=Fix(
        "Have one program answer for both, or give the one that speaks HTTP/3 the same certificate and headers; or "
        "stop advertising it.",
        {"nginx": "listen 443 quic; listen 443 ssl; in one server block, add_header Alt-Svc 'h3=\":443\"' always;"},
    ),
    mistake=untried("the nginx and Apache httpd of the tests lack HTTP/3; tests/lab/test_doors.py shows it on aioquic"),
    proof=Proof.SINGULAR,
)
def _http3(doors: FrontDoors, facts: Facts, parameters: Parameters) -> list[Finding]:
    found = doors.http3.value
    if found is None:
        failure = doors.http3.failure
        if failure is not None and failure.reason in {FailureReason.TIMED_OUT, FailureReason.REFUSED}:
            return [Finding("no-answer", str(failure))]
        return [not_observed(failure)]
    if doors.http3.incomplete is not None:
        return [not_observed(doors.http3.incomplete)]
    if not found.advertised:
        return [Finding("not-advertised")]
    return _compared(found, facts)


def _compared(found: Http3, facts: Facts) -> list[Finding]:
    told = f"advertised by {listing(found.advertised)}, status {found.status}"
    deployments = deployments_of(facts)
    if isinstance(deployments, Finding):
        return [not_observed(facts.evidence.tls.cut_off)]
    known = {item.leaf.fingerprint for item in deployments}
    if found.certificate not in known:
        if facts.evidence.tls.value and (cause := facts.evidence.tls.value.certificates.incomplete):
            return [not_observed(cause)]
        return [Finding("other-certificate", f"{found.certificate[:16]}… at port {found.port}", "one certificate")]
    http = facts.evidence.http
    inside = http.value.find("https") if http.value else None
    if inside is None or inside.first.failure is not None or inside.first.headers_cut:
        return [not_observed(inside.first.failure or inside.first.incomplete if inside else http.cut_off)]
    if inside.first.hsts != found.hsts:
        observed = f'"{listing(found.hsts) or "none"}" beside "{listing(inside.first.hsts) or "none"}"'
        return [Finding("other-hsts", observed, "the same header")]
    return [Finding("same", told, "the same certificate and header")]


@rule(
    "dns.ech",
    opt_in=True,
    title="Encrypted Client Hello is advertised",
    goal=Goal.ENCRYPTION,
    severity=Severity.INFO,
    of=FrontDoors,
    why="Without it, an eavesdropper can read in the handshake which of a server's sites is visited.",
    how="The HTTPS records of the name are searched for the parameter ech, which contains the public keys. Whether "
    "the server has the matching private keys is not tested.",
    sources=(rfc(9848), rfc(9849), asvs("v5.0.0-12.1.5")),
    reasons={
        "advertised": passes("An HTTPS record carries the keys of Encrypted Client Hello: {observed}."),
        "not-advertised": fails("HTTPS records carry no keys of Encrypted Client Hello: {observed}."),
        "no-record": fails("The name has no HTTPS record, so no keys of Encrypted Client Hello are published."),
        "alias": indeterminate(
            "The HTTPS record is an alias, and the name that it points to was not queried: {observed}."
        ),
        "address": _ADDRESS,
        "not-public": _NOT_PUBLIC,
    },
    fix=Fix(
        "Have the program or service that terminates TLS generate the keys and publish them in an HTTPS record; "
        "most large CDNs do both."
    ),
    mistake=untried("the keys are in the DNS; tests/lab/test_doors.py shows it on Knot DNS"),
    proof=Proof.SINGULAR,
)
def _ech(doors: FrontDoors, facts: Facts, parameters: Parameters) -> list[Finding]:
    if facts.target.endpoint.is_address:
        return [Finding("address")]
    found = doors.https_records
    if found.failure is not None and found.failure.reason is FailureReason.UNSUPPORTED:
        return [Finding("not-public")]
    records = found.value
    if records is None:
        return [not_observed(found.failure)]
    told = listing(f"{item.priority} {item.target}" for item in records)
    if any(item.ech for item in records):
        return [Finding("advertised", told, "a parameter ech")]
    if found.incomplete is not None:
        return [not_observed(found.incomplete)]
    if not records:
        return [Finding("no-record", "no HTTPS record", "a parameter ech")]
    alias = any(item.priority == 0 for item in records)
    return [Finding("alias" if alias else "not-advertised", told, "a parameter ech")]


@rule(
    "https.hsts-listed",
    opt_in=True,
    title="The host is on the HSTS preload list",
    goal=Goal.ENFORCEMENT,
    severity=Severity.INFO,
    of=FrontDoors,
    why="Browsers never send a plain request to a host that is on their list, or whose parent domain is.",
    how="Chromium's list, from which the other browsers' lists are made, is read from an installed package; its date "
    "is in the finding. No request is made. A list more than 70 days old cannot show that a host is missing. "
    "https.hsts-preload judges whether a host qualifies.",
    sources=(PRELOAD, asvs("v5.0.0-3.7.4")),
    reasons={
        "listed": passes("The host, or a domain above it, is on the list: {observed}."),
        "not-listed": fails("The host is not on the list: {observed}."),
        "list-too-old": indeterminate("The host is not on the available list, which is out of date: {observed}."),
        "address": _ADDRESS,
    },
    fix=Fix("Meet the conditions that https.hsts-preload judges, and submit the domain at hstspreload.org."),
    mistake=untried("the list is the browsers'; the conditions are shown at https.hsts-preload"),
    proof=Proof.SINGULAR,
)
def _listed(doors: FrontDoors, facts: Facts, parameters: Parameters) -> list[Finding]:
    if facts.target.endpoint.is_address:
        return [Finding("address")]
    found = doors.preloading.value
    if found is None or doors.preloading.incomplete is not None:
        return [not_observed(doors.preloading.cut_off)]
    told, expected = f"the list of {found.date:%Y-%m-%d}", "on the list"
    if found.listed:
        return [Finding("listed", told, expected)]
    return [Finding("list-too-old" if facts.now - found.date > _LIST_HOLDS else "not-listed", told, expected)]
