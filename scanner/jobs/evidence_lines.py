"""Evidence of a run that is not done: a line for each target, in a file that a killed process leaves behind."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Self

from pydantic import ValidationError

from scanner.evidence import KeptEvidence, TargetEvidence, from_json

FRESH: Final = timedelta(hours=12)
"""Evidence older than this is not taken up: it would be reported as today's."""


def evidence_line(target: str, evidence: KeptEvidence, **more: str) -> bytes:
    """What was seen at a target, as a line; `more` is whatever has to be the same for it to be taken up."""
    fields = json.dumps({**more, "target": target}, separators=(",", ":")).encode().removesuffix(b"}")
    return b'%s,"evidence":%s}\n' % (fields, evidence.json)


@dataclass(slots=True, eq=False)
class EvidenceLines(Mapping[str, TargetEvidence]):
    """Evidence by target, read from its file when it is asked for: thousands of targets would not fit otherwise."""

    _places: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    """By target: which file, where, and how long."""
    _files: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, paths: Sequence[Path], now: datetime, **same: str) -> Self:
        """What is in these files, is fresh, and has the `same` said beside it.

        What is in a later file is taken. Half a line at an end is left out, and so is a file that can't be read.
        """
        lines = cls()
        for path in paths:
            with contextlib.suppress(OSError):
                lines._take(path, now, same)
        return lines

    def _take(self, path: Path, now: datetime, same: Mapping[str, str]) -> None:
        with path.open("rb") as file:
            number, place = len(self._files), 0
            self._files.append(os.dup(file.fileno()))
            for line in file:
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    entry = json.loads(line)
                    started = datetime.fromisoformat(entry["evidence"]["started_at"])
                    if now - started < FRESH and all(entry.get(name) == value for name, value in same.items()):
                        self._places[str(entry["target"])] = number, place, len(line)
                place += len(line)

    def __getitem__(self, target: str) -> TargetEvidence:
        number, place, length = self._places[target]
        line = os.pread(self._files[number], length, place)
        try:
            return from_json(json.dumps(json.loads(line)["evidence"]))
        except (ValidationError, ValueError, KeyError) as error:
            raise KeyError(target) from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def close(self) -> None:
        """Let go of the files."""
        for file in self._files:
            os.close(file)
        self._files.clear()
        self._places.clear()
