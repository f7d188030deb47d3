"""What is tidied up after a run: old evidence, old reports, and what the state file need not remember any more."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec import structs
from sqlalchemy import Engine

from scanner.config.loading import Config
from scanner.errors import ClockError
from scanner.history import History
from scanner.history.maintenance import maintain, refuse_wrong_clock
from scanner.jobs.keeping import spared
from scanner.jobs.site import REPORT_NAME, output_folder, update_site
from scanner.notify.outbox import Outbox
from scanner.service.log_fields import log_error, log_trouble, log_with, of_refusal
from scanner.state.ledger import Ledger

_LOG = logging.getLogger("nightseal.retention")
_REMEMBERED = timedelta(days=90)


def tidy(config: Config, engine: Engine, now: datetime) -> None:
    """Tidy up. What cannot be done now is left for the next run, with a line in the log."""
    form = config.form.history
    with _left("nothing is cleaned up"):
        history = History.open(config.resolve(config.form.nightseal.history), create=False)
        try:
            refuse_wrong_clock(history, now)
        except ClockError as error:
            # Reports, evidence and the state file alike: by a wrong clock all of them would be old.
            log_error(_LOG, logging.WARNING, error)
            return
    gone = 0
    with _left("old reports not removed"):
        gone = rotate_reports(output_folder(config), now - form.keep_reports)
    if gone:
        _LOG.info("%(reports)d old reports removed", {"reports": gone})
    with _left("history not tidied"):
        history = History.open(config.resolve(config.form.nightseal.history), create=False)
        done = maintain(history, keep=form.keep, now=now)
        _LOG.info(
            "history tidied: %(evidence_rows)d rows of evidence and %(broken_rows)d of broken runs removed, "
            "%(compacted_files)d files put together, %(removed_files)d removed",
            structs.asdict(done),
        )
    if gone:
        # It links to reports that are no longer there.
        with _left("the site of all runs was not written"):
            update_site(config, History.open(config.resolve(config.form.nightseal.history), create=False))
    with _left("the state file not tidied"):
        Ledger(engine).forget(now - _REMEMBERED)
        Outbox(engine).forget(now - _REMEMBERED)


@contextmanager
def _left(what: str) -> Iterator[None]:
    """Do one part of it; where that fails, log `what`: neither the run nor the other parts depend on it."""
    troubles = list[str]()
    with spared(what, troubles):
        yield
    for trouble in troubles:
        log_trouble(_LOG, logging.WARNING, trouble)


def rotate_reports(folder: Path, before: datetime) -> int:
    """Remove the reports of runs that began before then, and nothing else that is in the folder; return how many."""
    gone = 0
    for path in folder.iterdir() if folder.is_dir() else ():
        match = REPORT_NAME.fullmatch(path.name)
        if match is None or path.is_symlink() or not path.is_file():
            continue
        if datetime.strptime(match["moment"], "%Y%m%dT%H%M%S").replace(tzinfo=UTC) >= before:
            continue
        try:
            path.unlink()
            gone += 1
        except OSError as error:
            log_with(_LOG, logging.WARNING, f"{path} cannot be removed: {error.strerror}", of_refusal(path, error))
    return gone
