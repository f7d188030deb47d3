"""Security headers, each page of a host."""

from __future__ import annotations

from scanner.evidence import Failure, FailureReason, HttpEvidence, HttpProbe, Purpose
from tests.build.facts import HOST, World, failing, hop, probe, to
from tests.build.rule_cases.case import Case

_STRICT = "default-src 'self'; object-src 'none'; base-uri 'none'; script-src 'nonce-x' 'strict-dynamic' https:"
_CUT = {"headers_cut": True, "incomplete": Failure(FailureReason.RESET)}


def _only(*probes: HttpProbe) -> HttpEvidence:
    """These answers and no others: a redirect from plain HTTP would lead to a page without headers."""
    return HttpEvidence(probes)


def _sent(rule: str, reason: str, *headers: tuple[str, str], **own: object) -> Case:
    return Case(f"headers.{rule}", reason, World(http=_only(probe(hop(headers=headers)))), **own)  # type: ignore[arg-type]


def _weak(scripts: str, hole: str) -> Case:
    """A policy that is good but for what it says of scripts."""
    policy = ("content-security-policy", f"object-src 'none'; base-uri 'none'; {scripts}")
    return _sent("csp", "weak" if hole else "good", policy, says=hole)


def _of_all(rule: str, name: str, good: str, reason: str) -> tuple[Case, ...]:
    """What holds of each of these rules."""
    there = ((name, good),)
    other = probe(hop(f"https://{HOST}/b"), path="/b", purpose=Purpose.PATH)
    return (
        _sent(rule, reason, *there),
        Case(
            f"headers.{rule}",
            "missing",
            World(http=_only(probe(hop(headers=there)), other)),
            observed=f"https://{HOST}/b",
        ),
        _sent(rule, "missing"),
        Case(
            f"headers.{rule}",
            "not-observed",
            World(http=_only(probe(failing(FailureReason.TIMED_OUT, f"https://{HOST}/")))),
        ),
        Case(f"headers.{rule}", "not-observed", World(http=_only(probe(hop(**_CUT))))),
        Case(f"headers.{rule}", "error-page", World(http=_only(probe(hop(status=500))))),
        Case(
            f"headers.{rule}", "no-page", World(http=_only(probe(to("https://other.example/", url=f"https://{HOST}/"))))
        ),
    )


CASES = (
    *_of_all("csp", "content-security-policy", _STRICT, "good"),
    _sent("csp", "report-only", ("content-security-policy-report-only", _STRICT)),
    _sent("csp", "weak", ("content-security-policy", "default-src 'self' 'unsafe-inline'; base-uri 'self'")),
    _weak("script-src 'self' 'unsafe-inline'", "'unsafe-inline' scripts"),
    _weak("script-src 'self' 'unsafe-inline' *", "'unsafe-inline' scripts, scripts from anywhere"),
    _weak("script-src 'strict-dynamic' https:", "scripts from anywhere"),
    _weak("script-src 'nonce-x' https:", "scripts from anywhere"),
    _weak("script-src 'nonce-x' 'unsafe-inline'", ""),
    _weak("script-src 'nonce-x' 'strict-dynamic' https: 'unsafe-inline'", ""),
    _weak("script-src 'self'", ""),
    _weak("script-src data:", "scripts from anywhere"),
    _sent("csp", "weak", ("content-security-policy", "upgrade-insecure-requests")),
    _sent("csp", "weak", ("content-security-policy", "script-src *; object-src 'none'; base-uri 'none'")),
    _sent(
        "csp", "good", ("content-security-policy", "upgrade-insecure-requests"), ("content-security-policy", _STRICT)
    ),
    _sent("csp", "good", ("content-security-policy", f"upgrade-insecure-requests, {_STRICT}")),
    *_of_all("frame-ancestors", "x-frame-options", "DENY", "restricted"),
    _sent("frame-ancestors", "restricted", ("content-security-policy", "frame-ancestors 'self'")),
    _sent("frame-ancestors", "void", ("content-security-policy", "frame-ancestors *"), ("x-frame-options", "DENY")),
    _sent("frame-ancestors", "void", ("x-frame-options", "ALLOW-FROM https://a.example")),
    _sent("frame-ancestors", "void", ("x-frame-options", "DENY"), ("x-frame-options", "SAMEORIGIN")),
    _sent("frame-ancestors", "obsolete", ("x-frame-options", "sameorigin"), parameters={"x_frame_options": False}),
    *_of_all("content-type-options", "x-content-type-options", "nosniff", "nosniff"),
    _sent("content-type-options", "missing", ("x-content-type-options", "sniff, nosniff")),
    *_of_all("referrer-policy", "referrer-policy", "no-referrer", "quiet"),
    _sent("referrer-policy", "quiet", ("referrer-policy", "unsafe-url, same-origin")),
    _sent("referrer-policy", "leaks", ("referrer-policy", "unsafe-url, of-tomorrow")),
    _sent("referrer-policy", "missing", ("referrer-policy", "of-tomorrow")),
    *_of_all("permissions-policy", "permissions-policy", "camera=()", "sent"),
)
