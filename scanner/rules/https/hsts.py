"""Strict-Transport-Security: sent where browsers heed it, valid, and strong enough."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec import Struct

from scanner.evidence import Hop, HttpEvidence, Purpose
from scanner.rules.https import fixes
from scanner.rules.https.answers import (
    ERROR_PAGE,
    TRANSIENT,
    describe,
    host_of,
    inside_tls,
    is_error_page,
    scheme_of,
    unseen_answers,
)
from scanner.rules.https.hsts_header import Hsts, HstsError, parse_hsts
from scanner.rules.registry import (
    Facts,
    Finding,
    Parameters,
    Proof,
    fails,
    http_of,
    judged,
    not_applicable,
    not_observed,
    passes,
    rule,
)
from scanner.rules.registry.judged import NOT_HTTP, EvidenceJudge
from scanner.rules.registry.listing import listing
from scanner.rules.registry.sources import ASVS_HSTS, M_15_13, PRELOAD, rfc
from scanner.verdict import Goal, Severity

if TYPE_CHECKING:
    from scanner.evidence import Failure, HttpProbe

_HOW = (
    "The Strict-Transport-Security header of the first HTTPS answer is parsed as RFC 6797 requires: names regardless "
    "of case, quoted values, no directive twice, only the first of several headers."
)
_YEAR = 31_536_000
_MAX_REDIRECTS = 3
_NO_HSTS = not_applicable("There is no valid HSTS header; https.hsts reports that.")
_ADDRESS = not_applicable("The host is an address, for which browsers ignore HSTS.")


def _pages(http: HttpEvidence, host: str, scheme: str) -> list[Hop]:
    """Every answer of this host to a page request, in the scheme."""
    return [
        hop
        for probe in http.probes
        if probe.purpose is not Purpose.INTEGRATION
        for hop in probe.hops
        if scheme_of(hop.url) == scheme and host_of(hop.url) == host and hop.failure is None
    ]


class FirstAnswer(Struct, frozen=True):
    """The first answer over HTTPS, which is the one that teaches browsers."""

    hop: Hop


@judged(FirstAnswer, NOT_HTTP | {"address": _ADDRESS, "error-page": ERROR_PAGE})
def _first_answer(facts: Facts, parameters: Parameters, judge: EvidenceJudge[FirstAnswer]) -> Iterable[Finding]:
    http = http_of(facts)
    if isinstance(http, Finding):
        return [http]
    if facts.target.endpoint.is_address:
        return [Finding("address")]
    probe = inside_tls(http, purpose=Purpose.ROOT) or inside_tls(http)
    if probe is None:
        return [not_observed(facts.evidence.http.cut_off)]
    hop = probe.first
    if is_error_page(hop) and not hop.hsts:
        served = [page for page in _pages(http, facts.target.endpoint.host, "https") if not is_error_page(page)]
        if not served:
            return [Finding("error-page", describe(hop))]
        hop = served[0]
    if hop.failure is not None or (hop.headers_cut and not hop.hsts):
        return [not_observed(hop.failure or hop.incomplete)]
    return judge(FirstAnswer(hop))


class Heeded(Struct, frozen=True):
    """The valid header of the first answer over HTTPS, and its text."""

    policy: Hsts
    text: str
    hop: Hop


@judged(Heeded, NOT_HTTP | {"address": _ADDRESS, "no-hsts": _NO_HSTS, "error-page": ERROR_PAGE})
def _heeded(facts: Facts, parameters: Parameters, judge: EvidenceJudge[Heeded]) -> Iterable[Finding]:
    def of_first(first: FirstAnswer) -> Iterable[Finding]:
        if not first.hop.hsts:
            return [Finding("no-hsts", "no header")]
        text = first.hop.hsts[0]
        try:
            return judge(Heeded(parse_hsts(text), text, first.hop))
        except HstsError:
            return [Finding("no-hsts", text)]

    return _first_answer(facts, parameters, of_first)


@rule(
    "https.hsts",
    title="HSTS is on",
    goal=Goal.ENFORCEMENT,
    severity=Severity.MEDIUM,
    of=FirstAnswer,
    why="It tells browsers never to use plain HTTP again, and never to let users dismiss a certificate warning.",
    how=_HOW + " It must be sent with every page over HTTPS, and never over plain HTTP.",
    sources=(rfc(6797, "6.1"), rfc(6797, "7.1"), rfc(6797, "7.2"), rfc(6797, "8.1"), M_15_13, ASVS_HSTS),
    reasons={
        "sent": passes("Every page's answer over HTTPS has a valid HSTS header: {observed}."),
        "missing": fails("The HTTPS answer has no HSTS header."),
        "only-over-http": fails("The HSTS header is sent only over plain HTTP, where browsers ignore it: {observed}."),
        "invalid": fails("Browsers ignore the HSTS header, because {why}: {observed}."),
        "cleared": fails("The HSTS header tells browsers to forget the host: {observed}."),
        "not-everywhere": fails("Some pages' answers over HTTPS have no valid HSTS header: {observed}."),
        "several": fails("The HSTS header is sent more than once; browsers obey only the first: {observed}."),
        "over-http-too": fails("The HSTS header is sent over plain HTTP too, which it must not be: {observed}."),
    },
    fix=fixes.HSTS,
    mistake=fixes.NO_HSTS,
)
def _hsts(first: FirstAnswer, facts: Facts, parameters: Parameters) -> list[Finding]:
    hop, http = first.hop, facts.evidence.http.value or HttpEvidence()
    expected = "Strict-Transport-Security only over HTTPS"
    host = facts.target.endpoint.host
    in_plain = [value for other in _pages(http, host, "http") for value in other.hsts]
    if not hop.hsts:
        reason = "only-over-http" if in_plain else "missing"
        return [Finding(reason, listing(in_plain) or "no header", expected)]
    value = hop.hsts[0]
    try:
        policy = parse_hsts(value)
    except HstsError as error:
        return [Finding("invalid", value, expected, values={"why": error})]
    if policy.max_age == 0:
        return [Finding("cleared", value, expected)]
    pages = _pages(http, host, "https")
    unseen = [other for other in pages if other.headers_cut and not other.hsts]
    without = [
        other.url
        for other in pages
        if not _valid(other) and other not in unseen and not (is_error_page(other) and not other.hsts)
    ]
    if without:
        return [Finding("not-everywhere", listing(without), expected, severity=Severity.LOW)]
    if unseen:
        return [not_observed(unseen[0].incomplete)]
    if len(hop.hsts) > 1:
        return [Finding("several", listing(hop.hsts), expected, severity=Severity.LOW)]
    if in_plain:
        return [Finding("over-http-too", listing(in_plain), expected, severity=Severity.LOW)]
    if gap := _unseen_pages(facts, host):
        return [gap]
    return [Finding("sent", value, expected)]


def _unseen_pages(facts: Facts, host: str) -> Finding | None:
    """Why not every page of the host was seen, in plain or over HTTPS; a server that keeps silent in plain was."""

    def concerns(probe: HttpProbe, hop: Hop) -> bool:
        return probe.purpose is not Purpose.INTEGRATION and host_of(hop.url) == host and not hop.hsts

    http = facts.evidence.http.value
    for probe in http.probes if http else ():
        for hop in probe.hops:
            if scheme_of(hop.url) == "http" and concerns(probe, hop) and (cause := _cut_off(hop)):
                return not_observed(cause)
    return unseen_answers(facts.evidence.http, concerns)


def _cut_off(hop: Hop) -> Failure | None:
    """Why it is not known which headers an answer has, or whether there is one."""
    if hop.headers_cut:
        return hop.incomplete
    return hop.failure if hop.failure is not None and hop.failure.reason in TRANSIENT else None


def _valid(hop: Hop) -> bool:
    try:
        return bool(hop.hsts) and parse_hsts(hop.hsts[0]).max_age > 0
    except HstsError:
        return False


class MaxAgeParameters(Parameters):
    """Parameters of https.hsts-max-age."""

    seconds: int = _YEAR
    """The shortest max-age."""


@rule(
    "https.hsts-max-age",
    title="HSTS lasts long enough",
    goal=Goal.ENFORCEMENT,
    severity=Severity.MEDIUM,
    of=Heeded,
    why="A visitor who returns after max-age has passed is as unprotected as on the first visit.",
    how=_HOW,
    sources=(rfc(6797, "6.1.1"), M_15_13, ASVS_HSTS),
    reasons={
        "long-enough": passes("HSTS lasts {days} days."),
        "too-short": fails("HSTS lasts {days} days; {wanted} are required."),
    },
    fix=fixes.HSTS,
    mistake=fixes.SHORT_HSTS,
    proof=Proof.SINGULAR,
    parameters=MaxAgeParameters,
)
def _max_age(heeded: Heeded, facts: Facts, parameters: MaxAgeParameters) -> list[Finding]:
    policy, value = heeded.policy, heeded.text
    reason = "long-enough" if policy.max_age >= parameters.seconds else "too-short"
    values = {"days": policy.max_age // 86_400, "wanted": parameters.seconds // 86_400}
    return [Finding(reason, value, f"max-age={parameters.seconds} or more", values=values)]


@rule(
    "https.hsts-subdomains",
    title="HSTS covers the subdomains",
    goal=Goal.ENFORCEMENT,
    severity=Severity.LOW,
    of=Heeded,
    why="Otherwise an attacker can invent a subdomain, to which browsers send the domain's cookies over plain HTTP.",
    how=_HOW,
    sources=(rfc(6797, "6.1.2"), rfc(6797, "14.4"), ASVS_HSTS),
    reasons={
        "covered": passes("HSTS covers the subdomains."),
        "not-covered": fails("HSTS does not cover the subdomains: includeSubDomains is missing."),
    },
    fix=fixes.HSTS,
    mistake=fixes.SHORT_HSTS,
    proof=Proof.SINGULAR,
)
def _subdomains(heeded: Heeded, facts: Facts, parameters: Parameters) -> list[Finding]:
    policy, value = heeded.policy, heeded.text
    return [Finding("covered" if policy.include_subdomains else "not-covered", value, "includeSubDomains")]


@rule(
    "https.hsts-preload",
    title="The host qualifies for the HSTS preload list",
    goal=Goal.ENFORCEMENT,
    severity=Severity.INFO,
    of=Heeded,
    why="Browsers never send a plain request to a domain on their list, not even the first one.",
    how=_HOW
    + " Header and redirects are judged by the list's conditions; whether the name is a registrable domain, and "
    "whether it is on the list, is not checked.",
    sources=(PRELOAD,),
    reasons={
        "eligible": passes("Header and redirects meet the conditions of the preload list."),
        "not-eligible": fails("The conditions of the preload list are not met: {observed}."),
    },
    fix=fixes.PRELOAD,
    mistake=fixes.NO_PRELOAD,
    proof=Proof.SINGULAR,
)
def _preload(heeded: Heeded, facts: Facts, parameters: Parameters) -> list[Finding]:
    policy, value = heeded.policy, heeded.text
    flaws = [
        text
        for flawed, text in (
            (policy.max_age < _YEAR, "max-age is below a year"),
            (not policy.include_subdomains, "includeSubDomains is missing"),
            (not policy.preload, "preload is missing"),
            (len(heeded.hop.hsts) > 1, "the header is sent more than once"),
            ('"' in value, "max-age is quoted"),
        )
        if flawed
    ]
    flaws += _redirect_flaws(facts)
    if flaws:
        return [Finding("not-eligible", listing(flaws), "the conditions of hstspreload.org")]
    if gap := _unseen_redirects(facts):
        return [gap]
    return [Finding("eligible", value, "the conditions of hstspreload.org")]


def _unseen_redirects(facts: Facts) -> Finding | None:
    """Why it is not known where plain HTTP leads."""
    attempt = facts.evidence.http
    if facts.target.endpoint.http_port is None:
        return None
    probe = attempt.value.find("http") if attempt.value else None
    if probe is None:
        return not_observed(attempt.cut_off)
    failures = [_cut_off(probe.first), *(hop.failure or _cut_off(hop) for hop in probe.hops[1:])]
    return next((not_observed(failure) for failure in failures if failure), None)


def _redirect_flaws(facts: Facts) -> list[str]:
    http = facts.evidence.http.value
    probe = http.find("http") if http else None
    if probe is None or probe.first.failure is not None:
        return []  # a closed port is only warned of
    first = probe.first
    if first.headers_cut and not first.location:
        return []  # where it leads is not known
    if not first.location or scheme_of(first.location) != "https":
        return ["plain HTTP does not redirect to HTTPS"]
    flaws = []
    if host_of(first.location) != host_of(first.url):
        flaws.append("the first redirect leaves the host")
    elif len(probe.hops) > 1 and not (probe.hops[1].failure or probe.hops[1].headers_cut or _valid(probe.hops[1])):
        flaws.append("the first HTTPS answer after the redirect has no HSTS")
    if any(scheme_of(hop.location) == "http" for hop in probe.hops[1:] if hop.location):
        flaws.append("a later redirect is plain")
    if sum(1 for hop in probe.hops if hop.location) > _MAX_REDIRECTS:
        flaws.append("there are more than three redirects")
    return flaws
