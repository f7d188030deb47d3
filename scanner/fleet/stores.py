"""Trust stores in evidence of workers: what came with a shard is called as the run calls it, not as it lies there."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from scanner.evidence import TargetEvidence


def trusted_stores(evidence: TargetEvidence) -> set[str]:
    """The trust stores that evidence names."""
    tls = evidence.tls.value
    found = (tls.certificates.value if tls is not None else None) or ()
    completed = (path for item in found if item.completion is not None for path in item.completion.paths)
    return {path.store for path in (*(path for item in found for path in item.paths), *completed)}


def stores_renamed(evidence: TargetEvidence, names: Mapping[str, str]) -> TargetEvidence:
    """The evidence with trust stores by other names; nobody has completed its chains yet."""
    tls = evidence.tls.value
    if tls is None or not tls.certificates.value:
        return evidence
    renamed = tuple(
        dataclasses.replace(
            item,
            paths=tuple(dataclasses.replace(path, store=names.get(path.store, path.store)) for path in item.paths),
        )
        for item in tls.certificates.value
    )
    tls = dataclasses.replace(tls, certificates=dataclasses.replace(tls.certificates, value=renamed))
    return dataclasses.replace(evidence, tls=dataclasses.replace(evidence.tls, value=tls))
