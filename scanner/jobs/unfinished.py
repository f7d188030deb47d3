"""What a run has seen, on a disk until the run is in the history: a process that is killed leaves it there.

Nothing that is sent to a process in order is needed: what was seen of a target is in the file as soon as it was. A lock
that the kernel lets go of says whether the run that wrote a file still lives.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import logging
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct, structs

import scanner
from scanner.counting import counted
from scanner.evidence import KeptEvidence, TargetEvidence
from scanner.jobs.evidence_lines import FRESH, EvidenceLines, evidence_line
from scanner.probe.x509.trust import store_digests

if TYPE_CHECKING:
    from scanner.pipeline import Job

FOLDER: Final = ".unfinished"
"""The folder, beside the history, in which runs leave what they have seen until they are done."""
_SUFFIX: Final = ".jsonl"
_LOG = logging.getLogger("nightseal.run")


class UnfinishedRun(Struct):
    """What this run has seen, and what earlier ones saw that asked the same in the same way and never ended.

    `told` is what there is to say of those before the scan. Files that can't be written cost the run nothing else.
    """

    job: Job
    told: Sequence[str] = ()
    seen: int = 0
    _file: int | None = None
    _path: Path | None = None
    _earlier: Sequence[Path] = ()

    def begin(self, path: Path) -> None:
        """Begin the file. It has its name only when it is locked, so that no other run takes it for one that is left.

        Raises:
            OSError: it can't be written.
        """
        new = path.with_suffix(".new")
        self._file = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(self._file, fcntl.LOCK_EX)
        new.rename(path)
        self._path = path

    def add(self, target: str, evidence: KeptEvidence) -> None:
        """Keep what was seen at a target."""
        if self._file is None:
            return
        line = evidence_line(target, evidence)
        try:
            while line:
                line = line[os.write(self._file, line) :]
        except OSError as error:
            _LOG.warning("%s cannot be written, so `--resume` will not know the rest: %s", self._path, error.strerror)
            self._let_go()
        else:
            self.seen += 1

    def done(self) -> None:
        """Forget it: the whole run is in the history."""
        for path in (*self._earlier, *([self._path] if self._path else [])):
            _remove(path)
        self._earlier, self._path, self.seen = (), None, 0

    def end(self) -> None:
        """Leave the file for `--resume`, if there is anything in it."""
        self._let_go()
        if not self.seen and self._path is not None:
            _remove(self._path)

    def _let_go(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


@contextlib.contextmanager
def unfinished(job: Job, folder: Path, *, resume: bool) -> Iterator[UnfinishedRun]:
    """Keep what a run sees in `folder` until it is done. With `resume` it begins with what earlier ones saw."""
    key = _key(job)
    now = datetime.now(UTC)
    earlier = _left(folder, key)
    known = EvidenceLines.of(earlier, now)
    run = UnfinishedRun(job, _told(known, resume=resume), _earlier=earlier)
    run.job = structs.replace(job, on_evidence=run.add, known=known if resume else {})
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        run.begin(folder / f"{key}-{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}{_SUFFIX}")
    except OSError as error:
        _LOG.debug("what is seen cannot be kept in %s until the run is done: %s", folder, error)
    try:
        yield run
    finally:
        run.end()
        known.close()


def _key(job: Job) -> str:
    """What has to be the same for evidence to be taken over: what is asked, of whom, from where, and by whom."""
    policies = sorted({policy.digest for policy in (job.policy, *job.policies.values())})
    environments = job.inventory.environments
    stores = store_digests({name for item in environments for name in job.settings.stores_for(item.name)})
    fields = ((item.name, getattr(job.settings, item.name)) for item in dataclasses.fields(job.settings))
    settings = [(name, sorted(value) if isinstance(value, frozenset) else value) for name, value in fields]
    names = [item.name for item in environments]
    asked = (
        scanner.__version__,
        job.config_digest,
        policies,
        names,
        job.addresses,
        job.vantage,
        sorted(stores.items()),
        settings,
    )
    return hashlib.sha256(repr(asked).encode()).hexdigest()[:24]


def _left(folder: Path, key: str) -> list[Path]:
    """The files of runs that asked the same and live no more, the oldest first; all that are too old are removed."""
    found = []
    with contextlib.suppress(OSError):
        for path in sorted(folder.iterdir(), key=lambda path: path.name.split("-")[1:]):
            if not _lives(path):
                if datetime.fromtimestamp(path.stat().st_mtime, UTC) < datetime.now(UTC) - FRESH:
                    _remove(path)
                elif path.name.startswith(f"{key}-") and path.suffix == _SUFFIX:
                    found.append(path)
    return found


def _lives(path: Path) -> bool:
    """Whether the run that writes a file still does."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
    return False


def _told(known: Mapping[str, TargetEvidence], *, resume: bool) -> Sequence[str]:
    if not known:
        return ("there is no interrupted run to resume: all targets are scanned",) if resume else ()
    there = counted(len(known), "target")
    if resume:
        return (
            f"{there} of an interrupted run {'is' if len(known) == 1 else 'are'} taken over, and not scanned again",
        )
    these = "it" if len(known) == 1 else "these"
    return (f"an earlier run was interrupted after {there}; `--resume` would not scan {these} again",)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        # It is too old to be taken up soon enough.
        _LOG.debug("%s cannot be removed: %s", path, error)
