"""Which facts of a world a rule reads: the others may get lost without its verdict being another.

A rule is a function of the facts alone, without memory and chance. Where it has not looked at a fact, it goes the same
way whatever that fact is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from scanner.evidence import TlsEvidence
from tests.build.facts import World
from tests.build.partial import attempt_of

PLACES = ("tls", "http", "dns")
"""What of a world can get lost (`losses`); of `tls` each field by itself."""


def read_by(judge: Callable[[World], object], world: World) -> frozenset[str]:
    """The facts that are read when it is judged, by the names that `losses` has for them: `http`, `tls.robot`."""
    read: set[str] = set()
    places: dict[str, Any] = {}
    for place in PLACES:
        attempt = attempt_of(getattr(world, place))
        if isinstance(attempt.value, TlsEvidence):
            attempt = dataclasses.replace(attempt, value=_watched(attempt.value, _noting(f"{place}.", read)))
        places[place] = _watched(attempt, lambda _, place=place: read.add(place))
    watched = dataclasses.replace(world, **places)
    # Those who made it have looked at all of it.
    read.clear()
    judge(watched)
    return frozenset(read)


def _noting(prefix: str, read: set[str]) -> Callable[[str], None]:
    return lambda name: read.add(prefix + name)


def _watched(item: Any, note: Callable[[str], None]) -> Any:
    """An equal object, which tells of each of its attributes that it is read."""
    kind = type(item)

    def noted(self: object, name: str) -> Any:
        note(name)
        return kind.__getattribute__(self, name)

    watching = type(kind.__name__, (kind,), {"__slots__": (), "__getattribute__": noted})
    return watching(**{field.name: getattr(item, field.name) for field in dataclasses.fields(item)})
