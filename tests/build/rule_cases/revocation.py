"""What authorities say of certificates, and what rules make of it."""

from __future__ import annotations

import dataclasses
import itertools
from datetime import datetime, timedelta
from typing import Any

from scanner.evidence import (
    Attempt,
    Completion,
    FailureReason,
    RevocationAnswer,
    RevocationFailure,
    RevocationSource,
    RevocationStatus,
    ServiceFault,
    Staple,
    not_run,
)
from scanner.rules.certificates.leaves import COMPLETED
from scanner.verdict import Severity
from tests.build.certificates import intermediate
from tests.build.facts import NOW, TIMED_OUT, certificate, deployment, trusted, unrevoked, untrusted
from tests.build.rule_cases.case import of_tls

_DAY = timedelta(days=1)
_URL = "http://crl.example.com/1.crl"
_LEAF = certificate(crl_urls=(_URL,), embedded_scts=2)
_ABOVE = certificate(intermediate(), crl_urls=("http://crl.example.com/root.crl",))
_STAPLE = Staple("good", NOW - timedelta(hours=1), NOW + 3 * _DAY, NOW)
_NOT_ASKED: Attempt[Any] = Attempt.failed(FailureReason.NOT_ASKED, "[scan] online = false")


def _answer(about: Any = _LEAF, source: RevocationSource = RevocationSource.CRL, **changes: Any) -> RevocationAnswer:
    return unrevoked(about, source=source, **changes)


def _failed(failure: RevocationFailure, about: Any = _LEAF) -> RevocationAnswer:
    return RevocationAnswer(about.fingerprint, RevocationSource.CRL, _URL, failure=failure, detail="as the test wants")


def _unread() -> RevocationAnswer:
    """A list that was fetched and does not speak of the certificate."""
    return _answer(status=None, failure=RevocationFailure.OTHER_SCOPE, detail="a different part of the list")


def _revoked(about: Any = _LEAF, **changes: Any) -> RevocationAnswer:
    revoked = {"status": RevocationStatus.REVOKED, "reason": "keyCompromise", "revoked_at": NOW - 2 * _DAY}
    return _answer(about, **{**revoked, **changes})


def _asked(*answers: RevocationAnswer, **changes: Any) -> Any:
    chain = (changes.pop("leaf", _LEAF), _ABOVE)
    return deployment(*chain, **{"revocation": Attempt.ok(answers), "paths": (trusted(*chain),), **changes})


_OLD = {"this_update": NOW - 9 * _DAY, "next_update": NOW - _DAY}
_HOLD = {"reason": "certificateHold"}
_OCSP = RevocationSource.OCSP
_BARE = certificate(crl_urls=())


def _stapled(status: str, end: timedelta = 3 * _DAY, *, verified: bool | None = None) -> Any:
    """A certificate that names no source, with a staple."""
    return _asked(leaf=_BARE, staple=Staple(status, NOW - 9 * _DAY, NOW + end, NOW, verified=verified))


_SHORT = certificate(crl_urls=(), not_before=NOW - _DAY, not_after=NOW + 5 * _DAY)
_TEN_DAYS_BEFORE_MARCH = certificate(
    crl_urls=(), not_before=datetime(2026, 3, 1, tzinfo=NOW.tzinfo), not_after=datetime(2026, 3, 10, tzinfo=NOW.tzinfo)
)

_ALONE = {"chain": (_LEAF,), "paths": (untrusted(),)}
_COMPLETED = Completion((_ABOVE,), (trusted(_LEAF, _ABOVE),))
_NOT_COMPLETED = Completion((), (), RevocationFailure.UNREACHABLE, "HTTP status 404")


def _lasting() -> Any:
    """Two intermediates of one key: the path of today ends in five days, and another one in eighty."""
    old = certificate(intermediate(), fingerprint="aa" * 32, not_after=NOW + 5 * _DAY)
    new = certificate(intermediate(), fingerprint="bb" * 32, not_after=NOW + 500 * _DAY)
    path = dataclasses.replace(trusted(_LEAF, old), lasting=trusted(_LEAF, new).path)
    return deployment(_LEAF, old, new, paths=(path,))


