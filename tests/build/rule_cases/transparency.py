"""SCTs, and what rules make of them."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

from scanner.evidence import Attempt, FailureReason, LogProgram, LogState, Sct, SctCheck, SctSource, not_run
from tests.build.facts import GOOD_STATES, NOW, TIMED_OUT, certificate, deployment, logged, sct, trusted
from tests.build.rule_cases.case import of_tls

_DAY = timedelta(days=1)
_UNKNOWN = sct(9, SctCheck.UNKNOWN_LOG)
_BAD = sct(1, SctCheck.BAD_SIGNATURE)
_LONG = {"not_before": NOW - 10 * _DAY, "not_after": NOW + 189 * _DAY - timedelta(seconds=1)}


def _with(*scts: Sct, days: float = 1, lives: dict[str, Any] | None = None, **changes: Any) -> Any:
    """A certificate that holds these SCTs."""
    own = certificate(embedded_scts=len(scts), **(lives or {}))
    return deployment(own, transparency=logged(*scts, days=days), **changes)


def _beside(*scts: Sct, source: SctSource = SctSource.TLS, embedded: tuple[Sct, ...] = (), **changes: Any) -> Any:
    """A certificate with which these SCTs come in the handshake."""
    along = tuple(dataclasses.replace(item, source=source) for item in scts)
    own = certificate(embedded_scts=len(embedded), **changes.pop("lives", {}))
    changes.setdefault("tls_scts", len(along) if source is SctSource.TLS else 0)
    return deployment(own, transparency=logged(*embedded, *along, days=changes.pop("days", 1)), **changes)


def _state(state: str, program: LogProgram | None = None, days: float = 5) -> dict[str, Any]:
    """States of a log in which one program, or both, have changed their mind so many days ago."""
    new = LogState(state, NOW - days * _DAY)
    return {"states": {name: new if program in {None, name} else GOOD_STATES[name] for name in LogProgram}}


CASES = (
    of_tls("cert.transparency", "enough"),
    of_tls("cert.transparency", "enough", _with(sct(1), sct(2), sct(3), lives=_LONG)),
    of_tls("cert.transparency", "too-few", _with(sct(1), sct(2), lives=_LONG)),
    of_tls("cert.transparency", "too-few", _with(sct(1), sct(2), sct(2), lives=_LONG)),
    of_tls("cert.transparency", "too-few", _with(sct(1))),
    of_tls("cert.transparency", "too-few", _with(sct(1), sct(1))),
    of_tls("cert.transparency", "one-operator", _with(sct(1), sct(3))),
    of_tls("cert.transparency", "enough", _with(sct(1), sct(3), sct(2))),
    of_tls("cert.transparency", "forged", _with(_BAD, sct(2))),
    of_tls("cert.transparency", "forged", _with(_BAD, sct(2), days=100)),
    of_tls("cert.transparency", "enough", _with(_BAD, sct(2), sct(3))),
    of_tls("cert.transparency", "too-few", _with(sct(1, SctCheck.FUTURE), sct(2))),
    # Only a list that is young enough can tell that a log is unknown.
    of_tls("cert.transparency", "too-few", _with(_UNKNOWN, sct(2), days=70)),
    of_tls("cert.transparency", "unknown-log", _with(_UNKNOWN, sct(2), days=71)),
    of_tls("cert.transparency", "too-few", _with(_UNKNOWN, sct(2), days=71, lives=_LONG)),
    of_tls("cert.transparency", "enough", _with(_UNKNOWN, sct(2), sct(3), days=200)),
    of_tls("cert.transparency", "too-few", _with(_UNKNOWN, sct(2), days=71), parameters={"list_days": 100}),
    of_tls("cert.transparency", "unknown-log", _with(sct(1, **_state("pending")), sct(2), days=71)),
    of_tls("cert.transparency", "too-few", _with(sct(1, **_state("pending")), sct(2))),
    of_tls("cert.transparency", "too-few", _with(sct(1, **_state("rejected")), sct(2), days=71)),
    # A retired log counts where the certificate was logged before; one log must be current all the same.
    of_tls("cert.transparency", "enough", _with(sct(1, **_state("retired")), sct(2))),
    of_tls("cert.transparency", "too-few", _with(sct(1, **_state("retired", days=20)), sct(2))),
    of_tls("cert.transparency", "not-current", _with(sct(1, **_state("retired")), sct(2, **_state("retired")))),
    of_tls("cert.transparency", "enough", _with(sct(1, **_state("readonly")), sct(2, **_state("retired")))),
    # Each browser by its own list.
    *(of_tls("cert.transparency", "too-few", _with(sct(1, **_state("rejected", one)), sct(2))) for one in LogProgram),
    # The certificate was logged ten days ago; a log that was retired at that moment was no log any more.
    of_tls("cert.transparency", "too-few", _with(sct(1, **_state("retired", days=10)), sct(2))),
    of_tls("cert.transparency", "enough", _with(sct(1, **_state("retired", days=9.9)), sct(2))),
    of_tls("cert.transparency", "not-verified", _with(tls_scts=2)),
    of_tls("cert.transparency", "not-verified", _with(tls_scts=3)),
    of_tls("cert.transparency", "not-verified", _with(sct(1), sct(3), tls_scts=3)),
    of_tls(
        "cert.transparency",
        "one-operator",
        _with(sct(1, log=""), sct(3)),
        observed=f"2 embedded SCTs ({'0' * 16}, Log 3), by the list of {NOW - _DAY:%Y-%m-%d} (a list)",
    ),
    of_tls("cert.transparency", "not-verified", _with(sct(1), sct(3), tls_scts=2)),
    of_tls("cert.transparency", "forged", _with(_BAD, sct(2), tls_scts=2)),
    # What comes in the handshake: two, of two operators, all of logs of today; of a staple for Safari alone.
    of_tls("cert.transparency", "enough", _beside(sct(1), sct(2))),
    of_tls("cert.transparency", "enough", _beside(sct(1), sct(2), lives=_LONG)),
    of_tls("cert.transparency", "enough", _beside(sct(1), sct(2), tls_scts=None)),
    of_tls("cert.transparency", "enough", _beside(sct(1), sct(2), embedded=(sct(3),))),
    of_tls("cert.transparency", "enough", _beside(sct(3), sct(4), embedded=(_BAD, sct(2)))),
    of_tls("cert.transparency", "too-few", _beside(sct(1))),
    of_tls("cert.transparency", "too-few", _beside(sct(1), sct(1))),
    of_tls("cert.transparency", "one-operator", _beside(sct(1), sct(3))),
    of_tls("cert.transparency", "forged", _beside(_BAD, sct(2))),
    of_tls("cert.transparency", "forged", _beside(_BAD, sct(4), embedded=(sct(2),))),
    of_tls("cert.transparency", "too-few", _beside(_UNKNOWN, sct(2), days=70)),
    of_tls("cert.transparency", "unknown-log", _beside(_UNKNOWN, sct(2), days=71)),
    of_tls("cert.transparency", "too-few", _beside(sct(1, **_state("retired")), sct(2))),
    of_tls("cert.transparency", "too-few", _beside(sct(1), embedded=(sct(2),))),
    of_tls("cert.transparency", "too-few", _beside(sct(1), sct(2), source=SctSource.STAPLE)),
    of_tls("cert.transparency", "not-looked", _beside(sct(1), sct(2), source=SctSource.STAPLE, tls_scts=None)),
    of_tls("cert.transparency", "not-verified", _beside(sct(1), source=SctSource.STAPLE, tls_scts=2)),
    of_tls("cert.transparency", "not-verified", deployment(transparency=not_run())),
    of_tls("cert.transparency", "not-looked", _with(sct(1), tls_scts=None)),
    of_tls("cert.transparency", "not-looked", _with(sct(1), sct(3), tls_scts=None)),
    of_tls("cert.transparency", "enough", _with(sct(1), sct(2), tls_scts=None)),
    of_tls(
        "cert.transparency",
        "not-observed",
        deployment(transparency=Attempt.failed(FailureReason.UNSUPPORTED, "the issuer is not known")),
    ),
    of_tls(
        "cert.transparency", "private-ca", deployment(paths=(trusted(certificate(), public=False, store="ca.pem"),))
    ),
    of_tls("cert.transparency", "issuer-unknown", deployment(paths=())),
    of_tls(
        "cert.transparency",
        "unreadable",
        deployment(certificate(embedded_scts=0, unreadable_extensions=("SignedCertificateTimestampList",)), tls_scts=0),
    ),
    of_tls("cert.transparency", "not-observed", certificates=TIMED_OUT),
)
