"""Does HTTPS stay HTTPS: redirects back, mixed content, cookies, and the same on every node?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scanner.evidence import ClientIdentity, HttpEvidence, HttpProbe, Protocol, Purpose, ReferenceKind, TlsEvidence
from scanner.rules.https import fixes
from scanner.rules.https.answers import (
    ERROR_PAGE,
    TRANSIENT,
    describe,
    host_of,
    is_error_page,
    scheme_of,
    unseen_answers,
)
from scanner.rules.registry import (
    Facts,
    Finding,
    Observed,
    Parameters,
    fails,
    indeterminate,
    not_applicable,
    passes,
    rule,
)
from scanner.rules.registry.listing import listing
from scanner.rules.registry.sources import ASVS_COOKIE, MIXED_CONTENT, PRELOAD, rfc
from scanner.verdict import Goal, Severity

if TYPE_CHECKING:
    from scanner.evidence import Cookie, Hop, InsecureReference


def _inside_hops(http: HttpEvidence) -> list[Hop]:
    """Every answer over HTTPS, of every probe."""
    return [hop for probe in http.probes for hop in probe.hops if scheme_of(hop.url) == "https" and hop.failure is None]


@rule(
    "https.no-downgrade",
    title="HTTPS never leads back to plain HTTP",
    goal=Goal.ENFORCEMENT,
    severity=Severity.HIGH,
    of=HttpEvidence,
    why="An HTTPS page that loads a script over plain HTTP is no safer than plain HTTP; a form sent over plain HTTP "
    "exposes what was typed; a redirect to plain HTTP removes all protection.",
    how="Redirects of every HTTPS answer are read, and the page's HTML: scripts, frames and style sheets (active), "
    "pictures and media (passive), forms, and links to the same host. upgrade-insecure-requests is taken into account.",
    sources=(PRELOAD, MIXED_CONTENT, rfc(6797, "12.4")),
    reasons={
        "none": passes("No HTTPS page leads to plain HTTP."),
        "redirects": fails("An HTTPS answer redirects to plain HTTP: {observed}."),
        "posts": fails("An HTTPS page sends a form over plain HTTP: {observed}."),
        "active-content": fails("An HTTPS page loads code over plain HTTP: {observed}."),
        "passive-content": fails("An HTTPS page loads pictures or media over plain HTTP: {observed}."),
        "links": fails("An HTTPS page links to its own host over plain HTTP: {observed}."),
        "cut-off": indeterminate("A page was too long to be read completely: {observed}."),
        "error-page": ERROR_PAGE,
    },
    fix=fixes.CONTENT,
    mistake=fixes.MIXED,
)
def _no_downgrade(http: HttpEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    hops = _inside_hops(http)
    expected = "only https:"
    leads = [
        f"{hop.url} to {target}"
        for hop in hops
        for target in (hop.location, hop.meta_refresh, hop.script_redirect)
        if target and scheme_of(target) == "http"
    ]
    if leads:
        return [Finding("redirects", listing(leads), expected)]
    references = [
        (hop, reference)
        for hop in hops
        for reference in hop.insecure_references
        if not (hop.upgrade_insecure_requests and _is_upgraded(hop, reference))
    ]
    order: tuple[tuple[ReferenceKind, str, Severity | None], ...] = (
        (ReferenceKind.FORM, "posts", None),
        (ReferenceKind.ACTIVE, "active-content", None),
        (ReferenceKind.PASSIVE, "passive-content", Severity.LOW),
        (ReferenceKind.LINK, "links", Severity.LOW),
    )
    for kind, reason, severity in order:
        found = [
            f"{reference.url} in {hop.url}"
            for hop, reference in references
            if reference.kind is kind and (kind is not ReferenceKind.LINK or host_of(reference.url) == host_of(hop.url))
        ]
        if found:
            return [Finding(reason, listing(found), expected, severity=severity)]
    if gap := unseen_answers(facts.evidence.http):
        return [gap]
    if cut := [hop.url for hop in hops if hop.body_truncated and "html" in hop.content_type.lower()]:
        return [Finding("cut-off", listing(cut), expected)]
    if hops and all(map(is_error_page, hops)):
        return [Finding("error-page", listing(map(describe, hops)), expected)]
    return [Finding("none", f"{len({hop.url for hop in hops})} pages read", expected)]


def _is_upgraded(hop: Hop, reference: InsecureReference) -> bool:
    """Whether upgrade-insecure-requests mends it: everything but links to other hosts."""
    return reference.kind is not ReferenceKind.LINK or host_of(reference.url) == host_of(hop.url)


@rule(
    "https.secure-cookies",
    title="Every cookie is Secure",
    goal=Goal.ENFORCEMENT,
    severity=Severity.MEDIUM,
    of=HttpEvidence,
    why="A cookie without Secure is sent with any plain request, which an attacker on the path can provoke; the "
    "session goes with it.",
    how="Every Set-Cookie header of every answer over HTTPS is read; none is kept or sent back. A name that begins "
    "with __Secure- or __Host- promises Secure, and for __Host- the path / and no domain. SameSite is shown, "
    "not judged; a cookie that is deleted need not be Secure.",
    sources=(rfc(6265, "4.1.2.5"), ASVS_COOKIE),
    reasons={
        "all-secure": passes("Every cookie set over HTTPS is Secure: {observed}."),
        "insecure": fails("Cookies are set without Secure: {observed}."),
        "prefix": fails("Cookies break what their name's prefix promises, so that browsers drop them: {observed}."),
        "no-cookies": not_applicable("No cookie is set over HTTPS."),
        "error-page": ERROR_PAGE,
    },
    fix=fixes.COOKIES,
    mistake=fixes.INSECURE_COOKIE,
)
def _secure_cookies(http: HttpEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    host = facts.target.endpoint.host
    hops = [hop for hop in _inside_hops(http) if host_of(hop.url) == host]
    cookies = [cookie for hop in hops for cookie in hop.cookies]
    # A cookie that is deleted is not sent any more, whatever it is set with.
    insecure = [cookie.name or "(without a name)" for cookie in cookies if not cookie.secure and not cookie.deleted]
    if insecure:
        return [Finding("insecure", listing(insecure), "Secure on every cookie")]
    if broken := [cookie.name for cookie in cookies if _breaks_prefix(cookie)]:
        expected = "Path=/ and no Domain on every cookie called __Host-"
        return [Finding("prefix", listing(broken), expected, severity=Severity.LOW)]
    if gap := unseen_answers(facts.evidence.http, lambda _, hop: host_of(hop.url) == host):
        return [gap]
    if hops and all(map(is_error_page, hops)):
        return [Finding("error-page", listing(map(describe, hops)))]
    if not cookies:
        return [Finding("no-cookies")]
    return [Finding("all-secure", listing(map(_told, cookies)), "Secure on every cookie")]


def _breaks_prefix(cookie: Cookie) -> bool:
    """Whether a Secure cookie's name promises what its attributes do not keep (RFC 6265bis section 4.1.3).

    Browsers compare the prefix without regard to case.
    """
    return cookie.name.lower().startswith("__host-") and (cookie.path != "/" or cookie.domain is not None)


def _told(cookie: Cookie) -> str:
    same_site = f"SameSite={cookie.same_site}" if cookie.same_site is not None else "no SameSite"
    if cookie.deleted:
        same_site = "is deleted"
    return f"{cookie.name or '(without a name)'} ({same_site})"


@rule(
    "https.node-consistency",
    title="Every address of a name gives the same answers",
    goal=Goal.ENFORCEMENT,
    severity=Severity.MEDIUM,
    of=HttpEvidence,
    why="One node that still serves plain HTTP, or lacks HSTS, leaves every visitor who reaches it unprotected.",
    how="The first answer to each request, its HSTS header and the protocol versions are compared with those of the "
    "other addresses of the name; queries in redirects are left out, as they often change.",
    sources=(rfc(9325, "3.9"),),
    reasons={
        "alike": passes("Every address of the name gives the same answers."),
        "different": fails("Other addresses answer differently: {observed}."),
        "one-address": not_applicable("The name has one address."),
        "not-all-seen": indeterminate("Other addresses could not be fully observed: {observed}."),
    },
    fix=fixes.NODES,
)
def _node_consistency(http: HttpEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    if not facts.siblings:
        return [Finding("one-address")]
    different: list[str] = []
    unseen: list[str] = []
    for other in facts.siblings:
        complete, differences = _compare(facts, http, other)
        different += [f"{other.target.ip}: {difference}" for difference in differences]
        if not complete:
            unseen.append(str(other.target.ip))
    expected = "the same answers everywhere"
    if different:
        return [Finding("different", listing(different), expected)]
    if unseen:
        return [Finding("not-all-seen", listing(unseen), expected)]
    return [Finding("alike", f"{len(facts.siblings) + 1} addresses", expected)]


def _compare(facts: Facts, http: HttpEvidence, other: Observed) -> tuple[bool, list[str]]:
    """Whether all of the other address was seen, and what is different there."""
    own = _first_of_each(http)
    ours, theirs, answers = facts.evidence.tls.value, other.evidence.tls.value, other.evidence.http.value
    complete = ours is not None and theirs is not None and answers is not None
    complete = complete and facts.evidence.http.incomplete is None and other.evidence.http.incomplete is None
    differences = []
    if ours is not None and theirs is not None:
        versions = [(_negotiates(ours, protocol), _negotiates(theirs, protocol)) for protocol in Protocol]
        if any(None not in pair and pair[0] != pair[1] for pair in versions):
            differences.append(listing(theirs.negotiated) or "no TLS")
        complete = complete and not any(None in pair for pair in versions)
    elsewhere = _first_of_each(answers) if answers else {}
    for key, probe in elsewhere.items():
        mine = own.get(key)
        if mine is None or _unknown(mine) or _unknown(probe):
            complete = False
        elif _answer(mine) != _answer(probe):
            differences.append(f"{probe.scheme} {probe.path}: {_telling(mine, probe)}")
    return complete and own.keys() == elsewhere.keys(), differences


def _negotiates(tls: TlsEvidence, protocol: Protocol) -> bool | None:
    """Whether a protocol version is negotiated; None where it was not asked for to the end."""
    if protocol in tls.negotiated:
        return True
    return False if tls.offer(protocol).cut_off is None else None


def _first_of_each(http: HttpEvidence) -> dict[tuple[object, ...], HttpProbe]:
    """The probes by what was asked. Of one that was made over both versions of HTTP the first is compared."""
    return {_key(probe): probe for probe in reversed(http.probes)}


def _key(probe: HttpProbe) -> tuple[str, str, str, Purpose, ClientIdentity, str | None]:
    return probe.scheme, probe.first.method, probe.path, probe.purpose, probe.identity, probe.application


def _unknown(probe: HttpProbe) -> bool:
    first = probe.first
    return first.headers_cut or (first.failure is not None and first.failure.reason in TRANSIENT)


def _answer(probe: HttpProbe) -> tuple[object, ...]:
    first = probe.first
    location = (first.location or "").partition("?")[0]
    return first.failure.reason if first.failure else None, first.status, location, first.hsts


def _telling(mine: HttpProbe, theirs: HttpProbe) -> str:
    """What differs, in words."""
    if _answer(mine)[:3] != _answer(theirs)[:3]:
        return f"{describe(theirs.first)} instead of {describe(mine.first)}"
    return f"HSTS {listing(theirs.first.hsts) or 'missing'} instead of {listing(mine.first.hsts) or 'missing'}"
