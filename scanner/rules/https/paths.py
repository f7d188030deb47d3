"""Is each configured path, integration and client certificate treated the way its owners say?"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from msgspec import structs

from scanner.evidence import ClientIdentity, FailureReason, HttpEvidence, HttpProbe, Purpose
from scanner.inventory import HttpsLevel, IntegrationKind
from scanner.requirements import ROOT, Requirement, requirements_of
from scanner.rules.https import fixes
from scanner.rules.https.active import judge_redirect
from scanner.rules.https.answers import (
    Plain,
    broken_off,
    describe,
    inside_tls,
    passes_plain,
    plain_answer,
)
from scanner.rules.registry import (
    Facts,
    Finding,
    Parameters,
    Proof,
    fails,
    http_of,
    indeterminate,
    not_applicable,
    not_observed,
    passes,
    rule,
)
from scanner.rules.registry.judged import NOT_HTTP
from scanner.rules.registry.listing import listing
from scanner.rules.registry.sources import ASVS_REDIRECT, OUTSYSTEMS_ELEMENTS, OUTSYSTEMS_ENFORCE, rfc
from scanner.verdict import Goal, Severity

if TYPE_CHECKING:
    from collections.abc import Callable

    from scanner.evidence import Failure, Hop

_NOT_FOUND = frozenset({404, 410})
_CERTIFICATE_STATUS = frozenset({495, 496})
_REFUSING_STATUS = frozenset({400, 401, 403, 495, 496, 497})
"""495 to 497 are nginx's, for a bad or missing client certificate."""
_REFUSING_FAILURES = frozenset(
    {FailureReason.CLIENT_CERTIFICATE_REQUIRED, FailureReason.HANDSHAKE_FAILED, FailureReason.RESET}
)


def _each(
    facts: Facts, chosen: Callable[[Requirement], bool], judge: Callable[[Requirement, HttpEvidence], list[Finding]]
) -> list[Finding]:
    """Findings for each chosen place, its path the subject; one in all where there is none."""
    http = http_of(facts)
    if isinstance(http, Finding) and http.reason == "not-http":
        return [http]
    demanded = (item for item in requirements_of(facts.environment, facts.target.endpoint) if chosen(item))
    # Applications that share a path share what is demanded there and what it answers.
    places = list({(item.path, item.integration): item for item in reversed([*demanded])}.values())[::-1]
    if not places:
        return [Finding("none-configured")]
    return [
        structs.replace(
            finding, subject=place.path, values={"path": place.path, "line": place.setting, **finding.values}
        )
        for place in places
        for finding in ([http] if isinstance(http, Finding) else judge(place, http))
    ]


@rule(
    "https.path",
    title="Each path is served as configured",
    goal=Goal.ENFORCEMENT,
    severity=Severity.HIGH,
    why="If only the front page redirects, every other page can still be read and changed on the path.",
    how="Each configured path is asked for in plain and over HTTPS, at each address. What is required there follows "
    "from the level of the path and the settings of its application and environment; outer settings take "
    "precedence.",
    sources=(OUTSYSTEMS_ELEMENTS, OUTSYSTEMS_ENFORCE),
    reasons={
        **NOT_HTTP,
        "as-configured": passes("{path} is served only over HTTPS; plain HTTP: {observed}. Decided by {line}."),
        "served-in-plain": fails("{path} is served over plain HTTP: {observed}. HTTPS is required by {line}."),
        "through-plain": fails("{path} is redirected through another plain address: {observed}."),
        "not-served": fails("{path} is not served over HTTPS: {observed}. HTTPS is required by {line}."),
        "not-found": indeterminate("{path} does not exist: {observed}. Check its spelling."),
        "not-required": not_applicable("{path} may be served over plain HTTP: {line}."),
        "none-configured": not_applicable("No path is configured for this endpoint."),
    },
    fix=fixes.REDIRECT,
    mistake=fixes.SERVED,
    proof=Proof.SINGULAR,
)
def _path(facts: Facts, parameters: Parameters) -> list[Finding]:
    def judge(place: Requirement, http: HttpEvidence) -> list[Finding]:
        return [_judge_path(facts, http, place)]

    return _each(facts, lambda item: item.path != ROOT and item.integration is None, judge)


