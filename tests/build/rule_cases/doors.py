"""Other ways to a host than its port."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from scanner.evidence import Attempt, Failure, FailureReason, FrontDoors, Http3, HttpsRecord, Preloading
from scanner.inventory import Role
from tests.build.facts import HOST, NOW, TIMED_OUT, World, deployment, failing, hop, http, probe, tls
from tests.build.rule_cases.case import Case

_LEAF = deployment().leaf.fingerprint
_SAME = Http3(("alt-svc",), 443, 200, _LEAF, hop().hsts)
_OTHER = Http3(("alt-svc", "https-record"), 443, 200, "00" * 32, hop().hsts)
_RECORD = HttpsRecord(1, ".", ("h3", "h2"), ech=True)
_PLAIN = HttpsRecord(1, ".", ("h2",))
_CUT = Attempt((_PLAIN,), None, Failure(FailureReason.DEADLINE))
_NO_DNS: Any = Attempt.failed(FailureReason.UNSUPPORTED, "not public")
_QUIET: Any = Attempt.failed(FailureReason.TIMED_OUT, "alt-svc advertises it")
_TODAY = Preloading(listed=False, date=NOW)


def _doors(rule: str, reason: str, doors: FrontDoors | Any, **world: Any) -> Case:
    return Case(rule, reason, World(doors=doors, **world))


def _http3(reason: str, found: Any, **world: Any) -> Case:
    return _doors(
        "https.http3", reason, FrontDoors(http3=found if isinstance(found, Attempt) else Attempt.ok(found)), **world
    )


def _ech(reason: str, found: Any, **world: Any) -> Case:
    return _doors(
        "dns.ech", reason, FrontDoors(https_records=found if isinstance(found, Attempt) else Attempt.ok(found)), **world
    )


def _listed(reason: str, found: Any, **world: Any) -> Case:
    return _doors(
        "https.hsts-listed",
        reason,
        FrontDoors(preloading=found if isinstance(found, Attempt) else Attempt.ok(found)),
        **world,
    )


CASES = (
    _http3("same", _SAME),
    _http3("not-advertised", Http3()),
    _http3("other-certificate", _OTHER),
    _http3("other-hsts", Http3(("alt-svc",), 443, 200, _LEAF)),
    _http3("other-hsts", _SAME, http=http(probe(hop(hsts=())))),
    _http3("no-answer", _QUIET),
    _http3("no-answer", Attempt.failed(FailureReason.REFUSED)),
    _http3("not-observed", Attempt.failed(FailureReason.INCONSISTENT)),
    _http3("not-observed", _SAME, tls=tls(certificates=TIMED_OUT)),
    _http3("not-observed", _SAME, http=http(probe(failing(FailureReason.TIMED_OUT, f"https://{HOST}/")))),
    _http3("not-observed", _SAME, http=TIMED_OUT),
    _doors("https.http3", "not-observed", TIMED_OUT),
    _doors("https.http3", "not-http", FrontDoors(), role=Role.SERVER, http_port=None),
    _ech("advertised", (_PLAIN, _RECORD)),
    _ech("not-advertised", (_PLAIN,)),
    _ech("no-record", ()),
    _ech("alias", (HttpsRecord(0, "elsewhere.example"),)),
    _ech("address", (), host="192.0.2.1"),
    _ech("not-public", _NO_DNS),
    _ech("not-observed", TIMED_OUT),
    _ech("not-observed", _CUT),
    _listed("listed", Preloading(listed=True, date=NOW - timedelta(days=600))),
    _listed("not-listed", _TODAY),
    _listed("list-too-old", Preloading(listed=False, date=NOW - timedelta(days=71))),
    _listed("address", _NO_DNS, host="192.0.2.1"),
    _listed("not-observed", TIMED_OUT),
)
