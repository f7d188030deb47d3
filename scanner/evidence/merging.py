"""One answer from two engines: what both saw, and how complete that is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Final

from scanner.evidence.attempt import Attempt, Failure, FailureReason, T
from scanner.evidence.certificates import Deployment
from scanner.evidence.tls import AcceptedSuite, ProtocolOffer, TlsEvidence
from scanner.untrusted import printable

_DEFINED_APART: Final = frozenset({"session_tickets"})
"""Facts that mean something else for each engine: a ticket was promised, or a session was resumed by one."""


def merge(first: TlsEvidence, second: TlsEvidence) -> TlsEvidence:
    """Combine what two engines saw.

    Lists are put together: what one of them saw is there. They are complete where an engine that asked to the end says
    so and the other saw nothing beside it. Of a single fact the value counts that was seen; where both saw one and they
    differ, it is `inconsistent`, and both observations are told. Where neither has a value, the reason of the one that
    tried is kept. Certificates are put together: engines that speak different protocols are shown different ones.
    """
    merged: dict[str, object] = {}
    for item in dataclasses.fields(TlsEvidence):
        ours, theirs = getattr(first, item.name), getattr(second, item.name)
        if isinstance(ours, Attempt):
            merged[item.name] = _fact(ours, theirs, defined_apart=item.name in _DEFINED_APART)
        elif isinstance(ours, bool):
            merged[item.name] = ours if first.groups else theirs
        elif isinstance(ours, Mapping):
            merge_lists = _offers if item.name == "protocols" else _names
            merged[item.name] = _by_protocol(ours, theirs, merge_lists)
    merged["certificates"] = _certificates(first.certificates, second.certificates)
    return dataclasses.replace(first, **merged)  # type: ignore[arg-type]  # names and types are the dataclass's own


def _by_protocol(
    ours: Mapping[Any, Attempt[T]], theirs: Mapping[Any, Attempt[T]], both: Callable[[T, T], tuple[T, list[str]]]
) -> dict[Any, Attempt[T]]:
    merged = {}
    for key in sorted({*ours, *theirs}):
        one, other = ours.get(key), theirs.get(key)
        merged[key] = _lists(one, other, both) if one is not None and other is not None else _known(one, other)
    return merged


def _known(one: Attempt[T] | None, other: Attempt[T] | None) -> Attempt[T]:
    known = one if one is not None else other
    assert known is not None  # noqa: S101  # the keys are those of the two
    return known


def _lists(ours: Attempt[T], theirs: Attempt[T], both: Callable[[T, T], tuple[T, list[str]]]) -> Attempt[T]:
    """Both lists as one. `both` gives it, and what the second adds to the first."""
    if ours.value is None or theirs.value is None:
        return _either(ours, theirs)
    value, added = both(ours.value, theirs.value)
    if ours.incomplete is None and theirs.incomplete is not None:
        unlike = added
    elif ours.incomplete is not None and theirs.incomplete is None:
        unlike = both(theirs.value, ours.value)[1]
    elif ours.incomplete is None:
        unlike = [*added, *both(theirs.value, ours.value)[1]]
    else:
        return Attempt.partial(value, ours.incomplete)
    return Attempt.partial(value, _inconsistency(unlike))


def _inconsistency(unlike: list[str]) -> Failure | None:
    """What one engine saw that was not there for the other, which asked to the end."""
    if not unlike:
        return None
    names = printable(", ".join(unlike), 160)
    return Failure.of(FailureReason.INCONSISTENT, f"accepted when asked once and refused when asked again: {names}")


def _offers(ours: ProtocolOffer, theirs: ProtocolOffer) -> tuple[ProtocolOffer, list[str]]:
    """The suites of both, in our order; of one suite what is known of its ephemeral key."""
    known = {suite.name: suite for suite in ours.suites}
    others = {suite.name: suite for suite in theirs.suites}
    suites = tuple(_suite(suite, others.get(name)) for name, suite in known.items())
    added = tuple(suite for name, suite in others.items() if name not in known)
    if added:
        return ProtocolOffer((*suites, *added)), [suite.name for suite in added]
    ordered = ours if ours.server_order is not None else theirs
    return ProtocolOffer(suites, ordered.server_order, ordered.chacha20_first), []


def _suite(ours: AcceptedSuite, theirs: AcceptedSuite | None) -> AcceptedSuite:
    return theirs if theirs is not None and ours.ephemeral_bits is None else ours


def _names(ours: tuple[str, ...], theirs: tuple[str, ...]) -> tuple[tuple[str, ...], list[str]]:
    added = [name for name in theirs if name not in ours]
    return (*ours, *added), added


def _fact(ours: Attempt[T], theirs: Attempt[T], *, defined_apart: bool) -> Attempt[T]:
    if ours.value is None or theirs.value is None or defined_apart or ours.value == theirs.value:
        return _either(ours, theirs)
    if (ours.incomplete is None) != (theirs.incomplete is None):
        # A fact read off a part of the answers gives way to one that was looked for to the end.
        return ours if ours.incomplete is None else theirs
    told = f"{_told(ours.value)} when asked once, {_told(theirs.value)} when asked again"
    return Attempt.failed(FailureReason.INCONSISTENT, told)


def _told(value: object) -> str:
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


def _certificates(
    first: Attempt[tuple[Deployment, ...]], second: Attempt[tuple[Deployment, ...]]
) -> Attempt[tuple[Deployment, ...]]:
    if first.value is None and first.failure is not None and first.failure.reason is FailureReason.UNSUPPORTED:
        # The first engine could not have seen them; why the other did not is what there is to say.
        return _either(second, first)
    if first.value is None or second.value is None:
        return _either(first, second)
    seen = {(deployment.leaf.fingerprint, deployment.with_sni) for deployment in first.value}
    named = {deployment.leaf.fingerprint for deployment in first.value if deployment.with_sni}
    others = tuple(
        deployment
        for deployment in second.value
        if (deployment.leaf.fingerprint, deployment.with_sni) not in seen
        and (deployment.with_sni or deployment.leaf.fingerprint not in named)
    )
    incomplete = first.incomplete if second.incomplete is not None else None
    return Attempt.partial(first.value + others, incomplete)


def _either(first: Attempt[T], second: Attempt[T]) -> Attempt[T]:
    """The one with a value, a whole one before a part; else the one that tried."""
    valued = [attempt for attempt in (first, second) if attempt.value is not None]
    tried = [attempt for attempt in (first, second) if not _not_tried(attempt)]
    whole = [attempt for attempt in valued if attempt.incomplete is None]
    return next(iter((*whole, *valued, *tried)), first)


def _not_tried(attempt: Attempt[Any]) -> bool:
    return attempt.failure is not None and attempt.failure.reason is FailureReason.NOT_RUN