def _judge_path(facts: Facts, http: HttpEvidence, place: Requirement) -> Finding:
    if place.level is HttpsLevel.NONE:
        return Finding("not-required")
    plain = http.find("http", place.path, purpose=Purpose.PATH) or http.find("http", place.path)
    if plain is not None:
        finding = judge_redirect(facts, plain)
        if finding.reason in {"served", "client-side"}:
            return Finding("served-in-plain", finding.observed, "only HTTPS")
        if finding.reason in {"through-plain", "loop", "elsewhere"}:
            return Finding("through-plain", finding.observed, "only HTTPS")
        if finding.reason == "not-observed":
            return finding
    elif facts.target.endpoint.http_port is not None:
        return not_observed(facts.evidence.http.cut_off)
    inside = inside_tls(http, place.path, Purpose.PATH) or inside_tls(http, place.path)
    if inside is None:
        return not_observed(facts.evidence.http.cut_off)
    return _inside(inside, place, "no plain port" if plain is None else describe(plain.first))


def _inside(inside: HttpProbe, place: Requirement, observed_in_plain: str) -> Finding:
    """Judge what HTTPS says of a path that plain HTTP does not serve."""
    hop = inside.first
    if hop.failure is not None:
        if place.level is HttpsLevel.TLS_CLIENT_CERTIFICATE and hop.failure.reason in _REFUSING_FAILURES:
            return Finding("as-configured", observed_in_plain, "only HTTPS")  # https.client-certificate judges it
        return not_observed(hop.failure)
    if hop.status in _NOT_FOUND:
        return Finding("not-found", describe(hop), "an answer over HTTPS")
    if hop.status is not None and hop.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Finding("not-served", describe(hop), "an answer over HTTPS")
    return Finding("as-configured", observed_in_plain, "only HTTPS")


@rule(
    "https.integration",
    title="Integrations refuse plain HTTP",
    goal=Goal.ENFORCEMENT,
    severity=Severity.HIGH,
    why="A program that calls over plain HTTP sends its secret with the first request: if it is served, this can "
    "continue for years; if it is redirected, the secret is already exposed.",
    how="Each configured integration is called in plain and over HTTPS (SOAP: POST of an empty envelope; REST: OPTIONS "
    "and GET, or the methods that are configured). An error or no answer is a refusal, unless HTTPS gives the same "
    "error: then plain HTTP was not refused.",
    sources=(OUTSYSTEMS_ENFORCE, ASVS_REDIRECT),
    reasons={
        **NOT_HTTP,
        "refused": passes("{path} refuses plain HTTP: {observed}. Decided by {line}."),
        "served-in-plain": fails("{path} is served over plain HTTP: {observed}. HTTPS is required by {line}."),
        "redirected": fails(
            "{path} redirects plain HTTP, so the request has already been sent in clear text: {observed}."
        ),
        "same-error": indeterminate(
            "{path} answers plain HTTP and HTTPS with the same error ({observed}), which is not a refusal of plain "
            "HTTP."
        ),
        "not-required": not_applicable("{path} may be served over plain HTTP: {line}."),
        "none-configured": not_applicable("No integration is configured for this endpoint."),
        "no-plain-port": not_applicable("No plain HTTP port is configured for this endpoint."),
    },
    fix=fixes.REFUSE,
    mistake=fixes.SERVED_TO_PROGRAMS,
)
def _integration(facts: Facts, parameters: Parameters) -> list[Finding]:
    def judge(place: Requirement, http: HttpEvidence) -> list[Finding]:
        if place.level is HttpsLevel.NONE:
            return [Finding("not-required")]
        if facts.target.endpoint.http_port is None:
            return [Finding("no-plain-port")]
        calls = [
            item
            for item in http.probes
            if (item.scheme, item.path, item.purpose) == ("http", place.path, Purpose.INTEGRATION)
        ]
        cut_off = facts.evidence.http.cut_off
        findings = [_judge_call(facts, http, place, call) for call in calls]
        return [*findings, not_observed(cut_off)] if cut_off or not calls else findings

    return _each(facts, lambda item: item.integration is not None, judge)


def _judge_call(facts: Facts, http: HttpEvidence, place: Requirement, call: HttpProbe) -> Finding:
    """Judge one call of an integration in plain."""
    answer = plain_answer(facts, call)
    if isinstance(answer, Finding):
        return answer
    observed = f"{call.first.method}: {describe(call.first)}"
    expected = "an error or no answer"
    if answer in {Plain.SERVED, Plain.CLIENT_SIDE} or _is_fault(place, call):
        return Finding("served-in-plain", observed, expected)
    if answer in {Plain.TO_HTTPS, Plain.TO_OTHER_HOST, Plain.TO_PLAIN, Plain.ELSEWHERE}:
        return Finding("redirected", observed, expected, severity=Severity.MEDIUM)
    if answer is Plain.ERROR:
        inside = _over_https(http, call)
        if cut := [probe.first.incomplete for probe in (call, *inside) if probe.first.headers_cut]:
            return not_observed(cut[0])
        if not inside:
            return not_observed(facts.evidence.http.cut_off)
        if any(_same_answer(probe, call) for probe in inside):
            return Finding("same-error", observed, expected)
        unseen = [probe.first.failure for probe in inside if probe.first.failure]
        if len(unseen) == len(inside) and unseen[0].reason not in _REFUSING_FAILURES:
            return not_observed(unseen[0])
    return Finding("refused", observed, expected)


