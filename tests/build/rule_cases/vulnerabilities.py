"""Known attacks."""

from __future__ import annotations

from scanner.evidence import Attempt, FailureReason, Robot
from scanner.verdict import Severity
from tests.build.facts import CBC, GCM, NO, TIMED_OUT, YES, World, offer, offers, suite, tls, tls12_only, tls13_only
from tests.build.rule_cases.case import Case, of_tls

_SSL3_CBC = "TLS_RSA_WITH_AES_128_CBC_SHA"
_DHE = "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256"
_RSA = "TLS_RSA_WITH_AES_128_GCM_SHA256"
_STRONG, _WEAK = Attempt.ok(Robot.STRONG_ORACLE), Attempt.ok(Robot.WEAK_ORACLE)
_NOT_ASKED: Attempt[bool] = Attempt.failed(FailureReason.NOT_ASKED, "[scan] intrusive = false")
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
            of_tls(rule, "not-asked", **{name: _NOT_ASKED}),
            of_tls(rule, "tls1.3-alone", **tls13_only(**{name: TIMED_OUT})),
            of_tls(rule, "not-observed", **{name: TIMED_OUT}, protocols=offers(tls1_2=TIMED_OUT)),
        )
    ]


CASES = (
    *_probed(),
    of_tls("vuln.robot", "rsa-not-offered"),
    of_tls("vuln.robot", "rsa-not-offered", robot=TIMED_OUT),
    of_tls("vuln.robot", "not-vulnerable", robot=Attempt.ok(Robot.NOT_VULNERABLE), **tls12_only(_RSA)),
    of_tls("vuln.robot", "strong-oracle", robot=_STRONG, severity=Severity.CRITICAL, **tls12_only(_RSA)),
    of_tls("vuln.robot", "weak-oracle", robot=_WEAK, severity=Severity.HIGH, **tls12_only(_RSA)),
    of_tls("vuln.robot", "not-observed", robot=Attempt.failed(FailureReason.INCONSISTENT), **tls12_only(_RSA)),
    # No suite for the test, and one for the survey: neither is believed (cipher.forward-secrecy fails beside it).
    of_tls("vuln.robot", "not-observed", robot=Attempt.ok(Robot.RSA_NOT_OFFERED), **tls12_only(_RSA)),
    of_tls("vuln.robot", "not-asked", robot=Attempt.failed(FailureReason.NOT_ASKED), **tls12_only(_RSA)),
    of_tls("vuln.robot", "not-observed", robot=TIMED_OUT, protocols=offers(tls1_1=TIMED_OUT)),
    of_tls(
        "vuln.robot",
        "not-observed",
        robot=Attempt.ok(Robot.RSA_NOT_OFFERED),
        protocols=offers(ssl3=offer("TLS_QKD_WITH_AES_128_GCM_SHA256"), tls1_1=TIMED_OUT),
        says="unknown cipher suite TLS_QKD_WITH_AES_128_GCM_SHA256",
    ),
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
    Case("vuln.drown", "not-vulnerable", World(siblings=[World(), World(tls=Attempt.failed(FailureReason.NOT_TLS))])),
    Case("vuln.drown", "not-all-seen", World(siblings=[World(), World(tls=TIMED_OUT)]), observed="192.0.2.3"),
    Case("vuln.drown", "sibling", World(siblings=[World(tls=tls(protocols=_SSL2))]), observed="192.0.2.2"),
)
