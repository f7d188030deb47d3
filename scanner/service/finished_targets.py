"""What an unfinished run has seen so far, kept outside of the history, so that another attempt can go on from there."""

from __future__ import annotations

import hashlib
import logging
from datetime import datetime
from pathlib import Path

from scanner.evidence import KeptEvidence
from scanner.jobs.evidence_lines import EvidenceLines, evidence_line
from scanner.service.log_fields import log_with, of_refusal
from scanner.state.ledger import Start

_LOG = logging.getLogger("nightseal.run")


class FinishedTargets:
    """One line for each target, appended as soon as the target is done."""

    def __init__(self, state: Path, start: Start, config_digest: str) -> None:
        name = hashlib.sha256(f"{start.schedule} {start.due.isoformat()}".encode()).hexdigest()[:24]
        self._path = state.with_name(f"{state.name}.spool") / f"{name}.jsonl"
        self._digest = config_digest

    def add(self, target: str, evidence: KeptEvidence) -> None:
        """Keep what was seen at a target."""
        try:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(evidence_line(target, evidence, config=self._digest))
        except OSError as error:
            # The run itself needs none of it.
            sentence = f"{self._path} cannot be written: {error.strerror}"
            log_with(_LOG, logging.WARNING, sentence, of_refusal(self._path, error))

    def read(self, now: datetime) -> EvidenceLines:
        """What an earlier attempt saw by the same configuration, a short while ago."""
        return EvidenceLines.of([self._path], now, config=self._digest)

    def remove(self) -> None:
        """Forget it: the run is in the history."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            # It is too old to be taken up soon enough.
            sentence = f"{self._path} cannot be removed: {error.strerror}"
            log_with(_LOG, logging.WARNING, sentence, of_refusal(self._path, error))
