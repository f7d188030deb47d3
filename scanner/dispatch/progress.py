"""What a dispatcher tells while it works."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """How far a target is."""

    STARTED = "started"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Progress:
    """One target's step. `done` and `total` count targets; `seconds` is how long a finished one took."""

    target_id: str
    stage: Stage
    done: int
    total: int
    seconds: float = 0.0
