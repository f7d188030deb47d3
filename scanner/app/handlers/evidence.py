"""`nightseal evidence export`: a run's evidence for somebody else, redacted where that is asked for."""

from __future__ import annotations

import dataclasses
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scanner.app.reading import config_to_read
from scanner.counting import counted
from scanner.errors import UsageError
from scanner.history import History
from scanner.jobs.destinations import put
from scanner.jobs.evidence_file import judge_again, read_evidence_file
from scanner.jobs.output import Rendering, goes_to_stdout, render
from scanner.jobs.reporting import policies_of
from scanner.redaction import redacted

if TYPE_CHECKING:
    from scanner.verdict import RunRecord


def export(config_path: Path, run_id: str | None, target_glob: str | None, *, redact: bool, output: str | None) -> None:
    """Write a run's evidence and verdicts as JSON, format nightseal.evidence/1.

    Raises:
        UsageError: There is no such run or target.
    """
    config = config_to_read(config_path)
    history = History.open(config.resolve(config.form.nightseal.history), create=False)
    chosen = run_id or history.latest()
    if chosen is None:
        raise UsageError("the history has no run (`nightseal run` and `nightseal scan --record` add one)")
    record = _only(history.record(chosen), target_glob)
    data = render(Rendering(redacted(record) if redact else record, policies=policies_of(config, record)), "evidence")
    if output is None or goes_to_stdout(output):
        click.echo(data)
    else:
        put(Path(output), data)
    if redact:
        click.echo(_checked(data), err=True)


def _only(record: RunRecord, target_glob: str | None) -> RunRecord:
    kept = tuple(target for target in record.targets if target_glob is None or fnmatchcase(target.id, target_glob))
    if not kept:
        raise UsageError(f'no target of {record.run.id} matches "{target_glob}"')
    return dataclasses.replace(record, targets=kept)


def _checked(data: bytes) -> str:
    """What judging the redacted file again gives, in a sentence."""
    found = judge_again(read_evidence_file(data))
    if not found.compared:
        return "Not judged again: the policy of that run is not available."
    if rules := sorted({item.rule for item in found.differences}):
        return f"Judged again, these rules come out differently in the redacted file: {', '.join(rules)}."
    return f"Judged again, the redacted file gives the same {counted(found.compared, 'verdict')}."