def _is_fault(place: Requirement, call: HttpProbe) -> bool:
    """Whether a SOAP service itself answered: its faults come with status 500 (SOAP 1.1 section 6.2)."""
    fault = call.first.status == HTTPStatus.INTERNAL_SERVER_ERROR and "xml" in call.first.content_type.lower()
    return place.integration is IntegrationKind.SOAP and fault


def _over_https(http: HttpEvidence, call: HttpProbe) -> list[HttpProbe]:
    """The same call over HTTPS."""
    wanted = ("https", call.path, call.purpose, call.first.method)
    return [probe for probe in http.probes if (probe.scheme, probe.path, probe.purpose, probe.first.method) == wanted]


def _same_answer(probe: HttpProbe, call: HttpProbe) -> bool:
    """Whether two calls got the same status with the same kind of content."""
    answers = [(item.first.status, item.first.content_type.lower()) for item in (probe, call)]
    return answers[0] == answers[1]


@rule(
    "https.always",
    title="Mobile, PWA and reactive back ends never use plain HTTP",
    goal=Goal.ENFORCEMENT,
    severity=Severity.CRITICAL,
    why="These applications always use HTTPS. A back end that also serves them over plain HTTP exposes them to "
    "anyone on the path.",
    how="Every plain HTTP answer at the application's endpoint is checked: it may be a redirect to HTTPS, an error or "
    "no answer.",
    sources=(OUTSYSTEMS_ENFORCE,),
    reasons={
        **NOT_HTTP,
        "never-plain": passes("Plain HTTP serves nothing of {observed}."),
        "served-in-plain": fails("Plain HTTP serves content: {observed}."),
        "through-plain": fails("Plain HTTP redirects to another plain address: {observed}."),
        "no-such-application": not_applicable("No mobile, PWA or reactive application is at this endpoint."),
        "no-plain-port": not_applicable("No plain HTTP port is configured for this endpoint."),
    },
    fix=fixes.REDIRECT,
    mistake=fixes.SERVED,
)
def _always(facts: Facts, parameters: Parameters) -> list[Finding]:
    endpoint = facts.target.endpoint
    http = http_of(facts)
    if isinstance(http, Finding) and http.reason == "not-http":
        return [http]
    names = {item.name for item in endpoint.applications if item.kind.always_https}
    if not names:
        return [Finding("no-such-application")]
    if endpoint.http_port is None:
        return [Finding("no-plain-port")]
    if isinstance(http, Finding):
        return [http]
    probes = [item for item in http.probes if item.scheme == "http" and item.application in {None, *names}]
    expected = "a redirect to HTTPS, an error or no answer"
    answers = [(probe, plain_answer(facts, probe)) for probe in probes]
    known = [(probe, answer) for probe, answer in answers if isinstance(answer, Plain)]
    served = [probe for probe, answer in known if answer in {Plain.SERVED, Plain.CLIENT_SIDE}]
    if served:
        return [
            Finding("served-in-plain", listing(f"{item.path}: {describe(item.first)}" for item in served), expected)
        ]
    through = [probe for probe, answer in known if answer in {Plain.TO_PLAIN, Plain.ELSEWHERE} or passes_plain(probe)]
    if through:
        return [Finding("through-plain", listing(f"{item.path}: {describe(item.first)}" for item in through), expected)]
    unknown = next((answer for _, answer in answers if isinstance(answer, Finding)), None)
    unknown = unknown or next((gap for probe, _ in answers if (gap := broken_off(probe))), None)
    cut_off = facts.evidence.http.cut_off
    if unknown or cut_off or not answers:
        return [unknown or not_observed(cut_off)]
    return [Finding("never-plain", listing(sorted(names)), expected)]


