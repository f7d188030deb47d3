"""Headers that protect a page in the browser: off in the default policy, on in OWASP's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from scanner.evidence import ClientIdentity, Hop
from scanner.rules.https.answers import ERROR_PAGE, describe, host_of, is_error_page, scheme_of, unseen_answers
from scanner.rules.registry import (
    Facts,
    Finding,
    Fix,
    Parameters,
    fails,
    http_of,
    judged,
    not_applicable,
    passes,
    rule,
)
from scanner.rules.registry.judged import NOT_HTTP, EvidenceJudge
from scanner.rules.registry.listing import listing
from scanner.rules.registry.rule import untried
from scanner.rules.registry.sources import asvs
from scanner.verdict import Goal, Severity, Source

_HOW: Final = (
    "The headers of every page that the host served over HTTPS are read; redirects and error pages are not pages."
)
_SHOWN: Final = untried("it is asked for only by name, and shown on nginx by tests/lab/test_security_headers.py")
_HEADERS_PROJECT: Final = Source("OWASP Secure Headers Project", url="https://owasp.org/www-project-secure-headers/")
_CSP: Final = "content-security-policy"
_FIRST_REDIRECT: Final = 300
_QUIET: Final = frozenset({
    "no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin", "no-referrer-when-downgrade",
    "origin", "origin-when-cross-origin", "unsafe-url",
})  # fmt: skip


class Pages(Struct, frozen=True):
    """The pages that a host served over HTTPS, each with all of its headers."""

    hops: tuple[Hop, ...]


@judged(
    Pages,
    NOT_HTTP
    | {"no-page": not_applicable("No page was served over HTTPS at this host: {observed}."), "error-page": ERROR_PAGE},
)
def _pages(facts: Facts, _parameters: Parameters, judge: EvidenceJudge[Pages]) -> Iterable[Finding]:
    http = http_of(facts)
    if isinstance(http, Finding):
        return [http]
    host = facts.target.endpoint.host
    answers = [
        hop
        for probe in http.probes
        for hop in probe.hops
        if probe.identity is not ClientIdentity.WRONG
        and scheme_of(hop.url) == "https"
        and host_of(hop.url) == host
        and hop.failure is None
    ]
    served = [hop for hop in answers if hop.status is not None and hop.status < _FIRST_REDIRECT and not hop.headers_cut]
    missing = unseen_answers(facts.evidence.http)
    unseen = [missing] if missing else []
    if not served and unseen:
        return unseen
    if not served:
        errors = [hop for hop in answers if is_error_page(hop)]
        return [Finding("error-page" if errors else "no-page", listing(map(describe, answers)) or "no answer")]
    findings = list(judge(Pages(tuple(served))))
    return [*findings, *unseen]


def values_of(hop: Hop, name: str) -> Sequence[str]:
    """The values of a header, in order."""
    return [value for key, value in hop.headers if key == name]


def _parts(hop: Hop, name: str) -> Sequence[str]:
    """The members of a header that is a list (RFC 9110 section 5.6.1), over all its lines."""
    return [part.strip() for value in values_of(hop, name) for part in value.split(",")]


def directives_of(policies: Sequence[str]) -> Sequence[Mapping[str, tuple[str, ...]]]:
    """Each Content-Security-Policy by its directives; of two of one name the first counts (CSP 3 section 2.2.1)."""
    read = []
    for text in (part for value in policies for part in value.split(",")):
        found: dict[str, tuple[str, ...]] = {}
        for directive in text.split(";"):
            name, *sources = directive.split() or [""]
            if name:
                found.setdefault(name.lower(), tuple(source.lower() for source in sources))
        if found:
            read.append(found)
    return read


def _of_pages(
    pages: Pages, wrong: Callable[[Hop], tuple[str, str] | None], *, good: str, expected: str
) -> list[Finding]:
    """The finding for all pages: the first thing that is wrong with any of them, and at which."""
    found: dict[str, list[str]] = {}
    for hop in pages.hops:
        if problem := wrong(hop):
            reason, why = problem
            found.setdefault(reason, []).append(f"{hop.url} ({why})" if why else hop.url)
    if found:
        return [Finding(reason, listing(urls), expected) for reason, urls in list(found.items())[:1]]
    return [Finding(good, listing(hop.url for hop in pages.hops), expected)]


def _server(header: str, value: str) -> Mapping[str, str]:
    return {
        "nginx": f'add_header {header} "{value}" always;',
        "apache": f'Header always set {header} "{value}"',
    }


@rule(
    "headers.csp",
    opt_in=True,
    title="A Content-Security-Policy says what a page may load and run",
    goal=Goal.INTEGRITY,
    severity=Severity.LOW,
    of=Pages,
    why="A script injected into a page runs with all the user's rights; a policy prevents browsers from running "
    "scripts that it does not allow.",
    how=_HOW + " A policy must forbid plugins (object-src or default-src 'none'), fix base-uri, and allow inline "
    "scripts only by nonce or hash. Content-Security-Policy-Report-Only forbids nothing.",
    sources=(asvs("v5.0.0-3.4.3"), Source("W3C Content Security Policy Level 3", url="https://www.w3.org/TR/CSP3/")),
    reasons={
        "good": passes("Every page has a Content-Security-Policy that names what may run: {observed}."),
        "missing": fails("Pages have no Content-Security-Policy: {observed}."),
        "report-only": fails("Pages have only a report-only policy, which blocks nothing: {observed}."),
        "weak": fails("The Content-Security-Policy of pages has gaps that defeat its purpose: {observed}."),
    },
    fix=Fix(
        "Send a Content-Security-Policy with every page: begin with report-only, name where scripts come from, and "
        "allow inline ones by nonce or hash.",
        _server(
            "Content-Security-Policy", "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
        ),
    ),
    mistake=_SHOWN,
)
def _csp(pages: Pages, facts: Facts, parameters: Parameters) -> list[Finding]:
    def wrong(hop: Hop) -> tuple[str, str] | None:
        policies = directives_of(values_of(hop, _CSP))
        if not policies:
            reported = values_of(hop, "content-security-policy-report-only")
            return ("report-only", "") if reported else ("missing", "")
        # Each policy forbids for itself: what one of them forbids is forbidden.
        problems = [set(_holes(policy)) for policy in policies]
        left = sorted(set.intersection(*problems))
        return ("weak", ", ".join(left)) if left else None

    return _of_pages(pages, wrong, good="good", expected="default-src or script-src, object-src 'none', base-uri")


def _holes(policy: Mapping[str, tuple[str, ...]]) -> Iterable[str]:
    """What a policy leaves open."""
    default = policy.get("default-src")
    if policy.get("object-src", default) != ("'none'",):
        yield "object-src is not 'none'"
    if "base-uri" not in policy:
        yield "no base-uri"
    scripts = policy.get("script-src", default)
    if scripts is None:
        yield "scripts from anywhere"
        return
    by_hand = any(source.startswith(("'nonce-", "'sha256-", "'sha384-", "'sha512-")) for source in scripts)
    if "'unsafe-inline'" in scripts and not by_hand:
        yield "'unsafe-inline' scripts"
    strict = "'strict-dynamic'" in scripts and by_hand
    if not strict and {"*", "http:", "https:", "data:"} & set(scripts):
        yield "scripts from anywhere"


class FrameParameters(Parameters):
    """Parameters of headers.frame-ancestors."""

    x_frame_options: bool = True
    """Whether X-Frame-Options alone is enough, as old browsers know it."""


@rule(
    "headers.frame-ancestors",
    opt_in=True,
    title="Pages restrict which sites may frame them",
    goal=Goal.INTEGRITY,
    severity=Severity.LOW,
    of=Pages,
    why="In a frame on another site, users can be tricked into clicking on what they do not see.",
    how=_HOW + " frame-ancestors of a Content-Security-Policy counts, and X-Frame-Options DENY or SAMEORIGIN.",
    sources=(asvs("v5.0.0-3.4.6"), Source("RFC 7034", "section 2.1", url="https://www.rfc-editor.org/rfc/rfc7034")),
    reasons={
        "restricted": passes("Every page restricts which sites may frame it: {observed}."),
        "missing": fails("Pages may be framed by any site: {observed}."),
        "void": fails("The framing restrictions of pages have no effect: {observed}."),
        "obsolete": fails(
            "Pages are protected only by X-Frame-Options, which frame-ancestors has replaced: {observed}."
        ),
    },
    fix=Fix(
        "Send frame-ancestors 'none' (or 'self') in the Content-Security-Policy.",
        _server("Content-Security-Policy", "frame-ancestors 'none'"),
    ),
    mistake=_SHOWN,
    parameters=FrameParameters,
)
def _frames(pages: Pages, facts: Facts, parameters: FrameParameters) -> list[Finding]:
    def wrong(hop: Hop) -> tuple[str, str] | None:
        ancestors = [
            policy["frame-ancestors"] for policy in directives_of(values_of(hop, _CSP)) if "frame-ancestors" in policy
        ]
        if ancestors:
            everybody = all({"*", "http:", "https:"} & set(sources) for sources in ancestors)
            return ("void", "frame-ancestors allows everybody") if everybody else None
        options = {part.upper() for part in _parts(hop, "x-frame-options")}
        if not options:
            return "missing", ""
        if not options <= {"DENY", "SAMEORIGIN"} or len(options) > 1:
            return "void", f"X-Frame-Options {listing(sorted(options))}"
        return None if parameters.x_frame_options else ("obsolete", "")

    return _of_pages(pages, wrong, good="restricted", expected="frame-ancestors in a Content-Security-Policy")


@rule(
    "headers.content-type-options",
    opt_in=True,
    title="Browsers do not guess content types",
    goal=Goal.INTEGRITY,
    severity=Severity.LOW,
    of=Pages,
    why="A browser that guesses content types may run an uploaded file that was served as a picture.",
    how=_HOW + " The first value of X-Content-Type-Options must be nosniff.",
    sources=(
        asvs("v5.0.0-3.4.4"),
        Source(
            "WHATWG Fetch", "X-Content-Type-Options", url="https://fetch.spec.whatwg.org/#x-content-type-options-header"
        ),
    ),
    reasons={
        "nosniff": passes("Every page is sent with X-Content-Type-Options: nosniff: {observed}."),
        "missing": fails("Pages are sent without X-Content-Type-Options: nosniff: {observed}."),
    },
    fix=Fix("Send X-Content-Type-Options: nosniff with every answer.", _server("X-Content-Type-Options", "nosniff")),
    mistake=_SHOWN,
)
def _content_type_options(pages: Pages, facts: Facts, parameters: Parameters) -> list[Finding]:
    def wrong(hop: Hop) -> tuple[str, str] | None:
        values = _parts(hop, "x-content-type-options")
        if values and values[0].lower() == "nosniff":
            return None
        return "missing", listing(values)

    return _of_pages(pages, wrong, good="nosniff", expected="X-Content-Type-Options: nosniff")


@rule(
    "headers.referrer-policy",
    opt_in=True,
    title="Page addresses are not sent to other sites",
    goal=Goal.ENCRYPTION,
    severity=Severity.LOW,
    of=Pages,
    why="The address of a page, with everything in it, is otherwise sent to sites that it links to or loads from.",
    how=_HOW + " Of Referrer-Policy the last value that browsers know counts.",
    sources=(asvs("v5.0.0-3.4.5"), Source("W3C Referrer Policy", url="https://www.w3.org/TR/referrer-policy/")),
    reasons={
        "quiet": passes("Every page keeps its address from other sites: {observed}."),
        "missing": fails("Pages have no Referrer-Policy: {observed}."),
        "leaks": fails("The Referrer-Policy of pages tells other sites their address: {observed}."),
    },
    fix=Fix(
        "Send Referrer-Policy: strict-origin-when-cross-origin, or a stricter one.",
        _server("Referrer-Policy", "strict-origin-when-cross-origin"),
    ),
    mistake=_SHOWN,
)
def _referrer(pages: Pages, facts: Facts, parameters: Parameters) -> list[Finding]:
    def wrong(hop: Hop) -> tuple[str, str] | None:
        values = [part.lower() for part in _parts(hop, "referrer-policy")]
        understood = [value for value in values if value in _QUIET]
        if not understood:
            return "missing", listing(values)
        leaking = understood[-1] in {"unsafe-url", "no-referrer-when-downgrade"}
        return ("leaks", understood[-1]) if leaking else None

    return _of_pages(pages, wrong, good="quiet", expected="Referrer-Policy: strict-origin-when-cross-origin")


@rule(
    "headers.permissions-policy",
    opt_in=True,
    title="Pages restrict the browser features that they use",
    goal=Goal.INTEGRITY,
    severity=Severity.INFO,
    of=Pages,
    why="A script injected into a page should not be able to use features that the page does not need: camera, "
    "location, payment.",
    how=_HOW + " A Permissions-Policy must be present.",
    sources=(
        _HEADERS_PROJECT,
        Source("W3C Permissions Policy", url="https://www.w3.org/TR/permissions-policy/"),
    ),
    reasons={
        "sent": passes("Every page is sent with a Permissions-Policy: {observed}."),
        "missing": fails("Pages are sent without a Permissions-Policy: {observed}."),
    },
    fix=Fix(
        "Send a Permissions-Policy that switches off what the pages do not use.",
        _server("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()"),
    ),
    mistake=_SHOWN,
)
def _permissions(pages: Pages, facts: Facts, parameters: Parameters) -> list[Finding]:
    def wrong(hop: Hop) -> tuple[str, str] | None:
        return None if any(value.strip() for value in values_of(hop, "permissions-policy")) else ("missing", "")

    return _of_pages(pages, wrong, good="sent", expected="Permissions-Policy")
