"""What an answer of plain HTTP, or a chain of redirects, means."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from scanner.evidence import (
    Attempt,
    ChainEnd,
    ClientIdentity,
    Failure,
    FailureReason,
    Hop,
    HttpEvidence,
    HttpProbe,
    Purpose,
)
from scanner.rules.registry import Facts, Finding, indeterminate, not_observed

if TYPE_CHECKING:
    from collections.abc import Callable

ERROR_PAGE = indeterminate("Only error pages were seen over HTTPS, which say nothing about other pages: {observed}.")
"""The reason of rules about pages where none was served: servers leave headers and cookies out of their error pages."""

_FIRST_REDIRECT, _FIRST_ERROR = 300, 400
_REFUSED = frozenset({FailureReason.REFUSED, FailureReason.RESET, FailureReason.TLS_ONLY})
_SILENT = frozenset({FailureReason.TIMED_OUT, FailureReason.UNREACHABLE})
_PERMANENT = frozenset({301, 308})
TRANSIENT = frozenset(
    {
        FailureReason.NOT_RUN,
        FailureReason.NOT_ASKED,
        FailureReason.DEADLINE,
        FailureReason.INTERRUPTED,
        FailureReason.UNAVAILABLE,
        FailureReason.ENGINE_ERROR,
        FailureReason.PROXY_UNREACHABLE,
    }
)
"""Failures that say nothing of the server: the question was not asked to its end."""
_NO_FURTHER = frozenset({FailureReason.REFUSED, FailureReason.CLIENT_CERTIFICATE_REQUIRED})
"""Failures at which a chain of redirects ends for every client, as far as anybody can tell."""


class Plain(StrEnum):
    """What plain HTTP did with a request."""

    REFUSED = "refused"
    SILENT = "silent"
    ERROR = "error"
    SERVED = "served"
    CLIENT_SIDE = "client-side"
    TO_HTTPS = "to-https"
    TO_OTHER_HOST = "to-other-host"
    TO_PLAIN = "to-plain"
    ELSEWHERE = "elsewhere"


def inside_tls(http: HttpEvidence, path: str = "/", purpose: Purpose | None = None) -> HttpProbe | None:
    """The probe over HTTPS: without a client certificate, or with the configured one where it takes that.

    None where the request without one was not made, or was not waited for: what it would have shown is not known.
    """
    without = http.find("https", path, purpose=purpose)
    if without is None or without.first.failure is None or without.first.failure.reason in TRANSIENT:
        return without
    return http.find("https", path, purpose=purpose, identity=ClientIdentity.CONFIGURED) or without


def plain_answer(facts: Facts, probe: HttpProbe) -> Plain | Finding:
    """What plain HTTP did at the start of the chain, or the finding that says why that is unknown.

    Silence is taken for a firewall's only where TLS answered at the same address in the same run.
    """
    hop = probe.first
    if hop.failure is not None:
        if hop.failure.reason in _REFUSED:
            return Plain.REFUSED
        if hop.failure.reason in _SILENT and facts.evidence.tls.value is not None:
            return Plain.SILENT
        return not_observed(hop.failure)
    if hop.status is None:
        return not_observed(Failure(FailureReason.MALFORMED))
    if hop.headers_cut and hop.location is None and _FIRST_REDIRECT <= hop.status < _FIRST_ERROR:
        return not_observed(hop.incomplete)  # where it leads was not received
    if hop.location and _FIRST_REDIRECT <= hop.status < _FIRST_ERROR:
        return _redirect(hop)
    if hop.status >= _FIRST_ERROR:
        return Plain.ERROR
    return Plain.CLIENT_SIDE if hop.meta_refresh or hop.script_redirect else Plain.SERVED


def _redirect(hop: Hop) -> Plain:
    scheme = scheme_of(hop.location or "")
    if scheme == "http":
        return Plain.TO_PLAIN
    if scheme != "https":
        return Plain.ELSEWHERE
    return Plain.TO_HTTPS if host_of(hop.location or "") == host_of(hop.url) else Plain.TO_OTHER_HOST


def describe(hop: Hop) -> str:
    """An answer in few words: `301 to https://…`, `200 text/html`, `refused`."""
    if hop.failure is not None:
        return hop.failure.reason.value
    if hop.location:
        return f"{hop.status} to {hop.location}"
    if refresh := hop.meta_refresh or hop.script_redirect:
        return f"{hop.status} with a page that leads to {refresh}"
    return f"{hop.status} {hop.content_type.partition(';')[0]}".strip()


def scheme_of(url: str) -> str:
    """The scheme of an address, in lower case; empty where it has none that can be read."""
    return url.partition(":")[0].strip().lower() if ":" in url else ""


def host_of(url: str) -> str:
    """The host of an address, in lower case; empty where it has none that can be read."""
    try:
        return (urlsplit(url).hostname or "").removesuffix(".")
    except ValueError:
        return ""


def is_permanent(hop: Hop) -> bool:
    """Whether browsers may remember the redirect."""
    return hop.status in _PERMANENT


def passes_plain(probe: HttpProbe) -> str | None:
    """A later address of the chain, or where it ended, that is plain HTTP; None where there is none."""
    later = [hop.url for hop in probe.hops[1:]] + [hop.location for hop in probe.hops[1:] if hop.location]
    return next((url for url in later if scheme_of(url) == "http"), None)


def broken_off(probe: HttpProbe) -> Finding | None:
    """Why it is not known where a chain of redirects leads in the end; None where it is."""
    failure = probe.last.failure
    for hop in probe.hops:
        if hop.headers_cut and not hop.location:
            return not_observed(hop.incomplete)
    if len(probe.hops) > 1 and failure is not None and failure.reason not in _NO_FURTHER:
        return not_observed(failure)
    return None


def unseen_answers(
    attempt: Attempt[HttpEvidence], concerns: Callable[[HttpProbe, Hop], bool] = lambda _probe, _hop: True
) -> Finding | None:
    """Why not every answer over HTTPS was seen that `concerns` a rule; None where all of them were.

    A page that one request did not get and another one did (with the configured client certificate, by another
    method) was seen. Requests with a certificate that nobody issued are meant to be refused.
    """
    if attempt.value is None or attempt.incomplete is not None:
        return not_observed(attempt.cut_off)
    probes = [probe for probe in attempt.value.probes if probe.identity is not ClientIdentity.WRONG]
    if not any(probe.scheme == "https" for probe in probes):
        return not_observed(None)
    answered = {probe.first.url for probe in probes if probe.first.failure is None}
    followed = {hop.url for probe in probes for hop in probe.hops if hop.failure is None}
    for probe in probes:
        for number, hop in enumerate(probe.hops):
            seen = not hop.headers_cut if hop.failure is None else hop.url in (followed if number else answered)
            if not seen and scheme_of(hop.url) == "https" and concerns(probe, hop):
                return not_observed(hop.failure or hop.incomplete)
    return None


def is_error_page(hop: Hop) -> bool:
    """Whether the server answered, and not with what was asked for."""
    return hop.status is not None and hop.status >= _FIRST_ERROR


def goes_in_circles(probe: HttpProbe) -> bool:
    """Whether the redirects lead nowhere."""
    return probe.end in {ChainEnd.LOOP, ChainEnd.TOO_MANY}
