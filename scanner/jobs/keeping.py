"""What decides the outcome of a run, and what does not.

A run is done when its results are in the history. Whatever is made of them afterwards (a report in some format, the
page of all runs, a message, tidying) may fail, is told then, and changes nothing of how the run came out.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Self

import click

from scanner.confidential import without
from scanner.errors import NightsealError

_LOG = logging.getLogger("nightseal.run")


class Trouble(str):
    """A sentence about what went wrong beside a run, with the error that it tells of."""

    __slots__ = ("error",)
    error: Exception

    def __new__(cls, sentence: str, error: Exception) -> Self:
        """The sentence, and what it is about."""
        made = super().__new__(cls, sentence)
        made.error = error
        return made


@contextmanager
def spared(what: str, troubles: list[str], *, log: int = logging.DEBUG) -> Iterator[None]:
    """Do what the outcome of a run must not depend on. Where it fails, `troubles` says so, beginning with `what`.

    Mistakes of our own are caught as well: they cost what they are in, and not the run. The log tells where it was, at
    the level `log`.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001  # whatever it was, the run is done
        _LOG.log(log, "%s", what, exc_info=True)
        troubles.append(Trouble(without(f"{what}: {reason_of(error)}"), error))


def reason_of(error: Exception) -> str:
    """An error in a few words; one that nobody raised on purpose with its type."""
    if isinstance(error, NightsealError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def warn(troubles: Sequence[str]) -> None:
    """Tell whoever started the command what went wrong beside the run, also where it is told to be quiet."""
    for trouble in troubles:
        for line in trouble.splitlines():
            click.echo(without(f"nightseal: warning: {line}"), err=True)
