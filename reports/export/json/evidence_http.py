"""What was asked and answered over HTTP and HTTPS, inside `nightseal.report/1`."""

from __future__ import annotations

from reports.export.json.evidence_model import CookieOut, FailureOut, HopOut, Http, ReferenceOut, Request
from reports.export.json.plain import echo_of
from scanner.evidence import Failure, Hop, HttpEvidence, HttpProbe


def failure_of(failure: Failure | None) -> FailureOut | None:
    """Bring a failure into the outer form."""
    return FailureOut(reason=failure.reason.value, detail=failure.detail) if failure else None


def http_document(http: HttpEvidence) -> Http:
    """Bring what was answered over HTTP and HTTPS into the outer form."""
    echoes = http.echoes.value
    return Http(
        requests=[_request(probe) for probe in http.probes],
        echoes=None if echoes is None else [echo_of(echo) for echo in echoes],
    )


def _request(probe: HttpProbe) -> Request:
    return Request(
        scheme=probe.scheme,
        path=probe.path,
        purpose=probe.purpose.value,
        application=probe.application,
        identity=probe.identity.value,
        hops=[_hop(hop) for hop in probe.hops],
        end=probe.end.value,
    )


def _hop(hop: Hop) -> HopOut:
    return HopOut(
        method=hop.method,
        url=hop.url,
        status=hop.status,
        http_version=hop.http_version,
        location=hop.location,
        meta_refresh=hop.meta_refresh,
        script_redirect=hop.script_redirect,
        hsts=list(hop.hsts),
        cookies=[
            CookieOut(
                name=cookie.name,
                secure=cookie.secure,
                http_only=cookie.http_only,
                same_site=cookie.same_site,
                deleted=cookie.deleted,
                domain=cookie.domain,
                path=cookie.path,
            )
            for cookie in hop.cookies
        ],
        insecure_references=[reference.url for reference in hop.insecure_references],
        failure=failure_of(hop.failure),
        incomplete=failure_of(hop.incomplete),
        headers_cut=hop.headers_cut,
        irregularities=list(hop.irregularities),
        certificate_requested=hop.certificate_requested,
        headers=list(hop.headers),
        server=hop.server,
        content_type=hop.content_type,
        body_bytes=hop.body_bytes,
        body_truncated=hop.body_truncated,
        upgrade_insecure_requests=hop.upgrade_insecure_requests,
        references=[ReferenceOut(kind=item.kind.value, tag=item.tag, url=item.url) for item in hop.insecure_references],
    )
