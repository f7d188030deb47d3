"""Draws the reports of a run that is in the history, and the page of all runs, at a lower priority than what else runs.

Run as a program by the run's own process (`report_process`), it says as JSON which files it has written and what went
wrong. It ends when whoever started it does.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import structs

from scanner import forkserver
from scanner.config import loading as configuration
from scanner.config.loading import Config
from scanner.formats import FORMATS
from scanner.history import History
from scanner.jobs.keeping import spared
from scanner.jobs.output import Written, write
from scanner.jobs.reporting import rendering_of
from scanner.jobs.site import open_reports, output_folder, update_site
from scanner.service import logs
from scanner.service.log_fields import log_trouble
from scanner.state.database import open_state
from scanner.state.ledger import Ledger
from scanner.verdict import RunRecord

_LOG = logging.getLogger("nightseal.run")
_NICENESS: Final = 3
"""By so much is drawing lower in priority: it comes second, and still comes where much else runs all night."""


def lower_priority() -> None:
    """Let what else runs come first; where a sandbox refuses that, go on as before."""
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)


def draw(config: Config, history: History | None, record: RunRecord, formats: Sequence[str], run_id: str) -> Written:
    """Write what can be written of a run. What went wrong is logged, and told in the outcome."""
    troubles = list[str]()
    written = Written()
    with spared("No report was written", troubles, log=logging.ERROR):
        written = write(
            rendering_of(config, history, record.loaded()), formats, f"{output_folder(config)}/", name=run_id
        )
    for trouble in written.troubles:
        log_trouble(_LOG, logging.ERROR, trouble)
    troubles += written.troubles
    if history is not None:
        with spared("The page of all runs was not written", troubles, log=logging.ERROR):
            update_site(config, history)
    else:
        open_reports(config)
    return structs.replace(written, troubles=tuple(troubles))


def main() -> None:
    """Draw, and say what came of it."""
    # They are for the run's process, which waits for this one or ends it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    forkserver.end_with(sys.stdin.fileno())
    parser = argparse.ArgumentParser()
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--start", type=int, required=True)
    parser.add_argument("--format", action="append", choices=tuple(FORMATS), default=[])
    arguments = parser.parse_args()
    lower_priority()
    ledger = Ledger(open_state(arguments.state))
    start = ledger.get(arguments.start)
    source: Path = arguments.config
    config = configuration.parse(ledger.configuration(str(start.config)), source=str(source), folder=source.parent)
    run_id = str(start.run_id)
    logs.configure(
        config.form.daemon.log, about={"run": run_id, **({"schedule": start.schedule} if start.schedule else {})}
    )
    written, troubles = Written(), list[str]()
    with spared("No report was written", troubles, log=logging.ERROR):
        history = History.open(config.resolve(config.form.nightseal.history), create=False)
        written = draw(config, history, history.record(run_id), arguments.format, run_id)
    files = [str(path.absolute()) for path in written.files]
    sys.stdout.write(json.dumps({"files": files, "troubles": [*written.troubles, *troubles]}))


if __name__ == "__main__":
    main()
