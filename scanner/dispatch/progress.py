"""What a dispatcher tells while it works."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Stage(StrEnum):
    """How far a target is."""

    STARTED = "started"
    DONE = "done"


class Progress(Struct, frozen=True):
    """One target's step. `done` and `total` count targets; `seconds` is how long a finished one took."""

    target_id: str
    stage: Stage
    done: int
    total: int
    seconds: float = 0.0
