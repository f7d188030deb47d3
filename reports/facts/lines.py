"""How a fact stands on a line: its name, its value, or why there is none."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from reports.wording import FAILURES
from scanner.evidence import Attempt, Failure

_NAME_WIDTH: Final = 22
_UNKNOWN: Final = "unknown"
_YES_OR_NO: Final = {"True": "yes", "False": "no"}


def fact(name: str, value: str) -> str:
    """One line."""
    return f"    {name:<{_NAME_WIDTH}} {value}"


def facts(*named: tuple[str, str]) -> Iterable[str]:
    """A line for each that says something."""
    return (fact(name, value) for name, value in named if value)


def known(attempt: Attempt[Any]) -> str:
    """What was found out, or why not; and what cut it off."""
    if attempt.value is None:
        return why(attempt)
    value = attempt.value
    said = ", ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)
    return _YES_OR_NO.get(said, said) + after(cut_off(attempt))


def failure(found: Failure) -> str:
    """A failure in words."""
    return FAILURES[found.reason] + after(found.detail)


def why(attempt: Attempt[Any]) -> str:
    """Why nothing is known. Unknown is never a no."""
    return _UNKNOWN if attempt.failure is None else f"{_UNKNOWN}: {failure(attempt.failure)}"


def cut_off(attempt: Attempt[Any]) -> str:
    """What left the value incomplete."""
    return f"cut off: {failure(attempt.incomplete)}" if attempt.incomplete else ""


def after(text: str) -> str:
    """An addition in brackets."""
    return f" ({text})" if text else ""


def moment(when: datetime | None) -> str:
    """A time in UTC, to the second."""
    return f"{when:%Y-%m-%d %H:%M:%S} UTC" if when is not None else ""


def listed(items: Iterable[object]) -> str:
    """Items by commas."""
    return ", ".join(map(str, items))


def yes(condition: object) -> str:
    """The word where something is so that usually is not; nothing else."""
    return "yes" if condition else ""
