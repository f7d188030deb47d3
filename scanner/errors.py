"""Every exception that Nightseal raises on purpose, and the exit statuses that they end in.

NightsealError
├── UsageError          the command line asks for something that cannot be
├── ConfigError         config.toml is missing, malformed or contradicts itself
│   └── PolicyError     the same, of a policy file
│       └── PolicyMissingError  there is none, or it cannot be read
├── TrustStoreError     a trust store cannot be read or holds no certificate
├── HistoryError        the history cannot be read or written
│   ├── ClockError      the time is implausible
│   └── HistoryFullError  its disk is full, or read-only for now
├── StateError          the service cannot use its state file for now
├── ListenError         the service cannot answer where it was told to, for now
├── OutputError         a report cannot be written where it was asked for
├── NotKeptError        the results of a run are lost, after it was done
├── DeliveryError       a notification was not taken by its receiver
└── LabError            the bundled lab of TLS servers did not start

A probe that fails raises nothing: its failure is a value (`scanner.evidence.Failure`), because one silent host must
not end a run over a thousand others.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar, Final

from scanner.untrusted import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class ExitStatus(IntEnum):
    """What the process tells whoever started it."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_ASSESSED = 3
    INTERNAL = 4
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


class Interrupted(KeyboardInterrupt):
    """The process was told to end by a signal; `status` is the one that says by which, `kept` what is left of its work.

    Of a process that keeps nothing, `kept` is empty.
    """

    def __init__(self, status: ExitStatus, kept: str = "") -> None:
        self.status = status
        self.kept = kept
        super().__init__()


class NightsealError(Exception):
    """Base of all. `exit_code` is the status with which the command line ends."""

    exit_code: ClassVar[ExitStatus] = ExitStatus.INTERNAL


class UsageError(NightsealError):
    """The command was called in a way that has no meaning; nothing was scanned."""

    exit_code = ExitStatus.USAGE


_LONGEST: Final = 4000
"""Characters of a problem, which may list names or quote a value."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file: `key` is the dotted path to it, `hint` says how to fix it.

    `place` is the file where it is another than the one that was read, with the line where that is known. `location` is
    the way to what is wrong: names of keys, and positions in lists counted from 0. A key names elements of lists by
    their hosts or names, which several may have; so the line is looked up by the location where it is known.
    """

    key: str
    message: str
    hint: str | None = None
    place: str = ""
    location: tuple[str | int, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        text = f"{self.key}: {self.message}" if self.key else self.message
        # One line, whatever stands in a cell or a value that it quotes.
        return printable(f"{text} ({self.hint})" if self.hint else text, _LONGEST)


class ConfigError(NightsealError):
    """A configuration file that cannot be used. Lists every problem at once, so that one edit mends them all."""

    exit_code = ExitStatus.USAGE

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{problem.place or source}: {problem}" for problem in problems))


class PolicyError(ConfigError):
    """A policy file that cannot be used."""


class PolicyMissingError(PolicyError):
    """A policy that is not there, or cannot be read."""

    def named_by(self, key: str) -> Problem:
        """The problem as one of the key that names the policy."""
        (problem,) = self.problems
        message = problem.message if problem.key else f"{self.source} {problem.message}"
        return Problem(key, message, problem.hint)


class LogListError(NightsealError):
    """A list of Certificate Transparency logs that cannot be read."""

    exit_code = ExitStatus.USAGE


class TrustStoreError(NightsealError):
    """A trust store that cannot be read, or that holds no usable certificate."""

    exit_code = ExitStatus.USAGE


class HistoryError(NightsealError):
    """The history is not one, is damaged, or cannot be written.

    `place` is where it is and `number` the errno, where the system refused something there.
    """

    exit_code = ExitStatus.USAGE
    place: str = ""
    number: int | None = None


class ClockError(HistoryError):
    """The time is implausible, so that nothing is removed by it."""


class HistoryFullError(HistoryError):
    """The history cannot be written for now, because its disk is full or was made read-only; nothing of it is wrong.

    What was to be kept in it waits elsewhere.
    """


class StateError(NightsealError):
    """The service cannot use its state file, for a reason that passes or that somebody mends without configuring it.

    So it does not end with the status of a wrong configuration: whatever supervises the service starts it again.
    """


class ListenError(NightsealError):
    """The service cannot listen where it was told to, because of what else is there or is not there yet.

    Whatever supervises the service starts it again, as with a StateError.
    """


class OutputError(NightsealError):
    """A report or export cannot be written where it was asked for."""

    exit_code = ExitStatus.USAGE


class NotKeptError(NightsealError):
    """A run was done, and its results could not be kept where they were to be: in the history, or in any file."""


class DeliveryError(NightsealError):
    """A notification was not taken by its receiver."""


class LabError(NightsealError):
    """The bundled lab did not start."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the hint "did you mean …?" for the known name closest to `name`, or None where none is close."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f'did you mean "{matches[0]}"?' if matches else None
