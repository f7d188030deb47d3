"""Applies the method to what was seen: reasons, points, and the letter that they leave."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from scanner.evidence import Attempt, FailureReason, TargetEvidence
from scanner.grade import scores
from scanner.grade.method import (
    CONDITIONS,
    HSTS_SECONDS,
    INSECURE_RENEGOTIATION,
    NO_HSTS,
    RENEGOTIATION,
    ByRule,
    Effect,
)
from scanner.grade.seen import Seen, why
from scanner.inventory import Endpoint, Environment, EnvironmentKind, Target
from scanner.rules import Facts, Finding
from scanner.rules.registry import tls_of
from scanner.rules.registry.listing import listing
from scanner.verdict import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from scanner.inventory import Role
    from scanner.verdict import TargetResult

_LOG = logging.getLogger(__name__)
_LADDER: Final = "ABCDEF"
_DECISIVE: Final = ("trust:", "validity:", "name:")
"""How a gap begins that leaves open whether the certificate decides."""


class GradeReason(Struct, frozen=True):
    """One thing that decided: what it does, in which words."""

    effect: Effect
    text: str


class Grade(Struct, frozen=True):
    """The grade of one target.

    `letter` is None where it could not be determined, `missing` then says what was not observed. `score` is the total
    of the three categories, 0 to 100, before caps; None where one of them is unknown. `reasons` are the gravest first.
    """

    letter: str | None
    score: int | None = None
    protocol_score: int | None = None
    key_exchange_score: int | None = None
    cipher_score: int | None = None
    reasons: tuple[GradeReason, ...] = ()
    missing: tuple[str, ...] = ()


def grade(evidence: TargetEvidence, host: str, port: int, role: Role, now: datetime) -> Grade:
    """Grade what was observed at a host, as of a time. It never raises: a defect leaves it undetermined."""
    endpoint = Endpoint("", host, port, role)
    facts = Facts(Target(endpoint, None), Environment("", EnvironmentKind.ON_PREMISES), evidence, now)
    try:
        tls = tls_of(facts)
        if isinstance(tls, Finding):
            return Grade(None, missing=("the endpoint does not speak TLS",) if tls.reason == "no-tls" else (why(tls),))
        return _graded(Seen(facts, tls))
    except Exception:  # noqa: BLE001  # a run over a thousand others goes on; it is logged and shown
        _LOG.exception("the grade of %s failed", host)
        return Grade(None, missing=("the grading itself failed, which is a defect of Nightseal",))


def explained(target: TargetResult, now: datetime) -> Grade | None:
    """How the grade of a judged target came about, as of the end of its run.

    None where its evidence is no longer kept, or where another version of the method gave another grade.
    """
    if target.evidence is None:
        return None
    found = grade(target.evidence, target.host, target.port, target.role, now)
    return found if found.letter == target.grade else None


def in_words(found: Grade) -> str:
    """What decided, or what was missing, in one line."""
    if found.letter is None:
        return f"not determined: {'; '.join(found.missing)}"
    return "; ".join(reason.text for reason in found.reasons)


def _graded(seen: Seen) -> Grade:
    reasons: list[GradeReason] = []
    missing = list(seen.unknown())
    for item in (*_conditions(seen), *_renegotiation(seen)):
        (missing if isinstance(item, str) else reasons).append(item)  # type: ignore[arg-type]  # each to its own kind
    categories = _protocol_score(seen), _key_exchange_score(seen), _cipher_score(seen)
    protocol, key_exchange, cipher = categories
    total = None
    if protocol is None or key_exchange is None or cipher is None:
        missing.append("protocols, keys or cipher suites: not observed")
    else:
        total = scores.total(protocol, key_exchange, cipher)
    effects = {reason.effect for reason in reasons}
    letter = _decided(effects, missing)
    if letter is None and total is not None and not missing:
        letter = _by_points(total, effects)
        if letter == "A":
            lasting = seen.lasting_hsts(HSTS_SECONDS)
            if isinstance(lasting, str):
                letter, missing = None, [lasting]
            elif lasting is False:
                reasons.append(GradeReason(Effect.NO_PLUS, NO_HSTS))
            elif lasting:
                letter = "A+"
    rank = list(Effect)
    reasons.sort(key=lambda reason: rank.index(reason.effect))
    gaps = tuple(dict.fromkeys(missing)) if letter is None else ()
    return Grade(letter, total, *categories, reasons=tuple(reasons), missing=gaps)


def _conditions(seen: Seen) -> Iterator[GradeReason | str]:
    """The reasons that hold, and in words what could not be told."""
    for condition in CONDITIONS:
        if isinstance(condition, ByRule):
            yield from _by_rule(seen, condition)
        elif found := tuple(condition.seen(seen)):
            yield GradeReason(condition.effect, condition.words.format(listing(found)))


def _by_rule(seen: Seen, condition: ByRule) -> Iterable[GradeReason | str]:
    if condition.asked is not None and not _was_asked(getattr(seen.tls, condition.asked)):
        return []
    status, unknown = seen.status(condition.rule)
    if status is Status.FAIL:
        return [GradeReason(condition.effect, condition.words)]
    return [f"{condition.name}: {unknown}"] if status is Status.INDETERMINATE else []


def _was_asked(fact: Attempt[Any]) -> bool:
    return fact.failure is None or fact.failure.reason is not FailureReason.NOT_RUN


def _renegotiation(seen: Seen) -> Iterable[GradeReason | str]:
    """Without secure renegotiation it matters whether a client may start one."""
    found = list(_by_rule(seen, RENEGOTIATION))
    if not any(isinstance(item, GradeReason) for item in found):
        return found
    if tuple(INSECURE_RENEGOTIATION.seen(seen)):
        return [GradeReason(INSECURE_RENEGOTIATION.effect, INSECURE_RENEGOTIATION.words)]
    return ["renegotiation by the client: not observed"] if seen.tls.client_renegotiation.cut_off else found


def _protocol_score(seen: Seen) -> int | None:
    found = [scores.PROTOCOLS[protocol] for protocol in seen.tls.negotiated]
    return (max(found) + min(found)) // 2 if found else None


def _key_exchange_score(seen: Seen) -> int | None:
    if any(item.suite.anonymous for item in seen.items):
        return 0
    found = [scores.strength(size.bits, curve=size.curve) for size in seen.sizes]
    if any(item.suite.export for item in seen.items):
        found.append(scores.EXPORT)
    return min(found, default=None)


def _cipher_score(seen: Seen) -> int | None:
    bits = seen.cipher_sizes
    if not bits:
        return None
    return (scores.points(max(bits), scores.CIPHERS) + scores.points(min(bits), scores.CIPHERS)) // 2


def _decided(effects: set[Effect], missing: list[str]) -> str | None:
    """The letter where something decides it by itself; None where nothing does, or may not, for all that is known."""
    if Effect.NOT_TRUSTED in effects:
        return Effect.NOT_TRUSTED.value
    if any(item.startswith(_DECISIVE) for item in missing):
        return None
    return next((effect.value for effect in (Effect.WRONG_NAME, Effect.FAIL) if effect in effects), None)


def _by_points(total: int, effects: set[Effect]) -> str:
    """The letter of the points, after the caps; an A may still become an A+."""
    letter = next((letter for least, letter in scores.LETTERS if total >= least), "F")
    caps = [effect.value[-1] for effect in (Effect.CAP_B, Effect.CAP_C) if effect in effects]
    letter = max([letter, *caps], key=_LADDER.index)
    return "A-" if letter == "A" and Effect.WARNING in effects else letter
