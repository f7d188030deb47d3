"""CSV (RFC 4180): a row for each verdict, UTF-8, safe to open in a spreadsheet.

A cell that a spreadsheet would take for a formula begins with an apostrophe, as OWASP's page on CSV injection advises.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from reports.view.numbering import numbers_of
from reports.view.part import part_in_words
from scanner.verdict import RunRecord, Status, TargetResult, Verdict, finding_id

if TYPE_CHECKING:
    from scanner.inventory import Role
    from scanner.ownership import Ownership
    from scanner.rules import Rule

COLUMNS = (
    "run", "started_at", "environment", "application", "host", "port", "ip", "role", "target", "target_status",
    "policy", "policy_version", "rule", "goal", "status", "severity", "reason", "subject", "message", "observed",
    "expected", "sources", "waiver_reason", "waiver_owner", "waiver_expires", "id", "counted_as", "first_seen", "title",
    "fix", "owner", "labels", "contact", "part", "finding",
)  # fmt: skip
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""What no host can say (`scanner.untrusted`), but a configuration can: a terminal would obey it."""
_OF_CONSOLES = frozenset({"https.console", "https.path"})
"""Rules that judge a console at its path."""
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def to_csv(  # noqa: PLR0913  # everything that is known besides the run, all of it by keyword
    record: RunRecord,
    *,
    rules: Mapping[str, Rule] | None = None,
    first_seen: Mapping[tuple[str, str, str], datetime] | None = None,
    owners: Mapping[str, Ownership] | None = None,
    roles: Mapping[str, Mapping[str, Role]] | None = None,
    delimiter: str = ",",
) -> str:
    """Write a run as CSV, with a row of column names.

    Args:
        record: the run.
        rules: by id; one that is not among them goes without title and fix.
        first_seen: since when something fails, by endpoint, rule and subject.
        owners: who answers for an endpoint, how they are reached, and its labels.
        roles: of the consoles at an endpoint, by their paths: a verdict on one of these is about that console.
        delimiter: what stands between cells.
    """
    return "".join(_lines(record, delimiter=delimiter, rules=rules, first_seen=first_seen, owners=owners, roles=roles))


def csv_pieces(record: RunRecord, *, delimiter: str = ",", **given: Any) -> Iterator[bytes]:
    """The same in UTF-8, target by target; `given` are the other arguments of `to_csv`."""
    for text in _lines(record, delimiter=delimiter, **given):
        yield text.encode()


def _lines(  # noqa: PLR0913  # as of `to_csv`
    record: RunRecord,
    *,
    delimiter: str,
    rules: Mapping[str, Rule] | None = None,
    first_seen: Mapping[tuple[str, str, str], datetime] | None = None,
    owners: Mapping[str, Ownership] | None = None,
    roles: Mapping[str, Mapping[str, Role]] | None = None,
) -> Iterator[str]:
    """The rows of a target at a time, after that of the names of the columns."""
    rules, first_seen = rules or {}, first_seen or {}
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(COLUMNS)
    numbers, part = numbers_of(record), part_in_words(record.run.part)
    for target in record.targets:
        whose = (owners or {}).get(target.endpoint)
        owned = whose.in_cells if whose else ("", "", "")
        # What is the target's is the same in each of its rows, of which there may be a hundred.
        before, behind = _of_target(record, target), _of_policy(target)
        for verdict, finding in zip(target.verdicts, numbers.labels(target), strict=True):
            consoles = (roles or {}).get(target.endpoint, {}) if verdict.rule in _OF_CONSOLES else {}
            role = consoles.get(verdict.subject or "/", target.role)
            cells = *before, role, *behind, *_of_verdict(verdict)
            writer.writerow(_safe((*cells, *_about(target, verdict, rules, first_seen), *owned, part, finding)))
        yield out.getvalue()
        out.seek(0)
        out.truncate()
    yield out.getvalue()


def _of_target(record: RunRecord, target: TargetResult) -> tuple[str, ...]:
    run = record.run
    of_run = run.id, f"{run.started_at:%Y-%m-%dT%H:%M:%SZ}"
    return *of_run, target.environment, target.application or "", target.host, str(target.port), target.ip or ""


def _of_policy(target: TargetResult) -> tuple[str, ...]:
    return target.id, target.status.value, target.policy.id, target.policy.version


def _of_verdict(verdict: Verdict) -> tuple[str, ...]:
    waiver = verdict.waiver
    return (
        *(verdict.rule, verdict.goal, verdict.status, verdict.severity, verdict.reason, verdict.subject),
        *(verdict.message, verdict.observed, verdict.expected, "; ".join(verdict.sources)),
        *((waiver.reason, waiver.owner, waiver.expires.isoformat()) if waiver else ("", "", "")),
    )


def _about(
    target: TargetResult,
    verdict: Verdict,
    rules: Mapping[str, Rule],
    first_seen: Mapping[tuple[str, str, str], datetime],
) -> tuple[str, ...]:
    """What lasts from run to run, how it is counted, and the rule in words; a fix only where there is something to."""
    rule, fails = rules.get(verdict.rule), verdict.status is Status.FAIL
    since = first_seen.get((target.endpoint, verdict.rule, verdict.subject)) if fails else None
    lasting = finding_id(target, verdict), verdict.counted_as, f"{since:%Y-%m-%dT%H:%M:%SZ}" if since else ""
    return *lasting, rule.title if rule else "", rule.fix.summary if rule and fails else ""


def _safe(row: Sequence[str]) -> Iterable[str]:
    # A row at a time: with two questions of each of its cells, they took half of the time that a table took.
    if _CONTROL.search("".join(row)):
        row = [_CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), cell) for cell in row]
    return [f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell for cell in row]