CASES = (
    of_tls("cert.trusted", "trusted-completed", deployment(completion=_COMPLETED, **_ALONE)),
    of_tls("cert.trusted", "unknown-issuer", deployment(completion=_NOT_COMPLETED, **_ALONE)),
    of_tls("cert.chain-complete", "missing-fetched", deployment(completion=_COMPLETED, **_ALONE)),
    of_tls("cert.chain-complete", "missing", deployment(completion=_NOT_COMPLETED, **_ALONE)),
    of_tls(
        "cert.transparency",
        "enough",
        deployment(_LEAF, completion=_COMPLETED, **_ALONE),
        observed=f"2 embedded SCTs (Log 0, Log 1), by the list of {NOW - _DAY:%Y-%m-%d} (a list); {COMPLETED}",
    ),
    of_tls(
        "cert.revocation",
        "good",
        deployment(completion=_COMPLETED, revocation=Attempt.ok((_answer(),)), **_ALONE),
        observed=f"the list {_URL} ({COMPLETED})",
    ),
    of_tls(
        "cert.revocation",
        "revoked",
        deployment(completion=_COMPLETED, revocation=Attempt.ok((_revoked(),)), **_ALONE),
        observed=f"the list {_URL} (on {NOW - 2 * _DAY:%Y-%m-%d}, keyCompromise, {COMPLETED})",
    ),
    of_tls(
        "cert.revocation",
        "intermediate-revoked",
        deployment(completion=_COMPLETED, revocation=Attempt.ok((_revoked(_ABOVE),)), **_ALONE),
        observed=f"the list {_URL} about {_ABOVE.subject} (on {NOW - 2 * _DAY:%Y-%m-%d}, keyCompromise, {COMPLETED})",
    ),
    of_tls("cert.chain-expiry", "leaf-ends-first", deployment(completion=_COMPLETED, **_ALONE)),
    of_tls("cert.chain-expiry", "leaf-ends-first", _lasting()),
    of_tls("cert.revocation", "good"),
    of_tls("cert.revocation", "good", _stapled("good")),
    of_tls("cert.revocation", "revoked", _stapled("revoked")),
    of_tls("cert.revocation", "revoked", _stapled("revoked", -_DAY)),
    of_tls("cert.revocation", "unknown", _stapled("unknown", verified=True)),
    of_tls("cert.revocation", "unverified", _stapled("unknown", verified=False)),
    of_tls("cert.revocation", "stale", _stapled("good", -_DAY)),
    of_tls("cert.revocation", "not-observed", certificates=TIMED_OUT),
    of_tls("cert.revocation", "good", _asked(_answer()), observed=f"the list {_URL}"),
    of_tls("cert.revocation", "good", _asked(_answer(), _answer(_ABOVE))),
    of_tls("cert.revocation", "good", _asked(_failed(RevocationFailure.UNREACHABLE), _answer(source=_OCSP))),
    of_tls("cert.revocation", "good", _asked(_failed(RevocationFailure.UNREACHABLE), staple=_STAPLE)),
    of_tls("cert.revocation", "good", _asked(staple=_STAPLE)),
    of_tls("cert.revocation", "revoked", _asked(_revoked()), severity=Severity.CRITICAL),
    # A revocation is not taken back: it counts out of an old list too, and against a good staple.
    of_tls("cert.revocation", "revoked", _asked(_revoked(**_OLD))),
    of_tls("cert.revocation", "revoked", _asked(_revoked(), staple=_STAPLE)),
    of_tls("cert.revocation", "revoked", _asked(_answer(source=_OCSP), _revoked())),
    of_tls("cert.revocation", "revoked", _asked(_revoked(**_HOLD))),
    of_tls("cert.revocation", "stale", _asked(_revoked(**_HOLD, **_OLD))),
    of_tls("cert.revocation", "intermediate-revoked", _asked(_answer(), _revoked(_ABOVE))),
    of_tls("cert.revocation", "unreachable", _asked(_answer(), _failed(RevocationFailure.UNREACHABLE, _ABOVE))),
    of_tls("cert.revocation", "stale", _asked(_answer(), _answer(_ABOVE, **_OLD))),
    of_tls("cert.revocation", "stale", _asked(_answer(**_OLD))),
    of_tls("cert.revocation", "stale", _asked(_answer(next_update=None))),
    of_tls("cert.revocation", "stale", _asked(_answer(this_update=NOW + _DAY, next_update=NOW + 2 * _DAY))),
    of_tls("cert.revocation", "good", _asked(_answer(this_update=NOW + timedelta(minutes=4)))),
    of_tls("cert.revocation", "unknown", _asked(_answer(source=_OCSP, status=RevocationStatus.UNKNOWN))),
    *(of_tls("cert.revocation", failure.value, _asked(_failed(failure))) for failure in RevocationFailure),
    of_tls("cert.revocation", "not-asked", _asked(revocation=_NOT_ASKED)),
    of_tls("cert.revocation", "not-observed", _asked(revocation=not_run())),
    of_tls("cert.revocation", "good", deployment(_LEAF, intermediate(), staple=_STAPLE, revocation=not_run())),
    of_tls("cert.revocation", "not-observed", _asked(staple=_STAPLE, revocation=not_run())),
    of_tls("cert.revocation", "good", _asked(revocation=_NOT_ASKED, staple=_STAPLE)),
    of_tls("cert.revocation", "no-source", _asked(leaf=_BARE), severity=Severity.LOW),
    of_tls("cert.revocation", "issuer-unknown", _asked(leaf=_BARE, paths=())),
    of_tls("cert.revocation-service", "issuer-unknown", _asked(_answer(this_update=NOW - 8 * _DAY), paths=())),
    of_tls("cert.revocation", "short-lived", _asked(leaf=_SHORT)),
    of_tls("cert.revocation", "short-lived", _asked(leaf=_TEN_DAYS_BEFORE_MARCH)),
    of_tls(
        "cert.revocation",
        "no-source",
        _asked(leaf=certificate(crl_urls=(), not_before=NOW - _DAY, not_after=NOW + 8 * _DAY)),
    ),
    of_tls("cert.revocation", "not-stated", _asked(leaf=_BARE, paths=(trusted(_LEAF, public=False),))),
    of_tls(
        "cert.revocation",
        "unreadable",
        _asked(leaf=certificate(crl_urls=(), unreadable_extensions=("cRLDistributionPoints",))),
    ),
    of_tls("cert.revocation-service", "in-order", _asked(_answer())),
    of_tls("cert.revocation-service", "in-order", _asked(_revoked())),
    of_tls("cert.revocation-service", "stale", _asked(_revoked(**_OLD)), severity=Severity.INFO),
    of_tls("cert.revocation-service", "no-end", _asked(_answer(next_update=None))),
    of_tls("cert.revocation-service", "too-old", _asked(_answer(this_update=NOW - 8 * _DAY))),
    of_tls("cert.revocation-service", "in-order", _asked(_answer(this_update=NOW - 7 * _DAY))),
    of_tls("cert.revocation-service", "too-old", _asked(_answer(this_update=NOW - 7 * _DAY - timedelta(seconds=1)))),
    # A response holds for eight hours where its last second counts (RFC 5280 section 4.1.2.5).
    *(
        of_tls("cert.revocation-service", reason, _asked(_answer(source=_OCSP, this_update=NOW - _DAY, **validity)))
        for reason, validity in (
            ("in-order", {"next_update": NOW + 9 * _DAY}),
            ("validity", {"next_update": NOW + 9 * _DAY + timedelta(seconds=1)}),
        )
    ),
    *(
        of_tls(
            "cert.revocation-service", reason, _asked(_answer(source=_OCSP, this_update=NOW - lasts, next_update=NOW))
        )
        for reason, lasts in (
            ("in-order", timedelta(hours=8, seconds=-1)),
            ("validity", timedelta(hours=8, seconds=-2)),
        )
    ),
    of_tls("cert.revocation-service", "in-order", _asked(_answer(_ABOVE, this_update=NOW - 200 * _DAY))),
    of_tls(
        "cert.revocation-service",
        "in-order",
        _asked(_answer(this_update=NOW - 8 * _DAY), paths=(trusted(_LEAF, public=False),)),
    ),
    of_tls(
        "cert.revocation-service",
        "validity",
        _asked(_answer(source=_OCSP, this_update=NOW - _DAY, next_update=NOW + 20 * _DAY)),
    ),
    of_tls(
        "cert.revocation-service",
        "validity",
        _asked(_answer(source=_OCSP, this_update=NOW, next_update=NOW + timedelta(hours=7))),
    ),
    *(of_tls("cert.revocation-service", fault.value, _asked(_answer(faults=(fault,)))) for fault in ServiceFault),
    *(
        of_tls("cert.revocation-service", one.value, _asked(_answer(faults=(one, other))))
        for one, other in itertools.permutations(tuple(ServiceFault)[:2])
    ),
    of_tls("cert.revocation-service", "no-answer", _asked(_failed(RevocationFailure.UNREACHABLE))),
    of_tls("cert.revocation-service", "unknown", _asked(_answer(source=_OCSP, status=RevocationStatus.UNKNOWN))),
    # What was fetched and could not be read is not in order, nor is what comes beside it.
    of_tls("cert.revocation-service", "unfit", _asked(_unread())),
    of_tls("cert.revocation-service", "unfit", _asked(_unread(), _answer(source=_OCSP))),
    of_tls("cert.revocation-service", "stale", _asked(_unread(), _answer(source=_OCSP, **_OLD))),
    of_tls(
        "cert.revocation",
        "stale",
        _asked(_answer(this_update=NOW + _DAY, next_update=NOW + 2 * _DAY)),
        observed="the list http://crl.example.com/1.crl (not before 2026-11-25 12:00 UTC)",
    ),
    of_tls("cert.revocation-service", "stapled", _asked(staple=_STAPLE)),
    of_tls("cert.revocation-service", "no-source", _asked(leaf=_BARE)),
    of_tls("cert.revocation-service", "not-asked", _asked(revocation=_NOT_ASKED)),
    of_tls("cert.revocation-service", "not-observed", _asked(revocation=not_run())),
    of_tls("cert.revocation-service", "not-observed", certificates=TIMED_OUT),
)
