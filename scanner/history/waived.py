"""What a waiver accepted, and whether a failure that it still accepts has become worse since.

A waiver without a limit of its own (`until_worse`) goes on to accept whatever fails within its scope. What it accepted
when it began to is remembered, so that more than that is told.
"""

from __future__ import annotations

import re
from typing import Final

from scanner.verdict import Verdict
from scanner.waiver import words

_PASSING: Final = re.compile(r"[\d.:,+/_-]+[tz]?|[0-9a-f]{16,}…?")
"""Numbers, dates, times and fingerprints: they change from night to night while the failure is the same."""


_BITS: Final = re.compile(r"\b(\d{1,5}) bits\b")
_BY_VERSION: Final = "proto."
"""Rules that judge one protocol version each; what they observe is every version, and the others are not theirs."""


def is_worse(now: Verdict, accepted: Verdict) -> bool:
    """Whether a failure is worse than what was accepted.

    It is when its severity is higher, when a key or group is smaller than then, or when more was observed than then.
    """
    if now.severity > accepted.severity or _is_smaller(now.observed, accepted.observed):
        return True
    if now.rule.startswith(_BY_VERSION):
        return False
    return bool(lasting_words(now.observed) - lasting_words(accepted.observed))


def _is_smaller(now: str, accepted: str) -> bool:
    """Whether the smallest size in bits that is named has shrunk."""
    sizes, before = [[int(size) for size in _BITS.findall(text)] for text in (now, accepted)]
    return bool(sizes and before) and min(sizes) < min(before)


def is_another(first: Verdict, second: Verdict) -> bool:
    """Whether two failures of one rule differ in more than what changes by itself."""
    return (first.severity, first.reason, lasting_words(first.observed)) != (
        second.severity, second.reason, lasting_words(second.observed),
    )  # fmt: skip


def lasting_words(observed: str) -> frozenset[str]:
    """What was observed as words, without those that change by themselves."""
    return frozenset(word for word in words(observed) if not _PASSING.fullmatch(word))
