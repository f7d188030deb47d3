"""`nightseal evidence export`: a run's evidence for somebody else, redacted where that is asked for."""

from __future__ import annotations

import dataclasses
import json
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scanner import redaction
from scanner.app.history_access import open_history
from scanner.counting import counted
from scanner.errors import PolicyError, UsageError
from scanner.jobs.destinations import put
from scanner.jobs.output import goes_to_stdout
from scanner.jobs.policies import load_policy
from scanner.replay import Judge

if TYPE_CHECKING:
    from scanner.verdict import RunRecord


def export(config_path: Path, run_id: str | None, target_glob: str | None, *, redact: bool, output: str | None) -> None:
    """Write a run's evidence and verdicts as JSON, format nightseal.evidence/1.

    Raises:
        UsageError: There is no such run or target.
    """
    history = open_history(config_path)
    chosen = run_id or history.latest()
    if chosen is None:
        raise UsageError("the history has no run (`nightseal run` and `nightseal scan --record` add one)")
    record = history.record(chosen)
    if target_glob:
        kept = tuple(target for target in record.targets if fnmatchcase(target.id, target_glob))
        if not kept:
            raise UsageError(f'no target of {chosen} matches "{target_glob}"')
        record = dataclasses.replace(record, targets=kept)
    written = redaction.redacted(record) if redact else record
    text = json.dumps(redaction.to_json(written), indent=1) + "\n"
    if output is None or goes_to_stdout(output):
        click.echo(text, nl=False)
    else:
        put(Path(output), text.encode())
    if redact:
        click.echo(_checked(record, written), err=True)


def _checked(record: RunRecord, redacted: RunRecord) -> str:
    """Whether both are judged alike, in a sentence."""
    try:
        policy = load_policy(record.run.policy.id)
    except PolicyError:
        return f"Not judged again: the policy {record.run.policy.id} is not one that ships."
    before, after = (outcomes(item, Judge(policy, (), lambda _: None)) for item in (record, redacted))
    rules = sorted({rule for (_, rule, *_rest) in set(before) ^ set(after)})
    if rules:
        return f"Judged again, these rules come out differently in the redacted file: {', '.join(rules)}."
    return f"Judged again, the redacted file gives the same {counted(len(after), 'verdict')}."


def outcomes(record: RunRecord, judge: Judge) -> list[tuple[int, str, str, str, str]]:
    """What each target's rules say, without what names it: place, rule, status, severity, reason."""
    judged = judge(record, record.run.finished_at)
    return sorted(
        (place, verdict.rule, verdict.status.value, verdict.severity.value, verdict.reason)
        for place, target in enumerate(judged.targets)
        for verdict in target.verdicts
    )
