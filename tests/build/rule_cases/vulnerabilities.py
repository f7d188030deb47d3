"""Known attacks."""

from __future__ import annotations

from scanner.evidence import Attempt, FailureReason, Robot
from scanner.verdict import Severity
from tests.build.facts import CBC, GCM, NO, TIMED_OUT, YES, World, offer, offers, suite, tls, tls12_only, tls13_only
from tests.build.rule_cases.case import Case, of_tls

_SSL3_CBC = "TLS_RSA_WITH_AES_128_CBC_SHA"
_DHE = "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256"
_NOTHING = {"protocols": offers(tls1_2=offer(), tls1_3=offer())}
_SSL2 = offers(ssl2=offer("SSL_CK_RC4_128_WITH_MD5"))


def _probed() -> list[Case]:
    return [
        case
        for rule, name in (
            ("vuln.heartbleed", "heartbleed"),
            ("vuln.ccs-injection", "ccs_injection"),
            ("vuln.renegotiation-dos", "client_renegotiation"),
            ("vuln.crime", "compression"),
        )
        for case in (
            of_tls(rule, "not-vulnerable", **{name: NO}),
            of_tls(rule, "vulnerable", **{name: YES}),
            of_tls(rule, "not-observed", **{name: TIMED_OUT}),
            of_tls(rule, "tls1.3-alone", **tls13_only(**{name: TIMED_OUT})),
            of_tls(rule, "not-observed", **{name: TIMED_OUT}, protocols=offers(tls1_2=TIMED_OUT)),
        )
    ]


VULNERABILITIES = (
    *_probed(),
    of_tls("vuln.robot", "rsa-not-offered"),
    of_tls("vuln.robot", "rsa-not-offered", robot=TIMED_OUT),
    of_tls("vuln.robot", "not-vulnerable", robot=Attempt.ok(Robot.NOT_VULNERABLE)),
    of_tls("vuln.robot", "strong-oracle", robot=Attempt.ok(Robot.STRONG_ORACLE), severity=Severity.CRITICAL),
    of_tls("vuln.robot", "weak-oracle", robot=Attempt.ok(Robot.WEAK_ORACLE), severity=Severity.HIGH),
    of_tls(
        "vuln.robot",
        "not-observed",
        robot=Attempt.failed(FailureReason.INCONSISTENT),
        **tls12_only("TLS_RSA_WITH_AES_128_GCM_SHA256"),
    ),
    of_tls("vuln.robot", "not-observed", robot=TIMED_OUT, protocols=offers(tls1_1=TIMED_OUT)),
    of_tls("vuln.poodle", "not-vulnerable"),
    of_tls("vuln.poodle", "not-vulnerable", protocols=offers(ssl3=offer("TLS_RSA_WITH_RC4_128_SHA"))),
    of_tls("vuln.poodle", "vulnerable", protocols=offers(ssl3=offer(_SSL3_CBC))),
    of_tls("vuln.poodle", "not-observed", protocols=offers(ssl3=TIMED_OUT)),
    of_tls("vuln.poodle", "not-observed", **_NOTHING),
    of_tls("vuln.beast", "not-vulnerable"),
    of_tls("vuln.beast", "vulnerable", protocols=offers(tls1_0=offer(CBC))),
    of_tls("vuln.beast", "not-observed", protocols=offers(tls1_0=TIMED_OUT)),
    of_tls("vuln.sweet32", "not-vulnerable"),
    of_tls("vuln.sweet32", "vulnerable", protocols=offers(tls1_2=offer(GCM, "TLS_RSA_WITH_IDEA_CBC_SHA"))),
    of_tls("vuln.sweet32", "not-observed", protocols=offers(tls1_0=TIMED_OUT)),
    of_tls("vuln.freak", "not-vulnerable"),
    of_tls("vuln.freak", "not-vulnerable", **tls12_only("TLS_DHE_RSA_EXPORT_WITH_DES40_CBC_SHA")),
    of_tls("vuln.freak", "vulnerable", **tls12_only("TLS_RSA_EXPORT_WITH_RC4_40_MD5")),
    of_tls("vuln.freak", "not-observed", protocols=offers(tls1_0=TIMED_OUT)),
    of_tls("vuln.logjam", "not-vulnerable"),
    of_tls("vuln.logjam", "not-vulnerable", **tls12_only(suite(_DHE, "ffdhe2048", 2048))),
    of_tls("vuln.logjam", "vulnerable", **tls12_only("TLS_DHE_RSA_EXPORT_WITH_DES40_CBC_SHA")),
    of_tls("vuln.logjam", "vulnerable", **tls12_only(suite(_DHE, None, 1024, "custom"))),
    of_tls("vuln.logjam", "common-prime", **tls12_only(suite(_DHE, None, 1024, "oakley-2"))),
    of_tls("vuln.logjam", "not-observed", **tls12_only(suite(_DHE))),
    of_tls("vuln.logjam", "not-observed", protocols=offers(tls1_0=TIMED_OUT)),
    of_tls("vuln.logjam", "not-observed", **_NOTHING),
    of_tls("vuln.drown", "not-vulnerable"),
    of_tls("vuln.drown", "vulnerable", protocols=_SSL2),
    of_tls("vuln.drown", "not-observed", protocols=offers(ssl2=TIMED_OUT)),
    of_tls("vuln.drown", "not-observed", **_NOTHING),
    Case("vuln.drown", "sibling", World(siblings=[World(tls=tls(protocols=_SSL2))]), observed="192.0.2.2"),
)
