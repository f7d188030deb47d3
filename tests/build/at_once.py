"""What a run notes target by target, of targets that are all in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from scanner.coverage import Missing
from scanner.domains import Answering
from scanner.evidence import TargetEvidence
from scanner.inventory import Environment, Inventory
from scanner.known_keys import PublishedKeys, SeenKeys, with_troubles
from scanner.rules import Observed
from scanner.standpoint import NotCovered
from scanner.verdict import AbsentDomain


def compared(
    seen: Mapping[str, TargetEvidence], folder: Path | None, published: PublishedKeys | None, now: datetime
) -> Mapping[str, TargetEvidence]:
    """What was seen in a run, by target id, with what is known of the keys in its certificates."""
    keys = SeenKeys(published)
    for target_id, evidence in seen.items():
        keys.note(target_id, evidence)
    troubles = keys.troubles(folder, now)
    return {target_id: with_troubles(evidence, troubles) for target_id, evidence in seen.items()}


def not_covered(inventory: Inventory, observed: Sequence[Observed]) -> tuple[tuple[NotCovered, ...], int]:
    """What was not looked at because nobody configured it, each once, and how much of it there is."""
    missing = Missing(inventory)
    for item in observed:
        missing.note(item)
    return missing.listed()


def absent_domains(
    observed: Sequence[Observed], environments: Mapping[str, Environment], *, every_address: bool = True
) -> tuple[tuple[AbsentDomain, ...], tuple[Observed, ...]]:
    """The domains at which nobody answers, and the targets without those of the domains."""
    answering = Answering(environments, every_address=every_address)
    for item in observed:
        answering.note(item)
    absent = answering.absent(item.target.endpoint for item in observed)
    gone = {domain.endpoint for domain in absent}
    return absent, tuple(item for item in observed if item.target.endpoint.id not in gone)
