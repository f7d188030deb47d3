"""What an unfinished run has seen so far, kept outside of the history, so that another attempt can go on from there."""

from __future__ import annotations

import hashlib
import json
import logging
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import ValidationError

from scanner.evidence import TargetEvidence, from_json, to_json
from scanner.service.log_fields import log_with, of_refusal
from scanner.state.ledger import Start

_LOG = logging.getLogger("nightseal.run")
FRESH = timedelta(hours=12)
"""Evidence older than this is not taken up: it would be reported as tonight's."""


class FinishedTargets:
    """One line for each target, appended as soon as the target is done. Half a line at its end is left out."""

    def __init__(self, state: Path, start: Start, config_digest: str) -> None:
        name = hashlib.sha256(f"{start.schedule} {start.due.isoformat()}".encode()).hexdigest()[:24]
        self._path = state.with_name(f"{state.name}.spool") / f"{name}.jsonl"
        self._digest = config_digest

    def add(self, target: str, evidence: TargetEvidence) -> None:
        """Keep what was seen at a target."""
        line = json.dumps({"config": self._digest, "target": target, "evidence": to_json(evidence).decode()})
        try:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            # The run itself needs none of it.
            sentence = f"{self._path} cannot be written: {error.strerror}"
            log_with(_LOG, logging.WARNING, sentence, of_refusal(self._path, error))

    def read(self, now: datetime) -> dict[str, TargetEvidence]:
        """What an earlier attempt saw by the same configuration, a short while ago."""
        try:
            lines = self._path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            return {}
        known = {}
        for line in lines:
            try:
                entry = json.loads(line)
                evidence = from_json(entry["evidence"])
            except (ValueError, KeyError, TypeError, ValidationError):
                continue
            if entry.get("config") == self._digest and now - evidence.started_at < FRESH:
                known[str(entry["target"])] = evidence
        return known

    def remove(self) -> None:
        """Forget it: the run is in the history."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            # It is too old to be taken up soon enough.
            sentence = f"{self._path} cannot be removed: {error.strerror}"
            log_with(_LOG, logging.WARNING, sentence, of_refusal(self._path, error))
