"""Is HTTPS on, and is plain HTTP closed or led to it?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from scanner.evidence import ChainEnd, FailureReason, HttpProbe, Purpose
from scanner.inventory import HttpsLevel
from scanner.requirements import ROOT, root_of
from scanner.rules.https import fixes
from scanner.rules.https.answers import (
    Plain,
    broken_off,
    describe,
    goes_in_circles,
    host_of,
    is_permanent,
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
    judged,
    not_applicable,
    not_observed,
    passes,
    rule,
)
from scanner.rules.registry.judged import NOT_HTTP, EvidenceJudge
from scanner.rules.registry.sources import M_15_13, OUTSYSTEMS_ENFORCE, PRELOAD, rfc
from scanner.verdict import Goal, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scanner.rules.registry import Reason

_PLAIN_HOW = (
    "A GET request for / is sent in plain to the endpoint's HTTP port, at each address; redirects are followed by hand."
)


@rule(
    "https.active",
    title="The endpoint speaks TLS",
    goal=Goal.ENFORCEMENT,
    severity=Severity.CRITICAL,
    why="Without TLS, everything that is sent, including passwords, can be read and changed by anyone on the path.",
    how="A TLS handshake is begun at the endpoint's port, after STARTTLS where that is configured.",
    sources=(M_15_13, rfc(9325, "3.2"), OUTSYSTEMS_ENFORCE),
    reasons={
        "tls": passes("The endpoint speaks TLS: {observed}."),
        "client-certificate": passes("The endpoint speaks TLS, and refuses clients without a certificate."),
        "plain": fails("The endpoint does not speak TLS."),
        "starttls-refused": fails("The endpoint refuses to upgrade to TLS: {observed}."),
        "no-version": indeterminate("The endpoint answers to TLS, but no handshake succeeded."),
    },
    fix=fixes.ACTIVE,
    mistake=fixes.NO_TLS,
    proof=Proof.EXISTENTIAL,
)
def _active(facts: Facts, parameters: Parameters) -> list[Finding]:
    tls = facts.evidence.tls
    expected = "TLS"
    if tls.value is not None:
        if tls.value.negotiated:
            return [Finding("tls", ", ".join(tls.value.negotiated), expected)]
        return [Finding("no-version", expected=expected)]
    reason = tls.failure.reason if tls.failure else FailureReason.NOT_RUN
    detail = tls.failure.detail if tls.failure else ""
    if reason is FailureReason.NOT_TLS:
        return [Finding("plain", detail or "no TLS", expected)]
    if reason is FailureReason.STARTTLS_REFUSED:
        return [Finding("starttls-refused", detail or "refused", expected)]
    if reason is FailureReason.CLIENT_CERTIFICATE_REQUIRED:
        return [Finding("client-certificate", "TLS with a client certificate", expected)]
    return [not_observed(tls.failure)]


_REDIRECT_REASONS: Mapping[str, Reason] = {
    "redirects": passes("Plain HTTP redirects to HTTPS on the same host."),
    "plain-refused": passes("Nothing answers plain HTTP."),
    "plain-silent": passes("Plain HTTP gets no answer, while TLS does at the same address."),
    "served": fails("Plain HTTP serves the page: {observed}."),
    "client-side": fails("Plain HTTP answers with a page that forwards the browser, not a redirect: {observed}."),
    "error-answer": fails("Plain HTTP answers with an error instead of a redirect: {observed}."),
    "through-plain": fails("The redirect goes through another plain address: {observed}."),
    "other-host": fails("The first redirect leaves the host, so that browsers never learn its HSTS: {observed}."),
    "elsewhere": fails("Plain HTTP redirects to something that is not HTTPS: {observed}."),
    "loop": fails("The redirects form a loop: {observed}."),
    "not-required": not_applicable("HTTPS is not required here: {line}."),
}


class PlainRoot(Struct, frozen=True):
    """What a request for / in plain came to."""

    probe: HttpProbe


@judged(PlainRoot, NOT_HTTP | {"no-plain-port": not_applicable("No plain HTTP port is configured for this endpoint.")})
def _plain_root(facts: Facts, parameters: Parameters, judge: EvidenceJudge[PlainRoot]) -> Iterable[Finding]:
    http = http_of(facts)
    if isinstance(http, Finding):
        return [http]
    if facts.target.endpoint.http_port is None:
        return [Finding("no-plain-port")]
    probe = http.find("http", purpose=Purpose.ROOT) or http.find("http")
    return [not_observed(facts.evidence.http.cut_off)] if probe is None else judge(PlainRoot(probe))


@rule(
    "https.redirect",
    title="Plain HTTP redirects directly to HTTPS, or is refused",
    goal=Goal.ENFORCEMENT,
    severity=Severity.HIGH,
    of=PlainRoot,
    why="People type names without https. An attacker on the path can answer that first plain request, unless the "
    "browser has learnt never to send it.",
    how=_PLAIN_HOW + " The first answer must be a 3xx redirect to https on the same host, and no later hop may be "
    "plain HTTP. A refused connection is as good; no answer counts as a refusal if TLS answers at the same "
    "address.",
    sources=(M_15_13, PRELOAD, rfc(6797, "7.2")),
    reasons=_REDIRECT_REASONS,
    fix=fixes.REDIRECT,
    mistake=fixes.SERVED,
    proof=Proof.SINGULAR,
)
def _redirect(plain: PlainRoot, facts: Facts, parameters: Parameters) -> list[Finding]:
    probe = plain.probe
    requirement = root_of(facts.environment, facts.target.endpoint)
    if requirement is not None and requirement.level is HttpsLevel.NONE:
        return [Finding("not-required", describe(probe.first), values={"line": requirement.setting})]
    return [judge_redirect(facts, probe)]


def judge_redirect(facts: Facts, probe: HttpProbe) -> Finding:
    """Judge a plain request for a page and where it led."""
    answer = plain_answer(facts, probe)
    if isinstance(answer, Finding):
        return answer
    expected = f"301 to https://{host_of(probe.first.url)}{probe.path}, or no answer"
    observed = describe(probe.first)
    simple: dict[Plain, tuple[str, Severity | None]] = {
        Plain.REFUSED: ("plain-refused", None),
        Plain.SILENT: ("plain-silent", None),
        Plain.SERVED: ("served", None),
        Plain.CLIENT_SIDE: ("client-side", None),
        Plain.ERROR: ("error-answer", Severity.LOW),
        Plain.TO_OTHER_HOST: ("other-host", Severity.MEDIUM),
        Plain.ELSEWHERE: ("elsewhere", None),
    }
    if answer in simple:
        reason, severity = simple[answer]
        return Finding(reason, observed, expected, severity=severity)
    if goes_in_circles(probe) and answer is Plain.TO_PLAIN:
        return Finding("loop", observed, expected)
    if answer is Plain.TO_PLAIN:
        return Finding("through-plain", observed, expected)
    if plain := passes_plain(probe):
        return Finding("through-plain", plain, expected)
    if probe.end is ChainEnd.TOO_MANY:
        return Finding("loop", observed, expected, severity=Severity.MEDIUM)
    if gap := broken_off(probe):
        return gap
    return Finding("redirects", observed, expected)


@rule(
    "https.redirect-permanent",
    title="The redirect to HTTPS is permanent",
    goal=Goal.ENFORCEMENT,
    severity=Severity.LOW,
    of=PlainRoot,
    why="Browsers and search engines remember a permanent redirect, and do not use plain HTTP again.",
    how=_PLAIN_HOW,
    sources=(rfc(6797, "7.2"), rfc(9110, "15.4.2"), rfc(9110, "15.4.9")),
    reasons={
        "permanent": passes("The redirect is permanent: {observed}."),
        "temporary": fails("The redirect is not permanent: {observed}."),
        "no-redirect": not_applicable("Plain HTTP does not redirect to HTTPS; https.redirect reports that."),
    },
    fix=fixes.REDIRECT,
    mistake=fixes.MOVED_FOR_NOW,
    proof=Proof.SINGULAR,
)
def _permanent(plain: PlainRoot, facts: Facts, parameters: Parameters) -> list[Finding]:
    probe = plain.probe
    answer = plain_answer(facts, probe)
    if isinstance(answer, Finding):
        return [answer]
    observed = describe(probe.first)
    if answer not in {Plain.TO_HTTPS, Plain.TO_OTHER_HOST}:
        return [Finding("no-redirect", observed)]
    return [Finding("permanent" if is_permanent(probe.first) else "temporary", observed, "301 or 308")]


@rule(
    "https.console",
    title="Consoles answer only over HTTPS",
    goal=Goal.ENFORCEMENT,
    severity=Severity.HIGH,
    why="An attacker who reads an administrator's password controls everything.",
    how="At endpoints with the role development or monitoring, TLS is tried at the port and "
    + _PLAIN_HOW[0].lower()
    + _PLAIN_HOW[1:]
    + " Where the endpoint has paths, each of them is asked for instead of / and judged by itself.",
    sources=(OUTSYSTEMS_ENFORCE, M_15_13),
    reasons={
        "https-alone": passes("The console answers over HTTPS; plain HTTP: {observed}."),
        "no-plain-port": passes("The console answers over HTTPS, and has no plain HTTP port configured."),
        "no-tls": fails("The console does not speak TLS."),
        "served-in-plain": fails("The console is served over plain HTTP: {observed}."),
        "through-plain": fails("The console redirects through another plain address: {observed}."),
        "no-console": not_applicable("The endpoint is not a development or monitoring console."),
    },
    fix=fixes.REDIRECT,
    mistake=fixes.SERVED,
    proof=Proof.SINGULAR,
)
def _console(facts: Facts, parameters: Parameters) -> list[Finding]:
    places = dict.fromkeys(path for _, path in facts.target.endpoint.console_places)
    if not places:
        return [Finding("no-console")]
    tls = facts.evidence.tls
    expected = "only HTTPS"
    if tls.failure is not None and tls.failure.reason is FailureReason.NOT_TLS:
        return [Finding("no-tls", "no TLS", expected)]
    if facts.target.endpoint.http_port is None:
        return [not_observed(tls.failure) if tls.value is None else Finding("no-plain-port")]
    if list(places) == [ROOT]:
        return list(_plain_root(facts, parameters, lambda plain: _judge_console(plain.probe, facts)))
    http = http_of(facts)
    if isinstance(http, Finding):
        return [http]
    return [
        structs.replace(finding, subject=path)
        for path in places
        for finding in _judge_console_at(http.find("http", path), facts)
    ]


def _judge_console_at(probe: HttpProbe | None, facts: Facts) -> list[Finding]:
    return [not_observed(facts.evidence.http.cut_off)] if probe is None else _judge_console(probe, facts)


def _judge_console(probe: HttpProbe, facts: Facts) -> list[Finding]:
    tls, expected = facts.evidence.tls, "only HTTPS"
    answer = plain_answer(facts, probe)
    if isinstance(answer, Finding):
        return [answer]
    observed = describe(probe.first)
    if answer in {Plain.SERVED, Plain.CLIENT_SIDE}:
        return [Finding("served-in-plain", observed, expected)]
    if answer in {Plain.TO_PLAIN, Plain.ELSEWHERE} or passes_plain(probe):
        return [Finding("through-plain", observed, expected)]
    if tls.value is None:
        return [not_observed(tls.failure)]
    if gap := broken_off(probe):
        return [gap]
    return [Finding("https-alone", observed, expected)]
