"""Evidence outside of memory: what is read is what was kept, also where no file takes it."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import gc
import json
import logging
import pickle
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from scanner.evidence import EvidenceStore, TargetEvidence, store, to_json
from scanner.jobs.evidence_lines import evidence_line
from scanner.verdict import RunRecord, TargetResult
from tests.build.records import sample_record

SEEN = [target for target in sample_record(0).targets if target.evidence is not None]


def evidence_of(target: TargetResult) -> TargetEvidence:
    """The evidence, which all of these have."""
    assert target.evidence is not None
    return target.evidence


@pytest.fixture
def full() -> Iterator[None]:
    """No file takes more than a few hundred bytes, as on a disk that is all but full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_a_killed_run_leaves_is_what_was_kept_and_is_not_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = EvidenceStore().keep(evidence_of(SEEN[0]))
    monkeypatch.setattr(store, "to_json", None)
    line = evidence_line("a", kept, config="b")
    expected = json.loads(to_json(evidence_of(SEEN[0])))
    assert json.loads(line) == {"config": "b", "target": "a", "evidence": expected}
    assert line.endswith(b"\n")


@pytest.mark.parametrize("few", [True, False])
def test_what_is_read_is_what_was_kept(*, few: bool) -> None:
    store = EvidenceStore(few=few)
    kept = [store.keep(evidence_of(target)) for target in SEEN]
    for target, own in zip(SEEN, kept, strict=True):
        assert own.read() == target.evidence
        assert own.json == to_json(evidence_of(target))


def test_a_few_are_held_as_they_are() -> None:
    evidence = evidence_of(SEEN[0])
    assert EvidenceStore(few=True).keep(evidence).read() is evidence
    assert EvidenceStore().keep(evidence).read() is not evidence


def test_a_full_disk_costs_memory_and_no_evidence(full: None, caplog: pytest.LogCaptureFixture) -> None:  # noqa: ARG001
    with caplog.at_level(logging.WARNING):
        store = EvidenceStore()
        kept = [store.keep(evidence_of(target)) for target in SEEN]
        assert [own.read() for own in kept] == [target.evidence for target in SEEN]
    assert len(caplog.messages) == 1, "it is said once"
    assert "is held in memory" in caplog.text
    assert "TMPDIR" in caplog.text


def test_no_folder_for_files_costs_memory_and_no_evidence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with caplog.at_level(logging.WARNING):
        store = EvidenceStore()
    assert [store.keep(evidence_of(target)).read() for target in SEEN] == [target.evidence for target in SEEN]
    assert "is held in memory" in caplog.text


def test_the_file_has_no_name_and_goes_with_what_was_kept_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    kept = EvidenceStore().keep(evidence_of(SEEN[0]))
    assert not list(tmp_path.iterdir())
    assert kept.read() == SEEN[0].evidence, "what is kept holds on to the file"
    assert len(_open_files(tmp_path)) == 1
    del kept
    gc.collect()
    assert not _open_files(tmp_path)


def _open_files(folder: Path) -> list[Path]:
    """The files of a folder that this process has open, also those without a name."""
    found: list[Path] = []
    for item in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the one that lists them
            found += [path for path in [item.readlink()] if path.is_relative_to(folder)]
    return found


def test_a_result_whose_evidence_is_kept_is_the_same_result() -> None:
    store = EvidenceStore()
    for target in SEEN:
        away = target.with_evidence(store.keep(evidence_of(target)))
        assert away == target
        assert away.evidence == target.evidence
        assert away.evidence is not away.evidence, "it is read anew: nothing holds it"
        assert away.evidence_json == target.evidence_json == to_json(evidence_of(target))
        assert (loaded := away.loaded()) == target
        assert loaded.evidence is loaded.evidence
        assert away.judged(()) == dataclasses.replace(target, verdicts=())
        assert away.judged(()).evidence is not away.judged(()).evidence
        assert dataclasses.replace(away, host="other.example.com").evidence == target.evidence
        assert pickle.loads(pickle.dumps(away)) == copy.deepcopy(away) == target  # noqa: S301  # made a moment ago


def test_a_result_without_evidence_has_none() -> None:
    bare = dataclasses.replace(SEEN[0], evidence=None)
    assert bare.evidence is None
    assert bare.evidence_json is None
    assert bare.loaded() == bare.judged(bare.verdicts) == bare


def test_a_record_is_told_in_a_few_words() -> None:
    """`asyncio.run` spells out what a task gave; of 10,000 targets that took a gigabyte."""
    record = sample_record(0)
    store = EvidenceStore()
    targets = tuple(
        target.with_evidence(store.keep(target.evidence)) if target.evidence else target for target in record.targets
    )
    away = RunRecord(record.run, targets)
    assert repr(away) == f"<RunRecord {record.run.id}, {len(targets)} targets>"
    assert away.loaded() == record