@rule(
    "https.client-certificate",
    title="Client certificates are required where they must be",
    goal=Goal.ENFORCEMENT,
    severity=Severity.HIGH,
    why="Where only known machines may call, a server that requests a certificate but accepts none, or any, lets "
    "everybody in; where clients have none, a server that requires one keeps everybody out.",
    how="Each place is asked for over HTTPS without a client certificate, with the configured one, and with a "
    "self-signed one.",
    sources=(OUTSYSTEMS_ELEMENTS, rfc(8446, "4.3.2")),
    reasons={
        **NOT_HTTP,
        "enforced": passes("{path} is refused without a client certificate, and served with the configured one."),
        "open": passes("{path} works without a client certificate."),
        "works-without": fails("{path} is served without a client certificate: {observed}. One is required by {line}."),
        "accepts-any": fails("{path} is served with an untrusted client certificate: {observed}."),
        "refuses-configured": fails("{path} is refused with the configured client certificate: {observed}."),
        "demanded": fails(
            "{path} cannot be reached without a client certificate, which the configuration does not "
            "require: {observed}."
        ),
        "unclear": indeterminate(
            "{path} is refused, and whether a missing client certificate is the reason is unknown: {observed}."
        ),
        "no-certificate": indeterminate(
            "{path} is refused without a client certificate, and none is configured to try."
        ),
        "not-required": not_applicable("{path} need not be served over HTTPS: {line}."),
        "none-configured": not_applicable("No application is configured for this endpoint."),
    },
    fix=fixes.CLIENT_CERTIFICATE,
    mistake=fixes.ANYBODY,
    proof=Proof.SINGULAR,
)
def _client_certificate(facts: Facts, parameters: Parameters) -> list[Finding]:
    def judge(place: Requirement, http: HttpEvidence) -> list[Finding]:
        return [_judge_identity(http, place, facts.evidence.http.cut_off)]

    return _each(facts, lambda item: item.application is not None, judge)


def _judge_identity(http: HttpEvidence, place: Requirement, cut_off: Failure | None) -> Finding:
    if place.level is HttpsLevel.NONE:
        return Finding("not-required")
    without = _with_identity(http, place, ClientIdentity.NONE)
    if without is None:
        return not_observed(cut_off)
    refused = _refused(without)
    if isinstance(refused, Finding):
        return refused
    observed = describe(without.first)
    if place.level is HttpsLevel.TLS:
        return _judge_open(without.first, refused=refused)
    if not refused:
        return Finding("works-without", observed, "refused without a client certificate")
    return _with_certificates(http, place, cut_off)


def _judge_open(hop: Hop, *, refused: bool) -> Finding:
    """Judge an answer to a client without a certificate, where nothing demands one."""
    expected, observed = "works without a client certificate", describe(hop)
    if hop.failure is not None:
        if hop.failure.reason is FailureReason.CLIENT_CERTIFICATE_REQUIRED:
            return Finding("demanded", observed, expected)
        return not_observed(hop.failure)
    if not refused:
        return Finding("open", observed, expected)
    if hop.status in _CERTIFICATE_STATUS or (hop.certificate_requested and hop.status == HTTPStatus.BAD_REQUEST):
        return Finding("demanded", observed, expected)
    return Finding("unclear", observed, expected)


def _with_identity(http: HttpEvidence, place: Requirement, identity: ClientIdentity) -> HttpProbe | None:
    purpose = Purpose.INTEGRATION if place.integration else None
    return http.find("https", place.path, purpose=purpose, identity=identity)


def _refused(probe: HttpProbe) -> bool | Finding:
    """Whether the server refused the client, or the finding that says why that is unknown."""
    hop = probe.first
    if hop.failure is None:
        return hop.status in _REFUSING_STATUS
    return True if hop.failure.reason in _REFUSING_FAILURES else not_observed(hop.failure)


def _with_certificates(http: HttpEvidence, place: Requirement, cut_off: Failure | None) -> Finding:
    """Judge a place that is refused without a certificate by what it does with one."""
    expected = "served only with the configured client certificate"
    wrong = _with_identity(http, place, ClientIdentity.WRONG)
    others_refused = _refused(wrong) if wrong is not None else not_observed(cut_off)
    if wrong is not None and others_refused is False:
        return Finding("accepts-any", describe(wrong.first), expected)
    configured = _with_identity(http, place, ClientIdentity.CONFIGURED)
    if configured is None:
        return not_observed(cut_off) if cut_off else Finding("no-certificate", expected=expected)
    refused = _refused(configured)
    if isinstance(refused, Finding):
        return refused
    if refused:
        return Finding("refuses-configured", describe(configured.first), expected)
    return (
        others_refused
        if isinstance(others_refused, Finding)
        else Finding("enforced", describe(configured.first), expected)
    )
